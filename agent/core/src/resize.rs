//! What is said of resources that change under containers which run. Pure vocabulary; who is resized and when is
//! decided in `world::resize`, what it comes to in cgroups by the functions that made them.

use crate::{
    cpus::Place,
    ids::ContainerId,
    manifest::types::{PodSpec, Resources},
};
use serde::{Deserialize, Serialize};

/// What the cgroup of a run was made for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Given {
    /// Of the container's spec.
    pub resources: Resources,
    /// Where it may run.
    #[serde(default)]
    pub place: Place,
}

/// What the limits of a pod's own cgroup follow from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PodResources {
    /// What is said for the pod as a whole.
    pub pod: Option<Resources>,
    /// Its containers', in the order of `PodSpec::all_containers`.
    pub containers: Vec<Resources>,
}

impl PodResources {
    /// Of this specification.
    pub fn of(spec: &PodSpec) -> Self {
        let containers = spec.all_containers().map(|container| container.resources.clone());
        Self { pod: spec.resources.clone(), containers: containers.collect() }
    }
}

/// A run whose cgroup is to be brought up to its pod's spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The container's name.
    pub container: String,
    /// The run.
    pub id: ContainerId,
    /// Where it may run.
    #[serde(default)]
    pub place: Place,
}

/// A memory limit that is not lowered, for more is in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InUse {
    /// The container's name; empty for the pod as a whole.
    pub container: String,
    /// Bytes that are wanted as the limit.
    pub limit: u64,
    /// Bytes that are in use.
    pub used: u64,
}

impl std::fmt::Display for InUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { container, limit, used } = self;
        match container.as_str() {
            "" => {
                write!(f, "the pod's memory limit is not lowered to {limit} bytes: {used} bytes are in use")
            }
            name => {
                write!(
                    f,
                    "memory limit of container {name} is not lowered to {limit} bytes: {used} bytes are in use"
                )
            }
        }
    }
}
