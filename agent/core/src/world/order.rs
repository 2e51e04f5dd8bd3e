//! Whose turn it is: init containers one after another, each after the success (of a sidecar: the start)
//! of the one before it, then the regular containers.
//!
//! Invariants: no regular container starts before the pod is initialised; initialised once, a pod stays
//! so for the life of its sandbox; in a new sandbox every init container runs again.

use super::{
    health::Hook,
    state::{Container, Pod, Run},
    terms::Role,
};

/// Notes that the pod is initialised, if that is so now.
pub(crate) fn note_initialised(pod: &mut Pod) {
    if !pod.initialised && !pod.restarting {
        let mut all = 0..pod.containers.len();
        pod.initialised = pod.containers.iter().any(|c| c.terms.role == Role::Main && c.has_begun())
            || all.all(|i| role(pod, i) == Role::Main || is_past(pod, i));
    }
}

/// Whether the container may start as far as the others decide it.
pub(crate) fn is_turn_of(pod: &Pod, i: usize) -> bool {
    match role(pod, i) {
        Role::Main => pod.initialised,
        Role::Sidecar if pod.initialised => true,
        Role::Init if pod.initialised => false,
        // What is behind it has begun: it had succeeded, even if nobody remembers that.
        Role::Init if pod.containers.iter().skip(i + 1).any(Container::has_begun) => false,
        Role::Init | Role::Sidecar => (0..i).all(|before| is_past(pod, before)),
    }
}

/// An init container whose success nobody remembers, but what came after it shows it.
pub(crate) fn is_forgotten(pod: &Pod, container: &Container) -> bool {
    let Some(i) = pod.containers.iter().position(|other| std::ptr::eq(other, container)) else {
        return false;
    };
    container.terms.role == Role::Init
        && matches!(container.run, Run::Idle)
        && !container.is_completed()
        && (pod.initialised || is_past(pod, i))
}

/// Names of the init containers that the regular ones wait for.
pub(crate) fn incomplete(pod: &Pod) -> Vec<&str> {
    let left = (0..pod.containers.len()).filter(|i| role(pod, *i) != Role::Main && !is_past(pod, *i));
    left.filter_map(|i| Some(pod.containers.get(i)?.name.as_str())).collect()
}

/// The init container holds up nobody behind it: it has done its part, or one behind it has begun already.
fn is_past(pod: &Pod, i: usize) -> bool {
    let Some(container) = pod.containers.get(i) else { return true };
    let done = match container.terms.role {
        Role::Main => true,
        Role::Sidecar => container.is_started(),
        Role::Init => container.is_completed() && container.last_code() == Some(0),
    };
    let mut behind = pod.containers.iter().skip(i + 1);
    done || behind.any(Container::has_begun)
}

fn role(pod: &Pod, i: usize) -> Role {
    pod.containers.get(i).map_or(Role::Main, |container| container.terms.role)
}

impl Container {
    /// It runs and has come up: what stands behind a sidecar waits for that.
    pub(crate) fn is_started(&self) -> bool {
        matches!(&self.run, Run::Running(live) if live.health.is_started())
    }

    /// It can be used.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(&self.run, Run::Running(live) if live.health.is_ready())
    }

    /// It runs, and its hook after the start does not yet let it count as running.
    pub(crate) fn is_hooked(&self) -> bool {
        matches!(&self.run, Run::Running(live) if live.health.post_start != Hook::Over && live.stop.is_none())
    }

    /// Something of it was begun in the present sandbox.
    fn has_begun(&self) -> bool {
        !matches!(self.run, Run::Idle)
            || self.memory.last.as_ref().is_some_and(|last| self.is_of_sandbox(last))
    }
}
