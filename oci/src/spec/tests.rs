//! Specs of whole pods against golden files. `BERTH_BLESS=1` writes them anew; read the difference then.

use super::*;
use crate::{container::mounts::Propagation, node::NodeFacts, testing};
use berth_core::manifest::{
    objects::Objects,
    types::{MountPropagation, Pod, PodSpec},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::PathBuf};

/// Name, pod spec with one container, image.
fn pods() -> Vec<(&'static str, Value, Value)> {
    let busybox = json!({"reference": "busybox:1", "env": ["PATH=/bin"], "cmd": ["sh"]});
    let image = |with: Value| merge(&busybox, with);
    vec![
        ("plain", json!({"containers": [{"name": "c"}]}), image(json!({}))),
        (
            "command-and-env",
            json!({"containers": [{
                "name": "c", "command": ["/app", "--at=$(WHERE)"], "args": ["$(NAME)", "$$(NAME)", "$(PATH)"],
                "env": [{"name": "NAME", "value": "n"}, {"name": "WHERE", "value": "in-$(NAME)"}, {"name": "PATH", "value": "/own"}],
                "workingDir": "/srv"
            }]}),
            image(
                json!({"entrypoint": ["/entry"], "workingDir": "/image", "env": ["PATH=/bin", "LANG=C", "HOME=/h"]}),
            ),
        ),
        (
            "args-keep-the-entrypoint",
            json!({"containers": [{"name": "c", "args": ["x"]}]}),
            image(json!({"entrypoint": ["/entry", "-v"], "env": []})),
        ),
        (
            "privileged",
            json!({"containers": [{"name": "c", "securityContext": {"privileged": true}}]}),
            image(json!({})),
        ),
        (
            "restricted",
            json!({"containers": [{"name": "c", "securityContext": {
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
            }}]}),
            image(json!({})),
        ),
        (
            "escalation-allowed-is-not-written",
            json!({"containers": [{"name": "c", "securityContext": {"allowPrivilegeEscalation": true}}]}),
            image(json!({})),
        ),
        ("host-network", json!({"hostNetwork": true, "containers": [{"name": "c"}]}), image(json!({}))),
        (
            "all-of-the-host",
            json!({"hostNetwork": true, "hostPID": true, "hostIPC": true, "containers": [{"name": "c"}]}),
            image(json!({})),
        ),
        (
            "limits-are-not-in-the-spec",
            json!({"containers": [{"name": "c", "resources": {"limits": {"cpu": "1", "memory": "64Mi"}, "requests": {"cpu": "1", "memory": "64Mi"}}}]}),
            image(json!({})),
        ),
        (
            "shared-process-numbers",
            json!({"shareProcessNamespace": true, "containers": [{"name": "c"}]}),
            image(json!({})),
        ),
        (
            "mounts-that-pass",
            json!({"containers": [{"name": "c", "securityContext": {"privileged": true}, "volumeMounts": [
                {"name": "v", "mountPath": "/slave", "mountPropagation": "HostToContainer"},
                {"name": "v", "mountPath": "/shared", "mountPropagation": "Bidirectional"},
                {"name": "v", "mountPath": "/rro", "readOnly": true, "recursiveReadOnly": "Enabled"}
            ]}]}),
            image(json!({"layers": ["/l"]})),
        ),
        (
            "volumes",
            json!({"containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/data"}]}]}),
            image(json!({"layers": ["/l"]})),
        ),
        (
            "a-volume-in-the-place-of-a-default",
            json!({"containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/dev/shm"}]}]}),
            image(json!({"layers": ["/l"]})),
        ),
    ]
}

fn merge(base: &Value, with: Value) -> Value {
    let mut all = base.as_object().unwrap().clone();
    all.extend(with.as_object().unwrap().clone());
    Value::Object(all)
}

