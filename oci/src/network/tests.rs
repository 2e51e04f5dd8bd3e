//! Networks of pods, made and removed in a network namespace that stands for the node's.

use super::*;
use crate::{
    sandbox::{self, Spares},
    testing::{node, pod, with_roots},
};
use berth_core::manifest::objects::Objects;
use berth_core::{ids::PodKey, manifest::types::PodSpec, time::Mono};
use nix::sched::{CloneFlags, setns, unshare};
use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
};

mod ports;

const SETUP: &str = "10.86.0.0/16,fd62:6572:7468::/64";

/// Runs `test` on a node whose network is nobody else's.
fn on_a_node(test: impl FnOnce(&Roots) + Send) {
    with_roots(|roots| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let mut netlink = Netlink::route().unwrap();
        let loopback = link::index(&mut netlink, "lo").unwrap().unwrap();
        link::bring_up(&mut netlink, loopback).unwrap();
        test(roots);
    });
}

fn network(roots: &Roots, ranges: &str) -> Arc<Network> {
    let setup = Setup { ranges: ranges.parse().unwrap(), mtu: None };
    Arc::new(Network::new(roots, Some(setup)))
}

fn named(name: &str, uid: &str) -> DesiredPod {
    let key = PodKey { namespace: "default".into(), name: name.into() };
    DesiredPod { key, uid: PodUid(uid.into()), ..pod(PodSpec::default()) }
}

fn create(roots: &Roots, network: &Arc<Network>, pod: &DesiredPod) -> Result<Vec<String>> {
    sandbox::create_with(roots, &node(), pod, Mono(0), &Objects::default(), &Spares::default(), network)
}

/// Does it in the pod's network namespace.
fn within<T: Send>(roots: &Roots, pod: &DesiredPod, work: impl FnOnce() -> T + Send) -> T {
    let ns = File::open(roots.pod_ns(&pod.uid, "net")).unwrap();
    let enter = move || {
        setns(&ns, CloneFlags::CLONE_NEWNET).unwrap();
        work()
    };
    thread::scope(|scope| scope.spawn(enter).join().unwrap())
}

/// Answers one caller with his own address.
fn serve(listener: TcpListener) {
    let (mut stream, from) = listener.accept().unwrap();
    stream.write_all(from.ip().to_string().as_bytes()).unwrap();
}

