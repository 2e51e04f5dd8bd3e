//! The world shown as Kubernetes v1 objects. Reads a `World`, never changes it.

use crate::{ids::PodKey, time::Now, world::World};
use serde_json::{Value, json};

/// What the view must be told of the node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeView {
    /// `spec.nodeName`.
    pub name: String,
    /// Addresses of the node: `status.hostIPs`, and `podIPs` of pods with `hostNetwork`. May be empty.
    pub host_ips: Vec<String>,
}

/// All pods as a `v1.PodList`, by namespace and name; the old revision of a pod before the new one.
pub fn pod_list(world: &World, now: Now, node: &NodeView) -> Value {
    let _ = (world, now, node);
    json!({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": []})
}

/// One pod as a `v1.Pod`: the revision that runs, or the one that waits if none does.
pub fn pod(world: &World, now: Now, node: &NodeView, key: &PodKey) -> Option<Value> {
    let _ = (world, now, node, key);
    None
}
