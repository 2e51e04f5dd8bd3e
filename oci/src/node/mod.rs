//! What is known of the node: read once when the agent starts, from /proc, /sys and the configuration.

mod addresses;
mod cores;
mod parse;

pub use addresses::addresses;
pub use cores::cores;
pub(crate) use parse::meminfo_bytes;

use crate::{
    error::{Error, Result},
    paths::Roots,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, net::IpAddr, path::Path};

/// The node's facts. Memory in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeFacts {
    /// The node's name, behind every pod's: configured, or the host name in lower case.
    pub name: String,
    /// The host name as the kernel has it.
    pub hostname: String,
    /// Tells this boot from others.
    pub boot_id: String,
    /// Main memory as the kernel counts it.
    pub memory_bytes: u64,
    /// The file system that holds Berth's state, in whole.
    #[serde(default)]
    pub storage_bytes: u64,
    /// Swap space; 0 for none.
    pub swap_bytes: u64,
    /// Processors that are online.
    pub cpus: u32,
    /// Bytes in a page.
    pub page_size_bytes: u64,
    /// `uname -r`.
    pub kernel_release: String,
    /// Major and minor of the kernel.
    pub kernel: (u32, u32),
    /// As Kubernetes writes it: `amd64`, `arm64`, `arm`.
    pub architecture: String,
    /// `PRETTY_NAME` of os-release; empty if there is none.
    pub os_image: String,
    /// Controllers that the unified hierarchy has at its root; empty without such a hierarchy.
    pub controllers: Vec<String>,
    /// `/sys/fs/cgroup` (or where configured) is a cgroup2 mount.
    pub cgroup_unified: bool,
    /// Larger pages, of sizes of which the node has some: the size, and what they come to together, in bytes.
    #[serde(default)]
    pub huge_pages: BTreeMap<u64, u64>,
    /// AppArmor confines processes here.
    #[serde(default)]
    pub app_armor: bool,
    /// SELinux does.
    #[serde(default)]
    pub se_linux: bool,
    /// tmpfs takes `noswap`.
    pub tmpfs_noswap: bool,
    /// CPUs, from the first one, that tell below /sys how often they were too hot; 0 where none does.
    #[serde(default)]
    pub throttled_cpus: u32,
    /// What the configuration says for all pods.
    pub policy: Policy,
}

/// What holds for all pods of a node, unless a pod says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Policy {
    /// Processes and threads of one pod, kubelet's `podPidsLimit`; 0 for no limit.
    pub pod_pids_max: u64,
    /// Containers that do not say a seccomp profile run unconfined: the opposite of kubelet's `seccompDefault`.
    pub seccomp_unconfined: bool,
    /// CPU limits are not enforced: the opposite of kubelet's `cpuCFSQuota`.
    pub cpu_unlimited: bool,
    /// Containers are told on which processors they run: kubelet's static CPU manager policy.
    pub cpus_assigned: bool,
    /// Throttling and reserving by `memory.high`, `memory.min` and `memory.low`; none by default.
    pub memory_qos: Option<MemoryQos>,
    /// Burstable containers get a share of the swap: kubelet's `LimitedSwap`; else nobody gets any.
    pub swap_limited: bool,
    /// Name servers for the pods whose dnsPolicy is a cluster's: kubelet's `clusterDNS`.
    pub cluster_dns: Vec<String>,
    /// Where pods with a network of ours ask for names, when there are no such servers; none without such a network.
    pub pod_dns: Option<IpAddr>,
    /// The domain of such a cluster, or of names of pods; empty for none.
    pub cluster_domain: String,
    /// Of CPU time what is kept for programs beside the pods, in thousandths: kubelet's `kubeReserved` and
    /// `systemReserved` together.
    pub reserved_milli: u64,
    /// Bytes of memory that are.
    pub reserved_memory_bytes: u64,
    /// Bytes of memory that are promised to no pod: those, what eviction keeps free, and larger pages.
    pub withheld_memory_bytes: u64,
    /// Bytes of the disk that are promised to none.
    pub withheld_storage_bytes: u64,
}

/// Kubelet's `MemoryQoS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryQos {
    /// How far between request and limit throttling begins, in thousandths.
    pub throttling_permille: u32,
    /// Requests are kept free for who made them.
    pub reserve: bool,
}

/// First kernel whose tmpfs takes `noswap`.
const NOSWAP_SINCE: (u32, u32) = (6, 4);

