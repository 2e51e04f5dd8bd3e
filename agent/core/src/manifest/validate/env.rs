//! A container's variables: their names, and where their values come from.

use super::{names, syntax};
use crate::manifest::{
    finding::{Findings, quote},
    path::Path,
    quantity,
    types::{Container, EnvFromSource, EnvVarSource, FieldRef, FileKeyRef, PodSpec, ResourceFieldRef},
};

/// Fields of a pod that a variable can have; beside them a single label or annotation.
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// Resources whose amount a variable can have.
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
/// Pages too, by size.
const PAGES: [&str; 2] = ["limits.hugepages-", "requests.hugepages-"];
/// Divisors of an amount of processors.
const CPU_DIVISORS: [&str; 2] = ["1m", "1"];
/// Divisors of an amount of bytes.
const BYTE_DIVISORS: [&str; 13] =
    ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

pub(super) fn validate(container: &Container, spec: &PodSpec, path: &Path, findings: &mut Findings) {
    for (i, source) in container.env_from.iter().enumerate() {
        whole(source, &path.field("envFrom").index(i), findings);
    }
    for (i, variable) in container.env.iter().enumerate() {
        let here = path.field("env").index(i);
        syntax(names::env_name(&variable.name), &variable.name, &here.field("name"), findings);
        let Some(source) = &variable.value_from else { continue };
        let here = here.field("valueFrom");
        if !variable.value.is_empty() {
            findings.invalid(&here, "", "may not be specified when `value` is not empty");
        }
        single(source, spec, &here, findings);
    }
}

fn whole(source: &EnvFromSource, path: &Path, findings: &mut Findings) {
    let prefix = path.field("prefix");
    syntax(names::env_name(&source.prefix), &source.prefix, &prefix, findings);
    let given = [("configMapRef", &source.config_map_ref), ("secretRef", &source.secret_ref)];
    for (field, named) in given {
        if let Some(named) = named {
            syntax(
                names::dns_subdomain(&named.name),
                &named.name,
                &path.field(field).field("name"),
                findings,
            );
        }
    }
    one_of(&given.map(|(field, named)| (field, named.is_some())), path, findings);
}

fn single(source: &EnvVarSource, spec: &PodSpec, path: &Path, findings: &mut Findings) {
    let EnvVarSource { field_ref, resource_field_ref, config_map_key_ref, secret_key_ref, file_key_ref } =
        source;
    let given = [
        ("fieldRef", field_ref.is_some()),
        ("resourceFieldRef", resource_field_ref.is_some()),
        ("configMapKeyRef", config_map_key_ref.is_some()),
        ("secretKeyRef", secret_key_ref.is_some()),
        ("fileKeyRef", file_key_ref.is_some()),
    ];
    one_of(&given, path, findings);
    if let Some(field) = field_ref {
        field_of(field, &FIELDS, &path.field("fieldRef"), findings);
    }
    if let Some(resource) = resource_field_ref {
        resource_of(resource, spec, &path.field("resourceFieldRef"), findings);
    }
    if let Some(file) = file_key_ref {
        file_of(file, spec, &path.field("fileKeyRef"), findings);
    }
    for (field, key) in [("configMapKeyRef", config_map_key_ref), ("secretKeyRef", secret_key_ref)] {
        let Some(key) = key else { continue };
        let here = path.field(field);
        syntax(names::dns_subdomain(&key.name), &key.name, &here.field("name"), findings);
        syntax(names::file_key(&key.key), &key.key, &here.field("key"), findings);
    }
}

/// A variable in a file of an emptyDir of the pod.
fn file_of(file: &FileKeyRef, spec: &PodSpec, path: &Path, findings: &mut Findings) {
    let volume = spec.volumes.iter().find(|volume| volume.name == file.volume_name);
    if volume.is_none_or(|volume| volume.empty_dir.is_none()) {
        let name = quote(&file.volume_name);
        findings.value(&path.field("volumeName"), format!("Not found: {name}: the pod has no such emptyDir"));
    }
    syntax(names::descending(&file.path), &file.path, &path.field("path"), findings);
    syntax(names::env_name(&file.key), &file.key, &path.field("key"), findings);
}

/// Exactly one of the fields is given.
pub(super) fn one_of(given: &[(&str, bool)], path: &Path, findings: &mut Findings) {
    let mut there = given.iter().filter_map(|(field, given)| given.then_some(*field));
    match (there.next(), there.next()) {
        (None, _) => {
            let known: Vec<&str> = given.iter().map(|(field, _)| *field).collect();
            findings.required(path, &format!("one of {}", known.join(", ")));
        }
        (Some(first), Some(second)) => {
            findings.forbidden(
                &path.field(second),
                &format!("a value has one source, and this one has {first} too"),
            );
        }
        (Some(_), None) => {}
    }
}

/// A field of the pod: one of `known`, or a label or annotation by its key.
pub(super) fn field_of(field: &FieldRef, known: &[&str], path: &Path, findings: &mut Findings) {
    if !matches!(field.api_version.as_str(), "" | "v1") {
        findings.invalid(&path.field("apiVersion"), &field.api_version, "there is v1");
    }
    let here = path.field("fieldPath");
    match subscript(&field.field_path) {
        Some(("metadata.annotations", key)) => {
            syntax(names::qualified(&key.to_lowercase()), key, &here, findings)
        }
        Some(("metadata.labels", key)) => syntax(names::qualified(key), key, &here, findings),
        None if known.contains(&field.field_path.as_str()) => {}
        _ => {
            let known = known.join(", ");
            let shown = quote(&field.field_path);
            findings.value(
                &here,
                format!("Unsupported value: {shown}: supported values: {known}, metadata.labels['<KEY>'], metadata.annotations['<KEY>']"),
            );
        }
    }
}

/// `metadata.labels['KEY']` in its parts.
pub fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['")
}

/// An amount of a container of the pod.
pub(super) fn resource_of(resource: &ResourceFieldRef, spec: &PodSpec, path: &Path, findings: &mut Findings) {
    let name = &resource.container_name;
    if !name.is_empty() && spec.container(name).is_none() {
        findings.invalid(&path.field("containerName"), name, "the pod has no container of this name");
    }
    let wanted = resource.resource.as_str();
    if !RESOURCES.contains(&wanted) && !PAGES.iter().any(|pages| wanted.starts_with(pages)) {
        let (shown, known) = (quote(wanted), RESOURCES.join(", "));
        findings.value(
            &path.field("resource"),
            format!("Unsupported value: {shown}: supported values: {known}, limits.hugepages-<size>, requests.hugepages-<size>"),
        );
    }
    let divisors: &[&str] = if wanted.ends_with(".cpu") { &CPU_DIVISORS } else { &BYTE_DIVISORS };
    if let Some(divisor) = &resource.divisor
        && !is_one_of(divisor, divisors)
    {
        findings.invalid(
            &path.field("divisor"),
            divisor,
            &format!("only divisors {} are supported", divisors.join(", ")),
        );
    }
}

/// The divisor, or 0, which stands for 1.
fn is_one_of(divisor: &str, divisors: &[&str]) -> bool {
    let Ok(divisor) = quantity::parse(divisor) else { return true };
    let same = |other: &&str| quantity::parse(other).is_ok_and(|other| other.nano() == divisor.nano());
    divisor.nano() == 0 || divisors.iter().any(same)
}
