//! What the node may run short of, and from where on that counts: kubelet's eviction signals, node conditions and
//! thresholds. Pure data; what follows from it is decided in `world::pressure`.

mod limit;
mod settings;

pub use limit::{Limit, Limits};
pub use settings::Settings;

use crate::{
    ids::{ContainerId, PodUid},
    manifest::DesiredPod,
    time::Mono,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something that can run short, under kubelet's name. In the order in which pods are ended for it: memory first, as
/// kubelet has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Signal {
    #[serde(rename = "memory.available")]
    MemoryAvailable,
    #[serde(rename = "pid.available")]
    PidAvailable,
    #[serde(rename = "nodefs.available")]
    NodefsAvailable,
    #[serde(rename = "nodefs.inodesFree")]
    NodefsInodesFree,
    #[serde(rename = "imagefs.available")]
    ImagefsAvailable,
    #[serde(rename = "imagefs.inodesFree")]
    ImagefsInodesFree,
}

/// A node condition that a signal below its threshold brings about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Condition {
    MemoryPressure,
    DiskPressure,
    #[serde(rename = "PIDPressure")]
    PidPressure,
}

impl Condition {
    /// All of them, as a node shows them.
    pub const ALL: [Self; 3] = [Self::MemoryPressure, Self::DiskPressure, Self::PidPressure];

    /// As in `status.conditions` of a node.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MemoryPressure => "MemoryPressure",
            Self::DiskPressure => "DiskPressure",
            Self::PidPressure => "PIDPressure",
        }
    }

    /// The taint that a node has with it.
    pub const fn taint(self) -> &'static str {
        match self {
            Self::MemoryPressure => "node.kubernetes.io/memory-pressure",
            Self::DiskPressure => "node.kubernetes.io/disk-pressure",
            Self::PidPressure => "node.kubernetes.io/pid-pressure",
        }
    }
}

impl Signal {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [
        Self::MemoryAvailable,
        Self::PidAvailable,
        Self::NodefsAvailable,
        Self::NodefsInodesFree,
        Self::ImagefsAvailable,
        Self::ImagefsInodesFree,
    ];

    /// Kubelet's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MemoryAvailable => "memory.available",
            Self::PidAvailable => "pid.available",
            Self::NodefsAvailable => "nodefs.available",
            Self::NodefsInodesFree => "nodefs.inodesFree",
            Self::ImagefsAvailable => "imagefs.available",
            Self::ImagefsInodesFree => "imagefs.inodesFree",
        }
    }

    /// The condition that it brings about.
    pub const fn condition(self) -> Condition {
        match self {
            Self::MemoryAvailable => Condition::MemoryPressure,
            Self::PidAvailable => Condition::PidPressure,
            _ => Condition::DiskPressure,
        }
    }

    /// What the node is low on, in kubelet's words.
    pub const fn resource(self) -> &'static str {
        match self {
            Self::MemoryAvailable => crate::node::MEMORY,
            Self::PidAvailable => "pids",
            Self::NodefsAvailable | Self::ImagefsAvailable => crate::storage::EPHEMERAL,
            Self::NodefsInodesFree | Self::ImagefsInodesFree => "inodes",
        }
    }

    /// Counted in bytes.
    pub const fn is_bytes(self) -> bool {
        matches!(self, Self::MemoryAvailable | Self::NodefsAvailable | Self::ImagefsAvailable)
    }

    /// Of the file system that images lie on.
    pub const fn is_of_images(self) -> bool {
        matches!(self, Self::ImagefsAvailable | Self::ImagefsInodesFree)
    }

    /// An amount of it, as people read it.
    pub fn show(self, amount: u64) -> String {
        match self.is_bytes() {
            true if amount >= 1024 => format!("{}Ki", amount / 1024),
            _ => amount.to_string(),
        }
    }
}

/// How much there is of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Level {
    /// What is left.
    pub available: u64,
    /// What there is altogether.
    pub capacity: u64,
}

/// One look at the node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Observation {
    /// When.
    pub at: Mono,
    /// What cannot be read, or does not exist (a file system that does not count its inodes), is not in it.
    pub levels: BTreeMap<Signal, Level>,
    /// Images lie on a file system of their own, which pods do not write to.
    pub images_apart: bool,
}

/// A pod whose use is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weighing {
    /// The pod.
    pub desired: DesiredPod,
    /// The present runs of its containers, by the container's name.
    pub runs: Vec<(String, ContainerId)>,
}

/// What a pod uses of what a signal is about, in its unit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PodUse {
    /// Altogether.
    pub total: u64,
    /// By container, as far as that is known.
    pub containers: BTreeMap<String, u64>,
}

/// What pods use. Of whom it could not be read is not in it.
pub type Uses = BTreeMap<PodUid, PodUse>;
