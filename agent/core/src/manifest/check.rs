//! A document's tree against the schema: unknown, refused and repeated fields, wrong types, missing
//! values. Gives what is left as JSON that `types` reads without surprises. Reports all findings at once
//! and never stops at the first; never drops a field in silence.

use super::{
    finding::{At, Finding, Findings, quote},
    node::Node,
    path::Path,
    place::Finder,
    scalar,
    schema::{Field, Kind, Literal},
    suggest,
    support::Support,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One walk over one object of a document.
pub(super) struct Checker<'a> {
    pub(super) finder: Finder<'a>,
    pub(super) findings: Findings,
}

type Entries = [(String, Node)];

impl Checker<'_> {
    /// An object with known fields.
    pub(super) fn object(&mut self, entries: &Entries, fields: &[Field], path: &Path) -> Map<String, Value> {
        let mut object = Map::new();
        for (name, node) in self.unrepeated(entries, |name| path.field(name)) {
            let here = path.field(name);
            let Some(field) = Field::find(fields, name) else {
                self.findings.key(&here, unknown(name, fields));
                continue;
            };
            if is_absent(node, field) {
                continue;
            }
            if let Some(why) = refusal(field) {
                self.findings.key(&here, why);
                continue;
            }
            if let Some(value) = self.value(node, &field.kind, &here) {
                object.insert(name.to_owned(), value);
            }
        }
        for (field, hint) in fields.iter().filter_map(|field| Some((field, field.required?))) {
            let here = path.field(field.name);
            if !object.contains_key(field.name) && !self.findings.touches(&here) {
                self.findings.required(&here, hint);
            }
        }
        object
    }

    /// A value of any kind; none if it is wrong, and then that is noted.
    fn value(&mut self, node: &Node, kind: &Kind, path: &Path) -> Option<Value> {
        let finder = self.finder;
        let is_plain = || finder.is_plain(path);
        let value = match (kind, node) {
            (Kind::Any, _) => return None,
            (Kind::Object(fields), Node::Map(entries)) => {
                Ok(Value::Object(self.object(entries, fields, path)))
            }
            (Kind::List(kind), Node::List(items)) => Ok(self.list(items, kind, path)),
            (Kind::TextMap | Kind::QuantityMap, Node::Map(entries)) => Ok(self.map(entries, kind, path)),
            (Kind::Object(_) | Kind::TextMap | Kind::QuantityMap, _) => {
                Err(format!("{} where a mapping is required", node.what()))
            }
            (Kind::List(_), _) => {
                Err(format!("{} where a list is required: begin each element with `- `", node.what()))
            }
            (Kind::Text, _) => scalar::text(node, is_plain),
            (Kind::Choice(choices), _) => scalar::choice(node, choices, is_plain),
            (Kind::Bool, _) => scalar::boolean(node, is_plain),
            (Kind::Int(min, max), _) => scalar::integer(node, *min, *max),
            (Kind::Quantity, _) => scalar::amount(node),
            (Kind::Mode, _) => scalar::mode(node, is_plain),
            (Kind::IntOrText, Node::Int(_)) => scalar::integer(node, i64::MIN, i64::MAX),
            (Kind::IntOrText, _) => scalar::text(node, is_plain),
        };
        value.map_err(|message| self.findings.value(path, message)).ok()
    }

    fn list(&mut self, items: &[Node], kind: &Kind, path: &Path) -> Value {
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match self.value(item, kind, &path.index(index)) {
                Some(value) => values.push(value),
                // Keeps the later elements' indices, so that their findings have the right path; the pod is
                // refused anyway.
                None => values.push(placeholder(kind)),
            }
        }
        Value::Array(values)
    }

    fn map(&mut self, entries: &Entries, kind: &Kind, path: &Path) -> Value {
        let mut values = Map::new();
        for (key, node) in self.unrepeated(entries, |key| path.entry(key)) {
            let here = path.entry(key);
            let value = match (kind, node) {
                // Kubernetes reads `key:` without a value as an empty string.
                (Kind::TextMap, Node::Null) => Some(Value::from("")),
                (Kind::TextMap, node) => self.value(node, &Kind::Text, &here),
                (_, node) => self.value(node, &Kind::Quantity, &here),
            };
            values.extend(value.map(|value| (key.to_owned(), value)));
        }
        Value::Object(values)
    }

    /// The entries with the first of each key; further ones are noted.
    fn unrepeated<'n>(
        &mut self,
        entries: &'n Entries,
        path: impl Fn(&str) -> Path,
    ) -> Vec<(&'n str, &'n Node)> {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut first = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            let times = seen.entry(key).and_modify(|times| *times += 1).or_insert(0);
            if *times == 0 {
                first.push((key.as_str(), node));
            } else {
                let message =
                    format!("Duplicate key: {}: it stands in this mapping already; remove one", quote(key));
                self.findings.problems.push(Finding { path: path(key), at: At::Repeated(*times), message });
            }
        }
        first
    }
}

/// Says what is not known, and what was probably meant.
fn unknown(name: &str, fields: &[Field]) -> String {
    match suggest::nearest(name, fields.iter().map(|field| field.name)) {
        Some(meant) => format!("unknown field {}, did you mean `{meant}`?", quote(name)),
        None => format!("unknown field {}: remove it", quote(name)),
    }
}

/// Why the field is refused, if it is.
fn refusal(field: &Field) -> Option<String> {
    match field.support {
        Support::Supported | Support::Accepted(_) => None,
        Support::NotYet(why) => Some(format!("not supported yet: {why}")),
        Support::NotApplicable(why) => Some(format!("not applicable: {why}")),
    }
}

/// Written, but the same as not written: null, empty, or what a refused field has by default.
fn is_absent(node: &Node, field: &Field) -> bool {
    let refused = refusal(field).is_some();
    match (node, field.default) {
        (Node::Null, _) => true,
        (Node::Text(text), _) if text.is_empty() => {
            !matches!(field.kind, Kind::Choice(choices) if choices.contains(&""))
        }
        (Node::List(items), _) if items.is_empty() => true,
        (Node::Map(entries), _) if entries.is_empty() => {
            matches!(field.kind, Kind::TextMap | Kind::QuantityMap)
        }
        (Node::Bool(value), Literal::Bool(default)) => refused && *value == default,
        (Node::Text(value), Literal::Text(default)) => refused && value == default,
        _ => false,
    }
}

/// Something that `types` can read in the place of a list's wrong element.
fn placeholder(kind: &Kind) -> Value {
    match kind {
        Kind::Object(_) => Value::Object(Map::new()),
        Kind::Int(min, _) => Value::from((*min).max(0)),
        _ => Value::from(""),
    }
}
