//! Who a pod is: name, namespace, uid and the annotations that tell where it comes from.
//!
//! The uid is the revision with which the pod began; what is applied to it later in place (`in_place`) stands in the
//! annotation `kubernetes.io/config.hash` only. It is the first half of a SHA-256 over the node's name and the *canonical form*
//! of the manifest: the defaulted pod as JSON with sorted keys, quantities in canonical form, from which
//! every value that equals its default is removed again. So comments, order, format and spelled-out defaults
//! do not count, and an upgrade of Berth that learns a new field (with a default) does not restart a single
//! pod. The file's path does not count either: to move a pod to another file must not restart it. (kubelet
//! hashes its in-memory structure and the path, so both restart pods there.)
//!
//! What may never change without restarting every pod in the field: `DOMAIN`, the field names in `schema`,
//! their defaults.

use super::{
    DesiredPod, defaults,
    objects::is_made,
    schema::{Field, Kind, Literal, POD},
    types::{Pod, Toleration},
};
use crate::ids::{PodKey, PodUid, hex};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// Keeps these hashes apart from any other use of SHA-256, and names the version of the canonical form.
const DOMAIN: &[u8] = b"berth pod uid 1\0";
/// Bytes of the hash that make the uid.
const UID_LEN_BYTES: usize = 16;

/// Annotation: the uid.
pub const ANNOTATION_HASH: &str = "kubernetes.io/config.hash";
/// Annotation: `file` or `http`.
pub const ANNOTATION_SOURCE: &str = "kubernetes.io/config.source";

/// Annotation: `"false"` on a pod without which the machine is well all the same (`berth health`).
pub const ANNOTATION_REQUIRED: &str = "berth/required";
/// Annotation: `"true"` on a pod that is kept with all that it needs, to start when its source is gone
/// ([`super::keepsake`]).
pub const ANNOTATION_CHECKPOINT: &str = "berth/checkpoint";

/// The revision of a defaulted pod that has not been [`stamp`]ed yet: its own `metadata.uid`, or the hash.
pub(super) fn uid(pod: &Pod, node: &str) -> PodUid {
    if !pod.metadata.uid.is_empty() {
        return PodUid(pod.metadata.uid.as_str().into());
    }
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(node.to_ascii_lowercase().as_bytes());
    hash.update([0]);
    hash.update(canonical(pod).as_bytes());
    PodUid(hex(&hash.finalize()[..UID_LEN_BYTES]).into())
}

/// Name with the node's suffix.
pub(super) fn node_name(name: &str, node: &str) -> String {
    format!("{name}-{}", node.to_ascii_lowercase())
}

/// The agent writes this annotation.
pub(super) fn is_stamp(name: &str) -> bool {
    name == ANNOTATION_HASH || name == ANNOTATION_SOURCE
}

/// Makes the pod this node's.
pub(super) fn stamp(pod: &mut Pod, uid: &PodUid, node: &str, source: &str) {
    pod.metadata.name = node_name(&pod.metadata.name, node);
    pod.metadata.uid = uid.0.to_string();
    pod.metadata.annotations.insert(ANNOTATION_HASH.to_owned(), uid.0.to_string());
    pod.metadata.annotations.insert(ANNOTATION_SOURCE.to_owned(), source.to_owned());
    pod.spec.node_name = Some(node.to_owned());
    // Shown so, as kubelet does: a static pod is never evicted by a taint.
    let everything = everything();
    if source == "file" && !pod.spec.tolerations.contains(&everything) {
        pod.spec.tolerations.push(everything);
    }
}

fn everything() -> Toleration {
    Toleration {
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        ..Toleration::default()
    }
}

