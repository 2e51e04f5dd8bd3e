//! The configuration file: `/etc/berth/config.yaml`, strict, with kubelet's names where kubelet has the
//! thing. Read once at start; nothing here looks at the machine apart from that one file.

mod check;
mod cpus;
mod eviction;
mod networks;
mod units;
mod urls;

use berth_core::{
    network::{Ranges, named::Named},
    pressure::{Limits, Signal},
    world::ShutdownTime,
};
pub(crate) use check::{ConfigError, parse};
pub(crate) use units::{Bytes, CpuList, PathList, Period};
pub(crate) use urls::{Headers, SOURCES_MAX_COUNT, UrlList, UrlSource};

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Read when no `--config` is given; its absence means all defaults.
pub(crate) const DEFAULT_PATH: &str = "/etc/berth/config.yaml";
/// Bytes in a configuration file; a longer one is refused.
pub(crate) const CONFIG_LEN_MAX_BYTES: u64 = 256 * 1024;

/// A key as the user knows it, with its explanation: what `berth config` prints above the value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// The field's name here; [`Key::name`] is the user's spelling.
    field: &'static str,
    /// The user's spelling where it does not follow from the field's name; else empty.
    spelled: &'static str,
    /// The explanation, a line each.
    pub(crate) doc: &'static [&'static str],
}

impl Key {
    /// `fileCheckFrequency` for `file_check_frequency`.
    pub(crate) fn name(&self) -> String {
        if !self.spelled.is_empty() {
            return self.spelled.to_owned();
        }
        let mut name = String::with_capacity(self.field.len());
        let mut upper = false;
        for c in self.field.chars() {
            match (c, upper) {
                ('_', _) => upper = true,
                (c, true) => {
                    name.extend(c.to_uppercase());
                    upper = false;
                }
                (c, false) => name.push(c),
            }
        }
        name
    }
}

