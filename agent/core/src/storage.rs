//! What a pod may write to the node's disk, and whether it has written more: the `sizeLimit` of volumes on disk, the
//! limits of `ephemeral-storage` of containers (what they wrote into their root file system, and their logs) and of
//! the pod as a whole (these and the volumes). Pure: measured elsewhere. Kubelet's rules, order and sentences.

use crate::manifest::{
    quantity,
    types::{PodSpec, Volume},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The name of the resource.
pub const EPHEMERAL: &str = "ephemeral-storage";

/// What was found of a pod on disk. A number that is not there is not known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StorageUse {
    /// Bytes in each emptyDir on disk, by the volume's name.
    pub volumes: BTreeMap<String, u64>,
    /// Bytes of each container: its writable layer and all its logs.
    pub containers: BTreeMap<String, u64>,
    /// Files and directories in all of these.
    #[serde(default)]
    pub inodes: u64,
    /// There is more than was counted: the numbers are too small.
    pub cut: bool,
    /// How long the counting took, milliseconds.
    pub took_ms: u64,
}

impl StorageUse {
    /// All of it.
    pub fn bytes(&self) -> u64 {
        self.volumes.values().chain(self.containers.values()).fold(0, |sum, part| sum.saturating_add(*part))
    }
}

/// Volumes that lie on the node's disk and go with the pod.
pub fn disk_volumes(spec: &PodSpec) -> impl Iterator<Item = &Volume> {
    let on_disk = |volume: &&Volume| volume.empty_dir.as_ref().is_some_and(|dir| dir.medium.is_empty());
    spec.volumes.iter().filter(on_disk)
}

/// The pod has some limit of which this is about.
pub fn is_limited(spec: &PodSpec) -> bool {
    disk_volumes(spec).any(|volume| volume_limit(volume).is_some())
        || spec.all_containers().any(|container| container.resources.limits.contains_key(EPHEMERAL))
}

/// Why the pod must go, in kubelet's words; none if it is within its limits.
pub fn excess(spec: &PodSpec, found: &StorageUse) -> Option<String> {
    for volume in disk_volumes(spec) {
        let (Some(used), Some(limit)) = (found.volumes.get(&volume.name), volume_limit(volume)) else {
            continue;
        };
        if *used > bytes(limit) {
            return Some(format!("Usage of EmptyDir volume {:?} exceeds the limit {limit:?}.", volume.name));
        }
    }
    let used = found.bytes();
    if let Some(limit) = pod_limit(spec).filter(|limit| used > bytes(limit)) {
        return Some(format!(
            "Pod ephemeral local storage usage exceeds the total limit of containers {limit}."
        ));
    }
    spec.all_containers().find_map(|container| {
        let limit = container.resources.limits.get(EPHEMERAL)?;
        let over = *found.containers.get(&container.name)? > bytes(limit);
        over.then(|| {
            format!("Container {} exceeded its local ephemeral storage limit {limit:?}.", container.name)
        })
    })
}

/// An unlimited volume has the limit zero, as in Kubernetes.
fn volume_limit(volume: &Volume) -> Option<&String> {
    volume.empty_dir.as_ref()?.size_limit.as_ref().filter(|limit| bytes(limit) > 0)
}

/// What the containers' limits come to: those that run side by side together, or the largest init container's.
fn pod_limit(spec: &PodSpec) -> Option<String> {
    let of =
        |container: &crate::manifest::types::Container| container.resources.limits.get(EPHEMERAL).cloned();
    let together: Vec<String> = spec.lasting_containers().filter_map(of).collect();
    let init = spec.init_containers.iter().filter(|init| !init.restarts_always()).filter_map(of);
    let sum = (!together.is_empty()).then(|| quantity::sum(together.iter()).to_string());
    init.chain(sum).max_by_key(|limit| bytes(limit))
}

fn bytes(text: &str) -> u64 {
    quantity::parse(text).map_or(u64::MAX, |limit| u64::try_from(limit.value()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_over_its_limit_is_named_in_kubelets_words() {
        let volume =
            |name: &str, limit: serde_json::Value| json!({"name": name, "emptyDir": {"sizeLimit": limit}});
        let limited =
            |name: &str, limit: &str| json!({"name": name, "resources": {"limits": {EPHEMERAL: limit}}});
        let two = json!({"volumes": [volume("a", json!("1Ki")), volume("b", json!(null))],
            "containers": [limited("x", "2Ki"), {"name": "y"}]});
        let inits = json!({"initContainers": [limited("big", "8Ki")], "containers": [limited("x", "2Ki"), limited("y", "2Ki")]});
        let memory = json!({"volumes": [{"name": "a", "emptyDir": {"medium": "Memory", "sizeLimit": "1Ki"}}],
            "containers": [{"name": "x"}]});
        let found = |volumes: &[(&str, u64)], containers: &[(&str, u64)]| StorageUse {
            volumes: volumes.iter().map(|(name, bytes)| ((*name).to_owned(), *bytes)).collect(),
            containers: containers.iter().map(|(name, bytes)| ((*name).to_owned(), *bytes)).collect(),
            ..StorageUse::default()
        };
        for (spec, found, said) in [
            (&two, found(&[("a", 1024), ("b", 0)], &[("x", 1024)]), None),
            (
                &two,
                found(&[("a", 1025)], &[]),
                Some("Usage of EmptyDir volume \"a\" exceeds the limit \"1Ki\"."),
            ),
            (
                &two,
                found(&[("a", 1024), ("b", 1024)], &[("x", 1)]),
                Some("Pod ephemeral local storage usage exceeds the total limit of containers 2Ki."),
            ),
            (&two, found(&[], &[("x", 1024), ("y", 1024)]), None),
            (&inits, found(&[], &[("x", 2048), ("y", 2048)]), None),
            (
                &inits,
                found(&[], &[("x", 2049)]),
                Some("Container x exceeded its local ephemeral storage limit \"2Ki\"."),
            ),
            (
                &inits,
                found(&[], &[("big", 8193)]),
                Some("Pod ephemeral local storage usage exceeds the total limit of containers 8Ki."),
            ),
            (&memory, found(&[("a", 4096)], &[]), None),
        ] {
            let spec: PodSpec = serde_json::from_value(spec.clone()).unwrap();
            assert_eq!(excess(&spec, &found).as_deref(), said, "{found:?}");
            let limited = spec.containers.iter().any(|c| !c.resources.limits.is_empty());
            assert_eq!(is_limited(&spec), limited);
        }
    }
}
