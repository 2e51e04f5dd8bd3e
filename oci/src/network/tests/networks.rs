//! Several networks: who reaches whom, what pods are called, and what happens when the configuration is another one.

use super::{ports::*, *};
use berth_core::{dns, network::named::NETWORK};
use std::{io, time::Duration};

/// Two beside the default one, and one that nothing gets out of.
fn setup() -> Setup {
    Setup {
        default: Net::default(SETUP.parse().unwrap(), None),
        named: vec![
            net("plant", "10.87.0.0/16,fd01::/64", false),
            net("a-long-name-of-a-lab", "10.88.0.0/16,fd02::/64", false),
            net("vault", "10.89.0.0/16,fd03::/64", true),
        ],
    }
}

fn net(name: &str, ranges: &str, internal: bool) -> Net {
    Net { name: name.to_owned(), ranges: ranges.parse().unwrap(), mtu: None, internal }
}

fn several(roots: &Roots, setup: &Setup) -> Arc<Network> {
    Arc::new(Network::new(roots, Some(setup.clone())))
}

fn on(network: &str, mut pod: DesiredPod) -> DesiredPod {
    let annotation = (NETWORK.to_owned(), network.to_owned());
    Arc::make_mut(&mut pod.pod).metadata.annotations = [annotation].into();
    pod
}

/// As a thread that may block while the test goes on.
fn serving(roots: &Roots, pod: &DesiredPod) {
    serve_all(within(roots, pod, || TcpListener::bind("[::]:80").unwrap()));
}

/// Both families alike.
fn reaches(at: &[String], port: u16) -> bool {
    let soon = Duration::from_millis(300);
    let one =
        |at: &String| match TcpStream::connect_timeout(&(at.parse::<IpAddr>().unwrap(), port).into(), soon) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::ConnectionRefused,
        };
    let tries: Vec<bool> = at.iter().map(one).collect();
    assert_eq!(tries[0], tries[1], "{at:?}");
    tries[0]
}

