//! emptyDir: a directory on disk that outlives a reboot, or a tmpfs that does not.

use crate::{error::Result, fsys, node::NodeFacts, paths::Roots};
use berth_core::manifest::{
    DesiredPod, quantity,
    types::{Pod, Volume},
};
use std::path::PathBuf;

/// Everybody in the pod may write, as in kubelet's.
const MODE: u32 = 0o777;

/// Whether the volume is a tmpfs.
pub(super) fn in_memory(volume: &Volume) -> bool {
    volume.empty_dir.as_ref().is_some_and(|dir| dir.medium == "Memory")
}

/// Makes the volume unless it is there, and tells where.
pub(super) fn create(roots: &Roots, node: &NodeFacts, pod: &DesiredPod, volume: &Volume) -> Result<PathBuf> {
    if !in_memory(volume) {
        let dir = roots.pod_disk_volume(&pod.uid, &volume.name);
        fsys::make_dirs(&dir, MODE)?;
        return Ok(dir);
    }
    let dir = roots.pod_memory_volume(&pod.uid, &volume.name);
    fsys::make_dirs(&dir, MODE)?;
    if !fsys::is_tmpfs_mount(&dir) {
        fsys::mount_tmpfs(&dir, &options(node, &pod.pod, volume), true)?;
    }
    Ok(dir)
}

fn options(node: &NodeFacts, pod: &Pod, volume: &Volume) -> String {
    let noswap = if node.tmpfs_noswap { ",noswap" } else { "" };
    format!("mode=0777,size={}{noswap}", size_bytes(node, pod, volume))
}

/// The smallest of the volume's limit, the pod's memory limit (if all its containers have one) and the
/// node's memory.
fn size_bytes(node: &NodeFacts, pod: &Pod, volume: &Volume) -> u64 {
    let limit = volume.empty_dir.as_ref().and_then(|dir| dir.size_limit.as_deref()).and_then(bytes);
    let of_container = |limit: Option<&String>| limit.and_then(|text| bytes(text));
    let of_pod: Option<u64> = pod
        .spec
        .containers
        .iter()
        .map(|container| of_container(container.resources.limits.get("memory")))
        .try_fold(0_u64, |sum, limit| sum.checked_add(limit?));
    [limit, of_pod.filter(|sum| *sum > 0)].into_iter().flatten().fold(node.memory_bytes, u64::min)
}

fn bytes(text: &str) -> Option<u64> {
    let value = quantity::parse(text).ok()?.value();
    u64::try_from(value).ok().filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_core::manifest::types::{Container, EmptyDir, PodSpec, Resources};

    #[test]
    fn a_memory_volume_is_as_large_as_the_smallest_limit() {
        let node = NodeFacts { memory_bytes: 1 << 30, ..NodeFacts::default() };
        let mib = |n: u64| n << 20;
        for (size_limit, containers, expected) in [
            (None, &[None][..], mib(1024)),
            (Some("64Mi"), &[None], mib(64)),
            (Some("2Gi"), &[None], mib(1024)),
            (None, &[Some("10Mi"), Some("20Mi")], mib(30)),
            (None, &[Some("10Mi"), None], mib(1024)),
            (Some("16Mi"), &[Some("10Mi"), Some("20Mi")], mib(16)),
            (Some("0"), &[None], mib(1024)),
            (Some("1500m"), &[None], 2),
        ] {
            let container = |limit: &Option<&str>| {
                let limits = limit.map(|text| ("memory".to_owned(), text.to_owned())).into_iter().collect();
                Container { resources: Resources { limits, ..Resources::default() }, ..Container::default() }
            };
            let spec =
                PodSpec { containers: containers.iter().map(container).collect(), ..PodSpec::default() };
            let dir = EmptyDir { medium: "Memory".into(), size_limit: size_limit.map(str::to_owned) };
            let volume = Volume { name: "v".into(), empty_dir: Some(dir), host_path: None };
            let size = size_bytes(&node, &Pod { spec, ..Pod::default() }, &volume);
            assert_eq!(size, expected, "{size_limit:?} {containers:?}");
        }
    }

    #[test]
    fn swap_is_kept_out_where_the_kernel_can() {
        let volume = Volume { name: "v".into(), ..Volume::default() };
        for (tmpfs_noswap, expected) in [(true, "mode=0777,size=7,noswap"), (false, "mode=0777,size=7")] {
            let node = NodeFacts { memory_bytes: 7, tmpfs_noswap, ..NodeFacts::default() };
            assert_eq!(options(&node, &Pod::default(), &volume), expected);
        }
    }
}
