//! Which changes are applied in place, and which are not.

use super::*;
use crate::manifest::{Format, LoadInput, load, merge, objects::Salt};

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}, annotations: {note: one}}
spec:
  terminationGracePeriodSeconds: 5
  initContainers:
  - {name: s, image: i, restartPolicy: Always, startupProbe: {exec: {command: [a]}}}
  containers:
  - name: a
    image: i
    ports: [{containerPort: 80}]
    readinessProbe: {tcpSocket: {port: 80}}
    env: [{name: L, valueFrom: {fieldRef: {fieldPath: 'metadata.labels[''app'']'}}}]
";

fn read_from(source: &str, text: &str) -> DesiredPod {
    let input = LoadInput { file: "a", bytes: text.as_bytes(), format: Format::Yaml, node: "n", source };
    let output = load(&input);
    assert_eq!(output.problems, []);
    merge(&[("a", output)], &Salt::default()).pods.remove(0)
}

fn read(text: &str) -> DesiredPod {
    read_from("file", text)
}

/// The pod with one part of its manifest in other words.
fn with(from: &str, to: &str) -> DesiredPod {
    assert!(POD.contains(from), "{from}");
    read(&POD.replacen(from, to, 1))
}

#[test]
fn a_revision_is_the_same_as_itself_wherever_it_stands() {
    let pod = read(POD);
    for other in [read(POD), read_from("http", POD), with("spec:", "# a comment\nspec:")] {
        assert_eq!(compare(&pod, &other, false), Change::Same);
    }
}

#[test]
fn what_decides_nothing_at_the_start_is_applied_in_place_and_back() {
    let pod = read(POD);
    for (from, to, words) in [
        ("app: web", "app: db", "metadata.labels"),
        ("{app: web}", "{}", "metadata.labels"),
        ("note: one", "note: two", "metadata.annotations"),
        ("note: one", "berth/required: 'false'", "metadata.annotations"),
        ("note: one", "berth/start-after: other", "metadata.annotations"),
        ("Seconds: 5", "Seconds: 6", "spec.terminationGracePeriodSeconds"),
        ("  terminationGracePeriodSeconds: 5\n", "", "spec.terminationGracePeriodSeconds"),
        ("command: [a]", "command: [b]", "startupProbe of container s"),
        ("readinessProbe: {tcpSocket: {port: 80}}", "", "readinessProbe of container a"),
        ("readinessProbe", "livenessProbe", "livenessProbe of container a, readinessProbe of container a"),
        ("spec:\n", "spec:\n  tolerations: [{operator: Exists}]\n", "spec.tolerations"),
    ] {
        let new = with(from, to);
        assert_ne!(new.uid, pod.uid);
        assert_eq!(compare(&pod, &new, false), Change::InPlace, "{to}");
        assert_eq!(compare(&new, &pod, false), Change::InPlace, "{to}");
        assert_eq!(shape(&pod), shape(&new), "{to}");
        assert_eq!(differences(&pod.pod, &new.pod).join(", "), words);
    }
    assert_eq!(
        compare(&pod, &read_from("http", &POD.replace("app: web", "app: db")), false),
        Change::InPlace
    );
}

