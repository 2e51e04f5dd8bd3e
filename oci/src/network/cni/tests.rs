//! Chains of plugins that are small scripts, in mounts and cgroups of their own: what they are told, and what becomes
//! of those that misbehave. Debian's plugins run in `tests/guest/cni`.

use super::*;
use crate::{
    network::Network,
    sandbox::{self, Spares},
    testing::{node, pod, with_roots},
};
use berth_core::{
    manifest::{
        objects::Objects,
        types::{ContainerPort, PodSpec},
    },
    time::Mono,
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, os::unix::fs::PermissionsExt, sync::Arc, time::Instant};

/// Says what it was told, beside its name, and answers an address; what `$1` makes of the test's own.
const PLUGIN: &str = r#"#!/bin/sh
here=${0%/*}; name=${0##*/}
input=$(cat)
echo "$name $CNI_COMMAND id=$CNI_CONTAINERID ns=${CNI_NETNS:+yes} if=$CNI_IFNAME" >>"$here/log"
echo "$input" >"$here/$name.$CNI_COMMAND"
if [ -e "$here/$name.misbehaves" ]; then . "$here/$name.misbehaves"; fi
[ $CNI_COMMAND = ADD ] || exit 0
echo '{"cniVersion": "1.1.0", "interfaces": [{"name": "veth7"}, {"name": "eth0", "sandbox": "/x"}],
    "ips": [{"address": "fd00::7/64"}, {"address": "10.88.0.7/16", "gateway": "10.88.0.1"}]}'
"#;

/// A node with the plugins `one` and `two` in a network `shop` of both.
struct Node<'a> {
    roots: &'a Roots,
    dir: PathBuf,
}

