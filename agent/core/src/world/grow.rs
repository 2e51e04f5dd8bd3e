//! Whether a pod that runs may have the CPU time and memory that its manifest wants now. What is accepted is the pod's spec
//! from then on, and `resize` has the cgroups follow it.
//!
//! Invariants: a pod keeps what it was admitted with until there is room for more; nobody is ended to make that room,
//! and what was asked for less is always given; who waits is looked at again whenever pods have gone, in the order of priority.

use super::{
    World, admission, cpus,
    planner::Planner,
    resize,
    state::{Pod, Run, Stage},
};
use crate::{
    ids::PodUid,
    manifest::types::{self, RESTART_CONTAINER},
    node::{Amounts, Shortage, priority},
};
use std::{cmp::Reverse, sync::Arc};

/// What a pod is to have, and does not have yet.
#[derive(Debug, Clone)]
pub(crate) struct Wants {
    /// With the resources that it wants.
    pub(crate) pod: Arc<types::Pod>,
    /// Why it has to wait: a word of Kubernetes', and a sentence.
    pub(crate) refusal: Option<(&'static str, String)>,
}

/// More than the node has for all pods together.
const INFEASIBLE: &str = "Infeasible";
/// More than the others leave.
const DEFERRED: &str = "Deferred";

/// Gives pods what they want, as far as there is room.
pub(crate) fn settle(world: &mut World, planner: &mut Planner) {
    loop {
        let (mut accepted, mut refused) = (false, Vec::new());
        for uid in wanting(world) {
            let refusal = world.pods.get(&uid).and_then(|pod| refusal(world, pod));
            match (refusal, world.pods.get_mut(&uid)) {
                (Some(refusal), _) => refused.push((uid, refusal)),
                (None, Some(pod)) => {
                    accept(pod, planner);
                    accepted = true;
                }
                (None, None) => {}
            }
        }
        // What one gives back may be enough for another one that stands before it.
        if accepted && !refused.is_empty() {
            continue;
        }
        for (uid, refusal) in refused {
            if let Some(pod) = world.pods.get_mut(&uid) {
                wait(pod, refusal, planner);
            }
        }
        return;
    }
}

/// Pods that want something: first those that only give back, then by priority.
fn wanting(world: &World) -> Vec<PodUid> {
    let wanting = world.pods.values().filter(|pod| pod.stage == Stage::Active);
    let mut wanting: Vec<(bool, Reverse<i32>, &PodUid)> = wanting
        .filter_map(|pod| {
            let grows = more(pod, pod.wants.as_ref()?).iter().next().is_some();
            Some((grows, Reverse(priority(&pod.desired.pod.spec)), &pod.desired.uid))
        })
        .collect();
    wanting.sort();
    wanting.into_iter().map(|(_, _, uid)| uid.clone()).collect()
}

/// All that it wants, of which it wants more than it has.
fn more(pod: &Pod, wants: &Wants) -> Amounts {
    let has = Amounts::requests(&pod.desired.pod.spec);
    let wants = Amounts::requests(&wants.pod.spec);
    let more = wants.iter().filter(|(name, amount)| *amount > has.get(name).unwrap_or(0));
    more.fold(Amounts::default(), |more, (name, amount)| more.with(name, amount))
}

fn accept(pod: &mut Pod, planner: &mut Planner) {
    let Some(wants) = pod.wants.take() else { return };
    pod.desired.pod = wants.pod;
    pod.memory.touch();
    planner.tell(
        &pod.desired,
        "ResizeStarted",
        "Resources are changed without a restart of the pod".to_owned(),
    );
}

fn wait(pod: &mut Pod, refusal: (&'static str, String), planner: &mut Planner) {
    let Some(wants) = &mut pod.wants else { return };
    let (reason, message) = &refusal;
    if wants.refusal.as_ref().is_none_or(|(known, _)| known != reason) {
        let event = if *reason == INFEASIBLE { "ResizeInfeasible" } else { "ResizeDeferred" };
        planner.warn(&pod.desired, event, message.clone());
    }
    wants.refusal = Some(refusal);
}

/// Why the pod has to wait for what it wants.
fn refusal(world: &World, pod: &Pod) -> Option<(&'static str, String)> {
    let wants = pod.wants.as_ref()?;
    if let Some(message) = cpus::cannot_resize(world, pod, wants) {
        return Some((INFEASIBLE, message));
    }
    let more = more(pod, wants);
    let node = &world.config.allocatable;
    if let Some(Shortage { resource, requested, capacity, .. }) = node.shortage(&more, &Amounts::default()) {
        let message = format!(
            "Node didn't have enough capacity: {resource}, requested: {requested}, capacity: {capacity}"
        );
        return Some((INFEASIBLE, message));
    }
    let others = |other: &Pod| other.stage != Stage::Queued && other.desired.uid != pod.desired.uid;
    let Shortage { resource, requested, used, capacity } =
        node.shortage(&more, &admission::used(world, others))?;
    let message = format!(
        "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}; it \
         is tried again when there is room"
    );
    Some((DEFERRED, message))
}

/// The run of this container has other resources than its pod's spec, and is to be restarted for them.
pub(crate) fn is_to_restart(pod: &Pod, i: usize) -> bool {
    let Some(spec) = pod.desired.pod.spec.all_containers().nth(i) else { return false };
    let Some(container) = pod.containers.get(i) else { return false };
    let (Run::Running(_), Some(given)) = (&container.run, &container.given) else { return false };
    let differs = |name: &str| {
        (given.resources.limits.get(name), given.resources.requests.get(name))
            != (spec.resources.limits.get(name), spec.resources.requests.get(name))
    };
    let restarts = |policy: &&types::ResizePolicy| {
        policy.restart_policy == RESTART_CONTAINER && differs(&policy.resource_name)
    };
    spec.resize_policy.iter().any(|policy| restarts(&policy))
}

/// Restarts containers that do not take other resources while they run.
pub(crate) fn restart(pod: &mut Pod, planner: &mut Planner) {
    for i in 0..pod.containers.len() {
        if !is_to_restart(pod, i) {
            continue;
        }
        let grace_s = pod.grace_s();
        let Some(container) = pod.containers.get_mut(i) else { continue };
        let Run::Running(live) = &container.run else { continue };
        if live.stop.is_none() && container.memory.doomed.is_none() {
            let message = format!("Container {} resize requires restart", container.name);
            planner.tell(&pod.desired, "Killing", message);
            container.memory.doomed = Some(grace_s);
            pod.memory.touch();
        }
    }
}

/// Cgroups are on their way to what the spec says; and why they are not there, if that is known.
pub(crate) fn in_progress(pod: &Pod) -> Option<Option<String>> {
    let waits = || pod.resizing.waits.as_ref().map(ToString::to_string);
    let restarts = (0..pod.containers.len()).any(|i| is_to_restart(pod, i));
    (restarts || resize::lacks_resources(pod)).then(waits)
}
