//! The kernel: new enough, and with what containers are made of.

use super::super::{
    Finding,
    facts::{Facts, NAMESPACES, Trial},
    options::{Need, missing},
};
use std::collections::BTreeMap;

/// The first kernel with `cgroup.kill`, which ends a container's processes all at once (and with
/// `mount_setattr`, of 5.12, without which no container is made).
const OLDEST: (u32, u32) = (5, 14);
const OPTIONS_ID: &str = "kernel-options";
const OPTIONS_TITLE: &str = "kernel options";

/// The two numbers at the beginning of a release.
fn numbers(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Whether the kernel is new enough.
pub(super) fn version(facts: &Facts) -> Finding {
    const ID: &str = "kernel";
    const TITLE: &str = "kernel version";
    let release = &facts.kernel;
    match numbers(release) {
        Some(version) if version < OLDEST => Finding::fail(
            ID,
            TITLE,
            format!("Linux {release}; Berth needs 5.14 or newer (cgroup.kill, mount_setattr)"),
            "run a newer kernel: 6.6 or 6.12 are maintained for long",
        ),
        Some(_) => Finding::ok(ID, TITLE, format!("Linux {release}")),
        None => Finding::warn(
            ID,
            TITLE,
            format!("{release:?} is no version that can be read"),
            "is /proc mounted?",
        ),
    }
}

/// The namespaces that pods are made of.
pub(super) fn namespaces(facts: &Facts) -> Finding {
    const ID: &str = "namespaces";
    const TITLE: &str = "namespaces";
    let missing: Vec<_> = NAMESPACES.iter().filter(|ns| !facts.namespaces.contains(ns)).copied().collect();
    let option = |ns: &str| match ns {
        "mnt" => "CONFIG_NAMESPACES".to_owned(),
        _ => format!("CONFIG_{}_NS", ns.to_uppercase()),
    };
    let options = missing.iter().map(|ns| option(ns)).collect::<Vec<_>>().join(", ");
    match missing.as_slice() {
        [] => Finding::ok(ID, TITLE, NAMESPACES.join(" ")),
        // Only pods with hostUsers: false would have one.
        ["user"] => Finding::ok(ID, TITLE, "all but user namespaces, which nothing needs yet"),
        _ => Finding::fail(
            ID,
            TITLE,
            format!("the kernel has none of: {}", missing.join(" ")),
            format!("build the kernel with {options}"),
        ),
    }
}

/// The file system of containers.
pub(super) fn overlay_known(facts: &Facts) -> Finding {
    const ID: &str = "overlayfs";
    const TITLE: &str = "overlayfs";
    if facts.overlay_known || facts.overlay == Trial::Works {
        return Finding::ok(ID, TITLE, "the kernel has it, or a module for it");
    }
    Finding::fail(
        ID,
        TITLE,
        format!("neither in /proc/filesystems nor among the modules of {}", facts.kernel),
        "modprobe overlay; if there is no such module, build the kernel with CONFIG_OVERLAY_FS",
    )
}

/// Overlays where containers' layers are kept.
pub(super) fn overlay_works(facts: &Facts) -> Finding {
    const ID: &str = "overlay-state";
    const TITLE: &str = "overlay on the state directory";
    let place = facts.state.as_ref().map(|state| state.path.display().to_string()).unwrap_or_default();
    match &facts.overlay {
        Trial::Works => Finding::ok(ID, TITLE, format!("works on {place}")),
        Trial::Unknown(why) => {
            Finding::warn(ID, TITLE, format!("not tried: {why}"), "run berth doctor as root")
        }
        Trial::Fails(why) => Finding::fail(
            ID,
            TITLE,
            format!("on {place}: {why}"),
            "put stateDirectory on ext4, f2fs, btrfs or xfs (ftype=1); an overlay, NFS or FAT cannot hold it",
        ),
    }
}

/// Filters for system calls.
pub(super) fn seccomp(facts: &Facts) -> Finding {
    const ID: &str = "seccomp";
    const TITLE: &str = "seccomp filters";
    if facts.seccomp {
        return Finding::ok(ID, TITLE, "the kernel has them");
    }
    Finding::fail(
        ID,
        TITLE,
        "the kernel has none; pods with the seccomp profile RuntimeDefault do not start",
        "build the kernel with CONFIG_SECCOMP_FILTER, or set seccompDefault: false in /etc/berth/config.yaml",
    )
}

/// The filter that confines containers to their devices.
pub(super) fn device_filter(facts: &Facts) -> Finding {
    const ID: &str = "cgroup-bpf";
    const TITLE: &str = "device filters (cgroup BPF)";
    match &facts.device_filter {
        Trial::Works => Finding::ok(ID, TITLE, "the kernel takes them"),
        Trial::Unknown(why) => {
            Finding::warn(ID, TITLE, format!("not tried: {why}"), "run berth doctor as root")
        }
        Trial::Fails(why) => Finding::fail(
            ID,
            TITLE,
            format!("the kernel refuses them: {why}"),
            "build the kernel with CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF",
        ),
    }
}

/// What the kernel was built with, where that can be read.
pub(super) fn options(facts: &Facts) -> Finding {
    match &facts.kernel_options {
        Some(options) => judge_options(options),
        None => Finding::ok(
            OPTIONS_ID,
            OPTIONS_TITLE,
            "cannot be read (no /proc/config.gz); judged by what the kernel does",
        ),
    }
}

/// The options of a kernel, running or yet to be built.
pub(super) fn judge_options(options: &BTreeMap<String, String>) -> Finding {
    let (needed, wanted) = (missing(options, Need::Needed), missing(options, Need::Wanted));
    let remedy = || format!("build the kernel with {}", [needed.clone(), wanted.clone()].concat().join(", "));
    let not_set = |names: &[String]| format!("not set: {}", names.join(", "));
    match (needed.is_empty(), wanted.is_empty()) {
        (true, true) => Finding::ok(OPTIONS_ID, OPTIONS_TITLE, "all that matter are set"),
        (true, false) => Finding::warn(OPTIONS_ID, OPTIONS_TITLE, not_set(&wanted), remedy()),
        _ => Finding::fail(OPTIONS_ID, OPTIONS_TITLE, not_set(&needed), remedy()),
    }
}

/// Pressure stall information.
pub(super) fn pressure(facts: &Facts) -> Finding {
    const ID: &str = "psi";
    const TITLE: &str = "pressure information (PSI)";
    if facts.psi {
        return Finding::ok(ID, TITLE, "the kernel tells it");
    }
    let found = "the kernel does not tell it: that memory runs short is seen with the slow rescan only";
    Finding::warn(ID, TITLE, found, "build the kernel with CONFIG_PSI, or boot it with psi=1")
}

/// Bridge and interfaces of pods.
pub(super) fn network(facts: &Facts) -> Finding {
    const ID: &str = "network";
    const TITLE: &str = "network of pods (bridge, veth)";
    match &facts.cni {
        None => {}
        Some(Trial::Fails(why)) => {
            let remedy = "describe a network in cniConfDir and install its plugins in cniBinDir";
            return Finding::warn(ID, TITLE, format!("{why}. Pods without hostNetwork wait"), remedy);
        }
        Some(_) => {
            return Finding::ok(ID, TITLE, "by CNI plugins; the network is described and they are there");
        }
    }
    match &facts.network {
        _ if !facts.network_wanted => Finding::ok(ID, TITLE, NOT_WANTED),
        Trial::Works => {
            Finding::ok(ID, TITLE, format!("the kernel makes them: {}", facts.networks.join("; ")))
        }
        Trial::Unknown(why) => {
            Finding::warn(ID, TITLE, format!("not tried: {why}"), "run berth doctor as root")
        }
        Trial::Fails(why) => Finding::warn(
            ID,
            TITLE,
            format!("{why}. Pods without hostNetwork wait"),
            "load the modules bridge and veth, or build the kernel with CONFIG_BRIDGE and CONFIG_VETH; or set \
             network: none in /etc/berth/config.yaml",
        ),
    }
}

/// Pods' way out, and the ports of the node.
pub(super) fn packet_rules(facts: &Facts) -> Finding {
    const ID: &str = "packet-rules";
    const TITLE: &str = "packet rules of pods (nf_tables)";
    if !facts.network_wanted {
        return Finding::ok(ID, TITLE, NOT_WANTED);
    }
    let remedy = "build the kernel with what `berth doctor --kernel-fragment` lists for networks of pods: \
                  CONFIG_NF_TABLES_INET among it, which is there with CONFIG_IPV6 only";
    let without = "Pods reach each other and the node only; those with a hostPort wait";
    of_trial(ID, TITLE, &facts.packet_rules, "the kernel takes them", without, remedy)
}

/// That a pod does not send under another one's address.
pub(super) fn own_addresses(facts: &Facts) -> Finding {
    const ID: &str = "own-addresses";
    const TITLE: &str = "pods keep to their own addresses (nf_tables on the bridge)";
    if !facts.network_wanted {
        return Finding::ok(ID, TITLE, NOT_WANTED);
    }
    let remedy = "build the kernel with CONFIG_NF_TABLES_BRIDGE and CONFIG_NFT_BRIDGE_META, or drop NET_RAW in the pods' manifests";
    let without = "A pod with NET_RAW may send as another one";
    of_trial(ID, TITLE, &facts.own_addresses, "the kernel sees to it", without, remedy)
}

/// What pods can do without; `without` says how they are then.
fn of_trial(
    id: &'static str,
    title: &'static str,
    trial: &Trial,
    works: &str,
    without: &str,
    remedy: &str,
) -> Finding {
    match trial {
        Trial::Works => Finding::ok(id, title, works),
        Trial::Unknown(why) => {
            Finding::warn(id, title, format!("not tried: {why}"), "run berth doctor as root")
        }
        Trial::Fails(why) => Finding::warn(id, title, format!("{why}. {without}"), remedy),
    }
}

/// Of what only networks of ours need.
pub(super) const NOT_WANTED: &str = "not needed: the configuration says another network than bridge";
