//! Limits as cgroup v2 files: kubelet's formulas, pure, and the making of the pods' tree with them.
//! Killing and removing cgroups is `teardown`'s.

mod create;
mod formulas;
mod limits;
mod memory;
mod resize;

pub use create::{Opened, apply, create_pod, enable_cpus, open, refresh_all, refresh_qos};
pub use formulas::{PERIOD_US, quota_us, shares, weight};
pub use limits::{classes, container_after, container_before, cpus, kubepods, pod};
pub(crate) use limits::{memory_limit_of_pod, memory_requests};
pub use resize::{Resize, Target};

use serde::{Deserialize, Serialize};

/// The controllers that limits need; enabled from the hierarchy's root down to each pod.
pub const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// For pages of larger sizes: enabled where the node has some, or a pod asks for them.
pub const HUGE_PAGES_CONTROLLER: &str = "hugetlb";

/// For containers that run on certain processors: enabled under the static CPU manager policy.
pub const CPUS_CONTROLLER: &str = "cpuset";

/// Where a container may run.
const CPUS: &str = "cpuset.cpus";

/// One limit: a value for a file of a cgroup's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupWrite {
    /// File name: `memory.max`.
    pub file: String,
    /// What is written.
    pub value: String,
    /// Without the file nothing is lost that the user asked for: no warning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

impl CgroupWrite {
    /// A limit whose controller's absence is worth a warning.
    pub fn new(file: &str, value: impl ToString) -> Self {
        Self { file: file.to_owned(), value: value.to_string(), optional: false }
    }

    /// A refinement that some kernels do not have.
    pub fn optional(file: &str, value: impl ToString) -> Self {
        Self { optional: true, ..Self::new(file, value) }
    }
}

#[cfg(test)]
mod tests;
