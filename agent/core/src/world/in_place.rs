//! Revisions that pods take on as they run: which pod a new revision is, and what is done for it.
//!
//! Invariants: a pod keeps the uid of its first revision for as long as it lives, over agents and boots; nothing of it
//! is stopped, started or counted because of a change in place; the record on tmpfs follows what was
//! applied, and what it does not have yet is applied again by the next agent; what is found of a probe stays what was
//! found until the probe as it is now says otherwise.

use super::{
    World,
    backoff::RETRY,
    grow::Wants,
    health,
    inflight::{Object, Verb},
    lacking,
    planner::Planner,
    state::{Pod, Run, Stage},
};
use crate::{
    action::ActionKind,
    event::{DesiredSet, Failure, Lineage},
    ids::{PodKey, PodUid},
    manifest::{
        DesiredPod,
        in_place::{self, Change},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The uid under which a pod stands, by that of its revision in the manifests. Only where they differ.
pub(crate) type Standing = BTreeMap<PodUid, PodUid>;

/// The set with every pod under the uid under which it stands already.
pub(crate) fn settle(world: &World, set: &Arc<DesiredSet>) -> (Arc<DesiredSet>, Standing) {
    let mut known: BTreeMap<&PodKey, Vec<&Pod>> = BTreeMap::new();
    for pod in world.pods.values().filter(|pod| is_there(pod)) {
        known.entry(&pod.desired.key).or_default().push(pod);
    }
    let (mut pods, mut standing) = (Vec::with_capacity(set.pods.len()), Standing::new());
    let mut keys = BTreeSet::new();
    for new in &set.pods {
        // Of two pods with one key the first counts.
        let first = keys.insert(&new.key);
        let under = first.then(|| {
            let known = known.get(&new.key).map(Vec::as_slice).unwrap_or_default();
            stands_as(world, known, new, set)
        });
        let pod = under.flatten().unwrap_or_else(|| new.clone());
        if pod.uid != new.uid {
            standing.insert(new.uid.clone(), pod.uid.clone());
        }
        pods.push(pod);
    }
    if standing.is_empty() {
        return (Arc::clone(set), standing);
    }
    (Arc::new(DesiredSet { pods, ..DesiredSet::clone(set) }), standing)
}

/// There is something of it that is worth to go on.
fn is_there(pod: &Pod) -> bool {
    match pod.stage {
        Stage::Queued => pod.memory.on_disk,
        Stage::Active => true,
        Stage::Terminating { .. } => pod.wanted && pod.is_being_evicted(),
    }
}

/// The pod that `new` is a revision of, as it is to be; none if it is a pod of its own.
fn stands_as(world: &World, known: &[&Pod], new: &DesiredPod, set: &DesiredSet) -> Option<DesiredPod> {
    if known.iter().any(|pod| pod.desired.uid == new.uid) {
        return None;
    }
    let lacks = new.base.is_some() && lacking::variables(new, &set.objects).is_some();
    for pod in known {
        let old = &pod.desired;
        // It differs in what is not there only: nobody knows in what.
        if lacks && old.base == new.base && pod.stage == Stage::Active {
            return Some(DesiredPod { origin: Arc::clone(&new.origin), ..old.clone() });
        }
        if in_place::compare(old, new, lacks && pod.stage == Stage::Active) != Change::Replace {
            return Some(under(&old.uid, new, old));
        }
    }
    if world.orphans.strays.contains_key(&new.uid) {
        return None;
    }
    let mut strays = world.orphans.strays.values().filter(|stray| stray.busy.is_none());
    let stray = strays.find(|stray| {
        let goes = stray.checkpoint.terminating.is_some() && stray.checkpoint.evicted.is_none();
        !goes && stray.checkpoint.lineage.as_ref().is_some_and(|lineage| is_of(lineage, new))
    })?;
    Some(under(&stray.checkpoint.uid, new, new))
}

/// The pod of an earlier boot that left this is the one that the manifest has now.
fn is_of(lineage: &Lineage, new: &DesiredPod) -> bool {
    lineage.key == new.key
        && (&*lineage.revision == in_place::revision(new) || lineage.shape == in_place::shape(new))
}

/// `new` under this uid, with the values of `old` where it has none.
fn under(uid: &PodUid, new: &DesiredPod, old: &DesiredPod) -> DesiredPod {
    let mut pod = new.pod.as_ref().clone();
    uid.0.as_ref().clone_into(&mut pod.metadata.uid);
    let values = new.values.clone().or_else(|| old.values.clone());
    DesiredPod { uid: uid.clone(), pod: Arc::new(pod), values, ..new.clone() }
}

/// What the pod is known by after a reboot.
pub(super) fn lineage(pod: &DesiredPod) -> Lineage {
    Lineage {
        key: pod.key.clone(),
        revision: in_place::revision(pod).to_owned(),
        shape: in_place::shape(pod),
    }
}

/// This is what the manifest says of the pod now. False: that is another pod.
pub(crate) fn take_on(pod: &mut Pod, new: &DesiredPod, set: &DesiredSet, planner: &mut Planner) -> bool {
    let lacks = new.base.is_some() && lacking::variables(new, &set.objects).is_some();
    let change = in_place::compare(&pod.desired, new, lacks);
    // One that is on its way out goes as it was. What is ended to begin anew begins as it is to be.
    let goes = matches!(pod.stage, Stage::Terminating { .. }) && !pod.is_being_evicted();
    match change {
        Change::Replace => return false,
        _ if goes => {}
        Change::Same => {
            pod.desired.origin.clone_from(&new.origin);
            // It has what it is to have, unless nobody knows what that is.
            if !lacks {
                pod.wants = None;
            }
            // Records of older versions do not have them.
            if new.values.is_some() {
                pod.desired.values.clone_from(&new.values);
            }
        }
        Change::InPlace => apply(pod, new, planner),
    }
    true
}

fn apply(pod: &mut Pod, new: &DesiredPod, planner: &mut Planner) {
    let resizes = pod.stage == Stage::Active && in_place::resizes(&pod.desired.pod, &new.pod);
    // What it has it keeps until there is room for what it wants.
    let wants = resizes.then(|| Arc::clone(&new.pod));
    let applied = match resizes {
        true => Arc::new(in_place::with_resources_of(&new.pod, &pod.desired.pod)),
        false => Arc::clone(&new.pod),
    };
    let known = std::mem::replace(&mut pod.wants, wants.map(|pod| Wants { pod, refusal: None }));
    if applied == pod.desired.pod {
        // Nothing is new but perhaps what it wants.
        if let (Some(wants), Some(known)) = (&mut pod.wants, known) {
            wants.refusal = known.refusal;
        }
        pod.desired.origin.clone_from(&new.origin);
        return;
    }
    let old = std::mem::replace(&mut pod.desired, DesiredPod { pod: applied, ..new.clone() });
    pod.desired.values = pod.desired.values.take().or(old.values);
    pod.memory.touch();
    let specs = old.pod.spec.all_containers().zip(new.pod.spec.all_containers());
    for (container, (before, now)) in pod.containers.iter_mut().zip(specs) {
        if let Run::Running(live) = &mut container.run {
            health::revise(live, before, now, planner.now.mono);
        }
    }
    let what = in_place::differences(&old.pod, &new.pod);
    if !what.is_empty() {
        planner.tell(&pod.desired, UPDATED, format!("Applied without a restart: {}", what.join(", ")));
    }
}

/// The event of a pod that has taken on another revision.
const UPDATED: &str = "Updated";

/// Has the record say what was applied, and NetworkPolicies select the pod by it.
pub(super) fn record(pod: &mut Pod, planner: &mut Planner) {
    // What was found is noted first: the next agent would look for it anew otherwise, by the probes as they are now.
    let noting = pod.containers.iter().any(|container| match &container.run {
        Run::Running(live) => live.health.is_being_noted(),
        _ => false,
    });
    let sandbox = &mut pod.sandbox;
    let behind = sandbox.recorded.as_ref().is_none_or(|recorded| !is_as(recorded, &pod.desired));
    if sandbox.made && behind && !noting && sandbox.busy.is_none() && planner.due(sandbox.record_retry.at) {
        sandbox.asked = Some(pod.desired.clone());
        let kind = ActionKind::Update { desired: Box::new(pod.desired.clone()) };
        sandbox.busy = Some(planner.act(&pod.desired.uid, Object::Sandbox, Verb::Update, kind));
    }
}

/// The record is written, or not.
pub(super) fn recorded(
    pod: &mut Pod,
    asked: Option<DesiredPod>,
    result: Result<(), Failure>,
    planner: &mut Planner,
) {
    match result {
        Ok(()) => {
            pod.sandbox.recorded = asked;
            pod.sandbox.record_retry.clear();
        }
        Err(failure) => {
            // It may be the old one or the new one.
            pod.sandbox.recorded = None;
            pod.sandbox.record_retry.failed(planner.now.mono, RETRY);
            planner.warn(&pod.desired, "FailedUpdate", failure.message);
        }
    }
}

/// It says the same, wherever it stands.
fn is_as(one: &DesiredPod, other: &DesiredPod) -> bool {
    (&one.base, &one.values) == (&other.base, &other.values)
        && (Arc::ptr_eq(&one.pod, &other.pod) || one.pod == other.pod)
}