fn both(texts: [&str; 2]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

fn bridges() -> Vec<String> {
    let mut found: Vec<String> =
        bridge::links("").into_iter().filter(|name| named::is_bridge(name)).collect();
    found.sort();
    found
}

#[test]
fn pods_reach_those_of_their_network_and_no_others() {
    on_a_node(|roots| {
        let network = several(roots, &setup());
        let lab = "a-long-name-of-a-lab";
        let pods = [
            named("home", "u0"),
            named("hut", "u1"),
            on("plant", named("press", "u2")),
            on("plant", named("robot", "u3")),
            on(lab, named("oven", "u4")),
            on("vault", named("safe", "u5")),
            on("vault", named("key", "u6")),
        ];
        let networks = [0, 0, 1, 1, 2, 3, 3];
        let at = pods.each_ref().map(|pod| create(roots, &network, pod).unwrap());
        assert!(at[2][0].starts_with("10.87.") && at[2][1].starts_with("fd01::"), "{:?}", at[2]);
        assert_eq!(bridges(), ["berth-a-l_4654c", "berth-plant", "berth-vault", "berth0"]);
        pods.iter().for_each(|pod| serving(roots, pod));
        let world = outside();
        serve_all(in_ns(&world, || TcpListener::bind("[::]:80").unwrap()));
        let gateways = [
            both(["10.86.0.1", "fd62:6572:7468::1"]),
            both(["10.87.0.1", "fd01::1"]),
            both(["10.88.0.1", "fd02::1"]),
            both(["10.89.0.1", "fd03::1"]),
        ];
        for (i, from) in pods.iter().enumerate() {
            for (j, to) in at.iter().enumerate() {
                let reached = within(roots, from, || reaches(to, 80));
                assert_eq!(reached, networks[i] == networks[j], "{} to {}", from.key, pods[j].key);
            }
            let internal = networks[i] == 3;
            for (j, gateway) in gateways.iter().enumerate() {
                // The node refuses what nobody serves; of names only an internal network may ask it.
                let own = networks[i] == j;
                assert_eq!(
                    within(roots, from, || reaches(gateway, 9)),
                    own && !internal,
                    "{} {gateway:?}",
                    from.key
                );
                assert_eq!(
                    within(roots, from, || reaches(gateway, 53)),
                    own,
                    "{} names at {gateway:?}",
                    from.key
                );
            }
            let out = within(roots, from, || reaches(&both(OUTSIDE), 80));
            assert_eq!(out, !internal, "{} to the outside", from.key);
            assert_eq!(
                within(roots, from, || reaches(&both(NODE), 9)),
                !internal,
                "{} to the node",
                from.key
            );
            assert!(reaches(&at[i], 80), "the node reaches {}", from.key);
        }
        // Nor does anybody outside who sends it here get into what is internal.
        let way = |ns: &File| {
            let mut there = inside::socket(ns, true).unwrap();
            let index = link::index(&mut there, "eth0").unwrap().unwrap();
            NODE.iter().for_each(|node| {
                link::add_default_route(&mut there, index, node.parse().unwrap()).unwrap();
            });
        };
        way(&world);
        assert!(in_ns(&world, || reaches(&at[2], 80)), "as in the default network");
        assert!(!in_ns(&world, || reaches(&at[5], 80)));
        for pod in &pods {
            sandbox::remove_with(roots, &network, pod).unwrap();
        }
        assert_eq!(links(), Vec::<String>::new());
    });
}

#[test]
fn a_port_of_the_node_leads_to_its_pod_from_other_networks_too() {
    on_a_node(|roots| {
        let network = several(roots, &setup());
        let world = outside();
        let press = on("plant", with_ports("press", "u1", &[("", 8080, 80, "TCP")]));
        let safe = on("vault", with_ports("safe", "u2", &[("", 8081, 80, "TCP")]));
        let (home, key) = (named("home", "u3"), on("vault", named("key", "u4")));
        for pod in [&press, &safe, &home, &key] {
            create(roots, &network, pod).unwrap();
            serving(roots, pod);
        }
        // By ::1 only where the kernel does not have the bridge's packets pass the rules.
        let _ = fs::write(BRIDGED_RULES, "0");
        network.enforce();
        let plant = ["10.87.0.1", "fd01::1"];
        for family in 0..2 {
            let node = NODE[family];
            assert_eq!(within(roots, &home, || call(node, 8080)), plant[family], "from another network");
            assert_eq!(within(roots, &press, || call(node, 8080)), plant[family], "from the pod itself");
            assert_eq!(in_ns(&world, || call(node, 8080)), OUTSIDE[family], "from outside");
            assert_eq!(in_ns(&world, || call(node, 8081)), OUTSIDE[family], "into what is internal");
            assert_eq!(call(node, 8080), node, "from the node");
            assert_eq!(call(["127.0.0.1", "::1"][family], 8080), plant[family], "by its loopback");
        }
        assert!(
            !within(roots, &key, || reaches(&both(NODE), 8080)),
            "nothing gets out of an internal network"
        );
        assert!(within(roots, &key, || reaches(&both(NODE), 8081)), "to a port of its own one it need not");
        let other = both(["10.87.0.1", "fd01::1"]);
        assert!(!within(roots, &home, || reaches(&other, 8080)), "not by the address of another network");
        for pod in [&press, &safe, &home, &key] {
            sandbox::remove_with(roots, &network, pod).unwrap();
        }
    });
}

#[test]
fn a_network_that_there_is_not_is_a_reason_and_leaves_nothing() {
    on_a_node(|roots| {
        let network = several(roots, &setup());
        let pod = on("yard", named("one", "u1"));
        let error = create(roots, &network, &pod).unwrap_err().to_string();
        assert_eq!(
            error,
            "network is not ready: the configuration has no network yard, which its annotation berth/network names; it \
             has default, plant, a-long-name-of-a-lab, vault: describe it below networks and start the agent anew, or \
             change the annotation"
        );
        assert_eq!((links(), bridges()), (Vec::new(), Vec::new()));
        let none = Arc::new(Network::none(roots));
        let error = create(roots, &none, &pod).unwrap_err().to_string();
        assert!(error.contains("with network: bridge only"), "{error}");
        // The one that the default network has is no name that anybody lacks.
        assert_eq!(create(roots, &none, &on(DEFAULT, named("two", "u2"))).unwrap(), Vec::<String>::new());
        // It begins when the configuration has it.
        let mut more = setup();
        more.named.push(net("yard", "10.90.0.0/24,fd04::/64", false));
        let later = several(roots, &more);
        assert!(create(roots, &later, &pod).unwrap()[0].starts_with("10.90.0."));
        sandbox::remove_with(roots, &later, &pod).unwrap();
        sandbox::remove_with(roots, &none, &named("two", "u2")).unwrap();
    });
}

#[test]
fn names_and_addresses_are_each_networks_own() {
    on_a_node(|roots| {
        let network = several(roots, &setup());
        let (home, press) = (named("home", "u1"), on("plant", named("press", "u2")));
        let at = [&home, &press].map(|pod| create(roots, &network, pod).unwrap());
        let zones = network.zones();
        assert_eq!(zones.len(), 4);
        let serves = |zone: &dns::Zone| [0, 1].map(|i| zone.serves(at[i][0].parse().unwrap()));
        let found: Vec<[bool; 2]> = zones.iter().map(serves).collect();
        assert_eq!(found, [[true, false], [false, true], [false, false], [false, false]]);
        let empty: Vec<bool> = zones.iter().map(dns::Zone::is_empty).collect();
        assert_eq!(empty, [false, false, true, true]);
        assert_eq!(name_server_of(roots, &press.uid), "10.87.0.1".parse().ok());
        assert_eq!(name_server_of(roots, &home.uid), "10.86.0.1".parse().ok());
        // Over removals and agents.
        sandbox::remove_with(roots, &network, &press).unwrap();
        drop(network.saving.lock().unwrap());
        let next = several(roots, &setup());
        let again = on("plant", named("press", "u3"));
        assert_eq!(create(roots, &next, &again).unwrap(), at[1]);
        for pod in [&home, &again] {
            sandbox::remove_with(roots, &next, pod).unwrap();
        }
    });
}

#[test]
fn bridges_follow_the_configuration_when_nobody_is_on_them() {
    on_a_node(|roots| {
        let before = several(roots, &setup());
        let (press, safe) = (on("plant", named("press", "u1")), on("vault", named("safe", "u2")));
        let at_press = create(roots, &before, &press).unwrap();
        create(roots, &before, &safe).unwrap();
        sandbox::remove_with(roots, &before, &safe).unwrap();
        assert_eq!(bridges(), ["berth-plant", "berth-vault"]);
        // Another range for both, and a bridge that is somebody else's.
        let other = Setup {
            named: vec![
                net("plant", "10.97.0.0/16,fd07::/64", false),
                net("vault", "10.99.0.0/16,fd09::/64", true),
            ],
            ..setup()
        };
        let after = several(roots, &other);
        after.reconcile();
        assert_eq!(bridges(), ["berth-plant"], "nobody is on the other one");
        let addresses = |name: &str| bridge::is_addressed(name, &other.find("plant").unwrap().ranges);
        assert!(!addresses("berth-plant"), "somebody is on it");
        // Who comes now is with those who are there; the last one takes the old range along.
        let robot = on("plant", named("robot", "u3"));
        let at_robot = create(roots, &after, &robot).unwrap();
        assert!(at_robot[0].starts_with("10.87."), "{at_robot:?}");
        serving(roots, &press);
        assert!(within(roots, &robot, || reaches(&at_press, 80)));
        for pod in [&press, &robot] {
            sandbox::remove_with(roots, &after, pod).unwrap();
        }
        assert_eq!(bridges(), Vec::<String>::new());
        assert!(create(roots, &after, &robot).unwrap()[0].starts_with("10.97."));
        assert!(addresses("berth-plant"));
        // A network that is not there any more keeps its pods apart as long as they are there.
        let gone = several(roots, &Setup { named: Vec::new(), ..setup() });
        gone.reconcile();
        let home = named("home", "u4");
        let at_home = create(roots, &gone, &home).unwrap();
        serving(roots, &home);
        assert!(!within(roots, &robot, || reaches(&at_home, 80)));
        let error = create(roots, &gone, &on("plant", named("late", "u5"))).unwrap_err().to_string();
        assert!(error.contains("has no network plant"), "{error}");
        sandbox::remove_with(roots, &gone, &robot).unwrap();
        assert_eq!(bridges(), ["berth0"]);
        sandbox::remove_with(roots, &gone, &home).unwrap();
        // The default one's bridge, too, when its range is another one.
        let moved =
            Setup { default: Net::default("10.96.0.0/16,fd06::/64".parse().unwrap(), None), ..setup() };
        let moved = several(roots, &moved);
        moved.reconcile();
        assert_eq!(bridges(), Vec::<String>::new());
        let mut netlink = Netlink::route().unwrap();
        let mac = [2, 0, 0, 0, 0, 9];
        let ns = File::open("/proc/thread-self/ns/net").unwrap();
        let pair = link::Pair {
            outer: "berth-mine",
            inner: "berth-yours",
            mac,
            mtu: 1500,
            bridge: 0,
            ns: ns.as_raw_fd(),
        };
        link::add_pair(&mut netlink, &pair).unwrap();
        moved.reconcile();
        assert_eq!(bridges(), ["berth-mine", "berth-yours"], "what is no bridge is nobody's business");
    });
}

#[test]
fn another_size_of_packets_reaches_a_bridge_that_is_there_and_its_pods() {
    on_a_node(|roots| {
        let of_link = |name: &str| link::mtu(&mut Netlink::route().unwrap(), name).unwrap().unwrap();
        let sized = |mtu| {
            let plant = Net { mtu: Some(mtu), ..net("plant", "10.87.0.0/16,fd01::/64", false) };
            several(roots, &Setup { named: vec![plant], ..setup() })
        };
        let (press, robot) = (on("plant", named("press", "u1")), on("plant", named("robot", "u2")));
        let inside = |pod: &DesiredPod| within(roots, pod, || of_link("eth0"));
        create(roots, &sized(1400), &press).unwrap();
        assert_eq!((of_link("berth-plant"), inside(&press)), (1400, 1400));
        let after = sized(1300);
        create(roots, &after, &robot).unwrap();
        let all = || (of_link("berth-plant"), inside(&robot), inside(&press));
        let on_bridge = || [&press, &robot].map(|pod| of_link(&link_name(&pod.uid)));
        assert_eq!((all(), on_bridge()), ((1300, 1300, 1300), [1300, 1300]));
        sized(1350).reconcile();
        assert_eq!((all(), on_bridge()), ((1350, 1350, 1350), [1350, 1350]));
        for pod in [&press, &robot] {
            sandbox::remove_with(roots, &after, pod).unwrap();
        }
    });
}

#[test]
fn a_way_out_that_comes_later_says_the_size_of_packets_unless_that_is_configured() {
    on_a_node(|roots| {
        let mtu = |name: &str| link::mtu(&mut Netlink::route().unwrap(), name).unwrap().unwrap();
        let network = network(roots, SETUP);
        let (early, late) = (named("early", "u1"), named("late", "u2"));
        create(roots, &network, &early).unwrap();
        assert_eq!(mtu(BRIDGE), bridge::MTU_DEFAULT);
        let world = outside();
        let mut netlink = Netlink::route().unwrap();
        link::set_mtu(&mut netlink, "wan", 1400).unwrap();
        let wan = link::index(&mut netlink, "wan").unwrap().unwrap();
        link::add_default_route(&mut netlink, wan, OUTSIDE[0].parse().unwrap()).unwrap();
        create(roots, &network, &late).unwrap();
        let inside = |pod: &DesiredPod| within(roots, pod, || mtu("eth0"));
        assert_eq!((mtu(BRIDGE), inside(&early), inside(&late)), (1400, 1400, 1400));
        // What is configured is so whatever the way out has; without a way out nothing changes.
        let press = on("plant", named("press", "u3"));
        let plant = Net { mtu: Some(1450), ..net("plant", "10.87.0.0/16,fd01::/64", false) };
        let named_too = Arc::new(Network::new(roots, Some(Setup { named: vec![plant], ..setup() })));
        create(roots, &named_too, &press).unwrap();
        assert_eq!((mtu("berth-plant"), inside(&press)), (1450, 1450));
        link::remove(&mut netlink, "wan").unwrap();
        let last = named("last", "u4");
        create(roots, &network, &last).unwrap();
        assert_eq!((mtu(BRIDGE), inside(&last)), (1400, 1400));
        drop(world);
        for pod in [&early, &late, &press, &last] {
            sandbox::remove_with(roots, &named_too, pod).unwrap();
        }
    });
}

#[test]
fn the_default_network_keeps_its_range_as_long_as_somebody_is_on_it_or_asks_there_for_names() {
    on_a_node(|roots| {
        let mut asker = named("asker", "u0");
        let spec = &mut Arc::make_mut(&mut asker.pod).spec;
        spec.host_network = true;
        spec.dns_policy = berth_core::manifest::types::DnsPolicy::ClusterFirstWithHostNet;
        let (one, two) = (named("one", "u1"), with_ports("two", "u2", &[("", 8080, 80, "TCP")]));
        let before = network(roots, SETUP);
        let at_one = create(roots, &before, &one).unwrap();
        create(roots, &before, &asker).unwrap();
        let after = network(roots, "10.96.0.0/16,fd06::/64");
        after.reconcile();
        assert_eq!(after.name_server(), "10.86.0.1".parse().ok());
        // Who comes now is with those who are there, and everything is between them as it was.
        let at_two = create(roots, &after, &two).unwrap();
        assert!(at_two[0].starts_with("10.86.") && at_two[1].starts_with("fd62:"), "{at_two:?}");
        serving(roots, &one);
        serving(roots, &two);
        for family in 0..2 {
            let gateway = ["10.86.0.1", "fd62:6572:7468::1"][family];
            assert_eq!(within(roots, &two, || call(&at_one[family], 80)), at_two[family]);
            assert_eq!(call(&at_two[family], 80), gateway);
        }
        let world = outside();
        assert_eq!(in_ns(&world, || call(NODE[0], 8080)), OUTSIDE[0]);
        serve_all(in_ns(&world, || TcpListener::bind("[::]:80").unwrap()));
        assert_eq!(within(roots, &one, || call(OUTSIDE[0], 80)), NODE[0], "under the node's address");
        let zones = after.zones();
        assert!(at_one.iter().chain(&at_two).all(|at| zones[0].serves(at.parse().unwrap())));
        for pod in [&one, &two] {
            sandbox::remove_with(roots, &after, pod).unwrap();
        }
        let of_range = |ranges: &str| bridge::is_addressed(BRIDGE, &ranges.parse().unwrap());
        assert!(of_range(SETUP), "it is still asked there for names");
        assert_eq!(name_server_of(roots, &asker.uid), "10.86.0.1".parse().ok());
        sandbox::remove_with(roots, &after, &asker).unwrap();
        assert_eq!(bridges(), Vec::<String>::new());
        assert!(create(roots, &after, &two).unwrap()[0].starts_with("10.96."));
        assert!(of_range("10.96.0.0/16,fd06::/64"));
        assert_eq!(name_server_of(roots, &two.uid), "10.96.0.1".parse().ok());
        sandbox::remove_with(roots, &after, &two).unwrap();
    });
}

#[test]
fn a_bridge_that_somebody_removes_comes_back_and_policies_hold() {
    on_a_node(|roots| {
        let network = several(roots, &setup());
        let [press, robot] = ["press", "robot"].map(|name| {
            let mut pod = on("plant", named(name, name));
            Arc::make_mut(&mut pod.pod).metadata.labels = [("app".to_owned(), name.to_owned())].into();
            pod
        });
        let at = [&press, &robot].map(|pod| create(roots, &network, pod).unwrap());
        serving(roots, &press);
        let tried = || within(roots, &robot, || reaches(&at[0], 80));
        assert!(tried());
        let closed = serde_json::json!({"podSelector": {"matchLabels": {"app": "press"}}, "ingress": []});
        network.note_policies(&policies(&[closed]));
        network.enforce();
        assert!(!tried() && reaches(&at[0], 80), "the node reaches all");
        network.note_policies(&Objects::default());
        network.enforce();
        assert!(tried());
        network.guard();
        let mut netlink = Netlink::route().unwrap();
        link::remove(&mut netlink, "berth-plant").unwrap();
        let begun = std::time::Instant::now();
        let back = || at[0].iter().all(|at| within(roots, &robot, || is_reached(at)));
        while !back() {
            assert!(begun.elapsed() < Duration::from_secs(RESTORED_WITHIN_S), "it is still away");
        }
        assert_eq!(bridges(), ["berth-plant"]);
        for pod in [&press, &robot] {
            sandbox::remove_with(roots, &network, pod).unwrap();
        }
    });
}