fn call(address: &str, port: u16) -> String {
    let mut stream = TcpStream::connect((address, port)).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

fn links() -> Vec<String> {
    bridge::links(attachment::LINK_PREFIX)
}

#[test]
fn pods_and_the_node_reach_each_other_by_both_families() {
    on_a_node(|roots| {
        let network = network(roots, SETUP);
        let (one, two) = (named("one", "u1"), named("two", "u2"));
        let [at_one, at_two] = [&one, &two].map(|pod| create(roots, &network, pod).unwrap());
        assert_eq!((at_one.len(), at_two.len()), (2, 2));
        for family in 0..2 {
            let server = within(roots, &one, || TcpListener::bind((at_one[family].as_str(), 80)).unwrap());
            thread::scope(|scope| {
                let again = server.try_clone().unwrap();
                scope.spawn(move || [server, again].map(serve));
                assert_eq!(within(roots, &two, || call(&at_one[family], 80)), at_two[family]);
                let gateway = ["10.86.0.1", "fd62:6572:7468::1"][family];
                assert_eq!(call(&at_one[family], 80), gateway);
            });
        }
        // What is said of it, and the way out.
        let hosts = fs::read_to_string(roots.pod_etc(&one.uid).join("hosts")).unwrap();
        assert!(hosts.contains(&format!("\n{}\tone\n{}\tone\n", at_one[0], at_one[1])), "{hosts}");
        assert_eq!(crate::records::read_sandbox(roots, &one.uid).unwrap().unwrap().ips, at_one);
        let routes = within(roots, &one, || fs::read_to_string("/proc/thread-self/net/route").unwrap());
        assert!(routes.lines().any(|line| line.starts_with("eth0\t00000000\t0100560A")), "{routes}");
        for pod in [&one, &two] {
            sandbox::remove_with(roots, &network, pod).unwrap();
        }
        assert_eq!(links(), Vec::<String>::new());
        assert!(network.lock().attached.is_empty());
    });
}

#[test]
fn an_address_stays_a_pods_over_revisions_agents_and_reboots() {
    on_a_node(|roots| {
        let first = network(roots, SETUP);
        let there = create(roots, &first, &named("one", "u1")).unwrap();
        // A later agent finds it, and would give it to nobody else.
        let second = network(roots, SETUP);
        assert_eq!(second.lock().attached, first.lock().attached);
        sandbox::remove_with(roots, &second, &named("one", "u1")).unwrap();
        assert_eq!(create(roots, &second, &named("one", "u2")).unwrap(), there);
        assert_ne!(create(roots, &second, &named("two", "u3")).unwrap(), there);
        drop(second.saving.lock().unwrap());
        for uid in ["u2", "u3"] {
            sandbox::remove_leftover_with(roots, &second, &PodUid(uid.into())).unwrap();
        }
        assert_eq!(links(), Vec::<String>::new());
    });
}

#[test]
fn what_a_killed_agent_left_is_completed_or_removed() {
    on_a_node(|roots| {
        let (one, two) = (named("one", "u1"), named("two", "u2"));
        let network = network(roots, SETUP);
        let there = [&one, &two].map(|pod| create(roots, &network, pod).unwrap());
        // One pod's pair is gone; a pair is there that belongs to nobody any more.
        let mut netlink = Netlink::route().unwrap();
        link::remove(&mut netlink, &link_name(&one.uid)).unwrap();
        fs::remove_file(roots.pod_network(&two.uid)).unwrap();
        let next = self::network(roots, SETUP);
        next.reconcile();
        assert_eq!(links(), [link_name(&one.uid)]);
        let server = within(roots, &one, || TcpListener::bind((there[0][0].as_str(), 80)).unwrap());
        thread::scope(|scope| {
            scope.spawn(move || serve(server));
            assert_eq!(call(&there[0][0], 80), Ipv4Addr::new(10, 86, 0, 1).to_string());
        });
        // An attempt that was broken off is made anew, and the bridge with it, should that be gone; who was on it is
        // on the new one.
        link::remove(&mut netlink, BRIDGE).unwrap();
        let three = named("three", "u3");
        let at_three = create(roots, &next, &three).unwrap();
        assert_eq!(next.attach(&three, Vec::new()).unwrap().addresses, at_three);
        let server = within(roots, &one, || TcpListener::bind((there[0][0].as_str(), 80)).unwrap());
        thread::scope(|scope| {
            scope.spawn(move || serve(server));
            assert_eq!(within(roots, &three, || call(&there[0][0], 80)), at_three[0]);
        });
        sandbox::remove_with(roots, &next, &three).unwrap();
        for pod in [&one, &two] {
            sandbox::remove_with(roots, &next, pod).unwrap();
        }
        assert_eq!(links(), Vec::<String>::new());
    });
}

#[test]
fn what_cannot_be_is_a_reason_that_says_what_to_do() {
    on_a_node(|roots| {
        let small = network(roots, "10.86.0.0/30");
        assert_eq!(create(roots, &small, &named("one", "u1")).unwrap(), ["10.86.0.2"]);
        let error = create(roots, &small, &named("two", "u2")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "network is not ready: all 1 addresses of podCIDR are in use: remove a pod, or configure a larger range"
        );
        for pod in [named("one", "u1"), named("two", "u2")] {
            sandbox::remove_with(roots, &small, &pod).unwrap();
        }
        let mut netlink = Netlink::route().unwrap();
        link::ensure_bridge(&mut netlink, "other", [2, 0, 0, 0, 0, 1], 1500).unwrap();
        let range = "10.86.3.0/24".parse().unwrap();
        let index = link::index(&mut netlink, "other").unwrap().unwrap();
        link::add_address(&mut netlink, index, "10.86.3.7".parse().unwrap(), &range).unwrap();
        link::remove(&mut netlink, BRIDGE).unwrap();
        let error = network(roots, SETUP).attach(&named("one", "u1"), Vec::new()).unwrap_err().to_string();
        assert!(error.contains("other has 10.86.3.7, which is in the pods' range 10.86.0.0/16"), "{error}");
    });
}

#[test]
fn pods_that_want_none_get_none() {
    on_a_node(|roots| {
        let host = DesiredPod { ..pod(PodSpec { host_network: true, ..PodSpec::default() }) };
        let (bridged, none) = (network(roots, SETUP), Arc::new(Network::none(roots)));
        assert_eq!(create(roots, &bridged, &host).unwrap(), Vec::<String>::new());
        assert_eq!(create(roots, &none, &named("one", "u1")).unwrap(), Vec::<String>::new());
        assert_eq!(bridge::links(BRIDGE), Vec::<String>::new());
        sandbox::remove_with(roots, &bridged, &host).unwrap();
        sandbox::remove_with(roots, &none, &named("one", "u1")).unwrap();
    });
}
