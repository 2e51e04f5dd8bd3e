//! The world shown as Kubernetes v1 objects. Reads a `World`, never changes it.
//!
//! Invariant: what is shown follows from the world and `now` alone; the same world shows the same JSON.
//!
//! One condition is not Kubernetes': `ManifestValid` is `False` when the pod's file, as it is now, is
//! wrong and the pod shown is its last good revision; the message says file, line and column.

mod conditions;
mod container;
mod node;
mod pod;
mod status;
mod usage;

use crate::{
    ids::PodKey,
    time::Now,
    world::{
        World,
        parts::{Pod, Stage},
    },
};
pub use node::node;
use serde_json::{Value, json};
pub use usage::summary;

/// What the view must be told of the node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeView {
    /// `spec.nodeName`, where the pod does not say it.
    pub name: String,
    /// Addresses of the node: `status.hostIPs`, and `podIPs` of pods with `hostNetwork`. May be empty.
    pub host_ips: Vec<String>,
}

/// All pods as a `v1.PodList`, by namespace and name; the old revision of a pod before the new one.
pub fn pod_list(world: &World, now: Now, node: &NodeView) -> Value {
    let mut pods: Vec<&Pod> = world.parts().collect();
    pods.sort_by_key(|pod| (&pod.desired.key, pod.stage == Stage::Queued));
    let items: Vec<Value> = pods.into_iter().map(|found| pod::show(world, found, now, node)).collect();
    json!({"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": ""}, "items": items})
}

/// One pod as a `v1.Pod`: the revision that runs, or the one that waits if none does.
pub fn pod(world: &World, now: Now, node: &NodeView, key: &PodKey) -> Option<Value> {
    let revisions = world.parts().filter(|pod| pod.desired.key == *key);
    let found = revisions.min_by_key(|pod| pod.stage == Stage::Queued)?;
    Some(pod::show(world, found, now, node))
}

#[cfg(test)]
mod tests;