#[test]
fn cpu_and_memory_are_resized_while_the_class_stays() {
    let with = |of_pod: &str, of_main: &str, of_sidecar: &str| {
        let text = POD
            .replace("image: i\n", &format!("image: i\n    resources: {{{of_main}}}\n"))
            .replace("{name: s, image: i,", &format!("{{name: s, image: i, resources: {{{of_sidecar}}},"))
            .replace("spec:\n", &format!("spec:\n  resources: {{{of_pod}}}\n"));
        read(&text)
    };
    let pod = with("", "requests: {cpu: 100m}", "");
    for (new, change) in [
        (with("", "requests: {cpu: 0.1}", ""), Change::Same),
        (with("", "requests: {cpu: 200m}", ""), Change::InPlace),
        (with("", "requests: {cpu: 100m}, limits: {memory: 64Mi}", ""), Change::InPlace),
        (with("", "requests: {cpu: 100m}", "requests: {memory: 1Mi}"), Change::InPlace),
        (with("requests: {cpu: 200m}", "requests: {cpu: 100m}", ""), Change::InPlace),
        (with("", "", ""), Change::Replace),
        (with("", "requests: {cpu: 100m, ephemeral-storage: 1Gi}", ""), Change::Replace),
        (with("limits: {cpu: 100m, memory: 1Gi}", "requests: {cpu: 100m}", ""), Change::Replace),
    ] {
        assert_eq!(compare(&pod, &new, false), change, "{:?}", PodResources::of(&new.pod.spec));
        assert_eq!(resizes(&pod.pod, &new.pod), new.pod.spec != pod.pod.spec);
        let kept = with_resources_of(&new.pod, &pod.pod);
        assert_eq!(PodResources::of(&kept.spec), PodResources::of(&pod.pod.spec));
    }
    let waiting = with("", "requests: {cpu: 200m}", "");
    let waiting = DesiredPod { pod: with_resources_of(&waiting.pod, &pod.pod).into(), ..waiting };
    let now = with("", "requests: {cpu: 200m}", "");
    assert_eq!(
        compare(&waiting, &now, false),
        Change::InPlace,
        "it has the labels already, and waits for room"
    );
}

#[test]
fn everything_else_makes_another_pod() {
    let pod = read(POD);
    for (from, to) in [
        ("name: web", "name: other"),
        ("name: web", "name: web, uid: given"),
        ("image: i\n", "image: j\n"),
        ("containerPort: 80", "containerPort: 81"),
        ("restartPolicy: Always", "restartPolicy: Always, env: [{name: A, value: b}]"),
        ("note: one", "berth/attachments: '[{interface: eth1}]'"),
        ("note: one", "kubernetes.io/ingress-bandwidth: 1M"),
        ("note: one", "berth/network: shop"),
        ("note: one", "berth/devices: '[{path: /dev/null}]'"),
        ("note: one", "cdi.k8s.io/a: v/c=d"),
        ("spec:\n", "spec:\n  activeDeadlineSeconds: 5\n"),
        ("spec:\n", "spec:\n  restartPolicy: Never\n"),
        ("spec:\n", "spec:\n  priority: 5\n"),
    ] {
        let new = with(from, to);
        assert_eq!(compare(&pod, &new, false), Change::Replace, "{to}");
        assert_ne!(shape(&pod), shape(&new), "{to}");
    }
}

#[test]
fn a_uid_that_the_manifest_gives_says_nothing_of_the_content() {
    let fixed = |from: &str, to: &str| {
        let text = POD.replace("name: web,", "name: web, uid: given,");
        read(&text.replacen(from, to, 1))
    };
    let pod = fixed("", "");
    for (from, to, change) in [
        ("", "", Change::Same),
        ("app: web", "app: db", Change::InPlace),
        ("image: i\n", "image: j\n", Change::Replace),
    ] {
        assert_eq!(compare(&pod, &fixed(from, to), false), change, "{to}");
    }
}

#[test]
fn values_of_objects_are_of_the_shape() {
    let set = |label: &str, value: Option<&str>| {
        let object = value.map(|value| {
            format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{a: '{value}'}}\n---\n"
            )
        });
        let pod = POD
            .replace("app: web", label)
            .replace("image: i\n", "image: i\n    envFrom: [{secretRef: {name: s}}]\n");
        read(&(object.unwrap_or_default() + &pod))
    };
    let pod = set("app: web", Some("1"));
    assert_eq!(compare(&pod, &set("app: db", Some("1")), false), Change::InPlace);
    assert_eq!(compare(&pod, &set("app: db", Some("2")), false), Change::Replace);
    assert_eq!(compare(&pod, &set("app: web", Some("2")), false), Change::Replace);
    assert_ne!(shape(&pod), shape(&set("app: db", Some("2"))));
    let lacking = set("app: db", None);
    assert_eq!(lacking.values, None);
    assert_eq!(compare(&pod, &lacking, true), Change::InPlace, "nobody knows whether it is another one");
    // A record of a Berth that did not know this hash yet.
    let old = DesiredPod { values: None, ..pod.clone() };
    assert_eq!(compare(&old, &pod, false), Change::Same);
    let text = serde_json::to_string(&pod).unwrap();
    assert_eq!(serde_json::from_str::<DesiredPod>(&text).unwrap(), pod);
}
