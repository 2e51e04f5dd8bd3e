//! The way out, and the ways in by ports of the node: from outside, from the node, from other pods.

use super::*;
use berth_core::manifest::types::{Container, ContainerPort};
use std::{
    io,
    net::{TcpStream, UdpSocket},
    os::fd::AsRawFd,
    time::Duration,
};

/// What the node is called outside, and who asks there.
pub(super) const NODE: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
pub(super) const OUTSIDE: [&str; 2] = ["192.0.2.2", "2001:db8::2"];
/// Whether packets on bridges pass the rules for IPv6.
pub(super) const BRIDGED_RULES: &str = "/proc/sys/net/bridge/bridge-nf-call-ip6tables";
/// Seconds in which the rules must be back.
pub(super) const RESTORED_WITHIN_S: u64 = 20;

/// A network namespace that is not the node's, and reaches it.
pub(super) fn outside() -> File {
    let made = thread::scope(|scope| {
        let unshared = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        };
        scope.spawn(unshared).join().unwrap()
    });
    let mut netlink = Netlink::route().unwrap();
    link::ensure_bridge(&mut netlink, "wan", [2, 0, 0, 0, 0, 1], 1500).unwrap();
    let bridge = link::index(&mut netlink, "wan").unwrap().unwrap();
    let mac = [2, 0, 0, 0, 0, 2];
    let pair = link::Pair { outer: "wan0", inner: "eth0", mac, mtu: 1500, bridge, ns: made.as_raw_fd() };
    let mut there = inside::socket(&made, true).unwrap();
    let loopback = link::index(&mut there, "lo").unwrap().unwrap();
    link::bring_up(&mut there, loopback).unwrap();
    link::add_pair(&mut netlink, &pair).unwrap();
    let index = link::index(&mut there, "eth0").unwrap().unwrap();
    for (i, prefix) in [24, 64].into_iter().enumerate() {
        link::add_address(&mut netlink, bridge, NODE[i].parse().unwrap(), prefix).unwrap();
        link::add_address(&mut there, index, OUTSIDE[i].parse().unwrap(), prefix).unwrap();
    }
    link::bring_up(&mut there, index).unwrap();
    made
}

pub(super) fn in_ns<T: Send>(ns: &File, work: impl FnOnce() -> T + Send) -> T {
    let enter = move || {
        setns(ns, CloneFlags::CLONE_NEWNET).unwrap();
        work()
    };
    thread::scope(|scope| scope.spawn(enter).join().unwrap())
}

/// A pod with such ports: address, number on the node, number in the pod.
pub(super) fn with_ports(name: &str, uid: &str, ports: &[(&str, u16, u16, &str)]) -> DesiredPod {
    let port = |(ip, host, container, protocol): &(&str, u16, u16, &str)| ContainerPort {
        container_port: *container,
        host_port: Some(*host),
        host_ip: (!ip.is_empty()).then(|| (*ip).to_owned()),
        protocol: (*protocol).to_owned(),
        ..ContainerPort::default()
    };
    let container = Container { ports: ports.iter().map(port).collect(), ..Container::default() };
    let spec = PodSpec { containers: vec![container], ..PodSpec::default() };
    let plain = named(name, uid);
    DesiredPod { key: plain.key, uid: plain.uid, ..pod(spec) }
}

/// Tells every caller his address, as long as the test lasts.
pub(super) fn serve_all(listener: TcpListener) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // Who only looked whether somebody answers may be gone already.
            let Ok(from) = stream.peer_addr() else { continue };
            let _ = stream.write_all(from.ip().to_canonical().to_string().as_bytes());
        }
    });
}

#[test]
fn pods_go_out_under_the_nodes_address() {
    on_a_node(|roots| {
        let network = network(roots, SETUP);
        let world = outside();
        let one = named("one", "u1");
        create(roots, &network, &one).unwrap();
        serve_all(in_ns(&world, || TcpListener::bind("[::]:80").unwrap()));
        for family in 0..2 {
            assert_eq!(within(roots, &one, || call(OUTSIDE[family], 80)), NODE[family]);
        }
        sandbox::remove_with(roots, &network, &one).unwrap();
    });
}

