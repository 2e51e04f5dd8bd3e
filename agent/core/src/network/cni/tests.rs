//! Tables of what is read and what is said.

use super::*;
use crate::{
    ids::{PodKey, PodUid},
    network::{Bandwidth, HostPort, Protocol, bandwidth::Rate},
};
use serde_json::{Map, Value, json};

fn list(value: Value) -> List {
    List::from_value(value).unwrap()
}

fn chain() -> List {
    list(json!({
        "cniVersion": "1.0.0", "name": "shop",
        "plugins": [
            {"type": "bridge", "bridge": "cni0", "ipam": {"type": "host-local"}},
            {"type": "portmap", "capabilities": {"portMappings": true, "bandwidth": false}, "snat": true},
        ],
    }))
}

fn wanted() -> Capabilities {
    let port = |host_ip: &str, protocol| HostPort {
        protocol,
        host_ip: host_ip.parse().ok(),
        host_port: 8080,
        container_port: 80,
    };
    let ports = [port("", Protocol::Tcp), port("192.0.2.1", Protocol::Udp), port("0.0.0.0", Protocol::Sctp)];
    Capabilities::new(&ports, &Bandwidth { ingress: Some(Rate(8_000_000)), egress: None })
}

#[test]
fn networks_are_read_or_refused_in_words() {
    let plugin = json!([{"type": "bridge"}]);
    for (text, says) in [
        ("", "no JSON"),
        ("[]", "must be a JSON object"),
        (r#"{"cniVersion": "1.0.0"}"#, "name: missing"),
        (r#"{"name": "-a"}"#, "the first a letter or digit"),
        (r#"{"name": "a"}"#, "cniVersion: missing"),
        (r#"{"name": "a", "cniVersion": 1}"#, "cniVersion: must be a text"),
        (r#"{"name": "a", "cniVersion": "0.2.0"}"#, "cniVersion 0.2.0: these are spoken: 0.3.0"),
        (r#"{"name": "a", "cniVersion": "1.0.0"}"#, "plugins: missing"),
        (r#"{"name": "a", "cniVersion": "1.0.0", "plugins": {}}"#, "plugins: must be a list"),
        (r#"{"name": "a", "cniVersion": "1.0.0", "plugins": []}"#, "plugins: must be 1 to 32"),
        (r#"{"name": "a", "cniVersion": "1.0.0", "plugins": [1]}"#, "plugins[0]: must be a JSON object"),
        (r#"{"name": "a", "cniVersion": "1.0.0", "plugins": [{}]}"#, "plugins[0]: type: missing"),
        (r#"{"name": "a", "cniVersion": "1.0.0", "plugins": [{"type": "../sh"}]}"#, "the name of a program"),
        (
            r#"{"name": "a", "cniVersion": "1.0.0", "plugins": [{"type": "x", "capabilities": []}]}"#,
            "capabilities: must be an object",
        ),
        (r#"{"name": "a", "cniVersion": "1.0.0", "disableGC": 1, "plugins": []}"#, "disableGC: 1 is neither"),
    ] {
        let error = List::parse(text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
    for (head, version, checks, collects) in [
        (json!({"cniVersion": "0.3.1"}), "0.3.1", false, false),
        (json!({"cniVersion": "0.4.0"}), "0.4.0", true, false),
        (json!({"cniVersion": "1.1.0"}), "1.1.0", true, true),
        (json!({"cniVersion": "0.4.0", "cniVersions": ["0.4.0", "1.1.0", "9.0.0"]}), "1.1.0", true, true),
        (json!({"cniVersion": "1.1.0", "disableCheck": true, "disableGC": "true"}), "1.1.0", false, false),
    ] {
        let mut head = head;
        (head["name"], head["plugins"]) = ("a".into(), plugin.clone());
        let list = list(head);
        assert_eq!((list.version, list.checks(), list.collects()), (version, checks, collects));
        assert_eq!(List::from_value(list.to_value()).unwrap(), list);
    }
    let single = list(json!({"cniVersion": "0.4.0", "name": "old", "type": "bridge"}));
    assert_eq!(single.plugins[0].kind, "bridge");
}

#[test]
fn the_first_file_is_the_network_unless_one_is_named() {
    let file = |name: &str, network: &str| {
        let text = json!({"cniVersion": "1.0.0", "name": network, "plugins": [{"type": "x"}]}).to_string();
        (name.to_owned(), text)
    };
    let mut files = vec![file("20-b.conflist", "b"), file("10-a.conflist", "a")];
    assert_eq!(choose("", "/d", &mut files).unwrap().name, "a");
    assert_eq!(choose("b", "/d", &mut files).unwrap().name, "b");
    let error = choose("c", "/d", &mut files).unwrap_err();
    assert_eq!(error, "no CNI network \"c\" in /d (there is: a, b)");
    files.push(("00-x.conf".into(), "{".into()));
    assert!(choose("", "/d", &mut files).unwrap_err().starts_with("/d/00-x.conf: no JSON"));
    assert_eq!(choose("b", "/d", &mut files).unwrap().name, "b");
    assert!(choose("c", "/d", &mut files).unwrap_err().contains("; /d/00-x.conf: no JSON"));
    assert_eq!(choose("", "/d", &mut []).unwrap_err(), "no CNI network in /d: put a .conflist there");
    for (name, is) in [("a.conf", true), ("a.conflist", true), ("a.json", true), ("a.conflist.bak", false)] {
        assert_eq!(is_conf_file(name), is, "{name}");
    }
}

#[test]
fn a_plugin_is_told_its_part_and_what_it_takes() {
    let (list, wanted) = (chain(), wanted());
    assert_eq!(list.unserved(&wanted), ["bandwidth"]);
    let bridge = list.plugins[0].input(&list, &wanted, Map::new());
    assert_eq!(
        bridge,
        json!({"cniVersion": "1.0.0", "name": "shop", "type": "bridge", "bridge": "cni0", "ipam": {"type": "host-local"}})
    );
    let more = Map::from_iter([("prevResult".to_owned(), json!({"ips": []}))]);
    assert_eq!(
        list.plugins[1].input(&list, &wanted, more),
        json!({
            "cniVersion": "1.0.0", "name": "shop", "type": "portmap", "snat": true,
            "runtimeConfig": {"portMappings": [
                {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
                {"hostPort": 8080, "containerPort": 80, "protocol": "udp", "hostIP": "192.0.2.1"},
                {"hostPort": 8080, "containerPort": 80, "protocol": "sctp"},
            ]},
            "prevResult": {"ips": []},
        })
    );
    assert_eq!(wanted.0["bandwidth"], json!({"ingressRate": 8_000_000, "ingressBurst": 800_000}));
    assert_eq!(Capabilities::new(&[], &Bandwidth::default()), Capabilities::default());
}

#[test]
fn a_pod_is_named_as_other_runtimes_name_it() {
    let key = PodKey { namespace: "shop".into(), name: "web-edge".into() };
    let runtime = Runtime::of_pod(&key, &PodUid("0f".into()), "/run/ns", "eth0");
    assert_eq!(
        runtime.variables(Command::Add),
        [
            ("CNI_COMMAND", "ADD".to_owned()),
            ("CNI_CONTAINERID", "0f".to_owned()),
            ("CNI_NETNS", "/run/ns".to_owned()),
            ("CNI_IFNAME", "eth0".to_owned()),
            (
                "CNI_ARGS",
                "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-edge;K8S_POD_INFRA_CONTAINER_ID=0f;K8S_POD_UID=0f"
                    .to_owned()
            ),
        ]
    );
    assert_eq!(container_id(&PodUid("-1".into())), "p-1");
}

#[test]
fn an_answer_is_believed_as_far_as_it_makes_sense() {
    let list = chain();
    for (text, says) in [
        ("", "nothing"),
        (" \n", "nothing"),
        ("hello", "no JSON: hello"),
        ("[]", "no JSON object"),
        (r#"{"cniVersion": "0.4.0"}"#, "in version \"0.4.0\" of CNI, it was asked in 1.0.0"),
        (r#"{"ips": {}}"#, "ips that are no list"),
        (r#"{"ips": [{}]}"#, "the address \"\""),
        (r#"{"ips": [{"address": "10.0.0.1"}]}"#, "the address \"10.0.0.1\", which is none with a prefix"),
        (r#"{"ips": [{"address": "10.0.0.x/8"}]}"#, "the address \"10.0.0.x/8\", which is none"),
    ] {
        let error = Reply::parse(&list, text.as_bytes()).unwrap_err();
        assert!(error.starts_with(says), "{text}: {error}");
    }
    let many: Vec<_> = (0..20).map(|_| json!({"address": "10.0.0.1/8"})).collect();
    assert!(Reply::parse(&list, json!({"ips": many}).to_string().as_bytes()).is_err());
    assert!(Reply::parse(&list, &vec![b' '; TEXT_LEN_MAX_BYTES + 1]).is_err());
    let text = json!({
        "interfaces": [{"name": "cni0"}, {"name": "veth1", "sandbox": ""}, {"name": "eth0", "sandbox": "/n"}],
        "ips": [{"address": "fd00::2/64"}, {"address": "10.88.0.2/16", "gateway": "10.88.0.1", "interface": 2}],
    });
    let reply = Reply::parse(&list, text.to_string().as_bytes()).unwrap();
    assert_eq!(reply.addresses, ["10.88.0.2", "fd00::2"].map(|ip| ip.parse::<std::net::IpAddr>().unwrap()));
    assert_eq!(reply.gateways, ["10.88.0.1".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(reply.outside, ["cni0", "veth1"]);
    assert_eq!(reply.value["cniVersion"], "1.0.0");
}

#[test]
fn a_failure_is_told_in_the_plugins_words_on_one_line() {
    for (out, err, says) in [
        (r#"{"code": 7, "msg": "no subnet", "details": "at all"}"#, "noise", "no subnet: at all (code 7)"),
        (r#"{"msg": "no"}"#, "", "no"),
        ("", "", "it ended with 1, without a word"),
        ("", "a\nb\n", "it ended with 1: a b"),
        ("{}", "", "it ended with 1: {}"),
    ] {
        assert_eq!(failure("ended with 1", out.as_bytes(), err.as_bytes()), says);
    }
    let long = failure("died", b"", "x".repeat(5_000).as_bytes());
    assert!(long.chars().count() < 450 && long.contains('…'), "{long}");
}
