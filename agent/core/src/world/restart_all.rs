//! A pod that is started anew as a whole, because a container of it ended so that a rule says it (`RestartAllContainers`).
//! As with kubelet its sandbox and volumes stay, what runs of it is killed without grace or hook, and then all begins
//! from the first init container, each with one restart more.
//!
//! Invariants: nothing of the pod starts before nothing of it runs any more; an agent that dies meanwhile is followed by
//! one that goes on with it.

use super::{
    planner::Planner,
    state::{Container, Pod, Run, Stage},
};
use crate::event::EndReason;

/// The `i`-th container has ended by itself: what that means for the others.
pub(crate) fn ended(pod: &mut Pod, i: usize) {
    let Some(container) = pod.containers.get_mut(i) else { return };
    if pod.restarting {
        return;
    }
    container.memory.again = false;
    let Some(last) = container.memory.last.as_ref().filter(|last| last.reason == EndReason::Exited) else {
        return;
    };
    let all = container.memory.doomed.is_none() && container.terms.restarts_all(last.exit.code);
    if !all || pod.stage != Stage::Active || pod.is_finished() {
        return;
    }
    pod.restarting = true;
    for container in &mut pod.containers {
        container.memory.again = true;
        doom(container);
    }
    pod.memory.touch_urgently();
}

/// What runs is not to be there any more.
fn doom(container: &mut Container) {
    if let Run::Running(live) = &mut container.run {
        container.memory.doomed = Some(0);
        live.stop = None;
    }
}

/// A container has come to run.
pub(crate) fn started(pod: &mut Pod, i: usize) {
    let restarting = pod.restarting;
    let Some(container) = pod.containers.get_mut(i) else { return };
    if restarting {
        doom(container);
    } else {
        container.memory.again = false;
    }
}

/// An agent finds the pod: whether an earlier one was at it. Then nothing has come to run again yet. Of a run that the
/// memory does not know nobody can tell whether it is of before; it ends, too.
pub(crate) fn found(pod: &mut Pod) {
    let is_left = pod.containers.iter().any(|container| !matches!(container.run, Run::Idle));
    pod.restarting = is_left && pod.containers.iter().all(|container| container.memory.again);
    for container in &mut pod.containers {
        if pod.restarting {
            doom(container);
        } else {
            container.memory.again &= !matches!(container.run, Run::Running(_));
        }
    }
}

/// Sees to it that nothing starts while something is to end. True: it may.
pub(crate) fn may_start(pod: &mut Pod, planner: &mut Planner) -> bool {
    if pod.restarting {
        pod.initialised = !pod.has_init();
        pod.restarting = pod.containers.iter().any(|container| !matches!(container.run, Run::Idle));
        if !pod.restarting {
            planner.tell(&pod.desired, "RestartAllContainers", "All containers are started anew".to_owned());
        }
    }
    !pod.restarting
}
