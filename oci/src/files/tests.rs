//! The files as pods see them, byte for byte.

use super::*;
use crate::node::Policy;
use berth_core::{
    ids::{PodKey, PodUid},
    manifest::types::{HostAlias, Pod, PodSpec},
};
use serde_json::json;
use std::sync::Arc;

fn pod(name: &str, spec: PodSpec) -> DesiredPod {
    DesiredPod {
        key: PodKey { namespace: "default".into(), name: name.into() },
        uid: PodUid("u1".into()),
        base: None,
        values: None,
        pod: Arc::new(Pod { spec, ..Pod::default() }),
        origin: "web.yaml".into(),
    }
}

fn web_box() -> Names {
    names(&NodeFacts::default(), &pod("web-box", PodSpec::default())).unwrap()
}

fn aliases() -> Vec<HostAlias> {
    let alias = |ip: &str, names: &[&str]| HostAlias {
        ip: ip.into(),
        hostnames: names.iter().map(|&name| name.to_owned()).collect(),
    };
    vec![alias("10.1.2.3", &["plc", "plc.line4"]), alias("fd00::7", &["historian"])]
}

#[test]
fn hosts_of_a_pod_with_its_own_network() {
    assert_eq!(hosts::managed(&web_box(), &[], &aliases()), include_str!("golden/hosts"));
    let addresses = ["10.88.0.4".to_owned(), "fd00::4".to_owned()];
    let text = hosts::managed(&web_box(), &addresses, &[]);
    assert!(text.ends_with("ip6-allrouters\n10.88.0.4\tweb-box\nfd00::4\tweb-box\n"));
}

#[test]
fn hosts_of_a_pod_on_the_nodes_network() {
    let node = "127.0.0.1 localhost\n10.9.8.7 box";
    assert_eq!(hosts::of_host_network(node, &aliases()), include_str!("golden/hosts-of-host-network"));
    assert_eq!(hosts::of_host_network("", &[]), "# Kubernetes-managed hosts file (host network).\n");
}

#[test]
fn host_names() {
    let policy = Policy { cluster_domain: "cluster.local".into(), ..Policy::default() };
    let node = NodeFacts { hostname: "box".into(), policy, ..NodeFacts::default() };
    let long = format!("{}-.-tail", "n".repeat(61));
    for (name, spec, kernel, full) in [
        ("web-box", json!({}), "web-box", None),
        ("web-box", json!({"hostname": "db"}), "db", None),
        ("web-box", json!({"hostname": ""}), "web-box", None),
        ("web-box", json!({"hostname": "db", "hostNetwork": true}), "box", None),
        (long.as_str(), json!({}), &"n".repeat(61), None),
        (&"n".repeat(200), json!({}), &"n".repeat(63), None),
        ("web-box", json!({"subdomain": "shop"}), "web-box", Some("web-box.shop.default.svc.cluster.local")),
        (
            "web-box",
            json!({"hostname": "db", "subdomain": "shop", "setHostnameAsFQDN": true}),
            "db.shop.default.svc.cluster.local",
            Some("db.shop.default.svc.cluster.local"),
        ),
        // Without a subdomain there is no full name.
        ("web-box", json!({"setHostnameAsFQDN": true}), "web-box", None),
        ("web-box", json!({"hostnameOverride": "a.b", "hostname": "db", "subdomain": "s"}), "a.b", None),
    ] {
        let pod = pod(name, serde_json::from_value(spec.clone()).unwrap());
        let names = names(&node, &pod).unwrap();
        assert_eq!((names.kernel(), names.full.as_deref()), (kernel, full), "{name} {spec}");
    }
    let spec = json!({"subdomain": "s".repeat(40), "setHostnameAsFQDN": true});
    let error = names(&node, &pod("web-box", serde_json::from_value(spec).unwrap())).unwrap_err();
    assert!(error.to_string().contains("64 is the most for a host name"), "{error}");
    let bare = NodeFacts::default();
    let names =
        names(&bare, &pod("w", PodSpec { subdomain: Some("s".into()), ..PodSpec::default() })).unwrap();
    assert_eq!(names.full.as_deref(), Some("w.s.default.svc"));
    assert!(hosts::managed(&names, &["10.0.0.7".into()], &[]).ends_with("\n10.0.0.7\tw.s.default.svc\tw\n"));
}

