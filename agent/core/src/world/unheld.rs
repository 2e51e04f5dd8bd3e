//! NetworkPolicies that are about a pod and hold it to nothing: its network is not one that rules of ours reach, or the
//! kernel does not take them. Shown for as long as it is so, and keeps nothing from running; a pod on the built-in network
//! does not begin without the rules of its policies.
//!
//! Invariant: each change for a pod is told as an event once in the life of an agent.

use super::{planner::Planner, shortfall::NOT_ENFORCED, state::Pod};
use crate::{
    ids::PodKey,
    manifest::objects::{Object, ObjectKind},
    network::policy::Reach,
};
use std::{collections::BTreeMap, sync::Arc};

/// Looks at one pod. `failed`: pods whose rules are not as their policies want them, and why.
pub(super) fn note(pod: &mut Pod, reach: Reach, failed: &BTreeMap<PodKey, String>, planner: &mut Planner) {
    let policies = planner.objects.iter().filter(|object| object.key.kind == ObjectKind::NetworkPolicy);
    let about: Vec<&str> =
        policies.filter(|object| is_about(object, pod)).map(|object| &*object.key.name).collect();
    let why = match reach {
        _ if about.is_empty() => None,
        _ if pod.desired.pod.spec.host_network => Some("it is on the node's network"),
        Reach::Plugins => Some("its network is made by CNI plugins; one of them must see to it"),
        Reach::Own => failed.get(&pod.desired.key).map(String::as_str),
        Reach::Nothing => None,
    };
    let unheld = why.map(|why| format!("NetworkPolicy {} does not hold the pod: {why}", about.join(", ")));
    if pod.unheld != unheld {
        pod.unheld = unheld;
        if let Some(message) = &pod.unheld {
            planner.warn(&pod.desired, NOT_ENFORCED, message.clone());
        }
    }
}

fn is_about(object: &Arc<Object>, pod: &Pod) -> bool {
    let selects = |spec: &Arc<crate::manifest::types::policy::NetworkPolicySpec>| {
        spec.pod_selector.fits(&pod.desired.pod.metadata.labels)
    };
    object.key.namespace == pod.desired.key.namespace && object.policy.as_ref().is_some_and(selects)
}
