//! The pod's volumes.

use super::{names, syntax};
use crate::manifest::{
    finding::Findings,
    huge_pages,
    path::Path,
    quantity,
    types::{EmptyDir, HostPath, PodSpec},
};
use std::collections::BTreeSet;

/// The names of the pod's volumes.
pub(super) type Volumes<'a> = BTreeSet<&'a str>;

/// Checks them and gives their names, for the mounts.
pub(super) fn validate<'a>(spec: &'a PodSpec, path: &Path, findings: &mut Findings) -> Volumes<'a> {
    let mut known = BTreeSet::new();
    for (i, volume) in spec.volumes.iter().enumerate() {
        let here = path.index(i);
        syntax(names::dns_label(&volume.name), &volume.name, &here.field("name"), findings);
        if !known.insert(volume.name.as_str()) {
            findings.duplicate(&here.field("name"), &volume.name, "another volume has this name");
        }
        let sources = [
            ("emptyDir", volume.empty_dir.is_some()),
            ("hostPath", volume.host_path.is_some()),
            ("image", volume.image.is_some()),
            ("configMap", volume.config_map.is_some()),
            ("secret", volume.secret.is_some()),
            ("downwardAPI", volume.downward_api.is_some()),
            ("projected", volume.projected.is_some()),
            ("persistentVolumeClaim", volume.persistent_volume_claim.is_some()),
        ];
        let mut given = sources.into_iter().filter_map(|(name, given)| given.then_some(name));
        if let (Some(first), Some(second)) = (given.next(), given.next()) {
            let why = format!("a volume has one source, and this one has {first} too");
            findings.forbidden(&here.field(second), &why);
        }
        if let Some(source) = &volume.image {
            super::container::image(&source.reference, &here.field("image").field("reference"), findings);
        }
        super::files::validate(volume, spec, &here, findings);
        if let Some(source) = &volume.empty_dir {
            empty_dir(source, spec, &here.field("emptyDir"), findings);
        }
        if let Some(source) = &volume.host_path {
            host_path(source, &here.field("hostPath"), findings);
        }
    }
    known
}

fn empty_dir(source: &EmptyDir, spec: &PodSpec, path: &Path, findings: &mut Findings) {
    let here = path.field("medium");
    match source.medium.as_str() {
        "" | "Memory" => {}
        // Kubernetes finds these out when it mounts the volume, again and again.
        "HugePages" => match huge_pages::sizes(spec).len() {
            0 => findings.value(&here, "HugePages: no container has a limit of hugepages-<size>"),
            1 => {}
            _ => {
                findings.value(&here, "HugePages: the pod has pages of several sizes: write HugePages-<size>")
            }
        },
        other => match other.strip_prefix("HugePages-") {
            Some(size)
                if huge_pages::bytes(size).is_some_and(|size| huge_pages::sizes(spec).contains(&size)) => {}
            Some(size) => {
                let size = crate::manifest::finding::quote(size);
                findings.value(
                    &here,
                    format!("no container has a limit of hugepages-<size> for the size {size}"),
                );
            }
            None => {
                let shown = crate::manifest::finding::quote(other);
                findings.value(
                    &here,
                    format!("Unsupported value: {shown}: supported values: \"\", \"Memory\", \"HugePages\", \"HugePages-<size>\""),
                );
            }
        },
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