/// The pod as it is when the node has this name: what its manifest would give there. Values of objects are not in its uid;
/// [`super::objects::revise`] puts them in.
pub fn on_node(desired: &DesiredPod, node: &str) -> DesiredPod {
    if desired.pod.spec.node_name.as_deref() == Some(node) {
        return desired.clone();
    }
    let mut pod = desired.pod.as_ref().clone();
    written_name(desired).clone_into(&mut pod.metadata.name);
    let base = desired.base.as_ref().unwrap_or(&desired.uid);
    pod.metadata.uid = if is_made(base) { String::new() } else { base.0.to_string() };
    pod.metadata.annotations.remove(ANNOTATION_HASH);
    let source = pod.metadata.annotations.remove(ANNOTATION_SOURCE).unwrap_or_default();
    if source == "file" && pod.spec.tolerations.last() == Some(&everything()) {
        pod.spec.tolerations.pop();
    }
    let uid = uid(&pod, node);
    stamp(&mut pod, &uid, node, &source);
    let key = PodKey { name: pod.metadata.name.as_str().into(), ..desired.key.clone() };
    DesiredPod { key, uid, base: None, values: None, pod: Arc::new(pod), origin: Arc::clone(&desired.origin) }
}

/// The name that the pod's manifest has, without the node's.
pub fn written_name(pod: &DesiredPod) -> &str {
    let node = pod.pod.spec.node_name.as_deref().unwrap_or_default().to_ascii_lowercase();
    let name = pod.key.name.strip_suffix(node.as_str()).and_then(|name| name.strip_suffix('-'));
    name.unwrap_or(&pod.key.name)
}

/// The canonical form: JSON with sorted keys and without defaults.
pub(super) fn canonical(pod: &Pod) -> String {
    let mut pod = pod.clone();
    pod.spec.node_name = None;
    let host_network = pod.spec.host_network;
    for container in pod.spec.all_containers_mut() {
        let policy = defaults::pull_policy(&container.image);
        container.image_pull_policy = container.image_pull_policy.filter(|written| *written != policy);
        let resources = &mut container.resources;
        resources.requests.retain(|name, request| resources.limits.get(name) != Some(request));
        for port in &mut container.ports {
            let implied = host_network.then_some(port.container_port);
            port.host_port = port.host_port.filter(|written| Some(*written) != implied);
        }
    }
    // Plain data with string keys: this cannot fail.
    let value = serde_json::to_value(&pod).unwrap_or_default();
    let mut text = String::new();
    write_sorted(&without_defaults(value, &Kind::Object(POD)), &mut text);
    text
}

/// `value` without what says nothing. Entries of free maps and elements of lists stay, whatever they are.
fn without_defaults(value: Value, kind: &Kind) -> Value {
    match (kind, value) {
        (Kind::Object(fields), Value::Object(object)) => {
            let kept = object.into_iter().filter_map(|(name, value)| {
                let Some(field) = Field::find(fields, &name) else { return Some((name, value)) };
                let value = without_defaults(value, &field.kind);
                (!says_nothing(&value, field.default)).then_some((name, value))
            });
            Value::Object(kept.collect())
        }
        (Kind::List(kind), Value::Array(items)) => {
            Value::Array(items.into_iter().map(|item| without_defaults(item, kind)).collect())
        }
        (_, value) => value,
    }
}

fn says_nothing(value: &Value, default: Literal) -> bool {
    match (value, default) {
        (Value::Null, _) => true,
        (Value::Bool(value), Literal::Bool(default)) => *value == default,
        (Value::Number(value), Literal::Int(default)) => value.as_i64() == Some(default),
        (Value::String(value), Literal::Text(default)) => value.is_empty() || value == default,
        (Value::String(value), _) => value.is_empty(),
        (Value::Array(items), _) => items.is_empty(),
        (Value::Object(object), _) => object.is_empty(),
        _ => false,
    }
}

/// JSON with the keys of every object in byte order, whatever order the map type keeps.
fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(name, _)| name.as_str());
            text.push('{');
            for (i, (name, value)) in entries.into_iter().enumerate() {
                text.push_str(if i == 0 { "" } else { "," });
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_sorted(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(if i == 0 { "" } else { "," });
                write_sorted(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
