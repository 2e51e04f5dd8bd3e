//! The kernel options that matter: one table, from which a running kernel and a `.config` are judged and the kernel
//! fragment of the Yocto layer is made. Pure.

use std::{collections::BTreeMap, fmt::Write as _};

/// How much an option matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Without it no pod runs.
    Needed,
    /// Without it something that pods can ask for does not work.
    Wanted,
    /// Others depend on it: it is on when they are, and in the fragment so that they can be.
    Base,
    /// Worth having; nothing is missing without it.
    Optional,
}

/// An option, without `CONFIG_`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KernelOption {
    pub(crate) name: &'static str,
    pub(crate) need: Need,
    /// As a module it does as well.
    module: bool,
}

const fn built_in(name: &'static str, need: Need) -> KernelOption {
    KernelOption { name, need, module: false }
}

const fn module(name: &'static str, need: Need) -> KernelOption {
    KernelOption { name, need, module: true }
}

use Need::{Base, Needed, Optional, Wanted};

/// Groups in the order of the fragment: what they are for, and the options.
const TABLE: [(&str, &[KernelOption]); 7] = [
    (
        "control groups, version 2, with what limits are made of",
        &[
            built_in("CGROUPS", Needed),
            built_in("CGROUP_SCHED", Base),
            built_in("FAIR_GROUP_SCHED", Base),
            built_in("CFS_BANDWIDTH", Wanted),
            built_in("CPUSETS", Wanted),
            built_in("CGROUP_PIDS", Wanted),
            built_in("MEMCG", Wanted),
            built_in("BLK_CGROUP", Optional),
            built_in("CGROUP_HUGETLB", Optional),
            built_in("PSI", Optional),
        ],
    ),
    (
        "namespaces",
        &[
            built_in("NAMESPACES", Needed),
            built_in("UTS_NS", Needed),
            built_in("IPC_NS", Needed),
            built_in("PID_NS", Needed),
            built_in("NET_NS", Needed),
            built_in("USER_NS", Optional),
            built_in("SYSVIPC", Base),
            built_in("POSIX_MQUEUE", Wanted),
        ],
    ),
    (
        "filters: of system calls, and of devices (a BPF program on each container's cgroup)",
        &[
            built_in("SECCOMP", Base),
            built_in("SECCOMP_FILTER", Wanted),
            built_in("BPF_SYSCALL", Wanted),
            built_in("CGROUP_BPF", Wanted),
        ],
    ),
    (
        "file systems of containers",
        &[
            module("OVERLAY_FS", Needed),
            built_in("TMPFS", Needed),
            built_in("TMPFS_XATTR", Optional),
            built_in("MEMFD_CREATE", Needed),
            built_in("INOTIFY_USER", Wanted),
        ],
    ),
    (
        "sockets: the command line's, and loopback",
        &[built_in("NET", Base), built_in("UNIX", Needed), built_in("INET", Base)],
    ),
    (
        "networks of pods",
        &[
            // NF_TABLES_INET depends on it, whether or not pods have such addresses.
            module("IPV6", Wanted),
            module("BRIDGE", Wanted),
            module("VETH", Wanted),
            built_in("NETFILTER", Base),
            module("NF_CONNTRACK", Wanted),
            module("NF_CT_NETLINK", Wanted),
            module("NF_NAT", Wanted),
            module("NF_TABLES", Wanted),
            built_in("NF_TABLES_INET", Wanted),
            module("NF_TABLES_BRIDGE", Wanted),
            module("NFT_BRIDGE_META", Wanted),
            module("NFT_CT", Wanted),
            module("NFT_NAT", Wanted),
            module("NFT_MASQ", Wanted),
            module("NFT_FIB_IPV4", Base),
            module("NFT_FIB_IPV6", Base),
            module("NFT_FIB_INET", Wanted),
            built_in("NET_SCHED", Base),
            module("NET_SCH_TBF", Wanted),
            module("MACVLAN", Optional),
            module("IPVLAN", Optional),
            module("VLAN_8021Q", Optional),
        ],
    ),
    (
        "read-only images of the system, if they are used",
        &[module("EROFS_FS", Optional), built_in("FS_VERITY", Optional)],
    ),
];

/// Every option of the table.
fn all() -> impl Iterator<Item = &'static KernelOption> {
    TABLE.iter().flat_map(|(_, options)| options.iter())
}

/// Those of a need that are not set, with `CONFIG_` before them.
pub(crate) fn missing(set: &BTreeMap<String, String>, need: Need) -> Vec<String> {
    let wanted = all().filter(|option| option.need == need && !set.contains_key(option.name));
    wanted.map(|option| format!("CONFIG_{}", option.name)).collect()
}

/// The fragment with which a kernel has all of them.
pub(crate) fn fragment() -> String {
    let mut text = String::from(
        "# What Berth asks of a kernel; `berth doctor --kernel-fragment` prints this.\n\
         # [needed]: without it no pod runs. [wanted]: without it something of pods does not work.\n",
    );
    for (about, options) in TABLE {
        let _ = writeln!(text, "\n# {about}");
        for option in options {
            let value = if option.module { 'm' } else { 'y' };
            let mark = match option.need {
                Needed => "# [needed]\n",
                Wanted => "# [wanted]\n",
                Base | Optional => "",
            };
            let _ = writeln!(text, "{mark}CONFIG_{}={value}", option.name);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_once() {
        let mut names: Vec<_> = all().map(|option| option.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_kernel_of_the_fragment_lacks_nothing() {
        let line = |line: &str| {
            let (name, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        let mut set: BTreeMap<_, _> = fragment().lines().filter_map(line).collect();
        assert_eq!(set.len(), all().count());
        for need in [Needed, Wanted, Base, Optional] {
            assert_eq!(missing(&set, need), [""; 0]);
        }
        set.remove("MEMCG");
        set.remove("IPV6");
        assert_eq!(missing(&set, Wanted), ["CONFIG_MEMCG", "CONFIG_IPV6"]);
        assert_eq!(missing(&set, Needed), [""; 0]);
    }
}
