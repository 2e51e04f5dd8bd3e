//! The files as pods see them, byte for byte.

use super::*;
use berth_core::{
    ids::{PodKey, PodUid},
    manifest::types::{HostAlias, Pod, PodSpec},
};
use std::sync::Arc;

fn pod(name: &str, spec: PodSpec) -> DesiredPod {
    DesiredPod {
        key: PodKey { namespace: "default".into(), name: name.into() },
        uid: PodUid("u1".into()),
        pod: Arc::new(Pod { spec, ..Pod::default() }),
        origin: "web.yaml".into(),
    }
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
    assert_eq!(hosts::managed("web-box", &[], &aliases()), include_str!("golden/hosts"));
    let addresses = ["10.88.0.4".to_owned(), "fd00::4".to_owned()];
    let text = hosts::managed("web-box", &addresses, &[]);
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
    let node = NodeFacts { hostname: "box".into(), ..NodeFacts::default() };
    let long = format!("{}-.-tail", "n".repeat(61));
    for (name, spec_name, host_network, expected) in [
        ("web-box", None, false, "web-box"),
        ("web-box", Some("db"), false, "db"),
        ("web-box", Some(""), false, "web-box"),
        ("web-box", Some("db"), true, "box"),
        (long.as_str(), None, false, &"n".repeat(61)),
        (&"n".repeat(200), None, false, &"n".repeat(63)),
    ] {
        let spec = PodSpec { hostname: spec_name.map(str::to_owned), host_network, ..PodSpec::default() };
        assert_eq!(hostname(&node, &pod(name, spec)), expected, "{name} {spec_name:?}");
    }
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

fn resolv_conf_of(roots: &Roots, spec: PodSpec) -> String {
    resolv_conf(roots, &pod("web-box", spec)).unwrap()
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
