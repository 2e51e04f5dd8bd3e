//! The uid: what changes it, what does not, and that it stays what it was.

use super::*;
use crate::manifest::{Format, LoadInput, load};

const PLAIN: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web, empty: ''}}
spec:
  hostNetwork: true
  containers:
  - name: a
    image: busybox:1.36
    command: [sh, '']
    ports: [{containerPort: 80}]
    resources: {limits: {cpu: 500m, memory: 64Mi}}
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data}]
";

/// The same, with other words: order, defaults, notations, a comment.
const WORDY: &str = r#"{
  "kind": "Pod", "apiVersion": "v1",
  "metadata": {"labels": {"empty": "", "app": "web"}, "namespace": "default", "name": "web", "creationTimestamp": null},
  "spec": {
    "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "hostPID": false,
    "schedulerName": "default-scheduler", "enableServiceLinks": true, "securityContext": {}, "hostAliases": [],
    "automountServiceAccountToken": false, "nodeName": "elsewhere",
    "volumes": [{"name": "data", "emptyDir": {"medium": ""}}], "hostNetwork": true,
    "containers": [{
      "image": "busybox:1.36", "name": "a", "command": ["sh", ""], "imagePullPolicy": "IfNotPresent", "tty": false,
      "ports": [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}], "workingDir": "", "securityContext": {},
      "resources": {"limits": {"cpu": 0.5, "memory": "65536Ki"}, "requests": {"cpu": "0.5"}},
      "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": false}],
      "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"
    }]
  },
  "status": {"phase": "Running"}
}"#;

fn uid_of(file: &str, text: &str, node: &str) -> String {
    let output =
        load(&LoadInput { file, bytes: text.as_bytes(), format: Format::Yaml, node, source: "file" });
    assert!(output.problems.is_empty(), "{}", output.problems[0]);
    output.pods[0].uid.to_string()
}

#[test]
fn what_means_the_same_is_the_same_revision() {
    let uid = uid_of("a.yaml", PLAIN, "n1");
    assert_eq!(uid, uid_of("a.yaml", WORDY, "n1"));
    assert_eq!(uid, uid_of("elsewhere/b.yaml", &format!("# moved\n{PLAIN}"), "n1"));
    assert_eq!(uid, uid_of("a.yaml", PLAIN, "N1"));
    // Written down once: another value would restart every such pod in the field at the next upgrade.
    assert_eq!(uid, "2264a641c87b8fa01c573666fb21acaa");
}

#[test]
fn what_means_something_else_is_another_revision() {
    let uid = uid_of("a.yaml", PLAIN, "n1");
    assert_ne!(uid, uid_of("a.yaml", PLAIN, "n2"));
    for (from, to) in [
        ("name: web,", "name: wed,"),
        ("app: web", "app: wed"),
        (", empty: ''", ""),
        ("busybox:1.36", "busybox:1.37"),
        ("[sh, '']", "[sh]"),
        ("500m", "501m"),
        ("hostNetwork: true", "hostNetwork: false"),
        ("containerPort: 80", "containerPort: 81"),
        ("mountPath: /data", "mountPath: /data, readOnly: true"),
        ("name: data}]\n", "name: data, emptyDir: {medium: Memory}}]\n"),
        ("image:", "securityContext: {runAsNonRoot: false}\n    image:"),
        ("image:", "securityContext: {runAsUser: 0}\n    image:"),
        ("image:", "imagePullPolicy: Always\n    image:"),
        ("spec:", "spec:\n  terminationGracePeriodSeconds: 31"),
    ] {
        assert!(PLAIN.contains(from), "{from}");
        assert_ne!(uid, uid_of("a.yaml", &PLAIN.replacen(from, to, 1), "n1"), "{from} -> {to}");
    }
}

#[test]
fn the_canonical_form_has_sorted_keys_and_no_defaults() {
    let output = load(&LoadInput {
        file: "a",
        bytes: b"{kind: Pod, apiVersion: v1, metadata: {name: w}, spec: {containers: [{name: a, image: 'b:1', env: [{name: A}]}]}}",
        format: Format::Yaml,
        node: "n",
        source: "file",
    });
    let mut pod = Pod::clone(&output.pods[0].pod);
    pod.metadata = crate::manifest::types::Metadata { name: "w".to_owned(), ..Default::default() };
    pod.spec.tolerations.clear();
    let expected = r#"{"metadata":{"name":"w"},"spec":{"containers":[{"env":[{"name":"A"}],"image":"b:1","name":"a"}]}}"#;
    assert_eq!(canonical(&pod), expected);
}
