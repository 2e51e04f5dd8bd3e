//! Policies as manifests have them, and what they come to, line by line.

use super::*;
use serde_json::{Value, json};

struct Pod {
    key: PodKey,
    labels: BTreeMap<String, String>,
    addresses: Vec<IpAddr>,
    ports: Vec<NamedPort>,
}

/// `web` and `db` in `shop`, each in two families, `spy` in another namespace.
fn pods() -> Vec<Pod> {
    let pod = |namespace: &str, name: &str, number: u8, ports: &[(&str, Protocol, u16)]| Pod {
        key: PodKey { namespace: namespace.into(), name: name.into() },
        labels: [("app".to_owned(), name.to_owned())].into(),
        addresses: vec![IpAddr::from([10, 86, 0, number]), format!("fd00::{number}").parse().unwrap()],
        ports: ports
            .iter()
            .map(|(name, protocol, number)| NamedPort {
                name: (*name).to_owned(),
                protocol: *protocol,
                number: *number,
            })
            .collect(),
    };
    vec![
        pod("shop", "web", 2, &[("http", Protocol::Tcp, 8080)]),
        pod("shop", "db", 3, &[("sql", Protocol::Tcp, 5432), ("http", Protocol::Udp, 9)]),
        pod("lab", "spy", 4, &[("http", Protocol::Tcp, 80)]),
    ]
}

/// What these policies of `shop` come to, without the second family's half.
fn confined(specs: &[Value]) -> String {
    let pods = pods();
    let members: Vec<_> = pods
        .iter()
        .map(|pod| Member {
            pod: &pod.key,
            labels: &pod.labels,
            addresses: &pod.addresses,
            ports: &pod.ports,
        })
        .collect();
    let specs: Vec<NetworkPolicySpec> =
        specs.iter().map(|spec| serde_json::from_value(spec.clone()).unwrap()).collect();
    let policies: Vec<_> = specs.iter().map(|spec| Policy { namespace: "shop", spec }).collect();
    let found = confine(&policies, &members);
    let (v4, v6): (Vec<_>, Vec<_>) = found.iter().partition(|confinement| confinement.address.is_ipv4());
    let text = |list: &[&Confinement]| list.iter().map(ToString::to_string).collect::<String>();
    let (v4, v6) = (text(&v4), text(&v6));
    // The second family has the same, as far as addresses are the pods'.
    if !v4.contains("192.") && !v4.contains("0.0.0.0") {
        assert_eq!(v6.replace("fd00::", "10.86.0.").replace("/128", "/32"), v4);
    }
    v4
}

#[test]
fn policies_come_to_what_kubernetes_says() {
    let app = |name: &str| json!({"matchLabels": {"app": name}});
    let namespace = |name: &str| json!({"matchLabels": {NAMESPACE_LABEL: name}});
    let cases: Vec<(&str, Vec<Value>, &str)> = vec![
        ("no policy", vec![], ""),
        (
            "nobody may call anybody in the namespace",
            vec![json!({"podSelector": {}, "policyTypes": ["Ingress"]})],
            "10.86.0.3 may be called nothing and nobody\n10.86.0.2 may be called nothing and nobody\n",
        ),
        (
            "everybody may",
            vec![json!({"podSelector": app("web"), "ingress": [{}]})],
            "10.86.0.2 may be called for anything by anybody\n",
        ),
        (
            "no way out",
            vec![json!({"podSelector": app("web"), "policyTypes": ["Egress"]})],
            "10.86.0.2 may call nothing and nobody\n",
        ),
        (
            "without a word on types an egress rule makes it one of both",
            vec![json!({"podSelector": app("web"), "egress": [{"to": [{"podSelector": app("db")}]}]})],
            "10.86.0.2 may call for anything at 10.86.0.3/32\n10.86.0.2 may be called nothing and nobody\n",
        ),
        (
            "pods of the own namespace, by the receiver's name of a port",
            vec![json!({"podSelector": app("db"), "ingress": [
                {"from": [{"podSelector": {}}], "ports": [{"port": "sql"}, {"port": "none"}, {"protocol": "UDP", "port": "http"}]}]})],
            "10.86.0.3 may be called for TCP 5432-5432 by 10.86.0.2/32\n\
             10.86.0.3 may be called for UDP 9-9 by 10.86.0.2/32\n\
             10.86.0.3 may be called for TCP 5432-5432 by 10.86.0.3/32\n\
             10.86.0.3 may be called for UDP 9-9 by 10.86.0.3/32\n",
        ),
        (
            "pods of another namespace, and of all",
            vec![
                json!({"podSelector": app("db"), "ingress": [{"from": [{"namespaceSelector": namespace("lab")}]}]}),
                json!({"podSelector": app("web"), "ingress": [{"from": [{"namespaceSelector": {}, "podSelector": app("spy")}]}]}),
            ],
            "10.86.0.3 may be called for anything by 10.86.0.4/32\n10.86.0.2 may be called for anything by 10.86.0.4/32\n",
        ),
        (
            "addresses with exceptions, and ranges of ports; two policies allow what either does",
            vec![
                json!({"podSelector": app("web"), "policyTypes": ["Egress"], "egress": [
                    {"to": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.128/25"]}}],
                     "ports": [{"port": 8000, "endPort": 8999}, {"protocol": "SCTP"}]}]}),
                json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [
                    {"to": [{"ipBlock": {"cidr": "fd00::/8"}}, {"namespaceSelector": namespace("lab")}], "ports": [{"port": "http"}]}]}),
            ],
            "10.86.0.3 may call for TCP 80-80 at 10.86.0.4/32\n\
             10.86.0.2 may call for TCP 80-80 at 10.86.0.4/32\n\
             10.86.0.2 may call for TCP 8000-8999 at 192.0.2.0/24 not 192.0.2.128/25\n\
             10.86.0.2 may call for SCTP 0-65535 at 192.0.2.0/24 not 192.0.2.128/25\n",
        ),
        (
            "names of ports of everybody, and a number of anybody",
            vec![json!({"podSelector": app("web"), "policyTypes": ["Egress"], "egress": [
                {"ports": [{"port": "http"}, {"port": 53, "protocol": "UDP"}]}]})],
            "10.86.0.2 may call for UDP 53-53 at anybody\n\
             10.86.0.2 may call for TCP 8080-8080 at 10.86.0.2/32\n\
             10.86.0.2 may call for TCP 80-80 at 10.86.0.4/32\n",
        ),
        (
            "expressions",
            vec![json!({"podSelector": {"matchExpressions": [
                {"key": "app", "operator": "In", "values": ["web", "db"]}, {"key": "app", "operator": "NotIn", "values": ["db"]},
                {"key": "app", "operator": "Exists"}, {"key": "line", "operator": "DoesNotExist"}]}})],
            "10.86.0.2 may be called nothing and nobody\n",
        ),
    ];
    for (what, policies, expected) in cases {
        assert_eq!(confined(&policies), expected, "{what}");
    }
}

#[test]
fn a_pod_with_too_many_openings_has_none() {
    let ports: Vec<Value> = (1..=OPENINGS_MAX + 1).map(|port| json!({"port": port})).collect();
    let spec = json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"ports": ports}]});
    let spec: NetworkPolicySpec = serde_json::from_value(spec).unwrap();
    let pods = pods();
    let pod = &pods[0];
    let member = Member { pod: &pod.key, labels: &pod.labels, addresses: &pod.addresses, ports: &pod.ports };
    let found = confine(&[Policy { namespace: "shop", spec: &spec }], &[member]);
    assert!(found.iter().all(|confinement| confinement.overflowed && confinement.openings.is_empty()));
}
