//! `v1.Node`, as far as this node is a matter of the core: what there is for pods, and how it is. There is no such
//! object anywhere; it is made when somebody looks.

use super::NodeView;
use crate::{
    node::{Amounts, CONTAINERS, EXCLUSIVE},
    pressure::Condition,
    world::World,
};
use serde_json::{Map, Value, json};

/// The node.
pub fn node(world: &World, node: &NodeView) -> Value {
    let config = world.config();
    let amounts = |amounts: &Amounts| -> Map<String, Value> {
        let shown = amounts.iter().filter(|(name, _)| ![CONTAINERS, EXCLUSIVE].contains(name));
        shown.map(|(name, amount)| (name.to_owned(), json!(Amounts::show(name, amount)))).collect()
    };
    let ips = node.host_ips.iter().map(|ip| json!({"type": "InternalIP", "address": ip}));
    let name = [json!({"type": "Hostname", "address": node.name})];
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": config.node_labels},
        "spec": taints(world),
        "status": {
            "addresses": ips.chain(name).collect::<Vec<_>>(),
            "capacity": amounts(&config.capacity),
            "allocatable": amounts(&config.allocatable),
            "conditions": conditions(world),
        },
    })
}

fn taints(world: &World) -> Value {
    let holds = |condition: &Condition| world.condition(*condition).is_some_and(|standing| standing.holds);
    let taints: Vec<Value> = Condition::ALL
        .into_iter()
        .filter(holds)
        .map(|condition| json!({"key": condition.taint(), "effect": "NoSchedule"}))
        .collect();
    if taints.is_empty() { json!({}) } else { json!({"taints": taints}) }
}

/// With kubelet's reasons.
fn conditions(world: &World) -> Vec<Value> {
    let show = |condition: Condition| {
        let name = condition.as_str();
        let Some(standing) = world.condition(condition) else {
            let message = "the node has not been looked at yet";
            return json!({"type": name, "status": "Unknown", "reason": "NodeStatusUnknown", "message": message});
        };
        let (reason, message) = match (condition, standing.holds) {
            (Condition::MemoryPressure, true) => {
                ("KubeletHasInsufficientMemory", "the node has insufficient memory available")
            }
            (Condition::MemoryPressure, false) => {
                ("KubeletHasSufficientMemory", "the node has sufficient memory available")
            }
            (Condition::DiskPressure, true) => ("KubeletHasDiskPressure", "the node has disk pressure"),
            (Condition::DiskPressure, false) => ("KubeletHasNoDiskPressure", "the node has no disk pressure"),
            (Condition::PidPressure, true) => {
                ("KubeletHasInsufficientPID", "the node has insufficient PID available")
            }
            (Condition::PidPressure, false) => {
                ("KubeletHasSufficientPID", "the node has sufficient PID available")
            }
        };
        json!({
            "type": name,
            "status": if standing.holds { "True" } else { "False" },
            "lastTransitionTime": standing.since.rfc3339(),
            "reason": reason,
            "message": message,
        })
    };
    let ready =
        json!({"type": "Ready", "status": "True", "reason": "AgentServes", "message": "the agent answers"});
    Condition::ALL.into_iter().map(show).chain([ready]).collect()
}
