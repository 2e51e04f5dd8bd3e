//! `v1.Node`, as far as this node is a matter of the core: what there is for pods, and how it is. There is no such
//! object anywhere; it is made when somebody looks.

use super::NodeView;
use crate::{
    node::{Amounts, CONTAINERS},
    world::World,
};
use serde_json::{Map, Value, json};

/// The node.
pub fn node(world: &World, node: &NodeView) -> Value {
    let config = world.config();
    let amounts = |amounts: &Amounts| -> Map<String, Value> {
        let shown = amounts.iter().filter(|(name, _)| *name != CONTAINERS);
        shown.map(|(name, amount)| (name.to_owned(), json!(Amounts::show(name, amount)))).collect()
    };
    let ips = node.host_ips.iter().map(|ip| json!({"type": "InternalIP", "address": ip}));
    let name = [json!({"type": "Hostname", "address": node.name})];
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": config.node_labels},
        "spec": {},
        "status": {
            "addresses": ips.chain(name).collect::<Vec<_>>(),
            "capacity": amounts(&config.capacity),
            "allocatable": amounts(&config.allocatable),
            "conditions": [{"type": "Ready", "status": "True", "reason": "AgentServes",
                "message": "the agent answers"}],
        },
    })
}
