//! A defaulted pod against the rules of the Kubernetes API for the fields that Berth has, and a few of
//! Berth's own where the API lets through what can never run (said so at each). What is required and what
//! type it has, `check` has settled before. Never changes the pod.

mod affinity;
mod container;
mod dns;
pub(super) mod env;
mod files;
mod health;
mod meta;
pub(super) mod names;
pub(super) mod policy;
mod ports;
mod priority;
mod resources;
mod restart;
mod security;
mod users;
mod volume;

use super::{
    app_armor,
    finding::Findings,
    path::Path,
    types::{Container, Pod, PodSpec, RestartPolicy},
};
use crate::{
    devices::{self, DEVICES},
    network::{attachments::ATTACHMENTS, named::NETWORK},
};
use std::collections::BTreeSet;

pub(super) use names::SUBDOMAIN_LEN_MAX;

/// Everything that is wrong with `pod`, which stands at `base` in its document and runs on `node`.
pub(super) fn validate(pod: &Pod, node: &str, base: &Path, findings: &mut Findings) {
    meta::validate(&pod.metadata, node, &base.field("metadata"), findings);
    app_armor::validate(pod, base, findings);
    let path = base.field("spec");
    let spec = &pod.spec;
    if let Some(written) = spec.node_name.as_ref().filter(|written| !written.eq_ignore_ascii_case(node)) {
        let here = path.field("nodeName");
        syntax(names::dns_subdomain(written), written, &here, findings);
        findings.warn(&here, format!("a static pod runs on the node that reads it: {node}; remove nodeName"));
    }
    if spec.share_process_namespace == Some(true) && spec.host_pid {
        let why = "shareProcessNamespace and hostPID cannot both be true";
        findings.invalid(&path.field("shareProcessNamespace"), "true", why);
    }
    if spec.host_network && pod.metadata.annotations.contains_key(ATTACHMENTS) {
        let here = base.field("metadata").field("annotations").entry(ATTACHMENTS);
        findings.forbidden(&here, "a pod on the node's network has all of the node's interfaces; remove it");
    }
    if spec.host_network && pod.metadata.annotations.contains_key(NETWORK) {
        let here = base.field("metadata").field("annotations").entry(NETWORK);
        findings.forbidden(&here, "a pod on the node's network is on no other; remove it, or hostNetwork");
    }
    if let Some(list) = pod.metadata.annotations.get(DEVICES) {
        let names: Vec<&str> = spec.all_containers().map(|container| container.name.as_str()).collect();
        if let Err(why) = devices::check_paths(list, &names) {
            let here = base.field("metadata").field("annotations").entry(DEVICES);
            findings.value(&here, format!("Invalid value: {why}"));
        }
    }
    dns::validate(spec, &path, findings);
    affinity::validate(spec, &path, findings);
    priority::validate(spec, &path, findings);
    users::validate(spec, &path, findings);
    security::pod(&spec.security_context, &path.field("securityContext"), findings);
    resources::pod(spec, &path, findings);
    let volumes = volume::validate(spec, &path.field("volumes"), findings);
    let mut seen = BTreeSet::new();
    for (container, here) in places(spec, &path) {
        if !seen.insert(container.name.as_str()) {
            findings.duplicate(&here.field("name"), &container.name, "another container has this name");
        }
        container::validate(container, &volumes, &here, findings);
        env::validate(container, spec, &here, findings);
        security::container(container, spec, &here.field("securityContext"), findings);
        restart::validate(container, &here, findings);
        let init = !spec.lasting_containers().any(|lasting| std::ptr::eq(lasting, container));
        let sidecar = !init && spec.init_containers.iter().any(|other| std::ptr::eq(other, container));
        let policy = container.restart_policy.unwrap_or(spec.restart_policy);
        let never = policy == RestartPolicy::Never && !sidecar;
        resources::policy(container, never, init, &here, findings);
        let grace_s = spec.termination_grace_period_seconds.unwrap_or_default();
        health::validate(&health::Place { container, init, grace_s }, &here, findings);
    }
    for (field, containers) in [("initContainers", &spec.init_containers), ("containers", &spec.containers)] {
        ports::validate(containers, spec.host_network, &path.field(field), findings);
    }
}

/// All containers with where they stand.
fn places<'a>(spec: &'a PodSpec, path: &Path) -> impl Iterator<Item = (&'a Container, Path)> {
    let of = |field: &'static str| {
        let list = path.field(field);
        move |(i, container): (usize, &'a Container)| (container, list.index(i))
    };
    let init = spec.init_containers.iter().enumerate().map(of("initContainers"));
    init.chain(spec.containers.iter().enumerate().map(of("containers")))
}

/// Notes a refusal by one of the rules of `names`.
fn syntax(rule: names::Syntax, value: &str, path: &Path, findings: &mut Findings) {
    if let Err(why) = rule {
        findings.invalid(path, value, why);
    }
}
