//! From a document's tree to pods and the objects beside them: which kinds there are, and one pod's way
//! through schema, defaults, validation and identity. A pod with a problem never comes out.

use super::{
    DesiredPod, LoadInput,
    check::Checker,
    defaults,
    finding::{Findings, quote},
    identity,
    node::Node,
    objects::{self, ObjectKind},
    path::Path,
    place::Finder,
    schema::{LIST, POD},
    types::Pod,
    validate,
};
use crate::ids::PodKey;
use std::{borrow::Cow, sync::Arc};

/// Kinds whose template is a pod.
const WORKLOADS: [&str; 7] =
    ["Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "ReplicationController", "Job", "CronJob"];

type Entries = Vec<(String, Node)>;

/// A pod or object as it stands in a document.
pub(super) struct Found<'n> {
    /// Where: the root, or an item of a list.
    pub(super) base: Path,
    /// None for a pod.
    pub(super) object: Option<ObjectKind>,
    pub(super) entries: Cow<'n, Entries>,
}

/// What became of it.
pub(super) struct Read {
    /// The pod, if nothing is wrong with it.
    pub(super) pod: Option<DesiredPod>,
    pub(super) findings: Findings,
    /// Whose problems these are, as far as the manifest says.
    pub(super) key: Option<PodKey>,
}

/// The pods and objects of a document. What is wrong with the frame around them goes to `findings`.
pub(super) fn found<'n>(root: &'n Node, finder: Finder<'_>, findings: &mut Findings) -> Vec<Found<'n>> {
    let base = Path::default();
    let Node::Map(entries) = root else {
        findings.value(
            &base,
            format!("{} where a manifest (apiVersion, kind, metadata, spec) is required", root.what()),
        );
        return Vec::new();
    };
    match kind(root) {
        "Pod" => vec![Found { base, object: None, entries: Cow::Borrowed(entries) }],
        list @ ("PodList" | "List") => {
            let mut checker = Checker { finder, findings: std::mem::take(findings) };
            checker.object(entries, LIST, &base);
            *findings = checker.findings;
            items(root, list, &base, findings)
        }
        "" => {
            findings.required(&base.field("kind"), "write `kind: Pod`");
            Vec::new()
        }
        other => match objects::is_object(other) {
            object @ Some(_) => vec![Found { base, object, entries: Cow::Borrowed(entries) }],
            None => {
                refuse_kind(other, &base, findings);
                Vec::new()
            }
        },
    }
}

/// The pods and objects among the items of a list.
fn items<'n>(list: &'n Node, list_kind: &str, base: &Path, findings: &mut Findings) -> Vec<Found<'n>> {
    let mut pods = Vec::new();
    let Some(Node::List(items)) = list.get("items") else { return pods };
    for (i, item) in items.iter().enumerate() {
        let base = base.field("items").index(i);
        let Node::Map(entries) = item else {
            findings.value(&base, format!("{} where a manifest is required", item.what()));
            continue;
        };
        match kind(item) {
            "Pod" => pods.push(Found { base, object: None, entries: Cow::Borrowed(entries) }),
            // The API server writes the items of a PodList without their kind.
            "" if list_kind == "PodList" => {
                pods.push(Found { base, object: None, entries: Cow::Owned(with_kind(entries)) })
            }
            "" => findings.required(&base.field("kind"), "write `kind: Pod`"),
            other => match objects::is_object(other).filter(|_| list_kind == "List") {
                object @ Some(_) => pods.push(Found { base, object, entries: Cow::Borrowed(entries) }),
                None => refuse_kind(other, &base, findings),
            },
        }
    }
    pods
}

fn kind(node: &Node) -> &str {
    node.get("kind").and_then(Node::text).unwrap_or_default()
}

fn with_kind(entries: &Entries) -> Entries {
    let mut entries = entries.clone();
    for (name, value) in [("apiVersion", "v1"), ("kind", "Pod")] {
        if !entries.iter().any(|(known, node)| known == name && *node != Node::Null) {
            entries.push((name.to_owned(), Node::Text(value.to_owned())));
        }
    }
    entries
}

fn refuse_kind(kind: &str, base: &Path, findings: &mut Findings) {
    let hint = if WORKLOADS.contains(&kind) { "; write its pod template as a Pod of its own" } else { "" };
    let message = format!(
        "Unsupported value: {}: Berth has the kinds Pod, PodList, List, ConfigMap, Secret, PersistentVolumeClaim and NetworkPolicy{hint}",
        quote(kind)
    );
    findings.value(&base.field("kind"), message);
}

/// Takes one pod through everything.
pub(super) fn read(found: &Found<'_>, finder: Finder<'_>, input: &LoadInput<'_>, file: &Arc<str>) -> Read {
    let mut checker = Checker { finder, findings: Findings::default() };
    let object = checker.object(&found.entries, POD, &found.base);
    let mut findings = checker.findings;
    let mut pod: Pod = match serde_json::from_value(object.into()) {
        Ok(pod) => pod,
        Err(error) => {
            // The schema has settled the types; this is the net below it.
            if findings.problems.is_empty() {
                findings.value(&found.base, format!("cannot be read: {error}"));
            }
            return Read { pod: None, findings, key: None };
        }
    };
    defaults::apply(&mut pod);
    let mut verdict = Findings::default();
    validate::validate(&pod, input.node, &found.base, &mut verdict);
    // What is wrong already is not said twice.
    verdict.problems.retain(|finding| !findings.touches(&finding.path));
    findings.problems.append(&mut verdict.problems);
    findings.warnings.append(&mut verdict.warnings);

    let uid = identity::uid(&pod, input.node);
    identity::stamp(&mut pod, &uid, input.node, input.source);
    let key =
        PodKey { namespace: pod.metadata.namespace.as_str().into(), name: pod.metadata.name.as_str().into() };
    let named = !key.name.starts_with('-') && key.name.len() <= validate::SUBDOMAIN_LEN_MAX;
    let pod = findings.problems.is_empty().then(|| DesiredPod {
        key: key.clone(),
        uid,
        base: None,
        values: None,
        pod: Arc::new(pod),
        origin: Arc::clone(file),
    });
    Read { pod, findings, key: named.then_some(key) }
}
