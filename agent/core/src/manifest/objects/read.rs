//! One object's way from its document's tree through schema and the rules of the Kubernetes API. An object
//! with a problem never comes out, and no message has a value in it.

use super::{Object, ObjectKey, ObjectKind, Value, base64};
use crate::manifest::{
    check::Checker,
    finding::{Finding, Findings},
    limits::OBJECT_LEN_MAX_BYTES,
    node::Node,
    path::{Path, Segment},
    place::Finder,
    quantity,
    schema::{CLAIM, CONFIG_MAP, NETWORK_POLICY, SECRET},
    types::policy::NetworkPolicySpec,
    validate::{self, names},
};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};

/// The fields that hold values.
const VALUES: [&str; 3] = ["data", "stringData", "binaryData"];

/// The document, as the schema has left it.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Written {
    metadata: Name,
    #[serde(rename = "type")]
    kind: String,
    data: BTreeMap<String, String>,
    string_data: BTreeMap<String, String>,
    binary_data: BTreeMap<String, String>,
    immutable: bool,
    spec: Claim,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Name {
    name: String,
    namespace: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Claim {
    resources: Resources,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resources {
    requests: BTreeMap<String, String>,
}

/// What kind of object a document of this `kind` is, if it is one.
pub(in super::super) fn is_object(kind: &str) -> Option<ObjectKind> {
    use ObjectKind::{ConfigMap, NetworkPolicy, PersistentVolumeClaim, Secret};
    [ConfigMap, Secret, PersistentVolumeClaim, NetworkPolicy].into_iter().find(|known| known.as_str() == kind)
}

/// Takes one object through everything: what is right of it, and what is wrong with it.
pub(in super::super) fn read(
    kind: ObjectKind,
    entries: &[(String, Node)],
    base: &Path,
    finder: Finder<'_>,
    file: &Arc<str>,
) -> (Option<Object>, Findings) {
    let mut checker = Checker { finder, findings: Findings::default() };
    let schema = match kind {
        ObjectKind::ConfigMap => CONFIG_MAP,
        ObjectKind::Secret => SECRET,
        ObjectKind::PersistentVolumeClaim => CLAIM,
        ObjectKind::NetworkPolicy => NETWORK_POLICY,
    };
    let mut document = checker.object(entries, schema, base);
    let mut findings = checker.findings;
    if kind == ObjectKind::Secret {
        findings.problems.iter_mut().chain(&mut findings.warnings).for_each(|found| hide(found, base));
    }
    if kind == ObjectKind::PersistentVolumeClaim {
        findings.problems.iter_mut().for_each(one_pod);
    }
    // Of this kind it is another one's.
    let policy = (kind == ObjectKind::NetworkPolicy).then(|| document.remove("spec").unwrap_or_default());
    let written: Written = match serde_json::from_value(document.into()) {
        Ok(written) => written,
        Err(_) => {
            // The schema has settled the types; this is the net below it.
            if findings.problems.is_empty() {
                findings.value(base, "cannot be read");
            }
            return (None, findings);
        }
    };
    let mut verdict = Findings::default();
    let mut object = build(kind, written, base, file, &mut verdict);
    object.policy = policy.and_then(|spec| read_policy(spec, &base.field("spec"), &findings, &mut verdict));
    verdict.problems.retain(|finding| !findings.touches(&finding.path));
    findings.problems.append(&mut verdict.problems);
    (findings.problems.is_empty().then_some(object), findings)
}

fn read_policy(
    spec: serde_json::Value,
    path: &Path,
    known: &Findings,
    findings: &mut Findings,
) -> Option<Arc<NetworkPolicySpec>> {
    let spec = if spec.is_null() { serde_json::json!({}) } else { spec };
    match serde_json::from_value::<NetworkPolicySpec>(spec) {
        Ok(policy) => {
            validate::policy::validate(&policy, path, findings);
            Some(Arc::new(policy))
        }
        Err(_) => {
            if known.problems.is_empty() {
                findings.value(path, "cannot be read");
            }
            None
        }
    }
}

/// What is said of a value must not say the value.
fn hide(found: &mut Finding, base: &Path) {
    let below = found.path.0.get(base.0.len()..).unwrap_or_default();
    if let [Segment::Field(field), Segment::Entry(_)] = below
        && VALUES.contains(&field.as_str())
        && !found.message.starts_with("Duplicate key")
    {
        "a string is required here: quote it".clone_into(&mut found.message);
    }
}

/// Why there is no such mode.
fn one_pod(found: &mut Finding) {
    if found.message.starts_with("Unsupported value: \"ReadWriteOncePod\"") {
        found.message.push_str(
            "; nothing would keep a second pod from the claim: write ReadWriteOnce, and its name into one pod only",
        );
    }
}

fn build(
    kind: ObjectKind,
    written: Written,
    base: &Path,
    file: &Arc<str>,
    findings: &mut Findings,
) -> Object {
    let Written { metadata, data, string_data, binary_data, immutable, spec, kind: kind_of_secret } = written;
    let namespace = if metadata.namespace.is_empty() { "default" } else { &metadata.namespace };
    let place = base.field("metadata");
    for (field, value, rule) in [
        ("name", metadata.name.as_str(), names::dns_subdomain(&metadata.name)),
        ("namespace", namespace, names::dns_label(namespace)),
    ] {
        if let Err(why) = rule {
            findings.invalid(&place.field(field), value, why);
        }
    }
    let mut values = Values { values: BTreeMap::new(), base, findings };
    let secret = kind == ObjectKind::Secret;
    values.take("data", data, secret, false);
    values.take("binaryData", binary_data, true, true);
    values.take("stringData", string_data, false, false);
    let values = values.finish();
    if secret {
        required_keys(&kind_of_secret, &values, &base.field("data"), findings);
    }
    let storage = spec.resources.requests.get("storage").cloned().unwrap_or_default();
    if kind == ObjectKind::PersistentVolumeClaim {
        let here = base.field("spec").field("resources").field("requests").entry("storage");
        match quantity::parse(&storage) {
            _ if storage.is_empty() => findings.required(&here, "`storage: 1Gi`, say"),
            Ok(amount) if amount.value() <= 0 => findings.invalid(&here, &storage, "must be greater than 0"),
            _ => {}
        }
    }
    let key = ObjectKey { kind, namespace: namespace.into(), name: metadata.name.as_str().into() };
    let kind_of_secret = match (secret, kind_of_secret.as_str()) {
        (true, "") => "Opaque".to_owned(),
        _ => kind_of_secret,
    };
    Object { key, origin: Arc::clone(file), kind_of_secret, values, immutable, storage, policy: None }
}

/// The values as they are gathered.
struct Values<'a> {
    values: BTreeMap<String, Value>,
    base: &'a Path,
    findings: &'a mut Findings,
}

impl Values<'_> {
    fn take(&mut self, field: &str, entries: BTreeMap<String, String>, encoded: bool, binary: bool) {
        let field = self.base.field(field);
        for (key, text) in entries {
            let here = field.entry(&key);
            if let Err(why) = names::file_key(&key) {
                self.findings.key(&here, format!("Invalid value: {key:?}: {why}"));
            }
            if binary && self.values.contains_key(&key) {
                self.findings.key(&here, format!("Invalid value: {key:?}: duplicate of key present in data"));
            }
            let bytes = if encoded { base64::decode(&text) } else { Some(text.into_bytes()) };
            match bytes {
                Some(bytes) => drop(self.values.insert(key, Value { bytes: bytes.into(), binary })),
                None if binary => self.findings.value(&here, "not base64"),
                None => self.findings.value(&here, "not base64: write plain text in stringData"),
            }
        }
    }

    fn finish(self) -> BTreeMap<String, Value> {
        let total: usize = self.values.values().map(|value| value.bytes.len()).sum();
        if total > OBJECT_LEN_MAX_BYTES {
            let message =
                format!("Too long: {total} bytes of values; at most {OBJECT_LEN_MAX_BYTES} are allowed");
            self.findings.value(self.base, message);
        }
        self.values
    }
}

/// The keys that a Secret of this type has.
fn required_keys(kind: &str, values: &BTreeMap<String, Value>, path: &Path, findings: &mut Findings) {
    let all: &[&str] = match kind {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        _ => &[],
    };
    for key in all.iter().filter(|key| !values.contains_key(**key)) {
        if findings.touches(&path.entry(key)) {
            continue;
        }
        findings.required(&path.entry(key), &format!("a Secret of type {kind} has this key"));
    }
    let one_of = ["username", "password"];
    if kind == "kubernetes.io/basic-auth" && !one_of.iter().any(|key| values.contains_key(*key)) {
        findings.required(path, "a Secret of type kubernetes.io/basic-auth has username or password");
    }
}