impl<'a> Node<'a> {
    fn new(roots: &'a Roots) -> Self {
        let dir = roots.state.join("cni");
        fs::create_dir(&dir).unwrap();
        let node = Self { roots, dir };
        node.describe("10-shop.conflist", "shop", &["one", "two"]);
        for name in ["one", "two"] {
            let path = node.dir.join(name);
            fs::write(&path, PLUGIN).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        node
    }

    fn describe(&self, file: &str, name: &str, plugins: &[&str]) {
        let plugin = |kind: &&str| json!({"type": kind, "capabilities": {"portMappings": *kind == "two"}, "mine": kind});
        let plugins: Vec<_> = plugins.iter().map(plugin).collect();
        let list = json!({"cniVersion": "1.1.0", "name": name, "plugins": plugins});
        fs::write(self.dir.join(file), list.to_string()).unwrap();
    }

    fn misbehaves(&self, plugin: &str, script: &str) {
        fs::write(self.dir.join(format!("{plugin}.misbehaves")), script).unwrap();
    }

    fn behaves(&self, plugin: &str) {
        fs::remove_file(self.dir.join(format!("{plugin}.misbehaves"))).unwrap();
    }

    fn network(&self) -> Arc<Network> {
        let settings = Settings {
            wanted: true,
            conf_dir: self.dir.clone(),
            bin_dirs: vec!["/nonexistent".into(), self.dir.clone()],
            network: String::new(),
        };
        Arc::new(Network::none(self.roots).with_cni(settings))
    }

    fn create(&self, pod: &DesiredPod) -> Result<Vec<String>> {
        let (objects, spares) = (Objects::default(), Spares::default());
        sandbox::create_with(self.roots, &node(), pod, Mono(0), &objects, &spares, &self.network())
    }

    fn remove(&self, pod: &DesiredPod) -> Result<()> {
        sandbox::remove_with(self.roots, &self.network(), pod)
    }

    /// What plugins were asked since the last time.
    fn log(&self) -> Vec<String> {
        let path = self.dir.join("log");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        text.lines().map(str::to_owned).collect()
    }

    fn told(&self, plugin: &str, command: &str) -> Value {
        let text = fs::read_to_string(self.dir.join(format!("{plugin}.{command}"))).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn assert_nothing_left(&self) {
        assert_eq!(cache::pods(self.roots).unwrap(), []);
        let cgroups = self.roots.cni_cgroup(&PodUid("x".into()));
        let left = crate::records::names(cgroups.parent().unwrap()).unwrap();
        let left: Vec<_> = left.iter().filter(|name| cgroups.with_file_name(name).is_dir()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn on_a_node(test: impl FnOnce(&Node<'_>) + Send) {
    with_roots(|roots| test(&Node::new(roots)));
}

fn web() -> DesiredPod {
    pod(PodSpec::default())
}

fn with_port() -> DesiredPod {
    let mut spec = PodSpec::default();
    let container = berth_core::manifest::types::Container {
        name: "c".into(),
        ports: vec![ContainerPort { container_port: 80, host_port: Some(8080), ..ContainerPort::default() }],
        ..Default::default()
    };
    spec.containers.push(container);
    pod(spec)
}

#[test]
fn a_chain_makes_a_network_and_takes_it_away() {
    on_a_node(|node| {
        let pod = with_port();
        assert_eq!(node.create(&pod).unwrap(), ["10.88.0.7", "fd00::7"]);
        let id = &pod.uid;
        let line = |name: &str, command: &str| format!("{name} {command} id={id} ns=yes if=eth0");
        assert_eq!(node.log(), [line("one", "ADD"), line("two", "ADD")]);
        let (one, two) = (node.told("one", "ADD"), node.told("two", "ADD"));
        assert_eq!(
            (&one["mine"], &one["name"], &one["cniVersion"]),
            (&json!("one"), &json!("shop"), &json!("1.1.0"))
        );
        assert_eq!(
            (&one["prevResult"], &one["runtimeConfig"], &one["capabilities"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert_eq!(two["prevResult"]["ips"][0]["address"], "fd00::7/64");
        assert_eq!(two["runtimeConfig"]["portMappings"][0]["hostPort"], 8080);
        // Once is enough; a later agent finds it.
        assert_eq!(node.create(&pod).unwrap(), ["10.88.0.7", "fd00::7"]);
        assert_eq!(node.log(), Vec::<String>::new());
        assert_eq!(crate::network::addresses(node.roots, id), ["10.88.0.7", "fd00::7"]);
        assert_eq!(node.network().check(id), None);
        assert_eq!(node.log(), [line("one", "CHECK"), line("two", "CHECK")]);
        assert_eq!(node.told("two", "CHECK")["prevResult"], two["prevResult"]);
        // By the configuration that made it.
        node.describe("10-shop.conflist", "other", &["two"]);
        node.remove(&pod).unwrap();
        assert_eq!(node.log(), [line("two", "DEL"), line("one", "DEL")]);
        assert_eq!(node.told("one", "DEL")["prevResult"], two["prevResult"]);
        assert_eq!(node.told("two", "DEL")["runtimeConfig"], two["runtimeConfig"]);
        node.assert_nothing_left();
        node.remove(&pod).unwrap();
        assert_eq!(node.log(), Vec::<String>::new());
    });
}

#[test]
fn whatever_a_plugin_does_has_a_reason_and_leaves_nothing() {
    on_a_node(|node| {
        let pod = web();
        for (script, says) in [
            (
                "echo '{\"code\": 7, \"msg\": \"no subnet\"}'; exit 1",
                "CNI plugin two of network \"shop\", ADD: no subnet (code 7)",
            ),
            ("echo 'cannot' >&2; exit 3", "it ended with 3: cannot"),
            ("kill -9 $$", "it was killed by signal 9, without a word"),
            ("[ $CNI_COMMAND = ADD ] || exit 0; echo rubbish; exit 0", "it answers no JSON: rubbish"),
            ("exit 0", "it answers nothing"),
            (
                "[ $CNI_COMMAND = ADD ] || exit 0; echo '{\"ips\": [{\"address\": \"x\"}]}'; exit 0",
                "it answers the address \"x\"",
            ),
            ("[ $CNI_COMMAND = ADD ] || exit 0; echo '{}'; exit 0", "its plugins give the pod no address"),
            (
                "[ $CNI_COMMAND = ADD ] || exit 0; while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
                "it answers more than 1048576 bytes",
            ),
        ] {
            node.misbehaves("two", &format!("case $CNI_COMMAND in DEL) exit 0;; esac; {script}"));
            let error = node.create(&pod).unwrap_err().to_string();
            assert!(error.starts_with("network is not ready: ") && error.contains(says), "{script}: {error}");
            let asked = node
                .log()
                .iter()
                .map(|line| line.split(" id").next().unwrap().to_owned())
                .collect::<Vec<_>>();
            assert_eq!(asked, ["one ADD", "two ADD", "two DEL", "one DEL"], "{script}");
            assert_eq!(node.told("two", "DEL")["prevResult"], Value::Null);
            node.assert_nothing_left();
            assert!(!fsys::is_namespace(&node.roots.pod_ns(&pod.uid, "net")));
        }
        node.behaves("two");
        assert_eq!(node.create(&pod).unwrap().len(), 2);
        node.remove(&pod).unwrap();
        node.assert_nothing_left();
    });
}

#[test]
fn what_is_missing_is_told_and_nothing_was_executed() {
    on_a_node(|node| {
        let error = |pod: &DesiredPod| node.create(pod).unwrap_err().to_string();
        node.describe("10-shop.conflist", "shop", &["one", "three"]);
        let at = node.dir.display();
        assert_eq!(
            error(&web()),
            format!(
                "network is not ready: CNI plugin three is not in /nonexistent or {at}: install it there, or set cniBinDir"
            )
        );
        node.describe("10-shop.conflist", "shop", &["one"]);
        assert!(
            error(&with_port())
                .contains("has the capability portMappings, which hostPort needs: add portmap")
        );
        fs::write(node.dir.join("00-new.conf"), "{").unwrap();
        assert!(error(&web()).contains("/00-new.conf: no JSON"));
        fs::remove_file(node.dir.join("00-new.conf")).unwrap();
        fs::remove_file(node.dir.join("10-shop.conflist")).unwrap();
        assert_eq!(
            error(&web()),
            format!("network is not ready: no CNI network in {at}: put a .conflist there")
        );
        assert_eq!(node.log(), Vec::<String>::new());
        node.assert_nothing_left();
    });
}

#[test]
fn a_plugin_that_hangs_ends_with_all_that_it_has_started() {
    on_a_node(|node| {
        node.misbehaves("one", "sleep 1000 & setsid sleep 1000 & sleep 1000");
        let cgroup = node.roots.cni_cgroup(&PodUid("h".into()));
        let said = exec::call(&exec::Call {
            program: &node.dir.join("one"),
            variables: vec![("CNI_COMMAND", "ADD".into())],
            input: vec![b' '; 1 << 20],
            deadline: Instant::now() + Duration::from_millis(300),
            cgroup: &cgroup,
        });
        assert_eq!(said, Err("it did not come to an end in time".into()));
        // Killed already: nobody has to be killed for it to become empty.
        while teardown::is_populated(&cgroup) {
            std::thread::yield_now();
        }
        // One that leaves a process with its pipes is not waited for.
        node.misbehaves("one", "sleep 1000 & exit 0");
        let call = exec::Call {
            program: &node.dir.join("one"),
            variables: vec![("CNI_COMMAND", "ADD".into())],
            input: Vec::new(),
            deadline: Instant::now() + Duration::from_secs(60),
            cgroup: &cgroup,
        };
        assert_eq!(exec::call(&call), Ok(Vec::new()));
        teardown::remove(&cgroup, CGROUP_TIME).unwrap();
    });
}

#[test]
fn what_cannot_be_taken_away_is_kept_in_mind_over_agents_and_boots() {
    on_a_node(|node| {
        let pod = web();
        node.create(&pod).unwrap();
        node.misbehaves("one", "[ $CNI_COMMAND != DEL ] || exit 1");
        assert!(
            node.remove(&pod)
                .unwrap_err()
                .to_string()
                .contains("CNI plugin one of network \"shop\", DEL: it ended with 1")
        );
        // The machine goes down: what was on tmpfs is gone.
        crate::fsys::mounts::unmount_below(&node.roots.run).unwrap();
        fs::remove_dir_all(node.roots.pods_run()).unwrap();
        assert_eq!(node.network().stale(), std::slice::from_ref(&pod.uid));
        let settle = |wanted: &[&PodUid]| {
            let wanted: BTreeSet<PodUid> = wanted.iter().copied().cloned().collect();
            node.log();
            sandbox::settle_network(node.roots, &node.network(), &wanted, |_, _, warning| {
                panic!("{warning:?}")
            })
        };
        assert!(!settle(&[]));
        assert!(settle(&[&pod.uid]));
        // Wanted again, it is taken away before it is made again.
        node.behaves("one");
        node.log();
        node.create(&pod).unwrap();
        let asked = node.log().iter().map(|line| line.replace(&*pod.uid.0, "ID")).collect::<Vec<_>>();
        assert_eq!(asked[..2], ["two DEL id=ID ns=yes if=eth0", "one DEL id=ID ns=yes if=eth0"]);
        // And not wanted any more, it is taken away without a namespace.
        crate::fsys::mounts::unmount_below(&node.roots.run).unwrap();
        fs::remove_dir_all(node.roots.pods_run()).unwrap();
        assert!(settle(&[]));
        let asked = node.log().iter().map(|line| line.replace(&*pod.uid.0, "ID")).collect::<Vec<_>>();
        assert_eq!(asked[..2], ["two DEL id=ID ns= if=eth0", "one DEL id=ID ns= if=eth0"]);
        node.assert_nothing_left();
    });
}

#[test]
fn plugins_are_asked_how_it_is_and_told_who_is_there() {
    on_a_node(|node| {
        let pod = web();
        node.create(&pod).unwrap();
        node.misbehaves(
            "two",
            "[ $CNI_COMMAND != CHECK ] || { echo '{\"msg\": \"no interface\"}'; exit 1; }",
        );
        let told = std::sync::Mutex::new(Vec::new());
        node.log();
        assert!(sandbox::settle_network(node.roots, &node.network(), &BTreeSet::new(), |_, uid, warning| {
            told.lock().unwrap().push((uid.clone(), warning.reason, warning.message));
        }));
        let said = "CNI plugin two of network \"shop\", CHECK: no interface".to_owned();
        assert_eq!(told.into_inner().unwrap(), [(pod.uid.clone(), "NetworkCheckFailed".to_owned(), said)]);
        assert_eq!(node.log()[2..], ["one GC id= ns= if=", "two GC id= ns= if="]);
        let valid = json!([{"containerID": &*pod.uid.0, "ifname": "eth0"}]);
        assert_eq!(node.told("one", "GC")["cni.dev/valid-attachments"], valid);
        node.remove(&pod).unwrap();
        node.assert_nothing_left();
    });
}

#[test]
fn an_attempt_by_a_network_that_was_put_right_is_not_waited_for() {
    on_a_node(|node| {
        let pod = web();
        node.misbehaves("one", "exit 1");
        let error = node.create(&pod).unwrap_err().to_string();
        assert!(error.contains("ADD: it ended with 1") && error.contains("; taking it back: "), "{error}");
        let error = node.create(&pod).unwrap_err().to_string();
        assert!(error.contains("DEL: it ended with 1"), "{error}");
        node.describe("10-shop.conflist", "shop", &["two"]);
        assert_eq!(node.create(&pod).unwrap().len(), 2);
        node.remove(&pod).unwrap();
        node.assert_nothing_left();
    });
}
