//! What the Kubernetes API fills in, for the fields that Berth has. Never overrides what is written;
//! applied twice, it changes nothing more.

use super::{
    app_armor, huge_pages, quantity,
    types::{Container, EmptyDir, FieldRef, HttpGet, Pod, PodSpec, Probe, PullPolicy, Resources, Volume},
};
use crate::node::priority_of_class;
use std::collections::BTreeMap;

/// Seconds between SIGTERM and the kill when the manifest does not say.
pub const GRACE_DEFAULT_S: u64 = 30;
/// What a pod as a whole can ask for, beside pages.
const POD_RESOURCES: [&str; 2] = ["cpu", "memory"];
/// Permissions of the files that Berth writes for a pod, when the manifest does not say.
pub const FILE_MODE_DEFAULT: u32 = 0o644;
const TERMINATION_MESSAGE_PATH: &str = "/dev/termination-log";

/// Fills in all defaults.
pub(super) fn apply(pod: &mut Pod) {
    if pod.metadata.namespace.is_empty() {
        "default".clone_into(&mut pod.metadata.namespace);
    }
    let spec = &mut pod.spec;
    spec.termination_grace_period_seconds.get_or_insert(GRACE_DEFAULT_S);
    spec.enable_service_links.get_or_insert(true);
    spec.scheduler_name.get_or_insert_with(|| "default-scheduler".to_owned());
    spec.priority = spec.priority.or_else(|| priority_of_class(spec.priority_class_name.as_deref()?));
    spec.volumes.iter_mut().for_each(volume);
    let host_network = spec.host_network;
    for entry in spec.all_containers_mut() {
        container(entry, host_network);
    }
    pod_resources(spec);
    app_armor::fill(pod);
}

/// What the pod as a whole asks for: what its containers do, and for what none of them asks, its limit.
/// Its pages are not shared among those that ask for none.
fn pod_resources(spec: &mut PodSpec) {
    if spec.resources.is_none() {
        return;
    }
    let lasting: Vec<Resources> =
        spec.lasting_containers().map(|container| container.resources.clone()).collect();
    let Some(resources) = &mut spec.resources else { return };
    round(&mut resources.limits);
    round(&mut resources.requests);
    if resources.limits.is_empty() && resources.requests.is_empty() {
        return;
    }
    for name in POD_RESOURCES {
        let of = |asking: &Resources| asking.requests.get(name).cloned();
        let asked: Vec<String> = lasting.iter().filter_map(of).collect();
        let default = if asked.is_empty() {
            resources.limits.get(name).cloned()
        } else {
            Some(quantity::sum(asked.iter()).to_string())
        };
        if let Some(default) = default {
            resources.requests.entry(name.to_owned()).or_insert(default);
        }
    }
    for (name, limit) in resources.limits.iter().filter(|(name, _)| name.starts_with(huge_pages::PREFIX)) {
        resources.requests.entry(name.clone()).or_insert_with(|| limit.clone());
    }
}

fn volume(volume: &mut Volume) {
    if let Some(image) = &mut volume.image {
        image.pull_policy.get_or_insert(pull_policy(&image.reference));
    }
    let modes = [
        volume.config_map.as_mut().map(|source| &mut source.default_mode),
        volume.secret.as_mut().map(|source| &mut source.default_mode),
        volume.downward_api.as_mut().map(|source| &mut source.default_mode),
        volume.projected.as_mut().map(|source| &mut source.default_mode),
    ];
    for mode in modes.into_iter().flatten() {
        mode.get_or_insert(FILE_MODE_DEFAULT);
    }
    let own = volume.downward_api.iter_mut().flat_map(|source| &mut source.items);
    let projected = volume.projected.iter_mut().flat_map(|projected| &mut projected.sources);
    let projected = projected.filter_map(|each| each.downward_api.as_mut());
    let files = own.chain(projected.flat_map(|source| &mut source.items));
    files.filter_map(|file| file.field_ref.as_mut()).for_each(field_ref);
    let elsewhere = volume.host_path.is_some()
        || volume.image.is_some()
        || volume.persistent_volume_claim.is_some()
        || volume.is_written();
    if volume.empty_dir.is_none() && !elsewhere {
        volume.empty_dir = Some(EmptyDir::default());
    }
    if let Some(limit) = volume.empty_dir.as_mut().and_then(|source| source.size_limit.as_mut()) {
        canonical(limit);
    }
}

