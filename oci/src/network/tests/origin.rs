//! A pod sends as nobody else: neither under another one's address nor under another hardware address, and nobody is
//! led to believe that it has what is another one's.

use super::*;
use link::Mac;
use netlink_packet_core::NLM_F_CREATE;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage},
    neighbour::{NeighbourAttribute, NeighbourFlags, NeighbourMessage},
};
use std::net::Ipv6Addr;

/// Makes the address one of the pod's, as a pod with NET_ADMIN can.
fn pretend(roots: &Roots, pod: &DesiredPod, address: &str) {
    let address: IpAddr = address.parse().unwrap();
    within(roots, pod, || {
        let mut netlink = Netlink::route().unwrap();
        let index = link::index(&mut netlink, INTERFACE).unwrap().unwrap();
        link::add_address(&mut netlink, index, address, if address.is_ipv4() { 32 } else { 128 }).unwrap();
    });
}

fn set_mac(roots: &Roots, pod: &DesiredPod, mac: Mac) {
    within(roots, pod, || {
        let mut message = LinkMessage::default();
        let name = LinkAttribute::IfName(INTERFACE.to_owned());
        message.attributes.extend([name, LinkAttribute::Address(mac.to_vec())]);
        Netlink::route().unwrap().ask(RouteNetlinkMessage::SetLink(message), 0).unwrap();
    });
}

/// Says this to the node from this address of the pod's.
fn say(roots: &Roots, pod: &DesiredPod, from: &str, what: &str, to: &UdpSocket) {
    let to = to.local_addr().unwrap();
    within(roots, pod, || drop(UdpSocket::bind((from, 0)).unwrap().send_to(what.as_bytes(), to)));
}

/// What next came to the node.
fn heard(socket: &UdpSocket) -> String {
    let mut said = [0; 64];
    let (len, _) = socket.recv_from(&mut said).unwrap();
    String::from_utf8_lossy(&said[..len]).into_owned()
}

#[test]
fn a_pod_sends_as_itself_only() {
    on_a_node(|roots| {
        let network = network(roots, SETUP);
        let (one, two) = (named("one", "u1"), named("two", "u2"));
        let [at_one, at_two] = [&one, &two].map(|pod| create(roots, &network, pod).unwrap());
        for (family, gateway) in ["10.86.0.1", "fd62:6572:7468::1"].into_iter().enumerate() {
            let (mine, his) = (at_one[family].as_str(), at_two[family].as_str());
            let nobodys = ["10.86.200.200", "fd62:6572:7468::c8c8"][family];
            [his, nobodys].into_iter().for_each(|address| pretend(roots, &one, address));
            // The node asks who has the address; of both that say so it hears the one that has it.
            let _false = within(roots, &one, || answering(his));
            let server = within(roots, &two, || TcpListener::bind((his, 80)).unwrap());
            thread::scope(|scope| {
                scope.spawn(move || serve(server));
                assert_eq!(call(his, 80), gateway);
            });
            let node = UdpSocket::bind((gateway, 9)).unwrap();
            say(roots, &one, mine, "as itself", &node);
            assert_eq!(heard(&node), "as itself");
            say(roots, &one, nobodys, "as nobody", &node);
            say(roots, &one, his, "as another one", &node);
            set_mac(roots, &one, [0x0a, 0x58, 1, 2, 3, 4]);
            say(roots, &one, mine, "by another hardware address", &node);
            set_mac(roots, &one, attachment::mac(at_one[0].parse().unwrap()));
            // What came first is what was said last: all before it is gone.
            say(roots, &one, mine, "as itself again", &node);
            assert_eq!(heard(&node), "as itself again");
        }
        // The other one has an address on its loopback, and says for it that it is here (as a router may): in its own
        // name, about another's.
        let behind = "fd62:6572:7468::abcd";
        let socket = within(roots, &two, || {
            let mut netlink = Netlink::route().unwrap();
            let [lo, eth] = ["lo", INTERFACE].map(|name| link::index(&mut netlink, name).unwrap().unwrap());
            link::bring_up(&mut netlink, lo).unwrap();
            link::add_address(&mut netlink, lo, behind.parse().unwrap(), 128).unwrap();
            let mut stands_for = NeighbourMessage::default();
            stands_for.header.family = AddressFamily::Inet6;
            stands_for.header.ifindex = eth;
            stands_for.header.flags = NeighbourFlags::Proxy;
            stands_for.attributes =
                vec![NeighbourAttribute::Destination(behind.parse::<Ipv6Addr>().unwrap().into())];
            netlink.ask(RouteNetlinkMessage::NewNeighbour(stands_for), NLM_F_CREATE).unwrap();
            for (setting, value) in
                [("conf/eth0/forwarding", "1"), ("conf/eth0/proxy_ndp", "1"), ("neigh/eth0/proxy_delay", "0")]
            {
                fs::write(format!("/proc/sys/net/ipv6/{setting}"), value).unwrap();
            }
            UdpSocket::bind((behind, 9)).unwrap()
        });
        UdpSocket::bind("[::]:0").unwrap().send_to(b"are you there?", (behind, 9)).unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
        assert!(socket.recv(&mut [0; 64]).is_err(), "the node believes what it says of others");
        for pod in [&one, &two] {
            sandbox::remove_with(roots, &network, pod).unwrap();
        }
        assert!(network.lock().loose.is_none());
    });
}