#[test]
fn a_port_of_the_node_leads_to_its_pod_for_everybody() {
    on_a_node(|roots| {
        let network = network(roots, SETUP);
        let world = outside();
        let ports = [("", 8080, 80, "TCP"), ("127.0.0.1", 8081, 80, "TCP"), ("", 53, 5353, "UDP")];
        let (one, two) = (with_ports("one", "u1", &ports), named("two", "u2"));
        let at_one = create(roots, &network, &one).unwrap();
        create(roots, &network, &two).unwrap();
        serve_all(within(roots, &one, || TcpListener::bind("[::]:80").unwrap()));
        let gateway = ["10.86.0.1", "fd62:6572:7468::1"];
        for family in 0..2 {
            let node = NODE[family];
            assert_eq!(in_ns(&world, || call(node, 8080)), OUTSIDE[family], "from outside");
            assert_eq!(within(roots, &two, || call(node, 8080)), gateway[family], "from another pod");
            assert_eq!(within(roots, &one, || call(node, 8080)), gateway[family], "from the pod itself");
            assert_eq!(call(node, 8080), node, "from the node");
            assert_eq!(call(&at_one[family], 80), gateway[family], "past the port");
        }
        assert_eq!(call("127.0.0.1", 8080), gateway[0], "by the node's loopback");
        let refused = |address: &str, port| TcpStream::connect((address, port)).unwrap_err().kind();
        // By that of IPv6 only where the kernel does not have the bridge's packets pass the rules.
        if fs::write(BRIDGED_RULES, "1").is_ok() {
            network.enforce();
            assert_eq!(refused("::1", 8080), io::ErrorKind::ConnectionRefused);
            fs::write(BRIDGED_RULES, "0").unwrap();
            network.enforce();
        }
        assert_eq!(call("::1", 8080), gateway[1], "by that of IPv6");
        // A port of one address is there for that one only.
        assert_eq!(call("127.0.0.1", 8081), gateway[0]);
        assert_eq!(in_ns(&world, || refused(NODE[0], 8081)), io::ErrorKind::ConnectionRefused);
        // Only what goes to the node is sent on.
        serve_all(in_ns(&world, || TcpListener::bind("[::]:8080").unwrap()));
        assert_eq!(within(roots, &two, || call(OUTSIDE[0], 8080)), NODE[0]);
        let server = within(roots, &one, || UdpSocket::bind("0.0.0.0:5353").unwrap());
        let client = in_ns(&world, || UdpSocket::bind("0.0.0.0:0").unwrap());
        client.send_to(b"who?", (NODE[0], 53)).unwrap();
        let (_, from) = server.recv_from(&mut [0; 16]).unwrap();
        server.send_to(b"me", from).unwrap();
        let (len, from) = client.recv_from(&mut [0; 16]).unwrap();
        assert_eq!((len, from.ip().to_string().as_str(), from.port()), (2, NODE[0], 53));
        sandbox::remove_with(roots, &network, &one).unwrap();
        assert!(in_ns(&world, || TcpStream::connect((NODE[0], 8080)).is_err()), "the pod is gone");
        sandbox::remove_with(roots, &network, &two).unwrap();
    });
}

/// Each packet of a sender keeps alive what the kernel made of the first one.
#[test]
fn who_goes_on_sending_while_a_pod_is_away_reaches_it_again() {
    on_a_node(|roots| {
        let network = network(roots, SETUP);
        let world = outside();
        // It has the kernel look at connections all the while.
        let other = named("other", "u0");
        create(roots, &network, &other).unwrap();
        let away = |client: &UdpSocket| {
            for node in NODE {
                // Nobody is there; nor at the second time, when the kernel knows the sender.
                (0..2).for_each(|_| drop(client.send_to(b"1", (node, 53))));
            }
        };
        let client = in_ns(&world, || UdpSocket::bind("[::]:7000").unwrap());
        let from_node = UdpSocket::bind("[::]:7000").unwrap();
        let follows = |pod: &DesiredPod, network: &Arc<Network>| {
            let server = within(roots, pod, || UdpSocket::bind("[::]:5353").unwrap());
            server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            for (i, node) in NODE.into_iter().enumerate() {
                for (sender, name) in [(&client, "outside"), (&from_node, "node")] {
                    let said = format!("{name} by {node}");
                    sender.send_to(said.as_bytes(), (node, 53)).unwrap();
                    let mut heard = [0; 64];
                    let (len, from) =
                        server.recv_from(&mut heard).unwrap_or_else(|error| panic!("{said}: {error}"));
                    assert_eq!(&heard[..len], said.as_bytes());
                    server.send_to(b"answer", from).unwrap();
                    sender.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                    let (len, from) = sender.recv_from(&mut heard).unwrap();
                    assert_eq!((&heard[..len], from.port(), i), (&b"answer"[..], 53, i));
                }
            }
            network.lock().leads.len()
        };
        let udp = [("", 53, 5353, "UDP"), ("", 8080, 80, "TCP")];
        for uid in ["u1", "u2"] {
            [&client, &from_node].into_iter().for_each(away);
            let one = with_ports("one", uid, &udp);
            create(roots, &network, &one).unwrap();
            assert_eq!(follows(&one, &network), 2);
            // While it is there, what comes and goes beside it changes nothing; nor does another agent.
            let beside = named("beside", "u3");
            let next = self::network(roots, SETUP);
            create(roots, &next, &beside).unwrap();
            assert_eq!(follows(&one, &next), 2);
            sandbox::remove_with(roots, &next, &beside).unwrap();
            sandbox::remove_with(roots, &network, &one).unwrap();
        }
        // Another pod has the port now, and another address.
        let two = with_ports("two", "u4", &udp);
        create(roots, &network, &two).unwrap();
        assert_eq!(follows(&two, &network), 2);
        for pod in [&two, &other] {
            sandbox::remove_with(roots, &network, pod).unwrap();
        }
    });
}

