//! One pass over a pod that is to go: stop signals side by side, each container's grace, kills, removal
//! of containers, sandbox and memory, in this order.
//!
//! Invariants: a process that runs is not killed before its grace is over, counted from its stop signal;
//! the sandbox goes after the last container, the checkpoint after the sandbox; a pod that has begun to
//! go never comes back, a new one takes its place.

use super::{
    container,
    inflight::{Object, Verb},
    planner::Planner,
    remains, remember, signal,
    state::{Birth, Container, Pod, Remains, Run, Stop},
};
use crate::{action::ActionKind, manifest::DesiredPod};

/// Does what can be done now. `clear` as for a pod that is to run. True: nothing of the pod is left.
pub(crate) fn advance(pod: &mut Pod, clear: bool, planner: &mut Planner) -> bool {
    let grace_s = pod.grace_s();
    for (i, container) in pod.containers.iter_mut().enumerate() {
        container::give_up_adopting(container, planner);
        stop(&pod.desired, container, i, grace_s, planner);
        if let Run::Remains(left) = &container.run {
            let (uid, object) = (&pod.desired.uid, Object::Container(i));
            remains::clear(left, &mut container.busy, container.retry, uid, object, planner);
        }
    }
    let idle = pod.containers.iter().all(|c| c.busy.is_none() && matches!(c.run, Run::Idle));
    idle && clear && remove_sandbox(pod, planner) && remember::forget(pod, planner)
}

/// Asks a running process to stop; when its grace is over it becomes remains, to be killed.
fn stop(pod: &DesiredPod, container: &mut Container, i: usize, grace_s: u64, planner: &mut Planner) {
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
    let over = since.plus_s(grace_s);
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

/// True: it is removed.
fn remove_sandbox(pod: &mut Pod, planner: &mut Planner) -> bool {
    let sandbox = &mut pod.sandbox;
    if !sandbox.removed && sandbox.busy.is_none() && planner.due(sandbox.retry.at) {
        let kind = ActionKind::RemoveSandbox { desired: Box::new(pod.desired.clone()) };
        sandbox.busy = Some(planner.act(&pod.desired.uid, Object::Sandbox, Verb::Remove, kind));
    }
    sandbox.removed
}
