//! Networks of pods, made and removed in a network namespace that stands for the node's.

use super::*;
use crate::{
    sandbox::{self, Spares},
    testing::{node, pod, with_roots},
};
use berth_core::manifest::{Format, LoadInput, load, objects::Objects};
use berth_core::{
    ids::PodKey,
    manifest::types::PodSpec,
    network::named::{BRIDGE, DEFAULT},
    time::Mono,
};
use nix::sched::{CloneFlags, setns, unshare};
use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsRawFd,
    sync::mpsc,
};

mod large;
mod networks;
mod origin;
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
    let setup = Setup { default: Net::default(ranges.parse().unwrap(), None), named: Vec::new() };
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
fn who_serves_names_hears_of_each_change_when_he_can_serve_them() {
    on_a_node(|roots| {
        let (rung, heard) = mpsc::channel();
        let setup = Setup { default: Net::default(SETUP.parse().unwrap(), None), named: Vec::new() };
        let bell = move || rung.send(UdpSocket::bind("10.86.0.1:53").is_ok()).unwrap();
        let network = Arc::new(Network::new(roots, Some(setup)).ringing(bell));
        let one = named("one", "u1");
        create(roots, &network, &one).unwrap();
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [true]);
        sandbox::remove_with(roots, &network, &one).unwrap();
        assert_eq!(heard.try_iter().count(), 1);
    });
}

#[test]
fn a_box_that_has_had_pods_makes_its_bridge_ahead_and_others_wait_for_one() {
    on_a_node(|roots| {
        let first = network(roots, SETUP);
        assert!(first.make_ahead().is_none());
        let mut leases = Leases::default();
        leases.take(DEFAULT, &named("one", "u1").key, &(2..100), &BTreeSet::new()).unwrap();
        leases::save(roots, &leases).unwrap();
        let next = network(roots, SETUP);
        next.make_ahead().unwrap().join().unwrap();
        assert_eq!(bridge::links(BRIDGE), [BRIDGE]);
        let made = next.lock().bridges.clone();
        create(roots, &next, &named("one", "u1")).unwrap();
        assert_eq!((next.lock().bridges.clone(), made.len()), (made, 1), "the pod is plugged to that one");
        assert!(network(roots, SETUP).make_ahead().is_none(), "it is there");
    });
}

