//! `v1.Pod`: metadata and spec as they were understood, status as it is.

use super::{NodeView, status};
use crate::{
    time::{Now, Wall},
    world::{
        World,
        parts::{Pod, Stage},
    },
};
use serde_json::{Value, json};

/// Annotation: when the pod was first seen.
const SEEN: &str = "kubernetes.io/config.seen";

pub(super) fn show(world: &World, pod: &Pod, now: Now, node: &NodeView) -> Value {
    // The spec is what is wanted; what of it waits for room is not in the status.
    let spec = pod.wants.as_ref().map_or(&pod.desired.pod, |wants| &wants.pod);
    let mut shown = serde_json::to_value(&**spec).unwrap_or_default();
    shown["apiVersion"] = json!("v1");
    shown["kind"] = json!("Pod");
    let metadata = &mut shown["metadata"];
    metadata["creationTimestamp"] = json!(pod.seen.wall.rfc3339());
    metadata["annotations"][SEEN] = json!(pod.seen.wall.rfc3339_nano());
    if let Stage::Terminating { since } = pod.stage {
        let grace_s = pod.grace_s();
        let end = Wall(since.wall.0.saturating_add(grace_s.saturating_mul(crate::time::NS_PER_S)));
        metadata["deletionTimestamp"] = json!(end.rfc3339());
        metadata["deletionGracePeriodSeconds"] = json!(grace_s);
    }
    if pod.desired.pod.spec.node_name.is_none() {
        shown["spec"]["nodeName"] = json!(node.name);
    }
    shown["status"] = status::show(world, pod, now, node);
    shown
}
