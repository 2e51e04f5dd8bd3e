//! Whole files through `load`: the fixtures of `testdata/`, the schema against the types, and properties.
//!
//! A fixture is `NAME.yaml` or `NAME.json`; what it must give stands in `NAME.expected`: its pods as `pod
//! NAMESPACE/NAME`, its objects as `object KIND NAMESPACE/NAME`, its problems as `file:line:column: path: message`, its warnings so with `warning: `
//! before. With `BERTH_BLESS=1` in the environment the expectations are written instead of compared.

use super::{
    schema::{Field, Kind, Literal, POD},
    support::Support,
    types::Pod,
    *,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::{fs, path::PathBuf};

fn load_text(file: &str, bytes: &[u8], format: Format) -> LoadOutput {
    load(&LoadInput { file, bytes, format, node: "Node1", source: "file" })
}

fn report(output: &LoadOutput) -> String {
    let pods = output.pods.iter().map(|pod| format!("pod {}\n", pod.key));
    let problems = output.problems.iter().map(|problem| format!("{problem}\n"));
    let warnings = output.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    let objects = output.objects.iter().map(|object| format!("object {}\n", object.key));
    pods.chain(objects).chain(problems).chain(warnings).collect()
}

#[test]
fn fixtures_give_what_is_expected() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/manifest/testdata");
    let bless = std::env::var_os("BERTH_BLESS").is_some();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml") => Format::Yaml,
            Some("json") => Format::Json,
            _ => continue,
        };
        seen += 1;
        let name = path.file_name().unwrap().to_str().unwrap();
        let got = report(&load_text(name, &fs::read(&path).unwrap(), format));
        let expected = path.with_extension("expected");
        if bless {
            fs::write(&expected, &got).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != got {
            wrong.push(format!("== {name} gives\n{got}"));
        }
    }
    assert!(seen >= 40, "only {seen} fixtures found");
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

/// A value for each kind that is not its default.
fn sample(field: &str, kind: &Kind, default: Literal) -> Value {
    match kind {
        Kind::Bool => json!(default != Literal::Bool(true)),
        Kind::Int(min, max) => json!((*min).max(7).min(*max)),
        Kind::Quantity => json!("7"),
        Kind::Mode => json!(7),
        Kind::IntOrText | Kind::Text => json!(if field == "uid" { "u7" } else { "seven" }),
        Kind::Choice(choices) => {
            let other = choices.iter().find(|choice| Literal::Text(choice) != default && !choice.is_empty());
            json!(other.unwrap())
        }
        Kind::TextMap => json!({"seven": "7"}),
        Kind::QuantityMap => json!({"cpu": "7"}),
        Kind::List(kind) => json!([sample(field, kind, Literal::None)]),
        Kind::Object(fields) => full(fields),
        Kind::Any => unreachable!("a supported field has a type"),
    }
}

/// An object with every supported field of `fields`.
fn full(fields: &[Field]) -> Value {
    let supported = fields.iter().filter(|field| field.support == Support::Supported);
    let entry = |field: &Field| (field.name.to_owned(), sample(field.name, &field.kind, field.default));
    Value::Object(supported.map(entry).collect::<Map<_, _>>())
}

#[test]
fn the_types_have_every_supported_field_and_no_other() {
    let mut written = full(POD);
    let read: Pod = serde_json::from_value(written.clone()).unwrap();
    let mut shown = serde_json::to_value(&read).unwrap();
    // The frame is not part of the type; what is only accepted is not in the sample.
    for frame in ["apiVersion", "kind"] {
        written.as_object_mut().unwrap().remove(frame);
    }
    let spec = shown["spec"].as_object_mut().unwrap();
    assert!(spec.remove("enableServiceLinks").is_none());
    assert_eq!(written, shown);
}

#[test]
fn every_field_of_the_types_is_known_to_the_schema() {
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: w}, spec: {containers: [{name: a, image: b}]}}";
    let output = load_text("a.yaml", text.as_bytes(), Format::Yaml);
    let mut pod = serde_json::to_value(&*output.pods[0].pod).unwrap();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["annotations"] = json!({});
    let again = load_text("b.json", pod.to_string().as_bytes(), Format::Json);
    assert_eq!(again.problems, [], "a defaulted pod is a manifest");
}

