//! Every field of a pod with values that are wrong for it, and the sentence that the user sees: one table,
//! `testdata/bad-input.txt`. A line is the field, the value, and what is said at that field or below it (or that it is taken:
//! free text may be anything). With `BERTH_BLESS=1` in the environment the table is written instead of compared.

use super::{
    schema::{Field, Kind, POD},
    *,
};
use serde_json::{Map, Value, json};
use std::{fs, path::PathBuf};

/// Which is as `containers` is.
const THE_SAME: &str = "initContainers";
/// A text that no name, path, address or word of the API may be.
const TEXT: &str = "Not\u{7f} right/";

/// Values that are wrong for the kind. The first is of another type.
fn wrong(kind: &Kind) -> Vec<Value> {
    match kind {
        Kind::Text => vec![json!({}), json!(TEXT)],
        Kind::Choice(_) => vec![json!({}), json!("Nonsense")],
        Kind::Bool => vec![json!("perhaps")],
        Kind::Int(min, max) => {
            let mut values = vec![json!("many")];
            values.extend(min.checked_sub(1).map(|value| json!(value)));
            values.extend(max.checked_add(1).map(|value| json!(value)));
            values
        }
        Kind::Quantity => vec![json!({}), json!("lots"), json!("-1")],
        Kind::Mode => vec![json!("rwx"), json!(512)],
        Kind::IntOrText => vec![json!({}), json!(0), json!(TEXT)],
        Kind::TextMap => vec![json!("words"), json!({"key": {}}), json!({TEXT: "value"})],
        Kind::QuantityMap => vec![json!("words"), json!({"cpu": "lots"}), json!({"bananas": "1"})],
        Kind::List(_) => vec![json!("one")],
        Kind::Object(_) => vec![json!("words"), json!({"nonsense": 1})],
        Kind::Any => vec![json!({"any": "thing"})],
    }
}

/// One place in a pod: its path, and how to put a value there.
struct Place<'a> {
    path: String,
    kind: &'a Kind,
    steps: Vec<&'a str>,
}

fn places<'a>(fields: &'a [Field], path: &str, steps: &[&'a str], found: &mut Vec<Place<'a>>) {
    for field in fields {
        let path = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
        let steps: Vec<&str> = steps.iter().copied().chain([field.name]).collect();
        found.push(Place { path: path.clone(), kind: &field.kind, steps: steps.clone() });
        let (mut inner, mut path, mut steps) = (&field.kind, path, steps);
        while let Kind::List(of) = inner {
            path.push_str("[0]");
            steps.push("[]");
            found.push(Place { path: path.clone(), kind: of, steps: steps.clone() });
            inner = of;
        }
        if let Kind::Object(fields) = inner
            && !field.support.is_refused()
            && field.name != THE_SAME
        {
            places(fields, &path, &steps, found);
        }
    }
}

/// The value at these steps of a pod that is right but for that.
fn put(into: &mut Value, steps: &[&str], value: Value) {
    match steps {
        [] => *into = value,
        ["[]", rest @ ..] => {
            if !into.is_array() {
                *into = json!([{}]);
            }
            put(&mut into[0], rest, value);
        }
        [name, rest @ ..] => {
            if !into.is_object() {
                *into = Value::Object(Map::new());
            }
            put(&mut into[*name], rest, value);
        }
    }
}

#[test]
fn every_field_says_what_is_wrong_with_it() {
    let (mut all, mut table) = (Vec::new(), String::new());
    places(POD, "", &[], &mut all);
    assert!(all.len() > 400, "only {} places", all.len());
    for place in &all {
        for (i, value) in wrong(place.kind).into_iter().enumerate() {
            let mut pod = json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "w"},
                "spec": {"containers": [{"name": "a", "image": "b"}]},
            });
            put(&mut pod, &place.steps, value.clone());
            let text = pod.to_string();
            let input = LoadInput {
                file: "w.json",
                bytes: text.as_bytes(),
                format: Format::Json,
                node: "n",
                source: "file",
            };
            let output = load(&input);
            let of_place = |problem: &&Problem| problem.path.starts_with(&place.path);
            let said: Vec<String> =
                output.problems.iter().filter(of_place).map(|p| p.message.clone()).collect();
            // A wrong type is never taken.
            assert!(
                i > 0 || matches!(place.kind, Kind::Any) || !output.problems.is_empty(),
                "{} = {value} is taken",
                place.path
            );
            let said = match said.is_empty() {
                false => said.join(" | "),
                true if output.problems.is_empty() => "(taken)".to_owned(),
                true => format!("(elsewhere) {}", output.problems[0].message),
            };
            table.push_str(&format!("{} = {value}: {said}\n", place.path));
        }
    }
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/manifest/testdata/bad-input.txt");
    if std::env::var_os("BERTH_BLESS").is_some() {
        fs::write(&file, &table).unwrap();
    }
    let known = fs::read_to_string(&file).unwrap_or_default();
    let changed: Vec<&str> =
        table.lines().filter(|line| !known.lines().any(|other| other == *line)).collect();
    assert!(known == table, "{} lines are others now:\n{}", changed.len(), changed.join("\n"));
}
