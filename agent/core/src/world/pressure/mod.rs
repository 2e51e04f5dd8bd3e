//! What follows when the node itself runs short: conditions of the node, looks at it as often as that is worth,
//! images that go first, and then pods by Kubernetes' ranking, one after the other.
//!
//! Invariants: no pod of a critical priority goes, nor one that uses nothing of what is short; one pod goes at a time,
//! and the node is looked at when it has gone, before anybody else does; a node that is not short, and does not come
//! to be, makes nobody wake.

mod admit;
mod rank;
mod standing;

pub(super) use admit::{not_before, refusal};
pub(crate) use standing::Standing;

use super::{
    World, evict,
    inflight::{Object, Verb},
    planner::Planner,
    state::{Container, Pod, Stage},
};
use crate::{
    action::ActionKind,
    event::{Cause, Outcome},
    ids::{ActionId, PodKey, PodUid},
    node::{CLUSTER_CRITICAL, priority},
    pressure::{Condition, Observation, Settings, Signal, Uses, Weighing},
    time::{Mono, Wall},
};
use std::collections::{BTreeMap, BTreeSet};

/// Seconds between two looks at a node that is short, or comes to be; kubelet's.
const LOOK_S: u64 = 10;
/// Seconds between two looks at a node that is short, and that nothing helps.
const LOOK_RESTING_S: u64 = 60;
/// Seconds between two collections of images.
const COLLECT_S: u64 = 60;
/// Seconds between two attempts to help a node that nothing helps: what pods have on disk is counted for that.
const REST_S: u64 = 300;
/// There is less than before when more than this part of it is gone.
const FALLEN_PART: u64 = 64;
/// A pod that goes is waited for so long, beside its grace, seconds: one that cannot be killed must not keep all the
/// others.
const GONE_MAX_S: u64 = 60;

/// What is known of the node, and what is being done about it.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    seen: Observation,
    /// Thresholds that are met, hard ones before soft ones, and since when.
    met: BTreeMap<(Signal, Kind), Mono>,
    conditions: BTreeMap<Condition, Standing>,
    /// A look, a collection or a weighing is in flight.
    busy: Option<ActionId>,
    look_at: Option<Mono>,
    /// The last attempt for this signal was in vain: there is no other one before this moment, unless there is less by
    /// then than there was, which stands here too.
    rest: BTreeMap<Signal, (Mono, u64)>,
    /// When images were last collected for want of room.
    collected: Option<Mono>,
    /// Who goes, or has just gone.
    victim: Option<PodUid>,
    /// What was told of a threshold that is met: that it is, and that nothing helps.
    told: BTreeSet<(Signal, bool)>,
}

/// How long a threshold has to be met before pods go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Hard,
    Soft,
}

impl Pressure {
    /// How it is with a condition; none before the node was looked at.
    pub(crate) fn condition(&self, condition: Condition) -> Option<&Standing> {
        self.conditions.get(&condition)
    }

    pub(super) fn holds(&self, condition: Condition) -> bool {
        self.condition(condition).is_some_and(|standing| standing.holds)
    }
}

/// Somebody has looked at the node.
pub(super) fn observed(world: &mut World, seen: &Observation, planner: &mut Planner) {
    let (pressure, settings) = (&mut world.pressure, &world.config.pressure);
    if seen.at < pressure.seen.at {
        return;
    }
    let before = std::mem::replace(&mut pressure.seen, seen.clone());
    for signal in Signal::ALL {
        for kind in [Kind::Hard, Kind::Soft] {
            let was = pressure.met.contains_key(&(signal, kind));
            if is_met(settings, seen, signal, kind, was) {
                pressure.met.entry((signal, kind)).or_insert(seen.at);
            } else {
                pressure.met.remove(&(signal, kind));
            }
        }
    }
    let met: BTreeSet<Signal> = pressure.met.keys().map(|(signal, _)| *signal).collect();
    pressure.told.retain(|(signal, _)| met.contains(signal));
    pressure.rest.retain(|signal, (_, before)| {
        let less =
            seen.levels.get(signal).is_some_and(|level| level.available < *before - *before / FALLEN_PART);
        met.contains(signal) && !less
    });
    standing::take(pressure, seen, planner);
    let resting = met.iter().all(|signal| pressure.rest.contains_key(signal));
    pressure.look_at = match (met.is_empty(), resting) {
        (true, _) => settings.is_coming(&before, seen).then(|| seen.at.plus_s(LOOK_S)),
        (false, true) => Some(seen.at.plus_s(LOOK_RESTING_S)),
        (false, false) => Some(seen.at.plus_s(LOOK_S)),
    };
}

