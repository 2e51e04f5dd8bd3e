//! emptyDir: a directory on disk that outlives a reboot, or a file system in memory that does not.

use crate::{cgroup::memory_limit_of_pod, error::Result, fsys, node::NodeFacts, paths::Roots};
use berth_core::manifest::{
    DesiredPod, huge_pages, quantity,
    types::{Pod, Volume},
};
use std::path::{Path, PathBuf};

/// Everybody in the pod may write, as in kubelet's.
const MODE: u32 = 0o777;

/// What holds a volume's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Medium {
    Disk,
    Memory,
    /// Pages of so many bytes.
    HugePages(u64),
}

fn medium(pod: &Pod, volume: &Volume) -> Medium {
    let medium = volume.empty_dir.as_ref().map_or("", |dir| dir.medium.as_str());
    // Validation has seen to it that there is such a size, and only one if none is named.
    let sizes = huge_pages::sizes(&pod.spec);
    let size = match medium.strip_prefix("HugePages") {
        None => return if medium == "Memory" { Medium::Memory } else { Medium::Disk },
        Some(size) => huge_pages::bytes(size.trim_start_matches('-')).or_else(|| sizes.first().copied()),
    };
    Medium::HugePages(size.unwrap_or_default())
}

/// Whether the volume is mounted memory.
pub(super) fn in_memory(pod: &Pod, volume: &Volume) -> bool {
    medium(pod, volume) != Medium::Disk
}

/// Makes the volume unless it is there, and tells where.
pub(super) fn create(roots: &Roots, node: &NodeFacts, pod: &DesiredPod, volume: &Volume) -> Result<PathBuf> {
    let medium = medium(&pod.pod, volume);
    if medium == Medium::Disk {
        let dir = roots.pod_disk_volume(&pod.uid, &volume.name);
        fsys::make_dirs(&dir, MODE)?;
        return Ok(dir);
    }
    let dir = roots.pod_memory_volume(&pod.uid, &volume.name);
    fsys::make_dirs(&dir, MODE)?;
    match medium {
        Medium::HugePages(size) if !fsys::is_huge_pages_mount(&dir) => {
            let limit = volume.empty_dir.as_ref().and_then(|dir| dir.size_limit.as_deref()).and_then(bytes);
            let limit = limit.map_or_else(String::new, |bytes| format!(",size={bytes}"));
            fsys::mount_huge_pages(&dir, &format!("mode=0777,pagesize={size}{limit}"))?;
        }
        Medium::Memory if !fsys::is_tmpfs_mount(&dir) => mount(node, &pod.pod, volume, &dir)?,
        _ => {}
    }
    Ok(dir)
}

/// Kept out of the swap where the kernel can, as it may hold secrets.
fn mount(node: &NodeFacts, pod: &Pod, volume: &Volume, dir: &Path) -> Result<()> {
    let options = format!("mode=0777,size={}", size_bytes(node, pod, volume));
    fsys::mount_unswapped(dir, &options, node.tmpfs_noswap)
}

/// The smallest of the volume's limit, the pod's memory limit (as its cgroup has it) and what the node has for pods.
fn size_bytes(node: &NodeFacts, pod: &Pod, volume: &Volume) -> u64 {
    let limit = volume.empty_dir.as_ref().and_then(|dir| dir.size_limit.as_deref()).and_then(bytes);
    [limit, memory_limit_of_pod(pod)].into_iter().flatten().fold(node.allocatable_memory_bytes(), u64::min)
}

fn bytes(text: &str) -> Option<u64> {
    let value = quantity::parse(text).ok()?.value();
    u64::try_from(value).ok().filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Policy;
    use berth_core::manifest::types::{Container, EmptyDir, PodSpec, Resources, RestartPolicy};

    #[test]
    fn a_memory_volume_is_as_large_as_the_smallest_limit() {
        // A gibibyte for pods.
        let policy = Policy { withheld_memory_bytes: 1 << 29, ..Policy::default() };
        let node = NodeFacts { memory_bytes: 3 << 29, policy, ..NodeFacts::default() };
        let mib = |n: u64| n << 20;
        for (size_limit, containers, expected) in [
            (None, &[None][..], mib(1024)),
            (Some("64Mi"), &[None], mib(64)),
            (Some("2Gi"), &[None], mib(1024)),
            (None, &[Some("10Mi"), Some("20Mi")], mib(30)),
            (None, &[Some("10Mi"), None], mib(1024)),
            (None, &[Some("sidecar 5Mi"), Some("10Mi")], mib(15)),
            (None, &[Some("init 50Mi"), Some("10Mi")], mib(50)),
            (Some("16Mi"), &[Some("10Mi"), Some("20Mi")], mib(16)),
            (Some("0"), &[None], mib(1024)),
            (Some("1500m"), &[None], 2),
        ] {
            let mut spec = PodSpec::default();
            for limit in containers {
                let (kind, limit) = limit.map_or(("", None), |text| {
                    let (kind, text) = text.split_once(' ').unwrap_or(("", text));
                    (kind, Some(("memory".to_owned(), text.to_owned())))
                });
                let resources = Resources { limits: limit.into_iter().collect(), ..Resources::default() };
                let restart_policy = (kind == "sidecar").then_some(RestartPolicy::Always);
                let list = if kind.is_empty() { &mut spec.containers } else { &mut spec.init_containers };
                list.push(Container { resources, restart_policy, ..Container::default() });
            }
            let dir = EmptyDir { medium: "Memory".into(), size_limit: size_limit.map(str::to_owned) };
            let volume = Volume { name: "v".into(), empty_dir: Some(dir), ..Volume::default() };
            let size = size_bytes(&node, &Pod { spec, ..Pod::default() }, &volume);
            assert_eq!(size, expected, "{size_limit:?} {containers:?}");
        }
    }

    #[test]
    fn a_memory_volume_holds_no_more_than_its_size_and_is_not_swapped() {
        crate::testing::with_roots(|roots| {
            let volume = Volume {
                name: "v".into(),
                empty_dir: Some(EmptyDir { medium: "Memory".into(), size_limit: Some("64Ki".into()) }),
                ..Volume::default()
            };
            let pod = crate::testing::pod(PodSpec { volumes: vec![volume.clone()], ..PodSpec::default() });
            let node = NodeFacts::read(roots, None).unwrap();
            let dir = create(roots, &node, &pod, &volume).unwrap();
            assert_eq!(create(roots, &node, &pod, &volume).unwrap(), dir);
            std::fs::write(dir.join("fits"), vec![0; 60 * 1024]).unwrap();
            let error = std::fs::write(dir.join("too much"), vec![0; 60 * 1024]).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
            let table = std::fs::read_to_string("/proc/thread-self/mounts").unwrap();
            let line = table.lines().find(|line| line.contains("volumes/v ")).unwrap();
            assert_eq!(line.contains("noswap"), node.tmpfs_noswap, "{line}");
        });
    }
}
