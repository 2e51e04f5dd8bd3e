//! Volumes whose files Berth writes, and claims.

use super::{env, names, syntax};
use crate::manifest::{
    finding::Findings,
    path::Path,
    types::{DownwardFile, KeyToPath, PodSpec, Projection, Volume},
};
use std::collections::BTreeSet;

/// Fields of a pod that a file can have; beside them a single label or annotation.
const FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// Checks the sources of one volume that are of this kind.
pub(super) fn validate(volume: &Volume, spec: &PodSpec, path: &Path, findings: &mut Findings) {
    let mut paths = BTreeSet::new();
    if let Some(source) = &volume.config_map {
        let here = path.field("configMap");
        syntax(names::dns_subdomain(&source.name), &source.name, &here.field("name"), findings);
        items(&source.items, &here.field("items"), &mut paths, findings);
    }
    if let Some(source) = &volume.secret {
        let here = path.field("secret");
        let name = &source.secret_name;
        syntax(names::dns_subdomain(name), name, &here.field("secretName"), findings);
        items(&source.items, &here.field("items"), &mut paths, findings);
    }
    if let Some(source) = &volume.downward_api {
        let here = path.field("downwardAPI").field("items");
        downward(&source.items, spec, &here, &mut paths, findings);
    }
    if let Some(source) = &volume.projected {
        let here = path.field("projected").field("sources");
        for (i, source) in source.sources.iter().enumerate() {
            projection(source, spec, &here.index(i), &mut paths, findings);
        }
    }
    if let Some(claim) = &volume.persistent_volume_claim {
        let here = path.field("persistentVolumeClaim").field("claimName");
        syntax(names::dns_subdomain(&claim.claim_name), &claim.claim_name, &here, findings);
    }
}

fn projection<'a>(
    source: &'a Projection,
    spec: &PodSpec,
    path: &Path,
    paths: &mut BTreeSet<&'a str>,
    findings: &mut Findings,
) {
    let given = [("configMap", &source.config_map), ("secret", &source.secret)];
    let fields = source.downward_api.is_some();
    let given_at_all = [
        ("configMap", source.config_map.is_some()),
        ("secret", source.secret.is_some()),
        ("downwardAPI", fields),
    ];
    env::one_of(&given_at_all, path, findings);
    for (field, named) in given {
        let Some(named) = named else { continue };
        let here = path.field(field);
        syntax(names::dns_subdomain(&named.name), &named.name, &here.field("name"), findings);
        items(&named.items, &here.field("items"), paths, findings);
    }
    if let Some(source) = &source.downward_api {
        downward(&source.items, spec, &path.field("downwardAPI").field("items"), paths, findings);
    }
}

fn items<'a>(items: &'a [KeyToPath], path: &Path, paths: &mut BTreeSet<&'a str>, findings: &mut Findings) {
    for (i, item) in items.iter().enumerate() {
        let here = path.index(i);
        syntax(names::file_key(&item.key), &item.key, &here.field("key"), findings);
        place(&item.path, &here.field("path"), paths, findings);
    }
}

fn downward<'a>(
    files: &'a [DownwardFile],
    spec: &PodSpec,
    path: &Path,
    paths: &mut BTreeSet<&'a str>,
    findings: &mut Findings,
) {
    for (i, file) in files.iter().enumerate() {
        let here = path.index(i);
        place(&file.path, &here.field("path"), paths, findings);
        let given =
            [("fieldRef", file.field_ref.is_some()), ("resourceFieldRef", file.resource_field_ref.is_some())];
        env::one_of(&given, &here, findings);
        if let Some(field) = &file.field_ref {
            env::field_of(field, &FIELDS, &here.field("fieldRef"), findings);
        }
        if let Some(resource) = &file.resource_field_ref {
            let here = here.field("resourceFieldRef");
            if resource.container_name.is_empty() {
                findings.required(&here.field("containerName"), "a file is of no container: name one");
            }
            env::resource_of(resource, spec, &here, findings);
        }
    }
}

/// Where a file is to be; no two may be at one place, and none within another.
fn place<'a>(place: &'a str, path: &Path, paths: &mut BTreeSet<&'a str>, findings: &mut Findings) {
    syntax(names::file_path(place), place, path, findings);
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if paths.iter().any(|other| within(place, other) || within(other, place)) {
        findings.duplicate(path, place, "another file of the volume is there");
    }
    paths.insert(place);
}
