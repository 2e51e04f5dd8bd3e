//! `metadata`.

use super::{names, syntax};
use crate::{
    devices,
    manifest::{
        finding::Findings,
        identity,
        limits::ANNOTATIONS_LEN_MAX_BYTES,
        path::Path,
        start_after::{self, ANNOTATION_START_AFTER, NAMES_MAX},
        types::Metadata,
    },
    network,
};

/// Bytes of a file's name: the pod's log directory is `<namespace>_<name>_<uid>`.
const FILE_NAME_LEN_MAX_BYTES: usize = 255;
/// Characters of a uid when it is a hash.
const UID_HASH_LEN: usize = 32;
/// What only the agent may write.
const RESERVED_ANNOTATION: &str = "kubernetes.io/config.mirror";

pub(super) fn validate(metadata: &Metadata, node: &str, path: &Path, findings: &mut Findings) {
    name(metadata, node, &path.field("name"), findings);
    syntax(names::dns_label(&metadata.namespace), &metadata.namespace, &path.field("namespace"), findings);
    if !metadata.uid.is_empty() {
        let here = path.field("uid");
        syntax(names::uid(&metadata.uid), &metadata.uid, &here, findings);
        findings.warn(
            &here,
            "the pods of one uid are taken for one: logs and volumes of those before may be mixed up with it; remove it",
        );
    }
    let labels = path.field("labels");
    for (key, value) in &metadata.labels {
        syntax(names::qualified(key), key, &labels.entry(key), findings);
        syntax(names::label_value(value), value, &labels.entry(key), findings);
    }
    let annotations = path.field("annotations");
    for (key, value) in &metadata.annotations {
        let here = annotations.entry(key);
        syntax(names::qualified(&key.to_lowercase()), key, &here, findings);
        if key == RESERVED_ANNOTATION {
            findings.forbidden(&here, "it marks copies in an API server; remove it");
        } else if key == identity::ANNOTATION_HASH || key == identity::ANNOTATION_SOURCE {
            findings.warn(&here, "the agent writes this annotation itself; remove it");
        } else if key == ANNOTATION_START_AFTER {
            start_after(value, metadata, node, &here, findings);
        } else if key == identity::ANNOTATION_REQUIRED && value != "true" && value != "false" {
            findings.invalid(
                &here,
                value,
                "write \"false\" for a pod without which the machine is well, or \"true\"",
            );
        } else if key == identity::ANNOTATION_CHECKPOINT && value != "true" && value != "false" {
            findings.invalid(
                &here,
                value,
                "write \"true\" for a pod that is to start when its source is gone, or \"false\"",
            );
        } else if [network::INGRESS, network::EGRESS].contains(&&**key)
            && let Err(why) = network::rate(value)
        {
            findings.invalid(&here, value, &why);
        } else if key == network::attachments::ATTACHMENTS
            && let Err(why) = network::attachments::attachments(value, &["eth0"])
        {
            findings.value(&here, format!("Invalid value: {why}"));
        } else if key == network::named::NETWORK
            && let Err(why) = network::named::check_name(value)
        {
            findings.invalid(&here, value, &format!("it names a network of the configuration and {why}"));
        } else if key.starts_with(devices::CDI)
            && let Err(why) = devices::check_cdi(value)
        {
            findings.value(&here, format!("Invalid value: {why}"));
        }
    }
    let total: usize = metadata.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if total > ANNOTATIONS_LEN_MAX_BYTES {
        let message = format!(
            "Too long: {total} bytes of annotations; at most {ANNOTATIONS_LEN_MAX_BYTES} are allowed"
        );
        findings.value(&annotations, message);
    }
}

/// The pods after which it begins.
fn start_after(value: &str, metadata: &Metadata, node: &str, path: &Path, findings: &mut Findings) {
    let read = start_after::read(value, &metadata.namespace);
    if read.len() > NAMES_MAX {
        findings.value(path, format!("Too many: {}: must have at most {NAMES_MAX} pods", read.len()));
    }
    for named in read {
        match named {
            Err(why) => {
                let remedy =
                    "write names of pods with commas between, namespace/name for one of another namespace";
                findings.invalid(path, value, &format!("{why}; {remedy}"));
            }
            Ok(named) => {
                let own =
                    *named.name == *metadata.name || *named.name == identity::node_name(&metadata.name, node);
                if own && *named.namespace == *metadata.namespace {
                    findings.invalid(path, value, "a pod cannot begin after itself");
                }
            }
        }
    }
}

/// The name with the node's suffix must be a name, and fit the file names that are made of it.
fn name(metadata: &Metadata, node: &str, path: &Path, findings: &mut Findings) {
    let full = identity::node_name(&metadata.name, node);
    let uid_len = if metadata.uid.is_empty() { UID_HASH_LEN } else { metadata.uid.len() };
    let room = FILE_NAME_LEN_MAX_BYTES.saturating_sub(metadata.namespace.len() + uid_len + 2);
    if let Err(why) = names::dns_subdomain(&metadata.name) {
        findings.invalid(path, &metadata.name, why);
    } else if let Err(why) = names::dns_subdomain(&full) {
        findings.invalid(path, &full, &format!("this is the name with the node's name behind it: {why}"));
    } else if full.len() > room {
        let why = format!(
            "with the node's name behind it the name has {} characters; at most {room} fit a file name beside namespace and uid",
            full.len()
        );
        findings.invalid(path, &full, &why);
    }
}