fn container(container: &mut Container, host_network: bool) {
    let policy = pull_policy(&container.image);
    container.image_pull_policy.get_or_insert(policy);
    container.termination_message_path.get_or_insert_with(|| TERMINATION_MESSAGE_PATH.to_owned());
    container.termination_message_policy.get_or_insert_with(|| "File".to_owned());
    for field in
        container.env.iter_mut().filter_map(|variable| variable.value_from.as_mut()?.field_ref.as_mut())
    {
        field_ref(field);
    }
    let probes =
        [&mut container.startup_probe, &mut container.liveness_probe, &mut container.readiness_probe];
    probes.into_iter().flatten().for_each(probe);
    for handler in
        container.lifecycle.iter_mut().flat_map(|hooks| [&mut hooks.post_start, &mut hooks.pre_stop])
    {
        handler.iter_mut().filter_map(|handler| handler.http_get.as_mut()).for_each(http_get);
    }
    for port in &mut container.ports {
        if port.protocol.is_empty() {
            "TCP".clone_into(&mut port.protocol);
        }
        port.host_port = port.host_port.filter(|number| *number != 0);
        if host_network && port.host_port.is_none() {
            port.host_port = Some(port.container_port);
        }
    }
    let resources = &mut container.resources;
    round(&mut resources.limits);
    round(&mut resources.requests);
    for (name, limit) in &resources.limits {
        resources.requests.entry(name.clone()).or_insert_with(|| limit.clone());
    }
    if let Some(capabilities) = container.security_context.as_mut().and_then(|sc| sc.capabilities.as_mut()) {
        capabilities.add.iter_mut().chain(&mut capabilities.drop).for_each(capability);
    }
}

fn field_ref(field: &mut FieldRef) {
    if field.api_version.is_empty() {
        "v1".clone_into(&mut field.api_version);
    }
}

fn probe(probe: &mut Probe) {
    // Zero means the default, as in the API.
    let fill = |number: &mut Option<u32>, default| {
        *number = Some(number.filter(|number| *number != 0).unwrap_or(default));
    };
    fill(&mut probe.timeout_seconds, 1);
    fill(&mut probe.period_seconds, 10);
    fill(&mut probe.success_threshold, 1);
    fill(&mut probe.failure_threshold, 3);
    probe.http_get.iter_mut().for_each(http_get);
}

fn http_get(get: &mut HttpGet) {
    get.path.get_or_insert_with(|| "/".to_owned());
    get.scheme.get_or_insert_with(|| "HTTP".to_owned());
}

/// `CAP_SYS_TIME` and `sys_time` mean `SYS_TIME`.
fn capability(name: &mut String) {
    let upper = name.to_ascii_uppercase();
    *name = upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned();
}

/// `Always` for an image whose tag moves, else `IfNotPresent`.
pub(super) fn pull_policy(image: &str) -> PullPolicy {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or(name);
    let tag = last.split_once(':').map(|(_, tag)| tag);
    match (tag, digest) {
        (Some("latest"), _) | (None, None) => PullPolicy::Always,
        _ => PullPolicy::IfNotPresent,
    }
}

/// Resource amounts are kept to a thousandth, rounded up, in canonical form.
fn round(amounts: &mut BTreeMap<String, String>) {
    for text in amounts.values_mut() {
        if let Ok(quantity) = quantity::parse(text) {
            *text = quantity.rounded_to_milli().to_string();
        }
    }
}

fn canonical(text: &mut String) {
    if let Ok(quantity) = quantity::parse(text) {
        *text = quantity.to_string();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pull_policy_follows_the_tag() {
        for (image, policy) in [
            ("busybox", PullPolicy::Always),
            ("busybox:latest", PullPolicy::Always),
            ("busybox:1.36", PullPolicy::IfNotPresent),
            ("registry:5000/busybox", PullPolicy::Always),
            ("registry:5000/busybox:1", PullPolicy::IfNotPresent),
            ("busybox@sha256:00", PullPolicy::IfNotPresent),
            ("busybox:latest@sha256:00", PullPolicy::Always),
            ("busybox:1@sha256:00", PullPolicy::IfNotPresent),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }

    #[test]
    fn capabilities_lose_their_prefix() {
        for (written, kept) in [("CAP_SYS_TIME", "SYS_TIME"), ("sys_time", "SYS_TIME"), ("ALL", "ALL")] {
            let mut name = written.to_owned();
            capability(&mut name);
            assert_eq!(name, kept);
        }
    }
}
