//! One pass over a pod that is to go: the end of its processes, removal of containers, sandbox and memory,
//! in this order.
//!
//! Invariants: the sandbox goes after the last container, the checkpoint after the sandbox; a pod that has begun to
//! go never comes back, a new one takes its place.

use super::{
    health,
    inflight::{Object, Verb},
    planner::Planner,
    remains, remember,
    state::{Container, Pod, Run, Stage},
    stopping,
};
use crate::action::ActionKind;

/// Does what can be done now. `clear` as for a pod that is to run; with `halt` only its containers go. True: nothing of
/// the pod is left.
pub(crate) fn advance(pod: &mut Pod, clear: bool, boot_id: &str, planner: &mut Planner, halt: bool) -> bool {
    if let Stage::Terminating { since } = pod.stage {
        stopping::all(pod, since.mono, planner);
    }
    // The ends of a pod that goes are of no use to anybody; how long its grace has been going on is, and why it goes.
    if pod.is_being_evicted() || pod.stop_kept && pod.containers.iter().any(Container::may_run) {
        remember::save(pod, boot_id, planner);
    }
    for (i, container) in pod.containers.iter_mut().enumerate() {
        health::tend(&pod.desired, container, i, true, planner);
        if let Run::Remains(left) = &container.run {
            let (uid, object) = (&pod.desired.uid, Object::Container(i));
            remains::clear(left, &mut container.busy, container.retry, uid, object, planner);
        }
    }
    let idle = pod.resizing.busy.is_none()
        && pod.containers.iter().all(|c| c.busy.is_none() && matches!(c.run, Run::Idle));
    idle && clear && !halt && remove_sandbox(pod, planner) && remember::forget(pod, planner)
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