fn image(facts: &Value) -> ImageFacts {
    let text = |name: &str| facts[name].as_str().unwrap_or_default().to_owned();
    let list = |name: &str| {
        facts[name].as_array().into_iter().flatten().map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    ImageFacts {
        reference: text("reference"),
        layers: list("layers"),
        env: list("env"),
        entrypoint: list("entrypoint"),
        cmd: list("cmd"),
        working_dir: text("workingDir"),
        ..ImageFacts::default()
    }
}

fn binds(container: &Container) -> Vec<Bind> {
    let bind = |source: &str, destination: &str, read_only| Bind {
        source: source.into(),
        destination: destination.into(),
        read_only,
        ..Bind::default()
    };
    let volumes = container.volume_mounts.iter().map(|mount| Bind {
        recursive_read_only: mount.recursive_read_only.is_some(),
        propagation: match mount.mount_propagation {
            Some(MountPropagation::HostToContainer) => Propagation::HostToContainer,
            Some(MountPropagation::Bidirectional) => Propagation::Bidirectional,
            _ => Propagation::None,
        },
        ..bind("/volumes/v", &mount.mount_path, mount.read_only)
    });
    let root = container.security_context.as_ref().and_then(|sc| sc.read_only_root_filesystem) == Some(true);
    volumes
        .chain([
            bind("/etc-of-pod/hosts", "/etc/hosts", false),
            bind("/etc-of-pod/hostname", "/etc/hostname", root),
        ])
        .collect()
}

fn build_spec(spec: &Value, facts: &Value) -> Result<Spec> {
    let spec: PodSpec = serde_json::from_value(spec.clone()).unwrap();
    let desired = testing::pod(spec);
    let pod: &Pod = &desired.pod;
    let own = |kind: &str, own: bool| own.then(|| PathBuf::from(format!("/ns/{kind}")));
    let namespaces = PodNamespaces {
        user: None,
        net: own("net", !pod.spec.host_network),
        ipc: own("ipc", !pod.spec.host_ipc),
        uts: own("uts", !pod.spec.host_network),
        pid: own("pid", pod.spec.share_process_namespace == Some(true)),
    };
    let container = &pod.spec.containers[0];
    let node_devices =
        [DeviceNode { path: "/dev/disk0".into(), block: true, number: (8, 0), mode: 0o660, uid: 0, gid: 6 }];
    build(&SpecInput {
        desired: &desired,
        container,
        image: &image(facts),
        id: &ContainerId("0123abcd".into()),
        attempt: 2,
        variables: &crate::variables::resolve(
            &NodeFacts::default(),
            &desired,
            container,
            &Objects::default(),
            &Default::default,
            &|_| Ok(None),
        )?,
        hostname: "web-box",
        user: &ProcessUser { uid: 1000, gid: 100, groups: vec![100, 7], home: "/home/u".into() },
        binds: &binds(container),
        namespaces: &namespaces,
        shm: Path::new(if pod.spec.host_ipc { "/dev/shm" } else { "/shm-of-pod" }),
        hooks: None,
        throttled_cpus: 0,
        ids: None,
        label: None,
        devices: if container.is_privileged() { &node_devices } else { &[] },
        cgroup: Path::new("/kubepods/besteffort/poduid/0123abcd"),
    })
}

/// The spec as a person reads it: sets are sorted, keys too.
fn text(spec: &Spec) -> String {
    let mut json = serde_json::to_value(spec).unwrap();
    if let Some(sets) = json["process"]["capabilities"].as_object_mut() {
        for set in sets.values_mut() {
            let mut names: Vec<String> = serde_json::from_value(set.clone()).unwrap();
            names.sort();
            *set = json!(names.join(" "));
        }
    }
    let sorted: BTreeMap<String, Value> = serde_json::from_value(json).unwrap();
    serde_json::to_string_pretty(&sorted).unwrap() + "\n"
}

#[test]
fn specs_are_as_the_golden_files_have_them() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/spec/golden");
    let mut wrong = Vec::new();
    for (name, spec, image) in pods() {
        let made = text(&build_spec(&spec, &image).unwrap());
        let file = dir.join(format!("{name}.json"));
        if std::env::var_os("BERTH_BLESS").is_some() {
            std::fs::write(&file, &made).unwrap();
        }
        if std::fs::read_to_string(&file).unwrap_or_default() != made {
            wrong.push(format!("{name}:\n{made}"));
        }
    }
    assert!(wrong.is_empty(), "not as in {}:\n{}", dir.display(), wrong.join("\n"));
}

#[test]
fn what_the_runtime_would_misunderstand_is_never_written() {
    for (name, spec, image) in pods() {
        let spec = build_spec(&spec, &image).unwrap();
        let (process, linux) = (spec.process().as_ref().unwrap(), spec.linux().as_ref().unwrap());
        assert_ne!(process.no_new_privileges(), Some(false), "{name}");
        assert_eq!((process.oom_score_adj(), process.rlimits()), (None, &None), "{name}");
        assert!(
            linux.resources().is_none() && linux.cgroups_path().as_ref().unwrap().is_absolute(),
            "{name}"
        );
        for variable in ["PATH=/", "HOME=/", "HOSTNAME=web-box"] {
            assert!(
                process.env().iter().flatten().any(|line| line.starts_with(variable)),
                "{name} {variable}"
            );
        }
    }
}

#[test]
fn what_cannot_run_is_the_users_to_mend() {
    let none = json!({"containers": [{"name": "c"}]});
    let relative = json!({"containers": [{"name": "c", "command": ["a"], "workingDir": "rel"}]});
    let unknown = json!({"containers": [{"name": "c", "command": ["a"], "securityContext": {"capabilities": {"add": ["FLY"]}}}]});
    for (spec, text) in [(none, "no command"), (relative, "absolute"), (unknown, "\"FLY\"")] {
        let error = build_spec(&spec, &json!({"reference": "x"})).unwrap_err();
        assert!(matches!(&error, Error::Config(message) if message.contains(text)), "{error}");
    }
}