const VALID: &str = include_str!("testdata/full.yaml");

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400), json in any::<bool>()) {
        load_text("a", &bytes, if json { Format::Json } else { Format::Yaml });
    }

    #[test]
    fn any_yaml_like_text_is_taken_or_refused(text in "([-?:,\\[\\]{}&*!|>'\"%@` \n\tab01~<.]|---\n|a: |- ){0,120}") {
        load_text("a", text.as_bytes(), Format::Yaml);
    }

    #[test]
    fn any_json_like_text_is_taken_or_refused(text in "([\\[\\]{}\",:0-9eE.+ \n]|\\\\u[0-9a-fd]{4}|true|null|\"kind\":\"Pod\"){0,60}") {
        load_text("a", text.as_bytes(), Format::Json);
    }

    #[test]
    fn a_damaged_manifest_is_taken_or_refused_with_places(
        edits in proptest::collection::vec((0..VALID.len(), 0..60usize, "[-:{}\\[\\],'\"&*#!|> \na-z0-9]{0,6}"), 1..6),
    ) {
        let mut bytes = VALID.as_bytes().to_vec();
        for (at, cut, insert) in edits {
            let at = at.min(bytes.len());
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, insert.bytes());
        }
        let lines = u32::try_from(bytes.iter().filter(|byte| **byte == b'\n').count()).unwrap() + 2;
        let output = load_text("a", &bytes, Format::Yaml);
        for problem in output.problems.iter().chain(&output.warnings) {
            prop_assert!((1..=lines).contains(&problem.line) && problem.column >= 1, "{}", problem);
        }
        // Whatever comes out is consistent.
        for pod in &output.pods {
            prop_assert_eq!(&*pod.key.name, pod.pod.metadata.name.as_str());
            prop_assert!(pod.key.name.ends_with("-node1") && !pod.pod.spec.containers.is_empty());
        }
    }

    #[test]
    fn strings_come_through_json_unchanged(text in "(.|[\u{7f}-\u{a0}\u{2020}-\u{2030}\u{fe00}-\u{10ffff}\\\\/\"]){0,20}") {
        // A NUL has no place in a manifest at all.
        let text = text.replace('\0', "");
        let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let manifest = format!(
            "{{\"kind\": \"Pod\", \"apiVersion\": \"v1\", \"metadata\": {{\"name\": \"w\", \"annotations\": {{\"a\": {}, \"b\": \"{escaped}\"}}}},
              \"spec\": {{\"containers\": [{{\"name\": \"a\", \"image\": \"b\"}}]}}}}",
            json!(text)
        );
        let output = load_text("a", manifest.as_bytes(), Format::Json);
        prop_assert_eq!(&output.problems, &[]);
        let annotations = &output.pods[0].pod.metadata.annotations;
        prop_assert_eq!((&annotations["a"], &annotations["b"]), (&text, &text));
    }

    #[test]
    fn order_of_keys_does_not_matter(seed in any::<u64>()) {
        let value: Value = serde_yaml::from_str(VALID).unwrap();
        let text = shuffled(&value, &mut seed.clone());
        let (one, two) = (load_text("a", VALID.as_bytes(), Format::Yaml), load_text("a", text.as_bytes(), Format::Json));
        prop_assert_eq!(one.pods, two.pods);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn defaults_change_nothing_twice_and_what_is_shown_is_the_pod_again(seed in any::<u64>()) {
        let pod = part_of_a_pod(&mut seed.clone());
        let mut twice = Pod::clone(&pod);
        defaults::apply(&mut twice);
        prop_assert_eq!(&twice, &*pod);
        let mut shown = serde_json::to_value(&*pod).unwrap();
        shown["apiVersion"] = json!("v1");
        shown["kind"] = json!("Pod");
        // The node's name comes behind it again.
        shown["metadata"]["name"] = json!(pod.metadata.name.trim_end_matches("-node1"));
        let again = load_text("b", shown.to_string().as_bytes(), Format::Json);
        prop_assert_eq!(&again.problems, &[]);
        prop_assert_eq!(&*again.pods[0].pod, &*pod);
    }
}

/// Some things that are left out, of all that there is in a pod; more of them make hardly any valid pod.
const LEFT_OUT: usize = 8;

