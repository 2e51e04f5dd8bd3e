//! Processors by their numbers, and who has which under kubelet's static CPU manager policy. Pure: which there are is read
//! elsewhere, when somebody gets or loses them is decided in `world`.

mod assign;
mod set;
mod take;

pub use assign::{Short, Wish, assign, most, whole};
pub use set::CpuSet;
pub use take::take;

use serde::{Deserialize, Serialize};

/// kubelet's `cpuManagerPolicy: static`, on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// The processors that are online, those of one core together, by the lowest of each.
    pub cores: Vec<CpuSet>,
    /// Those of them that no container has to itself.
    pub reserved: CpuSet,
}

impl Policy {
    /// All that are online.
    pub fn online(&self) -> CpuSet {
        self.cores.iter().flat_map(CpuSet::iter).collect()
    }

    /// Those that containers can have to themselves.
    pub fn allocatable(&self) -> CpuSet {
        self.online().without(&self.reserved)
    }
}

/// Where a container runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// Empty: wherever its pod may.
    pub cpus: CpuSet,
    /// Nobody else runs there, and CPU time is not limited there.
    #[serde(default)]
    pub exclusive: bool,
}