/// One list makes the struct, its defaults and the table of explanations, so that they cannot part.
macro_rules! config {
    ($($(#[doc = $doc:literal])+ $field:ident $(as $spelled:literal)?: $kind:ty = $default:expr;)+) => {
        /// The effective configuration: the file over the defaults.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        pub(crate) struct Config {
            $($(#[doc = $doc])+ $(#[serde(rename = $spelled)])? pub(crate) $field: $kind,)+
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        /// Every key, in the order in which it is shown.
        pub(crate) const KEYS: &[Key] = &[
            $(Key { field: stringify!($field), spelled: concat!($($spelled)?), doc: &[$($doc),+] },)+
        ];
    };
}

config! {
    /// Directories or files with manifests: one path or a list. A file of the same name in a later path
    /// takes the place of the one in an earlier path; a link to /dev/null masks it.
    static_pod_path: PathList = PathList::from(["/usr/share/berth/manifests", "/etc/berth/manifests"]);
    /// How often all manifests are read again although nothing was heard of a change. Changes are heard
    /// through inotify at once; this is for what it cannot tell (a file system mounted over a directory).
    file_check_frequency: Period = Period::from_secs(60);
    /// Addresses that manifests are fetched from: a URL, or a list of URLs, each a text or with settings of its own:
    /// url, headers, checkFrequency, jitterPercent (10), timeout (10s), connectTimeout (5s), caFile, certFile, keyFile,
    /// pins (sha256//BASE64 of the server's key). Files go before addresses, and those in their order.
    static_pod_u_r_l: UrlList = UrlList::default();
    /// Headers for all requests to these addresses: of each name a list of values. They are never shown.
    static_pod_u_r_l_header: Headers = Headers::new();
    /// Time between two requests to an address; with jitterPercent up to so much longer.
    http_check_frequency: Period = Period::from_secs(20);
    /// Directories with image archives (docker-archive, oci-archive, plain or compressed) and OCI layouts.
    image_source_paths: PathList = PathList::from(["/usr/share/berth/images", "/var/lib/berth/images"]);
    /// Read-only image stores that the vendor baked (`berth image bake`): used where they lie, before anything is
    /// imported.
    image_store_paths: PathList = PathList::from(["/usr/share/berth/store"]);
    /// Files of images are sealed by fs-verity when they are unpacked, if the file system of stateDirectory has it (ext4:
    /// tune2fs -O verity): what the disk has changed is then an error for who reads it, and not another program.
    image_fs_verity: bool = false;
    /// Which images may run, in the form of containers-policy.json(5); see `berth image --help`. Without this
    /// file all may.
    image_policy_path: PathBuf = PathBuf::from("/etc/berth/policy.json");
    /// Images that are in no source are fetched from their registries. False: the network is never asked.
    registry_pull_enabled: bool = true;
    /// With imagePullPolicy Always, an image that is here runs when its registry cannot be reached, which its pod then
    /// shows (condition ImagesCurrent). False: the pod waits for the registry, as with kubelet.
    image_pull_offline_fallback: bool = true;
    /// Mirrors, other locations and insecure registries: a subset of containers-registries.conf(5), see
    /// `berth image --help`.
    registries_conf_path: PathBuf = PathBuf::from("/etc/berth/registries.conf");
    /// Names and passwords of registries, as containers-auth.json(5) has them.
    registry_auth_path: PathBuf = PathBuf::from("/etc/berth/auth.json");
    /// Directories with authorities and client certificates in folders `HOST[:PORT]`, as containers-certs.d(5)
    /// has them.
    registry_certs_paths: PathList = PathList::from(["/etc/containers/certs.d", "/etc/berth/certs.d"]);
    /// Percent of the disk in use from which on unused images are removed; 100: never for want of room.
    image_gc_high_threshold_percent as "imageGCHighThresholdPercent": u8 = 85;
    /// Percent of the disk in use down to which they are removed.
    image_gc_low_threshold_percent as "imageGCLowThresholdPercent": u8 = 80;
    /// An image first seen less than this ago is not removed for want of room.
    image_minimum_gc_age as "imageMinimumGCAge": Period = Period::from_secs(120);
    /// An image not used for longer than this is removed in any case; 0s: never for this.
    image_maximum_gc_age as "imageMaximumGCAge": Period = Period::from_secs(0);
    /// The node's name, appended to the names of pods. Empty: the host name in lower case.
    hostname_override: String = String::new();
    /// Labels of the node, for pods with a nodeSelector or a required node affinity. It has
    /// kubernetes.io/hostname, kubernetes.io/os and kubernetes.io/arch anyway.
    node_labels: BTreeMap<String, String> = BTreeMap::new();
    /// Pods that may run at one time; 1 to 256.
    max_pods: u32 = 110;
    /// What the node keeps for programs beside the pods, like {cpu: 100m, memory: 64Mi, ephemeral-storage: 1Gi}: pods are
    /// admitted as far as their requests fit into the rest (less what evictionHard keeps free of memory and disk), and
    /// cannot use more memory than the rest together.
    kube_reserved: BTreeMap<String, String> = BTreeMap::new();
    /// As kubeReserved, for the rest of the system; both count.
    system_reserved: BTreeMap<String, String> = BTreeMap::new();
    /// static: a container of a Guaranteed pod that asks for a whole number of CPUs has so many to itself, and all others share
    /// the rest; some must be reserved. none: all containers run on all of them.
    cpu_manager_policy: String = "none".into();
    /// CPUs that no container gets to itself, like "0-1,3"; so many are kept in the place of what kubeReserved and
    /// systemReserved say of cpu. Empty: with cpuManagerPolicy static as many as those come to, rounded up, the lowest.
    reserved_system_cpus as "reservedSystemCPUs": CpuList = CpuList::default();
    /// From where on the node is short, and pods are evicted at once, by signal: memory.available, nodefs.available and
    /// nodefs.inodesFree (of stateDirectory), imagefs.available and imagefs.inodesFree (of the image store), pid.available.
    /// An amount, a share of what there is, or several with commas, of which the least counts; 0% switches one off. What
    /// is not named keeps its default.
    eviction_hard: Limits = eviction::default_hard();
    /// As evictionHard, for thresholds that pods are evicted for when they have been met for their evictionSoftGracePeriod.
    eviction_soft: Limits = Limits::new();
    /// By signal, how long a soft threshold is to be met before a pod is evicted, like {memory.available: 90s}.
    eviction_soft_grace_period: BTreeMap<Signal, Period> = BTreeMap::new();
    /// MemoryPressure, DiskPressure and PIDPressure hold for so long after a threshold was last met; then evicted pods
    /// come back.
    eviction_pressure_transition_period: Period = Period::from_secs(300);
    /// Seconds that pods evicted for a soft threshold have to stop at most, if their own grace is not shorter.
    eviction_max_pod_grace_period: u32 = 0;
    /// By signal, how much more than a threshold must be there before it counts as no longer met.
    eviction_minimum_reclaim: Limits = Limits::new();
    /// Time in which pods stop when the machine goes down (`berth halt`); a pod's grace is cut to what is left of it, so that
    /// every pod gets its stop signal. berth-halt.service needs 20 s more as its TimeoutStopSec. 0s: each pod has its grace.
    shutdown_grace_period: Period = Period::from_secs(80);
    /// What is kept of shutdownGracePeriod for pods of system-cluster-critical, system-node-critical and as high a priority;
    /// they go last.
    shutdown_grace_period_critical_pods: Period = Period::from_secs(20);
    /// Processes and threads that one pod may have; -1 for no limit of its own.
    pod_pids_limit: i64 = -1;
    /// Limits of CPU time are enforced (cpu.max); requests weigh in any case.
    cpu_c_f_s_quota: bool = true;
    /// Containers are slowed down before they reach their memory limit (memory.high), at
    /// memoryThrottlingFactor of the way from request to limit. Guaranteed pods are left alone.
    memory_qos: bool = false;
    /// Between 0 and 1; only with memoryQos.
    memory_throttling_factor: f64 = 0.9;
    /// TieredReservation keeps what pods request for them (memory.min, memory.low); None does not. Only
    /// with memoryQos.
    memory_reservation_policy: String = "None".into();
    /// swapBehavior: NoSwap, or LimitedSwap to give burstable containers the share of the node's swap that
    /// their request is of its memory.
    memory_swap: MemorySwap = MemorySwap::default();
    /// The network of pods without hostNetwork: bridge gives each an address on the bridge berth0 and a way out by
    /// the node; cni has the plugins of a CNI network do it; none leaves them their loopback only.
    network: String = "bridge".into();
    /// Ranges that pods' addresses come from: one of IPv4, one of IPv6, or both with a comma between. The first
    /// address of each is the node's own, the rest go to pods by their names and stay theirs.
    pod_c_i_d_r: Ranges = default_ranges();
    /// Bytes in a packet of a pod; 0: as on the interface with the default route, or 1500 without one.
    pod_m_t_u: u32 = 0;
    /// Networks beside that one, by name: {plant: {podCIDR: 10.87.0.0/16, mtu: 0, internal: false}}. Pods with the annotation
    /// berth/network: plant are on a bridge and have addresses and names of their own, and reach pods of other networks by
    /// ports of the node only. internal: they reach each other and nothing else. With network: bridge only.
    networks: BTreeMap<String, Named> = BTreeMap::new();
    /// With network: cni, the directory with networks: .conflist, .conf and .json, read for each new pod.
    cni_conf_dir: PathBuf = PathBuf::from("/etc/cni/net.d");
    /// Directories with CNI plugins; the first that has one has it.
    cni_bin_dir: PathList = PathList::from(["/opt/cni/bin", "/usr/lib/cni"]);
    /// The CNI network's name. Empty: of the first file by name.
    cni_network: String = String::new();
    /// Name servers for pods whose dnsPolicy is ClusterFirst, the default. Without any, pods with a network of
    /// their own ask Berth, at the first address of podCIDR: it knows the names of pods and asks the node's
    /// servers for all others; those on the node's network get the node's, as with Default.
    cluster_d_n_s: Vec<String> = Vec::new();
    /// The domain below which pods have their names, beside those without a domain. Empty for none.
    cluster_domain: String = String::new();
    /// Kernel settings that pods may have beside those that Kubernetes calls safe; a `*` at the end stands
    /// for the rest of a name: net.core.*
    allowed_unsafe_sysctls: Vec<String> = Vec::new();
    /// The cgroup below which `kubepods` is made, relative to cgroupMount. Empty: right at the top.
    cgroup_root: String = String::new();
    /// Where the unified cgroup hierarchy is mounted.
    cgroup_mount: PathBuf = PathBuf::from("/sys/fs/cgroup");
    /// A container's log file is rotated when it has grown to this; at least 16Ki.
    container_log_max_size: Bytes = Bytes(10 << 20);
    /// Log files kept for a container, the current one included; at least 2.
    container_log_max_files: u32 = 5;
    /// All rotated log files together; over this, the oldest go first.
    container_log_total_size: Bytes = Bytes(256 << 20);
    /// Waiting before a crashed container is started again: 10 s, doubled up to maxContainerRestartPeriod.
    crash_loop_back_off: CrashLoopBackOff = CrashLoopBackOff::default();
    /// Containers without a seccompProfile get RuntimeDefault (true) or Unconfined (false).
    seccomp_default: bool = true;
    /// Sockets, run-time records, namespaces. On a tmpfs: what is here describes this boot only.
    run_directory: PathBuf = PathBuf::from("/run/berth");
    /// The image store, checkpoints, writable layers and disk volumes. Survives reboots.
    state_directory: PathBuf = PathBuf::from("/var/lib/berth");
    /// `pods` and `containers` with the containers' logs are made in here.
    log_directory: PathBuf = PathBuf::from("/var/log");
    /// The group that may use the command line's socket beside root. Empty: root only.
    api_socket_group: String = String::new();
    /// What the agent itself says on stderr: error, warn, info, debug or trace. BERTH_LOG overrides it.
    log_level: String = "info".into();
}

/// Neither podman's nor docker's nor a cluster's usual ones; `fd62:6572:7468` is "berth" in ASCII.
const POD_RANGES: &str = "10.86.0.0/16,fd62:6572:7468::/64";

fn default_ranges() -> Ranges {
    // A test holds that it can be read.
    POD_RANGES.parse().unwrap_or_default()
}

/// kubelet's `crashLoopBackOff`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct CrashLoopBackOff {
    /// The longest wait, 1s to 300s.
    pub(crate) max_container_restart_period: Period,
}

impl Default for CrashLoopBackOff {
    fn default() -> Self {
        Self { max_container_restart_period: Period::from_secs(300) }
    }
}

/// kubelet's `memorySwap`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct MemorySwap {
    /// `NoSwap` or `LimitedSwap`.
    pub(crate) swap_behavior: String,
}

impl Default for MemorySwap {
    fn default() -> Self {
        Self { swap_behavior: "NoSwap".into() }
    }
}

impl Config {
    /// For the core.
    pub(crate) fn shutdown(&self) -> ShutdownTime {
        ShutdownTime {
            all_s: self.shutdown_grace_period.0.as_secs(),
            critical_s: self.shutdown_grace_period_critical_pods.0.as_secs(),
        }
    }

    /// `memoryThrottlingFactor` in thousandths.
    pub(crate) fn memory_throttling_permille(&self) -> u32 {
        // Within 0 and 1000, by what was checked.
        (self.memory_throttling_factor * 1000.0).round() as u32
    }

    /// Reads the file: `path`, or the default one, whose absence means defaults.
    ///
    /// # Errors
    /// Everything wrong with the file at once, each with its place.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let file = path.unwrap_or(Path::new(DEFAULT_PATH));
        let unreadable = |what: String| ConfigError::whole(file, what);
        match std::fs::metadata(file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && path.is_none() => {
                return Ok(Self::default());
            }
            Err(e) => return Err(unreadable(format!("cannot be read: {e}"))),
            Ok(meta) if !meta.is_file() => return Err(unreadable("is not a regular file".into())),
            Ok(meta) if meta.len() > CONFIG_LEN_MAX_BYTES => {
                return Err(unreadable(format!(
                    "has {} bytes, the limit is {CONFIG_LEN_MAX_BYTES}",
                    meta.len()
                )));
            }
            Ok(_) => {}
        }
        let text = std::fs::read_to_string(file).map_err(|e| unreadable(format!("cannot be read: {e}")))?;
        parse(file, &text)
    }

    /// The socket on which the agent serves the command line.
    pub(crate) fn socket(&self) -> PathBuf {
        self.run_directory.join("berth.sock")
    }

    /// The configuration as a file that could be read again, each key explained.
    pub(crate) fn documented(&self) -> String {
        let values = serde_json::to_value(self).unwrap_or_default();
        let mut text = String::new();
        for key in KEYS {
            for line in key.doc {
                text.push('#');
                text.push_str(line.trim_end());
                text.push('\n');
            }
            let name = key.name();
            let value = values.get(&name).map_or_else(|| "null".into(), ToString::to_string);
            // JSON is YAML: one line a key, no question of quoting or indentation.
            text.push_str(&format!("{name}: {value}\n\n"));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_form_reads_back_as_the_same() {
        let config = Config { max_pods: 7, api_socket_group: "a: b # c".into(), ..Config::default() };
        let text = config.documented();
        assert_eq!(parse(Path::new("x"), &text).unwrap(), config);
        assert!(text.contains("# Pods that may run at one time; 1 to 256.\nmaxPods: 7\n"), "{text}");
    }

    #[test]
    fn the_default_ranges_are_ranges() {
        assert_eq!(Config::default().pod_c_i_d_r.to_string(), POD_RANGES);
    }

    #[test]
    fn keys_are_exactly_what_is_read_and_written() {
        let value = serde_json::to_value(Config::default()).unwrap();
        let mut written: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let mut known: Vec<String> = KEYS.iter().map(Key::name).collect();
        written.sort_unstable();
        known.sort_unstable();
        assert_eq!(known, written);
    }

    #[test]
    fn only_the_default_file_may_be_absent() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("config.yaml");
        let error = Config::load(Some(&missing)).unwrap_err().to_string();
        assert!(error.contains("config.yaml: cannot be read"), "{error}");
        std::fs::write(&missing, "maxPods: 3\n").unwrap();
        assert_eq!(Config::load(Some(&missing)).unwrap().max_pods, 3);
    }
}
