//! When pods are measured that have a limit of what they may write to the disk, and what follows.
//!
//! Invariants: a pod without such a limit is never measured and makes nobody wake; one measurement of a pod is in
//! flight at a time; it costs no more than a small share of the time.

use super::{
    evict,
    inflight::{Object, Verb},
    planner::Planner,
    shortfall,
    state::{Pod, Stage},
};
use crate::{
    action::ActionKind,
    event::{Cause, Outcome},
    ids::ActionId,
    manifest::types::PodSpec,
    storage,
    time::{Mono, NS_PER_MS},
};

/// Seconds between two measurements of a pod; kubelet's, of its eviction manager.
const PERIOD_S: u64 = 10;
/// A pod that takes long to measure rests for so many times as long.
const REST: u64 = 20;

/// How far the measuring of a pod is.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    limited: bool,
    pub(crate) busy: Option<ActionId>,
    /// Not before.
    at: Mono,
}

impl Storage {
    pub(crate) fn of(spec: &PodSpec) -> Self {
        Self { limited: storage::is_limited(spec), ..Self::default() }
    }
}

/// Has the pod measured, if it is time.
pub(crate) fn tend(pod: &mut Pod, planner: &mut Planner) {
    if !pod.wanted
        || !pod.storage.limited
        || pod.storage.busy.is_some()
        || !pod.sandbox.made
        || pod.is_finished()
    {
        return;
    }
    if pod.storage.at == Mono(0) {
        pod.storage.at = planner.now.mono.plus_s(PERIOD_S);
    }
    if planner.due(pod.storage.at) {
        let run = |container: &super::state::Container| {
            Some((container.name.clone(), container.current_id()?.clone()))
        };
        let runs = pod.containers.iter().filter_map(run).collect();
        let kind = ActionKind::Measure { desired: Box::new(pod.desired.clone()), runs };
        pod.storage.busy = Some(planner.act(&pod.desired.uid, Object::Storage, Verb::Measure, kind));
    }
}

/// The pod is measured, or could not be.
pub(crate) fn answered(pod: &mut Pod, outcome: Outcome, planner: &mut Planner) {
    pod.storage.busy = None;
    let next = planner.now.mono.plus_s(PERIOD_S);
    pod.storage.at = next;
    let Outcome::Measured(found) = outcome else { return };
    let rest = Mono(planner.now.mono.0.saturating_add(found.took_ms.saturating_mul(REST * NS_PER_MS)));
    pod.storage.at = next.max(rest);
    if pod.stage != Stage::Active || pod.is_finished() {
        return;
    }
    if let Some(message) = storage::excess(&pod.desired.pod.spec, &found) {
        evict::end(pod, Cause::Evicted, message, planner);
    } else if found.cut {
        let message = "the pod has more files than can be counted in the time that there is for it: \
                       it may write more than its limits of storage";
        shortfall::told(pod, message, planner);
    }
}
