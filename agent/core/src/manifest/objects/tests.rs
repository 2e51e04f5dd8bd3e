//! Objects through whole files: what their values become, what is said of mistakes, who wins, what a
//! change of them makes of pods.

use super::*;
use crate::manifest::{Format, LoadInput, load, merge, without_secrets};

fn read(file: &str, text: &str) -> LoadOutput {
    load(&LoadInput { file, bytes: text.as_bytes(), format: Format::Yaml, node: "n", source: "file" })
}

fn map(name: &str, data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {data}\n---\n")
}

const POD: &str = r"
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: app
    image: i:1
    env: [{name: A, valueFrom: {configMapKeyRef: {name: conf, key: a}}}]
    envFrom: [{secretRef: {name: word, optional: true}}]
";

#[test]
fn values_are_data_and_never_shown() {
    let output = read(
        "a.yaml",
        "{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {a: aHVzaA==}, stringData: {b: plain, a: over}}",
    );
    assert_eq!(output.problems, []);
    let object = &output.objects[0];
    assert_eq!((object.values["a"].bytes(), object.values["b"].bytes()), (&b"over"[..], &b"plain"[..]));
    assert_eq!(object.kind_of_secret, "Opaque");
    let shown = format!("{output:?} {:?}", merge(&[("a", output.clone())], &Salt::default()));
    assert!(!shown.contains("plain") && !shown.contains("112, 108"), "{shown}");
}

#[test]
fn a_value_that_is_wrong_is_not_quoted() {
    let output = read(
        "a.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: hush!}\nstringData: {pin: 4711, list: [4711]}\n",
    );
    let problems: Vec<String> = output.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "a.yaml:4:11: data[a]: not base64: write plain text in stringData",
            "a.yaml:5:19: stringData[pin]: a string is required here: quote it",
            "a.yaml:5:31: stringData[list]: a string is required here: quote it",
        ]
    );
}

#[test]
fn the_first_file_by_name_gives_the_object() {
    let (a, b) = (read("a.yaml", &map("conf", "{a: '1'}")), read("b.yaml", &map("conf", "{a: '2'}")));
    let set = merge(&[("b.yaml", b), ("a.yaml", a)], &Salt::default());
    assert_eq!(set.objects.get(ObjectKind::ConfigMap, "default", "conf").unwrap().values["a"].bytes(), b"1");
    let problems: Vec<String> = set.problems.iter().map(ToString::to_string).collect();
    let expected =
        "b.yaml:1:1: metadata.name: configmap default/conf comes from a.yaml already; this one is left out";
    assert_eq!(problems, [expected]);
}

#[test]
fn a_pod_is_another_one_when_a_value_of_its_variables_changes_and_only_then() {
    let uid = |objects: &str, salt: &str| {
        let files = [("o", read("o", objects)), ("p", read("p", POD))];
        let set = merge(&files, &Salt(salt.as_bytes().into()));
        let pod = &set.pods[0];
        assert_eq!(*pod.uid.0, pod.pod.metadata.uid);
        assert_eq!(pod.base, Some(read("p", POD).pods[0].uid.clone()));
        // What was recorded of it is revised to the same.
        assert_eq!(revise(pod, &set.objects, &Salt(salt.as_bytes().into())), *pod);
        pod.uid.clone()
    };
    let first = uid(&map("conf", "{a: '1', b: '1'}"), "salt");
    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: word}, stringData: {k: v}}";
    for (objects, salt, same) in [
        (map("conf", "{a: '1', b: '2'}"), "salt", true),
        (map("conf", "{a: '1'}") + &map("other", "{a: '3'}"), "salt", true),
        (map("conf", "{a: '2'}"), "salt", false),
        (map("conf", "{a: '1'}") + secret, "salt", false),
        (map("conf", "{b: '1'}"), "salt", false),
        (map("conf", "{a: '1'}"), "other", false),
    ] {
        assert_eq!(uid(&objects, salt) == first, same, "{objects}");
    }
}

#[test]
fn what_is_missing_is_told_in_kubelets_words() {
    for (objects, message) in [
        (String::new(), "configmap \"conf\" not found"),
        (map("conf", "{b: '1'}"), "couldn't find key a in ConfigMap default/conf"),
        (map("conf", "{a: '1'}"), ""),
    ] {
        let set = merge(&[("a", read("a", &(objects + "---\n" + POD)))], &Salt::default());
        let missing = env::complete("default", &set.pods[0].pod.spec, &set.objects);
        assert_eq!(missing.err().map(|missing| missing.0).unwrap_or_default(), message);
    }
}

#[test]
fn what_is_immutable_stays() {
    let text = |data: &str| format!("{}immutable: true\n", map("conf", data).trim_end_matches("---\n"));
    let before = read("a", &text("{a: '1'}"));
    for (data, problems) in [("{a: '1'}", 0), ("{a: '2'}", 1)] {
        let mut now = read("a", &text(data));
        keep_immutable(&mut now, &before);
        assert_eq!((now.problems.len(), now.objects[0].values["a"].bytes()), (problems, &b"1"[..]));
    }
}

#[test]
fn a_copy_has_no_secrets() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: hush}\n";
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", secret.replace('\n', "\n  "));
    for (text, kept) in
        [(format!("{secret}---{POD}"), true), (format!("---{POD}\n---\n{secret}"), true), (list, false)]
    {
        let copy = String::from_utf8(without_secrets(text.as_bytes(), Format::Yaml)).unwrap();
        assert!(!copy.contains("hush"), "{copy}");
        assert_eq!(read("a", &copy).pods == read("a", POD).pods, kept, "{copy}");
    }
    let json = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"stringData":{"a":"hush"}}"#;
    assert_eq!(without_secrets(json.as_bytes(), Format::Json), b"");
}
