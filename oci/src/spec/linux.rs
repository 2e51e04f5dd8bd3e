//! The Linux part of a spec: namespaces, cgroup, what of /proc and /sys is hidden.

use super::SpecInput;
use crate::{container::mounts::Propagation, devices::DeviceNode, error::Result};
use berth_core::manifest::types::ProcMount;
use libcontainer::oci_spec::runtime::{Linux, LinuxNamespace, LinuxNamespaceType};
use std::path::PathBuf;

/// Replaced by nothing: they tell of the node, or let a container disturb it.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// May be read only.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

pub(super) fn linux(input: &SpecInput<'_>) -> Result<Linux> {
    let privileged = input.container.is_privileged();
    let unmasked =
        input.container.security_context.as_ref().and_then(|sc| sc.proc_mount) == Some(ProcMount::Unmasked);
    let open = privileged || unmasked;
    let bidirectional = input.binds.iter().any(|bind| bind.propagation == Propagation::Bidirectional);
    let list = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    let devices = input.devices.iter().map(DeviceNode::to_oci);
    let mut linux = Linux::default();
    linux
        .set_namespaces(Some(namespaces(input)))
        .set_cgroups_path(Some(input.cgroup.to_owned()))
        .set_resources(None)
        .set_devices((!input.devices.is_empty()).then(|| devices.collect()))
        .set_seccomp(None)
        .set_sysctl(None)
        .set_uid_mappings(None)
        .set_gid_mappings(None)
        // Else the runtime makes a slave of each mount, and nothing passes to the node.
        .set_rootfs_propagation(bidirectional.then(|| "shared".to_owned()))
        .set_masked_paths((!open).then(|| masked(input.throttled_cpus)))
        .set_readonly_paths((!open).then(|| list(&READ_ONLY)));
    Ok(linux)
}

fn masked(throttled_cpus: u32) -> Vec<String> {
    let of_cpus = (0..throttled_cpus).map(|cpu| format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle"));
    MASKED.iter().map(|path| (*path).to_owned()).chain(of_cpus).collect()
}

/// Always its own mounts; its own process numbers unless the pod shares them or the node's; the pod's network,
/// IPC and host name; a view of the cgroup tree that begins at its own, except where privileged.
fn namespaces(input: &SpecInput<'_>) -> Vec<LinuxNamespace> {
    let mut list = Vec::with_capacity(7);
    if let Some(user) = &input.namespaces.user {
        list.push(namespace(LinuxNamespaceType::User, Some(user.clone())));
    }
    if !input.desired.pod.spec.host_pid {
        list.push(namespace(LinuxNamespaceType::Pid, input.namespaces.pid.clone()));
    }
    let of_pod = [
        (LinuxNamespaceType::Network, &input.namespaces.net),
        (LinuxNamespaceType::Ipc, &input.namespaces.ipc),
        (LinuxNamespaceType::Uts, &input.namespaces.uts),
    ];
    for (kind, path) in of_pod {
        if path.is_some() {
            list.push(namespace(kind, path.clone()));
        }
    }
    list.push(namespace(LinuxNamespaceType::Mount, None));
    if !input.container.is_privileged() {
        list.push(namespace(LinuxNamespaceType::Cgroup, None));
    }
    list
}

fn namespace(kind: LinuxNamespaceType, path: Option<PathBuf>) -> LinuxNamespace {
    let mut namespace = LinuxNamespace::default();
    namespace.set_typ(kind).set_path(path);
    namespace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_hot_the_node_is_is_its_own_affair() {
        assert_eq!(masked(0), MASKED);
        let last = masked(2).split_off(MASKED.len());
        assert_eq!(last, [0, 1].map(|cpu| format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle")));
    }
}
