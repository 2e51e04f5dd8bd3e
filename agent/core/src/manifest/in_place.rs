//! Which changes of a manifest a running pod takes on as it is, and which make another pod of it. Pure.
//!
//! What is applied in place is what decides nothing when containers are made: labels, annotations (but those that
//! Berth reads when it makes the pod), probes, the grace of the end, tolerations; and CPU time and memory of regular
//! containers, sidecars and the pod as a whole, as long as its QoS class stays. All the rest is the pod's *shape*: two
//! revisions of one shape are one pod, whichever of them was there first, so that what is changed can be changed
//! back, and forth again by an agent that knows the first revision only.
//!
//! Never looks at what runs: whether there is something to apply it to is `world`'s affair.

use super::{
    DesiredPod,
    identity::{self, ANNOTATION_HASH},
    objects::is_made,
    qos,
    types::{Container, Pod, Resources},
};
use crate::{
    devices,
    ids::{PodUid, hex},
    network,
    resize::PodResources,
};
use sha2::{Digest as _, Sha256};

/// Keeps these hashes apart from any other use of SHA-256, and names the version of the shape.
const DOMAIN: &[u8] = b"berth pod shape 1\0";
/// The resources that a pod that runs can be given more or less of.
const RESIZED: [&str; 2] = ["cpu", "memory"];
/// Bytes of the hash that are kept.
const SHAPE_LEN_BYTES: usize = 16;

/// What becomes of a pod for a new revision of its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is that revision.
    Same,
    /// It takes it on as it runs.
    InPlace,
    /// It goes, and another one begins.
    Replace,
}

/// What the pod `old` has to do to be `new`. `lacks`: an object is not there from which variables of `new` come, so
/// nobody knows whether their values are others.
pub fn compare(old: &DesiredPod, new: &DesiredPod, lacks: bool) -> Change {
    if old.key != new.key {
        return Change::Replace;
    }
    let made = is_made(&old.uid);
    // What it asks for may wait until there is room, longer than all the rest of its revision.
    let same = made && revision(old) == revision(new) && !resizes(&old.pod, &new.pod);
    if std::sync::Arc::ptr_eq(&old.pod, &new.pod) || same {
        return Change::Same;
    }
    if !made && old.pod == new.pod {
        return Change::Same;
    }
    let same_values = lacks || old.values == new.values;
    if same_values && form(&old.pod) == form(&new.pod) { Change::InPlace } else { Change::Replace }
}

/// The hash of its content, where its uid is one.
pub fn revision(pod: &DesiredPod) -> &str {
    pod.pod.metadata.annotations.get(ANNOTATION_HASH).map_or(&*pod.uid.0, String::as_str)
}

/// What all revisions have in common that can follow each other in place, with the values of their variables. For
/// what is kept over a reboot.
pub fn shape(pod: &DesiredPod) -> String {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(form(&pod.pod).as_bytes());
    hash.update([0]);
    hash.update(pod.values.as_deref().unwrap_or_default().as_bytes());
    hex(&hash.finalize()[..SHAPE_LEN_BYTES])
}

/// What is applied when `old` becomes `new`, in words; empty if it is nothing that shows.
pub fn differences(old: &Pod, new: &Pod) -> Vec<String> {
    let mut words = Vec::new();
    let mut note = |differs: bool, what: &str| {
        if differs {
            words.push(what.to_owned());
        }
    };
    note(old.metadata.labels != new.metadata.labels, "metadata.labels");
    let own = |pod: &Pod| {
        let mut annotations = pod.metadata.annotations.clone();
        annotations.retain(|name, _| !identity::is_stamp(name));
        annotations
    };
    note(own(old) != own(new), "metadata.annotations");
    let grace = |pod: &Pod| pod.spec.termination_grace_period_seconds;
    note(grace(old) != grace(new), "spec.terminationGracePeriodSeconds");
    note(old.spec.tolerations != new.spec.tolerations, "spec.tolerations");
    for (old, new) in old.spec.all_containers().zip(new.spec.all_containers()) {
        for (differs, probe) in [
            (old.startup_probe != new.startup_probe, "startupProbe"),
            (old.liveness_probe != new.liveness_probe, "livenessProbe"),
            (old.readiness_probe != new.readiness_probe, "readinessProbe"),
        ] {
            note(differs, &format!("{probe} of container {}", new.name));
        }
    }
    words
}

/// CPU time or memory are others.
pub fn resizes(old: &Pod, new: &Pod) -> bool {
    PodResources::of(&old.spec) != PodResources::of(&new.spec)
}

/// The pod with the resources of another one of its shape.
pub fn with_resources_of(pod: &Pod, other: &Pod) -> Pod {
    let mut pod = pod.clone();
    pod.spec.resources.clone_from(&other.spec.resources);
    for (container, other) in pod.spec.all_containers_mut().zip(other.spec.all_containers()) {
        container.resources.clone_from(&other.resources);
    }
    pod
}

/// The canonical form without what is applied in place.
fn form(pod: &Pod) -> String {
    let class = qos::of(pod).as_str();
    let mut pod = pod.clone();
    pod.spec.resources.iter_mut().for_each(forget_resources);
    pod.spec.containers.iter_mut().for_each(|container| forget_resources(&mut container.resources));
    for init in pod.spec.init_containers.iter_mut().filter(|init| init.restarts_always()) {
        forget_resources(&mut init.resources);
    }
    let metadata = &mut pod.metadata;
    if is_made(&PodUid(metadata.uid.as_str().into())) {
        metadata.uid.clear();
    }
    metadata.labels.clear();
    metadata.annotations.retain(|name, _| decides_at_start(name));
    pod.spec.termination_grace_period_seconds = None;
    // Shown only; one of them depends on where the manifest came from.
    pod.spec.tolerations.clear();
    pod.spec.all_containers_mut().for_each(forget_probes);
    identity::canonical(&pod) + class
}

fn forget_resources(resources: &mut Resources) {
    for list in [&mut resources.limits, &mut resources.requests] {
        list.retain(|name, _| !RESIZED.contains(&name.as_str()));
    }
}

fn forget_probes(container: &mut Container) {
    (container.startup_probe, container.liveness_probe, container.readiness_probe) = (None, None, None);
}

/// Berth reads this annotation when it makes the pod's network or its containers. Others are for people, for
/// other programs, or read whenever they are needed: `berth/required`, `berth/checkpoint`, `berth/start-after`.
fn decides_at_start(name: &str) -> bool {
    let of_network =
        [network::named::NETWORK, network::attachments::ATTACHMENTS, network::INGRESS, network::EGRESS];
    of_network.contains(&name) || name == devices::DEVICES || name.starts_with(devices::CDI)
}

#[cfg(test)]
#[path = "in_place_tests.rs"]
mod tests;