#[test]
fn the_resolver_file_follows_the_policy() {
    let dir = tempfile::tempdir().unwrap();
    let resolv_conf = dir.path().join("resolv.conf");
    fs::write(&resolv_conf, "nameserver 10.0.0.1\n").unwrap();
    let roots = Roots { resolv_conf, ..Roots::default() };
    let none = Roots { resolv_conf: dir.path().join("none"), ..Roots::default() };
    let empty = Roots { resolv_conf: "".into(), ..Roots::default() };
    let local = "search .\nnameserver 127.0.0.1\nnameserver ::1\n";
    for (roots, dns_policy, expected) in [
        (&roots, DnsPolicy::ClusterFirst, "nameserver 10.0.0.1\n"),
        (&roots, DnsPolicy::ClusterFirstWithHostNet, "nameserver 10.0.0.1\n"),
        (&roots, DnsPolicy::Default, "nameserver 10.0.0.1\n"),
        (&roots, DnsPolicy::None, ""),
        (&none, DnsPolicy::Default, ""),
        (&empty, DnsPolicy::Default, local),
    ] {
        let spec = PodSpec { dns_policy, ..PodSpec::default() };
        assert_eq!(resolv_conf_of(roots, spec), expected, "{dns_policy:?}");
    }
}

#[test]
fn a_clusters_name_servers_are_for_those_who_ask_for_them() {
    let policy = Policy {
        cluster_dns: vec!["10.96.0.10".into()],
        cluster_domain: "cluster.local".into(),
        ..Policy::default()
    };
    let (with, without) = (NodeFacts { policy, ..NodeFacts::default() }, NodeFacts::default());
    for (dns_policy, host_network, asks) in [
        (DnsPolicy::ClusterFirst, false, true),
        (DnsPolicy::ClusterFirst, true, false),
        (DnsPolicy::ClusterFirstWithHostNet, true, true),
        (DnsPolicy::Default, false, false),
        (DnsPolicy::None, false, false),
    ] {
        let pod = pod("web-box", PodSpec { dns_policy, host_network, ..PodSpec::default() });
        let text = resolv_conf(&Roots { resolv_conf: "".into(), ..Roots::default() }, &with, &pod).unwrap();
        assert_eq!(text.contains("nameserver 10.96.0.10\n"), asks, "{dns_policy:?}");
        assert_eq!(lacks_cluster_dns(&without, &pod), asks, "{dns_policy:?}");
        assert!(!lacks_cluster_dns(&with, &pod));
    }
}

#[test]
fn our_own_name_server_is_for_pods_with_a_network_of_ours() {
    let policy = Policy { pod_dns: "10.86.0.1".parse().ok(), ..Policy::default() };
    let with = NodeFacts { policy: policy.clone(), ..NodeFacts::default() };
    let policy = Policy { cluster_dns: vec!["10.96.0.10".into()], ..policy };
    let both = NodeFacts { policy, ..NodeFacts::default() };
    for (dns_policy, host_network, own, lacks) in [
        (DnsPolicy::ClusterFirst, false, true, false),
        (DnsPolicy::ClusterFirst, true, false, false),
        (DnsPolicy::ClusterFirstWithHostNet, true, true, false),
        (DnsPolicy::ClusterFirstWithHostNet, false, true, false),
        (DnsPolicy::Default, false, false, false),
        (DnsPolicy::None, false, false, false),
    ] {
        let pod = pod("web-box", PodSpec { dns_policy, host_network, ..PodSpec::default() });
        let roots = Roots { resolv_conf: "".into(), ..Roots::default() };
        let text = |node: &NodeFacts| resolv_conf(&roots, node, &pod).unwrap();
        assert_eq!(text(&with).contains("nameserver 10.86.0.1\n"), own, "{dns_policy:?}");
        assert_eq!(lacks_cluster_dns(&with, &pod), lacks, "{dns_policy:?} {host_network}");
        assert!(!text(&both).contains("10.86.0.1"));
    }
}

fn resolv_conf_of(roots: &Roots, spec: PodSpec) -> String {
    resolv_conf(roots, &NodeFacts::default(), &pod("web-box", spec)).unwrap()
}

#[test]
fn a_file_is_changed_in_place_and_only_if_it_differs() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hosts");
    put(&path, "one\n").unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    put(&path, "two\n").unwrap();
    put(&path, "two\n").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two\n");
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    std::os::unix::fs::symlink("/etc/hosts", dir.path().join("link")).unwrap();
    assert!(put(&dir.path().join("link"), "x").is_err());
}

#[test]
fn an_overlong_file_of_the_node_is_cut_at_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hosts");
    fs::write(&path, "0.0.0.0 ads.example\n".repeat(60_000)).unwrap();
    let text = read_node_file(&path).unwrap();
    assert!(text.len() as u64 <= NODE_FILE_LEN_MAX_BYTES && text.ends_with("example\n"));
    assert_eq!(read_node_file(&dir.path().join("none")).unwrap(), "");
}
