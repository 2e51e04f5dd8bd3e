//! The pod's volumes.

use super::{names, syntax};
use crate::manifest::{
    finding::Findings,
    path::Path,
    quantity,
    types::{EmptyDir, HostPath, Volume},
};
use std::collections::BTreeSet;

/// The names of the pod's volumes.
pub(super) type Volumes<'a> = BTreeSet<&'a str>;

/// Checks them and gives their names, for the mounts.
pub(super) fn validate<'a>(volumes: &'a [Volume], path: &Path, findings: &mut Findings) -> Volumes<'a> {
    let mut known = BTreeSet::new();
    for (i, volume) in volumes.iter().enumerate() {
        let here = path.index(i);
        syntax(names::dns_label(&volume.name), &volume.name, &here.field("name"), findings);
        if !known.insert(volume.name.as_str()) {
            findings.duplicate(&here.field("name"), &volume.name, "another volume has this name");
        }
        if volume.empty_dir.is_some() && volume.host_path.is_some() {
            findings
                .forbidden(&here.field("hostPath"), "a volume has one source, and this one has emptyDir too");
        }
        if let Some(source) = &volume.empty_dir {
            empty_dir(source, &here.field("emptyDir"), findings);
        }
        if let Some(source) = &volume.host_path {
            host_path(source, &here.field("hostPath"), findings);
        }
    }
    known
}

fn empty_dir(source: &EmptyDir, path: &Path, findings: &mut Findings) {
    match source.medium.as_str() {
        "" | "Memory" => {}
        medium if medium == "HugePages" || medium.starts_with("HugePages-") => {
            findings.value(&path.field("medium"), "not supported yet: use Memory or remove it");
        }
        other => {
            let shown = crate::manifest::finding::quote(other);
            findings.value(
                &path.field("medium"),
                format!("Unsupported value: {shown}: supported values: \"\", \"Memory\""),
            );
        }
    }
    if let Some(limit) = &source.size_limit
        && quantity::parse(limit).is_ok_and(|limit| limit.is_negative())
    {
        findings.invalid(&path.field("sizeLimit"), limit, "must be greater than or equal to 0");
    }
}

fn host_path(source: &HostPath, path: &Path, findings: &mut Findings) {
    let here = path.field("path");
    syntax(names::no_backsteps(&source.path), &source.path, &here, findings);
    // Kubernetes lets a relative path through, and then nobody knows from where it counts.
    if !source.path.starts_with('/') {
        findings.invalid(&here, &source.path, "must be an absolute path");
    }
}
