//! How the processes of a pod are stopped: stop signals to all but the sidecars at once, to the sidecars
//! from the last to the first, each when nothing is left that it may serve; kills when the grace is over.
//!
//! Invariants: a process that runs is not killed before its grace is over, counted from its stop signal
//! (a sidecar's from the moment at which the pod began to stop, and [`GRACE_MIN_S`] from its signal); a
//! sidecar is not signalled while a container that it serves may run, unless the pod's grace is over.

use super::{
    container,
    inflight::{Object, Verb},
    planner::Planner,
    signal,
    state::{Birth, Container, Pod, Remains, Run, Stop},
    terms::Role,
};
use crate::{action::ActionKind, manifest::DesiredPod, time::Mono};

/// What a process has at least between its stop signal and the kill if its turn came late, seconds; kubelet's.
const GRACE_MIN_S: u64 = 2;
/// A stop that takes longer than this, in seconds, is remembered, so that an agent that is killed meanwhile does
/// not count the grace anew; most are over before, and cost no write.
const KEPT_AFTER_S: u64 = 1;

/// Stops all that runs of a pod that is to stop since `since`.
pub(crate) fn all(pod: &mut Pod, since: Mono, planner: &mut Planner) {
    let grace_s = pod.grace_s();
    let over = since.plus_s(grace_s);
    // Whether anything of what is looked at later in the order of stopping may run: from the last to the first.
    let mut served = pod.containers.iter().any(|c| c.terms.role != Role::Sidecar && c.may_run());
    for (i, container) in pod.containers.iter_mut().enumerate().rev() {
        container::give_up_adopting(container, planner);
        if container.terms.role == Role::Sidecar {
            if !served || planner.now.mono >= over {
                let least_s = if grace_s == 0 { 0 } else { GRACE_MIN_S };
                stop(&pod.desired, container, i, |asked| over.max(asked.plus_s(least_s)), planner);
            } else if matches!(container.run, Run::Running(_)) {
                planner.wake_at(over);
            }
            served |= container.may_run();
        } else {
            stop(&pod.desired, container, i, |asked| asked.plus_s(grace_s), planner);
        }
    }
    let lasts = || pod.containers.iter().any(Container::may_run);
    if !pod.stop_kept && lasts() && planner.due(since.plus_s(KEPT_AFTER_S)) {
        pod.stop_kept = true;
        pod.memory.touch();
    }
}

/// Asks a running process to stop; when its grace is over it becomes remains, to be killed.
fn stop(
    pod: &DesiredPod,
    container: &mut Container,
    i: usize,
    over: impl FnOnce(Mono) -> Mono,
    planner: &mut Planner,
) {
    let Run::Running(live) = &mut container.run else { return };
    let (since, delivered) = match live.stop {
        Stop::Asked { since, delivered } => (since, delivered),
        Stop::No => {
            planner.tell(pod, "Killing", format!("Stopping container {}", container.name));
            container.retry.clear();
            (planner.now.mono, false)
        }
    };
    live.stop = Stop::Asked { since, delivered };
    let over = over(since);
    if container.busy.is_some() {
        // The signal's deadline is no later than the end of the grace.
    } else if planner.due(over) {
        let birth = Birth { id: live.id.clone(), attempt: live.attempt, asked: live.at };
        container.retry.clear();
        container.run = Run::Remains(Remains::doubtful(birth));
    } else if !delivered && planner.due(container.retry.at) {
        let kind =
            ActionKind::Signal { id: live.id.clone(), signal: signal::number(&live.image.stop_signal) };
        let deadline = planner.now.mono.plus_s(planner.config.deadlines.signal_s).min(over);
        container.busy =
            Some(planner.act_until(&pod.uid, Object::Container(i), Verb::Signal, kind, deadline));
    }
}

impl Container {
    /// A process of it may be alive.
    pub(super) fn may_run(&self) -> bool {
        match &self.run {
            Run::Idle => false,
            Run::Remains(left) => !left.killed && !left.recorded,
            Run::Starting(_) | Run::Adopting { .. } | Run::Running(_) => true,
        }
    }
}