#[test]
fn interfaces_that_somebody_removes_come_back() {
    on_a_node(|roots| {
        let network = network(roots, SETUP);
        let one = with_ports("one", "u1", &[("", 8080, 80, "TCP")]);
        let address = create(roots, &network, &one).unwrap().remove(0);
        serve_all(within(roots, &one, || TcpListener::bind("[::]:80").unwrap()));
        network.guard();
        let begun = std::time::Instant::now();
        let mut netlink = Netlink::route().unwrap();
        for name in [BRIDGE.to_owned(), attachment::link_name(&one.uid), BRIDGE.to_owned()] {
            let old = link::index(&mut netlink, &name).unwrap().unwrap();
            loop {
                match link::index(&mut netlink, &name).unwrap() {
                    Some(index) if index != old => break,
                    // Not yet, or a removal that met the repair of the one before.
                    Some(_) => link::remove(&mut netlink, &name).unwrap(),
                    None => thread::sleep(Duration::from_millis(20)),
                }
                assert!(begun.elapsed() < Duration::from_secs(RESTORED_WITHIN_S), "{name} is still away");
            }
            for place in [(address.as_str(), 80), ("127.0.0.1", 8080)] {
                while TcpStream::connect(place).is_err() {
                    assert!(
                        begun.elapsed() < Duration::from_secs(RESTORED_WITHIN_S),
                        "{place:?} after {name}"
                    );
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
        sandbox::remove_with(roots, &network, &one).unwrap();
    });
}

#[test]
fn rules_that_somebody_removes_come_back() {
    on_a_node(|roots| {
        let network = network(roots, SETUP);
        let one = with_ports("one", "u1", &[("", 8080, 80, "TCP")]);
        create(roots, &network, &one).unwrap();
        serve_all(within(roots, &one, || TcpListener::bind("[::]:80").unwrap()));
        network.guard();
        assert_eq!(call("127.0.0.1", 8080), "10.86.0.1");
        // Until the guard hears it may be too early: somebody is at it until it is undone.
        let reachable = || TcpStream::connect(("127.0.0.1", 8080)).is_ok();
        let begun = std::time::Instant::now();
        let mut other = Nft::open().unwrap();
        let ours = other.tables().unwrap();
        assert_eq!(ours.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), ["berth"; 2]);
        for flushed in [false, true, false, true] {
            if flushed {
                // As `nft flush ruleset` does.
                other.flush_ruleset().unwrap();
            } else {
                let side = Net::default(SETUP.parse().unwrap(), None).side();
                other.doubt();
                other.apply(nft::ruleset(&[side], true, [].into_iter(), &[])).unwrap();
            }
            while !reachable() || other.tables().unwrap().len() < ours.len() {
                assert!(begun.elapsed() < Duration::from_secs(RESTORED_WITHIN_S), "they are still away");
                thread::sleep(Duration::from_millis(20));
            }
        }
        sandbox::remove_with(roots, &network, &one).unwrap();
    });
}

#[test]
fn of_two_pods_with_one_port_the_later_one_has_it() {
    on_a_node(|roots| {
        let network = network(roots, SETUP);
        let ports = [("", 8080, 80, "TCP")];
        let pods = [with_ports("one", "u1", &ports), with_ports("two", "u2", &ports)];
        for pod in &pods {
            create(roots, &network, pod).unwrap();
        }
        serve_all(within(roots, &pods[1], || TcpListener::bind("[::]:80").unwrap()));
        assert_eq!(call("127.0.0.1", 8080), "10.86.0.1");
        for pod in &pods {
            sandbox::remove_with(roots, &network, pod).unwrap();
        }
    });
}
