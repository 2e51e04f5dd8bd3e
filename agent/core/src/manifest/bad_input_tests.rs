//! Every field of a pod, and of the objects beside pods, with values that are wrong for it, and the sentence that the user sees: one table,
//! `testdata/bad-input.txt`. A line is the field, the value, and what is said at that field or below it (or that it is taken:
//! free text may be anything). With `BERTH_BLESS=1` in the environment the table is written instead of compared.

use super::{
    schema::{CLAIM, CONFIG_MAP, Field, Kind, NETWORK_POLICY, POD, SECRET},
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

/// The value at these steps of an object that is right but for that: what is required beside it is there.
fn put(into: &mut Value, kind: &Kind, steps: &[&str], value: Value) {
    match (steps, kind) {
        (["[]", rest @ ..], Kind::List(of)) => {
            if !into.is_array() {
                *into = json!([{}]);
            }
            put(&mut into[0], of, rest, value);
        }
        ([name, rest @ ..], Kind::Object(fields)) => {
            if !into.is_object() {
                *into = Value::Object(Map::new());
            }
            if let Some(field) = Field::find(fields, name) {
                put(&mut into[*name], &field.kind, rest, value);
            }
            fill(into, fields);
        }
        _ => *into = value,
    }
}

/// Gives the object what it must have and has not.
fn fill(object: &mut Value, fields: &[Field]) {
    for field in fields.iter().filter(|field| field.required.is_some()) {
        if object.get(field.name).is_none() {
            object[field.name] = right(field.name, &field.kind);
        }
    }
}

/// A value that is right for a required field.
fn right(name: &str, kind: &Kind) -> Value {
    match kind {
        Kind::Text if ["mountPath", "devicePath"].contains(&name) => json!("/a"),
        Kind::Text if name == "ip" => json!("192.0.2.1"),
        Kind::Text if name == "cidr" => json!("10.0.0.0/8"),
        Kind::Text => json!("a"),
        Kind::Choice(choices) => json!(choices[0]),
        Kind::Bool => json!(false),
        Kind::Int(min, max) => json!((*min).max(1).min(*max)),
        Kind::Quantity => json!("1"),
        Kind::Mode => json!(0o644),
        Kind::IntOrText => json!(80),
        Kind::TextMap => json!({}),
        Kind::QuantityMap => json!({"storage": "1"}),
        Kind::List(of) => json!([right(name, of)]),
        Kind::Object(fields) => {
            let mut object = Value::Object(Map::new());
            fill(&mut object, fields);
            object
        }
        Kind::Any => json!({}),
    }
}

#[test]
fn every_field_says_what_is_wrong_with_it() {
    let roots = [
        ("", POD),
        ("ConfigMap: ", CONFIG_MAP),
        ("Secret: ", SECRET),
        ("PersistentVolumeClaim: ", CLAIM),
        ("NetworkPolicy: ", NETWORK_POLICY),
    ];
    let (mut all, mut table) = (Vec::new(), String::new());
    for (name, fields) in roots {
        let mut places_of = Vec::new();
        places(fields, "", &[], &mut places_of);
        all.extend(places_of.into_iter().map(|place| (name, fields, place)));
    }
    assert!(all.len() > 400, "only {} places", all.len());
    for (name, fields, place) in &all {
        for (i, value) in wrong(place.kind).into_iter().enumerate() {
            let mut object = right("", &Kind::Object(fields));
            if name.is_empty() {
                // For what is mounted.
                object["spec"]["volumes"] = json!([{"name": "a"}]);
            }
            put(&mut object, &Kind::Object(fields), &place.steps, value.clone());
            let text = object.to_string();
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
                "{name}{} = {value} is taken",
                place.path
            );
            let said = match said.is_empty() {
                false => said.join(" | "),
                true if output.problems.is_empty() => "(taken)".to_owned(),
                true => format!("(elsewhere) {}", output.problems[0].message),
            };
            table.push_str(&format!("{name}{} = {value}: {said}\n", place.path));
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