#[test]
fn a_node_that_somebody_has_made_forward_no_longer_does_again_with_the_next_pod() {
    on_a_node(|roots| {
        let settings = ["ipv4/ip_forward", "ipv6/conf/all/forwarding"];
        let settings = settings.map(|name| format!("/proc/sys/net/{name}"));
        let network = network(roots, SETUP);
        for uid in ["u1", "u2"] {
            create(roots, &network, &named(uid, uid)).unwrap();
            for setting in &settings {
                assert_eq!(fs::read_to_string(setting).unwrap().trim(), "1", "{setting}");
                fs::write(setting, "0").unwrap();
            }
        }
        for uid in ["u1", "u2"] {
            sandbox::remove_with(roots, &network, &named(uid, uid)).unwrap();
        }
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
        let index = link::index(&mut netlink, "other").unwrap().unwrap();
        link::add_address(&mut netlink, index, "10.86.3.7".parse().unwrap(), 24).unwrap();
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

#[test]
fn a_pod_is_held_to_its_bandwidth_both_ways() {
    on_a_node(|roots| {
        let network = network(roots, SETUP);
        let annotations = [berth_core::network::INGRESS, berth_core::network::EGRESS];
        let annotations = annotations.map(|key| (key.to_owned(), "1k".to_owned())).into();
        let mut slow = named("slow", "u1");
        Arc::make_mut(&mut slow.pod).metadata.annotations = annotations;
        let fast = named("fast", "u2");
        let [at_slow, at_fast] = [&slow, &fast].map(|pod| create(roots, &network, pod).unwrap().remove(0));
        // Of a megabyte that is sent at once, what fits the bucket arrives; the next bytes would be due in minutes.
        let received = |from: &DesiredPod, to: &DesiredPod, at: &str| {
            let socket = within(roots, to, || UdpSocket::bind((at, 9)).unwrap());
            within(roots, from, || {
                let sender = UdpSocket::bind("0.0.0.0:0").unwrap();
                (0..1_000).for_each(|_| drop(sender.send_to(&[0; 1_000], (at, 9))));
            });
            socket.set_read_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
            let mut packet = [0; 2_000];
            std::iter::from_fn(|| socket.recv(&mut packet).ok()).sum::<usize>()
        };
        let (to, from) = (received(&fast, &slow, &at_slow), received(&slow, &fast, &at_fast));
        assert!((30_000..70_000).contains(&to) && (30_000..70_000).contains(&from), "{to} {from}");
        // Whoever removes the pair takes the buckets along; they come back with it.
        link::remove(&mut Netlink::route().unwrap(), &link_name(&slow.uid)).unwrap();
        network.reconcile();
        let to = received(&fast, &slow, &at_slow);
        assert!((30_000..70_000).contains(&to), "{to}");
        for pod in [&slow, &fast] {
            sandbox::remove_with(roots, &network, pod).unwrap();
        }
    });
}

/// A policy of this specification in the namespace of the tests' pods.
fn policies(specs: &[serde_json::Value]) -> Objects {
    let text = |(i, spec): (usize, &serde_json::Value)| {
        let metadata = serde_json::json!({"name": format!("p{i}"), "namespace": "default"});
        let (version, kind) = ("networking.k8s.io/v1", "NetworkPolicy");
        let policy =
            serde_json::json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec});
        format!("---\n{policy}\n")
    };
    let text: String = specs.iter().enumerate().map(text).collect();
    let output = load(&LoadInput {
        file: "p.yaml",
        bytes: text.as_bytes(),
        format: Format::Yaml,
        node: "box",
        source: "file",
    });
    assert_eq!(output.problems, []);
    output.objects.into_iter().collect()
}

#[test]
fn pods_are_held_to_policies() {
    on_a_node(|roots| {
        let network = network(roots, SETUP);
        let [web, db, spy] = ["web", "db", "spy"].map(|name| {
            let mut pod = named(name, name);
            Arc::make_mut(&mut pod.pod).metadata.labels = [("app".to_owned(), name.to_owned())].into();
            pod
        });
        let at = [&web, &db, &spy].map(|pod| create(roots, &network, pod).unwrap());
        let servers: Vec<_> = [(&web, &at[0]), (&db, &at[1])]
            .into_iter()
            .flat_map(|(pod, at)| at.iter().map(move |at| within(roots, pod, || answering(at))))
            .collect();
        let reaches = |from: &DesiredPod, at: &[String]| {
            let tries = at.iter().map(|at| within(roots, from, || is_reached(at)));
            let tries: Vec<bool> = tries.collect();
            assert_eq!(tries[0], tries[1], "both families alike");
            tries[0]
        };
        let all = |expected: [bool; 4], when: &str| {
            let found =
                [reaches(&web, &at[1]), reaches(&spy, &at[1]), reaches(&spy, &at[0]), reaches(&db, &at[0])];
            assert_eq!(found, expected, "{when}: web-db, spy-db, spy-web, db-web");
            assert!(is_reached(&at[1][0]) && is_reached(&at[1][1]), "{when}: the node reaches all");
        };
        all([true; 4], "no policy");
        let only_web = serde_json::json!({"podSelector": {"matchLabels": {"app": "db"}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": 80}]}]});
        assert!(network.note_policies(&policies(std::slice::from_ref(&only_web))));
        network.enforce();
        all([true, false, true, true], "only web calls db");
        let no_way_out =
            serde_json::json!({"podSelector": {"matchLabels": {"app": "spy"}}, "policyTypes": ["Egress"]});
        network.note_policies(&policies(&[only_web.clone(), no_way_out.clone()]));
        network.enforce();
        all([true, false, false, true], "spy calls nobody");
        let to_node = within(roots, &spy, || is_reached("10.86.0.1"));
        assert!(!to_node, "nor the node");
        let pinged = |pod| within(roots, pod, || is_pinged("fd62:6572:7468::1"));
        assert!(
            !pinged(&spy) && pinged(&web),
            "of IPv6 it may say what that does not work without, and no more"
        );
        // An agent that comes after this one holds to them before it has read a manifest.
        let next = self::network(roots, SETUP);
        next.reconcile();
        all([true, false, false, true], "a later agent");
        assert!(!next.note_policies(&policies(&[only_web, no_way_out])));
        // A pod that is made now is held to them at once, and one that goes leaves no rule.
        sandbox::remove_with(roots, &next, &spy).unwrap();
        assert_eq!(create(roots, &next, &spy).unwrap(), at[2]);
        all([true, false, false, true], "made anew");
        next.note_policies(&Objects::default());
        next.enforce();
        all([true; 4], "no policy any more");
        drop(servers);
        for pod in [&web, &db, &spy] {
            sandbox::remove_with(roots, &next, pod).unwrap();
        }
    });
}

/// Answers an ICMPv6 echo.
fn is_pinged(at: &str) -> bool {
    use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
    let raw = socket(AddressFamily::Inet6, SockType::Raw, SockFlag::empty(), SockProtocol::IcmpV6).unwrap();
    let socket = UdpSocket::from(raw);
    socket.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    let Ok(_) = socket.send_to(&[128, 0, 0, 0, 0, 7, 0, 1], (at, 0)) else { return false };
    let mut packet = [0; 64];
    // What neighbours say is heard, too.
    std::iter::from_fn(|| socket.recv(&mut packet).ok().map(|_| packet[0])).any(|kind| kind == 129)
}

/// Listens for callers; that the kernel takes them is enough.
fn answering(at: &str) -> TcpListener {
    TcpListener::bind((at, 80)).unwrap()
}

fn is_reached(at: &str) -> bool {
    let soon = std::time::Duration::from_millis(300);
    let address = (at.parse::<IpAddr>().unwrap(), 80).into();
    match TcpStream::connect_timeout(&address, soon) {
        Ok(_) => true,
        // Somebody said so.
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
    }
}

#[test]
fn interfaces_of_the_node_go_to_a_pod_and_come_back() {
    on_a_node(|roots| {
        let network = network(roots, SETUP);
        let mut netlink = Netlink::route().unwrap();
        // Two wires, each with its other end in this namespace too.
        link::ensure_bridge(&mut netlink, "wire", [2, 0, 0, 0, 0, 1], 1500).unwrap();
        let bridge = link::index(&mut netlink, "wire").unwrap().unwrap();
        link::add_address(&mut netlink, bridge, "192.0.2.1".parse().unwrap(), 24).unwrap();
        let here = File::open("/proc/thread-self/ns/net").unwrap();
        for (outer, inner, last) in [("plug1", "field1", 3), ("plug2", "field2", 4)] {
            let (mac, mtu, ns) = ([2, 0, 0, 0, 0, last], 1500, here.as_raw_fd());
            link::add_pair(&mut netlink, &link::Pair { outer, inner, mac, mtu, bridge, ns }).unwrap();
        }
        let bring_up = |netlink: &mut Netlink, name: &str| {
            let index = link::index(netlink, name).unwrap().unwrap();
            link::bring_up(netlink, index).unwrap();
        };
        bring_up(&mut netlink, "field2");
        let asks = |name: &str, list: &str| {
            let mut pod = named(name, name);
            let annotation = (berth_core::network::attachments::ATTACHMENTS.to_owned(), list.to_owned());
            Arc::make_mut(&mut pod.pod).metadata.annotations = [annotation].into();
            pod
        };
        let pod = asks(
            "one",
            "[{interface: field1, name: bus, addresses: [192.0.2.7/24]}, {interface: field2, type: macvlan, addresses: [192.0.2.8/24]}]",
        );
        create(roots, &network, &pod).unwrap();
        create(roots, &network, &pod).unwrap();
        assert_eq!(link::index(&mut netlink, "field1"), Ok(None), "the node is without it");
        let inside = |pod: &DesiredPod| within(roots, pod, || bridge::links(""));
        let mut there = inside(&pod);
        there.sort();
        assert_eq!(there, ["bus", "eth0", "lo", "net1"]);
        for at in ["192.0.2.7", "192.0.2.8"] {
            let server = within(roots, &pod, || TcpListener::bind((at, 80)).unwrap());
            thread::scope(|scope| {
                scope.spawn(move || serve(server));
                assert_eq!(call(at, 80), "192.0.2.1");
            });
        }
        // Nobody else can have it, and says so; another one on the same wire is possible.
        let error = create(roots, &network, &asks("two", "[{interface: field1}]")).unwrap_err().to_string();
        assert_eq!(
            error,
            "network is not ready: the node has no interface field1 for field1 (or another pod has it)"
        );
        create(roots, &network, &asks("three", "[{interface: field2, type: macvlan, mode: private}]"))
            .unwrap();
        for name in ["one", "two", "three"] {
            sandbox::remove_with(roots, &network, &named(name, name)).unwrap();
        }
        assert_eq!(
            link::is_up(&mut netlink, "field1"),
            Ok(Some(false)),
            "it is the node's again, down as it was"
        );
        bring_up(&mut netlink, "field1");
        create(roots, &network, &asks("two", "[{interface: field1}]")).unwrap();
        create(roots, &network, &asks("two", "[{interface: field1}]")).unwrap();
        sandbox::remove_leftover_with(roots, &network, &PodUid("two".into())).unwrap();
        assert_eq!(link::is_up(&mut netlink, "field1"), Ok(Some(true)), "up as it was");
    });
}