fn is_met(settings: &Settings, seen: &Observation, signal: Signal, kind: Kind, was: bool) -> bool {
    let Some(level) = seen.levels.get(&signal).copied() else { return false };
    let more = if was { settings.reclaim(signal, level) } else { 0 };
    let threshold = settings.threshold(signal, kind == Kind::Hard, level);
    threshold.is_some_and(|threshold| level.available < threshold.saturating_add(more))
}

/// Conditions follow the time.
pub(super) fn note(world: &mut World, planner: &mut Planner) {
    standing::note(&mut world.pressure, world.config.pressure.transition_s, planner);
}

/// Does what can be done now: a look, a collection, a weighing.
pub(super) fn tend(world: &mut World, planner: &mut Planner) {
    let Pressure { busy, met, look_at, victim, .. } = &world.pressure;
    let nothing = met.is_empty() && look_at.is_none() && victim.is_none();
    if busy.is_some() || nothing || waits_for_one(world, planner) {
        return;
    }
    if world.pressure.victim.take().is_some() {
        world.pressure.look_at = Some(planner.now.mono);
    }
    if world.pressure.look_at.is_some_and(|at| planner.due(at)) {
        world.pressure.look_at = None;
        return begin(&mut world.pressure, Verb::Look, ActionKind::Observe, planner);
    }
    for signal in Signal::ALL {
        if is_due(&mut world.pressure, &world.config.pressure, signal, planner)
            && attempt(world, signal, planner)
        {
            return;
        }
    }
}

fn begin(pressure: &mut Pressure, verb: Verb, kind: ActionKind, planner: &mut Planner) {
    pressure.busy = Some(planner.act(&nobody(), Object::Node, verb, kind));
}

/// In the place of a pod where something is about the node.
fn nobody() -> PodUid {
    PodUid("".into())
}

/// A pod that the node has ended for what it uses is on its way out: what it has will be free in a moment.
fn waits_for_one(world: &World, planner: &mut Planner) -> bool {
    let mut waits = false;
    for pod in world.pods.values().filter(|pod| pod.is_being_evicted()) {
        let Some(evicted) = pod.evicted.as_ref().filter(|evicted| evicted.cause == Cause::Evicted) else {
            continue;
        };
        waits |= !planner.due(evicted.at.mono.plus_s(pod.grace_s() + GONE_MAX_S));
    }
    waits
}

/// A threshold of the signal is met, for long enough, and the last attempt was not just now.
fn is_due(pressure: &mut Pressure, settings: &Settings, signal: Signal, planner: &mut Planner) -> bool {
    let soft = pressure.met.get(&(signal, Kind::Soft)).copied();
    let grace_s = settings.soft_grace_s.get(&signal).copied().unwrap_or(0);
    let met = pressure.met.contains_key(&(signal, Kind::Hard))
        || soft.is_some_and(|since| planner.due(since.plus_s(grace_s)));
    let rest = pressure.rest.get(&signal).copied();
    if !met || rest.is_some_and(|(until, _)| !planner.due(until)) {
        return false;
    }
    pressure.rest.remove(&signal);
    if pressure.told.insert((signal, false)) {
        let message = format!("Attempting to reclaim {}", signal.resource());
        tell(planner, true, "EvictionThresholdMet", message);
    }
    true
}

