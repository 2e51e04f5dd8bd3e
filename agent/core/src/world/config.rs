//! The numbers by which the core decides, each with its unit. What an installation may change is a field;
//! nothing here is read from anywhere.

use super::{Labels, ShutdownTime};
use crate::{
    cpus,
    network::policy::Reach,
    node::{Amounts, CONTAINERS, PODS},
    pressure::Settings,
};

/// What the core is told once, at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldConfig {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// What there is for pods to ask for, `pods` among it (kubelet's `maxPods`), and `containers`: the keeper's
    /// `CONTAINERS_MAX`. A pod that does not fit waits, refused.
    pub allocatable: Amounts,
    /// What the node has altogether, only to show.
    pub capacity: Amounts,
    /// Longest wait between two restarts of a crashing container, seconds
    /// (kubelet's `crashLoopBackOff.maxContainerRestartPeriod`).
    pub crash_backoff_max_s: u64,
    /// Kernel settings that pods may have beside the safe ones, see [`super::sysctl::is_namespaced`].
    pub allowed_unsafe_sysctls: Vec<String>,
    /// The kernel has AppArmor.
    pub app_armor: bool,
    /// The kernel has SELinux.
    pub se_linux: bool,
    /// The node's name and labels, for pods that want a certain one.
    pub node_name: String,
    /// See `node_name`.
    pub node_labels: Labels,
    /// Whom NetworkPolicies hold.
    pub policies: Reach,
    /// From where on the node is short of something.
    pub pressure: Settings,
    /// How long pods have to stop when the machine goes down.
    pub shutdown: ShutdownTime,
    /// Containers may have processors to themselves; none: all of them run everywhere.
    pub cpus: Option<cpus::Policy>,
    /// How long each kind of action may take.
    pub deadlines: Deadlines,
}

/// Seconds that an action may take before it counts as lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// `EnsureImage`: a gigabyte over a line of 70 kB/s. A registry that falls silent is given up long before.
    pub image_s: u64,
    /// `CreateSandbox`, `RefreshFiles`, `Resize`, `RemoveSandbox`.
    pub sandbox_s: u64,
    /// `StartContainer`.
    pub start_s: u64,
    /// `Signal`, `Kill`.
    pub signal_s: u64,
    /// `RemoveContainer`.
    pub remove_s: u64,
    /// `SaveCheckpoint`, `DropCheckpoint`.
    pub checkpoint_s: u64,
    /// `Check`, beside the time that the container has to answer: a command must come to run.
    pub check_s: u64,
    /// `Measure`, `Observe`, `Reclaim`, `Weigh`.
    pub measure_s: u64,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            boot_id: String::new(),
            allocatable: Amounts::default().with(PODS, PODS_MAX).with(CONTAINERS, CONTAINERS_MAX),
            capacity: Amounts::default(),
            crash_backoff_max_s: 300,
            allowed_unsafe_sysctls: Vec::new(),
            app_armor: false,
            se_linux: false,
            node_name: String::new(),
            node_labels: Labels::new(),
            policies: Reach::default(),
            pressure: Settings::default(),
            shutdown: ShutdownTime::default(),
            cpus: None,
            deadlines: Deadlines::default(),
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            image_s: 4 * 3600,
            sandbox_s: 60,
            start_s: 60,
            signal_s: 10,
            remove_s: 60,
            checkpoint_s: 30,
            check_s: 30,
            measure_s: 60,
        }
    }
}

/// Pods if nothing else is said; kubelet's.
pub const PODS_MAX: u64 = 110;
/// Containers if nothing else is said.
pub const CONTAINERS_MAX: u64 = 256;
