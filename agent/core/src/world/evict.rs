//! Pods that the node ends although they are desired: those that use more than they may, those whose room another
//! one needs, and those that go because the node itself is short of something (`pressure` says which). A static pod has nobody who would make a new one in its place, as a DaemonSet does, so it begins anew by
//! itself, with new volumes and logs: after a wait that doubles like a crashing container's, or when there is room. One
//! that is never to be restarted has failed for good. (Kubelet lets static pods write as much as they like.)
//!
//! Invariants: a pod that is ended so goes wholly, sandbox and files, before it begins anew; why it goes is to be
//! written down in the step that decides it.

use super::{
    World,
    backoff::{CRASH_RESET_S, PULL, STEP_MAX},
    planner::Planner,
    pressure, reconcile, remember,
    state::{Pod, Refusal, Stage},
};
use crate::{
    event::{Cause, Evicted},
    ids::PodUid,
    manifest::types::RestartPolicy,
    pressure::Condition,
    time::{Mono, NS_PER_S},
};

/// Seconds that an evicted pod has to stop, if its own grace is not shorter; kubelet's.
pub(super) const GRACE_S: u64 = 1;

/// Ends the pod, which is active.
pub(crate) fn end(pod: &mut Pod, cause: Cause, message: String, planner: &mut Planner) {
    let next = Evicted { cause, message, at: planner.now, count: 1, short_of: None, grace_max_s: None };
    ended(pod, next, planner);
}

/// Ends the pod, which is active, because the node is short of something.
pub(crate) fn end_for(
    pod: &mut Pod,
    short_of: Condition,
    grace_s: u64,
    message: String,
    planner: &mut Planner,
) {
    let (short_of, grace_max_s) = (Some(short_of), Some(grace_s));
    let next = Evicted { cause: Cause::Evicted, message, at: planner.now, count: 1, short_of, grace_max_s };
    ended(pod, next, planner);
}

fn ended(pod: &mut Pod, next: Evicted, planner: &mut Planner) {
    let (cause, message) = (next.cause, next.message.clone());
    planner.warn(&pod.desired, cause.as_str(), message);
    let at = planner.now;
    let before = pod.evicted.as_ref().filter(|before| before.cause == cause && before.at.mono != Mono(0));
    let row = before.filter(|before| {
        at.mono.since(before.at.mono) <= (PULL.delay_s(before.count) + CRASH_RESET_S) * NS_PER_S
    });
    let count = row.map_or(1, |before| (before.count + 1).min(STEP_MAX));
    pod.evicted = Some(Evicted { count, ..next });
    pod.memory.touch_urgently();
    let uid = pod.desired.uid.clone();
    reconcile::terminate(&uid, pod, planner);
}

/// Of a pod that the node has ended nothing is left: it takes its place in the queue again. False: it is of
/// another kind, or nobody wants it any more.
pub(crate) fn begin_anew(world: &mut World, uid: &PodUid, planner: &Planner) -> bool {
    let Some(pod) = world.pods.get_mut(uid).filter(|pod| pod.wanted && pod.is_being_evicted()) else {
        return false;
    };
    let mut desired = pod.desired.clone();
    // What had to wait for room while it ran is what it begins with.
    if let Some(wants) = pod.wants.take() {
        desired.pod = wants.pod;
    }
    let mut anew = Pod::new(desired, planner.now);
    anew.evicted = pod.evicted.take();
    anew.problem = pod.problem.take();
    anew.memory.touch();
    *pod = anew;
    true
}

/// Remembers of a pod that waits why it does.
pub(crate) fn keep(pod: &mut Pod, boot_id: &str, planner: &mut Planner) {
    if pod.evicted.is_some() {
        remember::save(pod, boot_id, planner);
    }
}

/// Why the pod may not begin yet.
pub(crate) fn refusal(world: &World, pod: &Pod, planner: &mut Planner) -> Option<Refusal> {
    let evicted = pod.evicted.as_ref().filter(|evicted| evicted.cause == Cause::Evicted)?;
    if evicted.at.mono == Mono(0) {
        return None;
    }
    let wait_s = PULL.delay_s(evicted.count);
    let until = evicted.at.mono.plus_s(wait_s);
    let settings = &world.config.pressure;
    // The node's condition wakes by itself when it is over.
    let over =
        pressure::not_before(&world.pressure, settings, evicted).is_some_and(|at| planner.due(at.max(until)));
    let when = match evicted.short_of {
        None => format!("{wait_s} s after its end"),
        Some(condition) => {
            let quiet_s = settings.transition_s;
            format!("when nothing has caused {} for {quiet_s} s", condition.as_str())
        }
    };
    let message = format!("{} It begins anew {when}.", evicted.message);
    // Its event was told when it was ended.
    (!over).then(|| Refusal { reason: evicted.cause.as_str(), event: "", message })
}

impl Pod {
    /// The node has ended it, and it is never to be restarted.
    pub(crate) fn is_evicted_for_good(&self) -> bool {
        let never = self.desired.pod.spec.restart_policy == RestartPolicy::Never;
        never && self.evicted.is_some() && !self.is_being_evicted()
    }

    /// The node is ending it just now.
    pub(crate) fn is_being_evicted(&self) -> bool {
        let ended = self.evicted.as_ref().map(|evicted| evicted.at);
        matches!(self.stage, Stage::Terminating { since } if ended == Some(since))
    }

    /// Why the node ends it, has ended it for good, or lets it wait.
    pub(crate) fn eviction(&self) -> Option<&Evicted> {
        let concerns = match self.stage {
            Stage::Queued => true,
            Stage::Active => self.is_evicted_for_good(),
            Stage::Terminating { .. } => self.is_being_evicted(),
        };
        self.evicted.as_ref().filter(|_| concerns)
    }

    /// Nothing of it is left, and it counts as failed until it begins anew, if it does.
    pub(crate) fn has_failed_evicted(&self) -> bool {
        let waits = self.stage == Stage::Queued
            && self.eviction().is_some_and(|evicted| evicted.cause == Cause::Evicted)
            && self.refusal.as_ref().is_some_and(|refusal| refusal.event.is_empty());
        waits || self.stage == Stage::Active && self.is_evicted_for_good()
    }

    /// Bound on the seconds that it has to stop.
    pub(crate) fn grace_max_s(&self) -> u64 {
        match &self.evicted {
            Some(evicted) if self.is_being_evicted() && evicted.cause == Cause::Evicted => {
                evicted.grace_max_s.unwrap_or(GRACE_S)
            }
            _ => u64::MAX,
        }
    }
}