/// A pod that says some of what the full one says.
fn part_of_a_pod(seed: &mut u64) -> std::sync::Arc<Pod> {
    let mut value: Value = serde_yaml::from_str(VALID).unwrap();
    let load = |value: &Value| load_text("a", value.to_string().as_bytes(), Format::Json);
    for _ in 0..LEFT_OUT {
        let mut all = Vec::new();
        pointers(&value, "", &mut all);
        let mut less = value.clone();
        remove(&mut less, &all[usize::try_from(next(seed)).unwrap() % all.len()]);
        let output = load(&less);
        if output.problems.is_empty() && !output.pods.is_empty() {
            value = less;
        }
    }
    std::sync::Arc::clone(&load(&value).pods[0].pod)
}

/// JSON pointers to all that is in a value.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(object) => {
            let name = |key: &String| key.replace('~', "~0").replace('/', "~1");
            object.iter().map(|(key, value)| (name(key), value)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(i, item)| (i.to_string(), item)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in inner {
        let here = format!("{at}/{name}");
        pointers(value, &here, found);
        found.push(here);
    }
}

fn remove(value: &mut Value, pointer: &str) {
    let (above, name) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(above).unwrap() {
        Value::Object(object) => drop(object.remove(&name.replace("~1", "/").replace("~0", "~"))),
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        _ => unreachable!("only these hold something"),
    }
}

/// A number that follows from the seed, and the next seed.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// JSON with the keys of each object in an order that follows from `seed`.
fn shuffled(value: &Value, seed: &mut u64) -> String {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<String> = object
                .iter()
                .map(|(key, value)| format!("{}:{}", json!(key), shuffled(value, seed)))
                .collect();
            for i in (1..entries.len()).rev() {
                entries.swap(i, usize::try_from(next(seed)).unwrap() % (i + 1));
            }
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| shuffled(item, seed)).collect();
            format!("[{}]", items.join(","))
        }
        scalar => scalar.to_string(),
    }
}

/// Files that are made to hurt: each must be refused, and in bounded time and memory.
#[test]
fn bombs_are_refused() {
    let laughs: String = (0..9)
        .map(|i| {
            if i == 0 {
                "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned()
            } else {
                let alias = format!("*a{}", i - 1);
                format!("a{i}: &a{i} [{}]\n", vec![alias; 9].join(","))
            }
        })
        .collect();
    let megabyte = 1 << 20;
    let cases = [
        ("laughs", laughs, "aliases expand too far"),
        (
            "nodes",
            format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(2000), "*a,".repeat(60)),
            "values (aliases expanded)",
        ),
        ("text", format!("a: &a {}\nb: [{}]\n", "x".repeat(megabyte), "*a,".repeat(20)), "bytes of text"),
        ("brackets", "[".repeat(20_000), "16384 opening brackets"),
        ("brackets in many documents", "--- [[[[[[[[[\n".repeat(4000), "32768 opening brackets"),
        ("depth", "[".repeat(1000), "nested deeper"),
        ("block depth", "- ".repeat(1000), "nested deeper"),
        ("commas", format!("[{}]", "a,".repeat(megabyte)), "that structure YAML"),
        ("rows", "- a\n".repeat(megabyte), "that structure YAML"),
        ("key", format!("? {}\n: a\n", "k".repeat(megabyte)), "a key is longer"),
        ("directives", format!("{}a\n", "%TAG !a! b\n".repeat(20)), "lines that begin with %"),
        ("documents", "---\na\n".repeat(1000), "documents in one file"),
        ("size", " ".repeat(10 * megabyte + 1), "at most 10485760"),
        ("self", "a: &a [*a]\n".to_owned(), "nested deeper"),
    ];
    for (name, text, expected) in cases {
        let output = load_text(name, text.as_bytes(), Format::Yaml);
        let messages: Vec<&str> = output.problems.iter().map(|problem| problem.message.as_str()).collect();
        assert!(messages.iter().any(|message| message.contains(expected)), "{name}: {messages:?}");
    }
}

#[test]
fn the_number_of_problems_is_bounded_and_the_rest_counted() {
    let fields: String = (0..300).map(|i| format!("  f{i}: 1\n")).collect();
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: w}}\nspec:\n  containers: [{{name: a, image: b}}]\n{fields}"
    );
    let output = load_text("a.yaml", text.as_bytes(), Format::Yaml);
    assert_eq!(output.problems.len(), limits::PROBLEMS_PER_FILE_MAX + 1);
    assert_eq!(output.problems.last().unwrap().to_string(), "a.yaml: and 200 more problems, not shown");
}