/// Begins to help the node. False: nothing helps.
fn attempt(world: &mut World, signal: Signal, planner: &mut Planner) -> bool {
    let pressure = &mut world.pressure;
    let disk = signal.condition() == Condition::DiskPressure;
    let fresh = pressure.collected.is_some_and(|at| planner.now.mono < at.plus_s(COLLECT_S));
    if disk && !fresh {
        pressure.collected = Some(planner.now.mono);
        begin(pressure, Verb::Collect, ActionKind::Reclaim, planner);
        return true;
    }
    // Nothing that a pod writes lies there.
    let apart = signal.is_of_images() && pressure.seen.images_apart;
    let candidates = world.pods.values().filter(|pod| !apart && may_go(pod));
    let pods: Vec<Weighing> = candidates.map(weighing).collect();
    if pods.is_empty() {
        in_vain(pressure, signal, planner);
        return false;
    }
    begin(pressure, Verb::Weigh(signal), ActionKind::Weigh { signal, pods }, planner);
    true
}

fn in_vain(pressure: &mut Pressure, signal: Signal, planner: &mut Planner) {
    let until = planner.now.mono.plus_s(REST_S);
    let level = pressure.seen.levels.get(&signal).copied().unwrap_or_default();
    pressure.rest.insert(signal, (until, level.available));
    planner.wake_at(until);
    if pressure.told.insert((signal, true)) {
        let what = signal.resource();
        let message =
            format!("No pod is evicted for {what}: all that there are are critical, or use none of it");
        tell(planner, true, "EvictionInVain", message);
    }
}

/// It may be ended for want of something.
fn may_go(pod: &Pod) -> bool {
    let critical = priority(&pod.desired.pod.spec) >= CLUSTER_CRITICAL;
    pod.stage == Stage::Active && pod.wanted && !critical && !pod.is_finished()
}

pub(super) fn weighing(pod: &Pod) -> Weighing {
    let run = |container: &Container| Some((container.name.clone(), container.current_id()?.clone()));
    Weighing { desired: pod.desired.clone(), runs: pod.containers.iter().filter_map(run).collect() }
}

/// What was in flight for the node is answered, or will not be.
pub(super) fn answered(world: &mut World, verb: Verb, outcome: Outcome, planner: &mut Planner) {
    world.pressure.busy = None;
    match (verb, outcome) {
        (_, Outcome::Observed(seen)) => observed(world, &seen, planner),
        (Verb::Weigh(signal), Outcome::Weighed(uses)) => weighed(world, signal, &uses, planner),
        (Verb::Collect, Outcome::Ok) => world.pressure.look_at = Some(planner.now.mono),
        _ => world.pressure.look_at = Some(planner.now.mono.plus_s(LOOK_S)),
    }
}

/// It is known what pods use: the first by the ranking goes.
fn weighed(world: &mut World, signal: Signal, uses: &Uses, planner: &mut Planner) {
    let World { pressure, pods, config, .. } = world;
    let settings = &config.pressure;
    let hard = pressure.met.contains_key(&(signal, Kind::Hard));
    let level = pressure.seen.levels.get(&signal).copied().unwrap_or_default();
    // It may be over meanwhile.
    let met = hard || pressure.met.contains_key(&(signal, Kind::Soft));
    let Some(threshold) = settings.threshold(signal, hard, level).filter(|_| met) else { return };
    let candidates = pods.values().filter(|pod| may_go(pod));
    let Some(uid) = rank::first(candidates, signal, uses) else {
        return in_vain(pressure, signal, planner);
    };
    let Some(pod) = pods.get_mut(&uid) else { return };
    let message = rank::message(pod, signal, threshold, level, uses.get(&uid));
    let grace_s = if hard { evict::GRACE_S } else { settings.max_pod_grace_s };
    evict::end_for(pod, signal.condition(), grace_s, message, planner);
    pressure.victim = Some(uid);
}

/// Something of the node.
fn tell(planner: &mut Planner, warning: bool, reason: &str, message: String) {
    let node = PodKey { namespace: "default".into(), name: planner.config.node_name.as_str().into() };
    planner.event(node, nobody(), warning, reason, message);
}

/// Since when something of the node is so, for people.
type Since = Wall;