impl NodeFacts {
    /// Reads them. `name` is the configured node name, if there is one.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Malformed`] for what every kernel has; a missing unified hierarchy is
    /// not an error here but a fact.
    pub fn read(roots: &Roots, name: Option<&str>) -> Result<Self> {
        let uname = nix::sys::utsname::uname().map_err(Error::sys("read", "the kernel's name"))?;
        let kernel_release = uname.release().to_string_lossy().into_owned();
        let hostname = uname.nodename().to_string_lossy().into_owned();
        let kernel = parse::kernel_version(&kernel_release);
        let meminfo = text("/proc/meminfo")?;
        let memory_bytes = parse::meminfo_bytes(&meminfo, "MemTotal").ok_or_else(|| Error::Malformed {
            path: "/proc/meminfo".into(),
            message: "no line MemTotal".into(),
        })?;
        let controllers = fs::read_to_string(roots.cgroup.join("cgroup.controllers"));
        Ok(Self {
            name: name.map_or_else(|| hostname.to_lowercase(), str::to_owned),
            hostname,
            boot_id: text("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
            memory_bytes,
            storage_bytes: storage_bytes(&roots.state),
            swap_bytes: parse::meminfo_bytes(&meminfo, "SwapTotal").unwrap_or(0),
            cpus: cpus(),
            page_size_bytes: page_size_bytes(),
            kernel,
            architecture: parse::architecture(std::env::consts::ARCH).to_owned(),
            os_image: os_image(&roots.node_etc),
            cgroup_unified: crate::fsys::is_cgroup2(&roots.cgroup),
            controllers: controllers
                .map(|list| list.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
            huge_pages: huge_pages(Path::new("/sys/kernel/mm/hugepages")),
            app_armor: fs::read("/sys/module/apparmor/parameters/enabled")
                .is_ok_and(|text| text.starts_with(b"Y")),
            se_linux: Path::new("/sys/fs/selinux/enforce").exists(),
            tmpfs_noswap: kernel >= NOSWAP_SINCE,
            throttled_cpus: match Path::new("/sys/devices/system/cpu/cpu0/thermal_throttle").exists() {
                true => cpus(),
                false => 0,
            },
            policy: Policy::default(),
            kernel_release,
        })
    }

    /// Bytes of memory that there are for pods.
    pub fn allocatable_memory_bytes(&self) -> u64 {
        self.memory_bytes.saturating_sub(self.policy.withheld_memory_bytes)
    }

    /// Thousandths of CPU time that there are for pods.
    pub fn allocatable_milli(&self) -> u64 {
        (u64::from(self.cpus) * 1000).saturating_sub(self.policy.reserved_milli)
    }
}

/// Whether AppArmor has a profile of this name now: profiles come and go while the agent lives. Without the list (no
/// securityfs is mounted, say) none could have been loaded.
pub(crate) fn is_profile_loaded(name: &str) -> bool {
    let list = fs::read_to_string("/sys/kernel/security/apparmor/profiles").unwrap_or_default();
    list.lines().any(|line| parse::profile_name(line) == Some(name))
}

fn text(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(Error::io("read", path))
}

/// Of the file system on which `path` lies, or will lie; 0 if nobody can say.
fn storage_bytes(path: &Path) -> u64 {
    let there = path.ancestors().find(|path| path.exists());
    let stat = there.and_then(|path| nix::sys::statvfs::statvfs(path).ok());
    stat.map_or(0, |stat| stat.blocks().saturating_mul(stat.fragment_size()))
}

fn cpus() -> u32 {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").ok();
    let known = online.and_then(|list| parse::cpu_list_len(list.trim()));
    // Without /sys: what this process may use.
    known.unwrap_or_else(|| {
        std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
    })
}

/// From directories like `hugepages-2048kB`.
fn huge_pages(dir: &Path) -> BTreeMap<u64, u64> {
    let of_size = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let kib: u64 = name.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        let pages: u64 = fs::read_to_string(entry.path().join("nr_hugepages")).ok()?.trim().parse().ok()?;
        let size = kib.checked_mul(1024)?;
        Some((size, size.saturating_mul(pages))).filter(|_| pages > 0)
    };
    fs::read_dir(dir).into_iter().flatten().flatten().filter_map(of_size).collect()
}

fn page_size_bytes() -> u64 {
    const USUAL_BYTES: u64 = 4096;
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(USUAL_BYTES)
}

fn os_image(etc: &Path) -> String {
    let release = fs::read_to_string(etc.join("os-release"));
    release.ok().and_then(|text| parse::os_release(&text, "PRETTY_NAME")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_facts() {
        let facts = NodeFacts::read(&Roots::default(), Some("box")).unwrap();
        assert_eq!(facts.name, "box");
        assert!(facts.memory_bytes > 1 << 20 && facts.cpus >= 1);
        assert_eq!(facts.boot_id.len(), 36);
        assert!(facts.page_size_bytes.is_power_of_two() && facts.kernel >= (3, 0));
        assert!(!NodeFacts::read(&Roots::default(), None).unwrap().name.contains(char::is_uppercase));
    }

    #[test]
    fn large_pages_count_where_there_are_some() {
        let dir = tempfile::tempdir().unwrap();
        for (name, pages) in [("hugepages-2048kB", "8\n"), ("hugepages-1048576kB", "0\n"), ("odd", "1\n")] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("nr_hugepages"), pages).unwrap();
        }
        assert_eq!(huge_pages(dir.path()), [(2 << 20, 16 << 20)].into());
        assert!(huge_pages(&dir.path().join("none")).is_empty());
    }

    #[test]
    fn a_machine_without_a_unified_hierarchy_is_a_fact_and_not_an_error() {
        let roots = Roots { cgroup: "/proc".into(), ..Roots::default() };
        let facts = NodeFacts::read(&roots, None).unwrap();
        assert!(!facts.cgroup_unified && facts.controllers.is_empty());
    }
}
