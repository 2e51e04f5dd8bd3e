//! One container: image, variables, mounts, resources.

use super::{names, resources, syntax, volume::Volumes};
use crate::manifest::{
    finding::Findings,
    path::Path,
    types::{Container, MountPropagation, RecursiveReadOnly, VolumeMount},
};
use std::collections::BTreeSet;

pub(super) fn validate(container: &Container, volumes: &Volumes<'_>, path: &Path, findings: &mut Findings) {
    syntax(names::dns_label(&container.name), &container.name, &path.field("name"), findings);
    image(&container.image, &path.field("image"), findings);
    if let Some(dir) = container.working_dir.as_ref().filter(|dir| !dir.starts_with('/')) {
        // Kubernetes leaves it to the runtime, where it fails.
        findings.invalid(&path.field("workingDir"), dir, "must be an absolute path");
    }
    resources::container(&container.resources, &path.field("resources"), findings);
    let mut seen = BTreeSet::new();
    for (i, mount) in container.volume_mounts.iter().enumerate() {
        let here = path.field("volumeMounts").index(i);
        mount_rules(mount, volumes, &here, findings);
        propagation(mount, container.is_privileged(), &here, findings);
        if !seen.insert(absolute(&mount.mount_path)) {
            findings.duplicate(
                &here.field("mountPath"),
                &mount.mount_path,
                "another volume is mounted there",
            );
        }
    }
}

/// A reference to an image.
pub(super) fn image(reference: &str, path: &Path, findings: &mut Findings) {
    if reference.trim() != reference {
        findings.invalid(path, reference, "must not begin or end with white space");
    } else if reference.contains(char::is_whitespace) {
        // Kubernetes lets this through; no reference has white space, so it could never be found.
        findings.invalid(path, reference, "must not contain white space");
    }
}

fn mount_rules(mount: &VolumeMount, volumes: &Volumes<'_>, path: &Path, findings: &mut Findings) {
    if !volumes.contains(mount.name.as_str()) {
        let here = path.field("name");
        let name = crate::manifest::finding::quote(&mount.name);
        let known: Vec<&str> = volumes.iter().copied().collect();
        let hint = match known.as_slice() {
            [] => "the pod has no volumes".to_owned(),
            known => format!("the pod's volumes are {}", known.join(", ")),
        };
        findings.value(&here, format!("Not found: {name}: {hint}"));
    }
    let here = path.field("mountPath");
    if mount.mount_path.contains(':') {
        findings.invalid(&here, &mount.mount_path, "must not contain `:`");
    }
    // Kubernetes leaves these two to the runtime, where they fail or surprise.
    syntax(names::no_backsteps(&mount.mount_path), &mount.mount_path, &here, findings);
    if absolute(&mount.mount_path) == "/" {
        findings.invalid(
            &here,
            &mount.mount_path,
            "a volume cannot be mounted over the whole root file system",
        );
    }
    if let Some(sub_path) = &mount.sub_path {
        syntax(names::descending(sub_path), sub_path, &path.field("subPath"), findings);
    }
    if let Some(expression) = mount.sub_path_expr.as_ref().filter(|expression| !expression.is_empty()) {
        let here = path.field("subPathExpr");
        syntax(names::descending(expression), expression, &here, findings);
        if mount.sub_path.as_ref().is_some_and(|sub_path| !sub_path.is_empty()) {
            findings.forbidden(&here, "a mount has subPath or subPathExpr, and this one has both");
        }
    }
}

fn propagation(mount: &VolumeMount, privileged: bool, path: &Path, findings: &mut Findings) {
    let propagation = mount.mount_propagation.unwrap_or(MountPropagation::None);
    if propagation == MountPropagation::Bidirectional && !privileged {
        findings.forbidden(
            &path.field("mountPropagation"),
            "Bidirectional mount propagation is available only to privileged containers",
        );
    }
    let recursive = mount.recursive_read_only.unwrap_or(RecursiveReadOnly::Disabled);
    if recursive == RecursiveReadOnly::Disabled {
        return;
    }
    let here = path.field("recursiveReadOnly");
    if !mount.read_only {
        findings.forbidden(&here, "may only be specified when readOnly is true");
    }
    if propagation != MountPropagation::None {
        findings.forbidden(&here, "may only be specified when mountPropagation is None or not specified");
    }
}

/// The path from the root, each step once: a relative mountPath counts from `/`.
fn absolute(path: &str) -> String {
    let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty() && *step != ".").collect();
    format!("/{}", steps.join("/"))
}
