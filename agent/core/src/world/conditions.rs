//! Since when things are so: the pod's conditions, kept because only their changes have a time.
//!
//! Invariant: `since` is the wall time of the step in which `holds` took its present value.

use super::{
    grow,
    state::{Container, Pod},
    terms::Role,
};
use crate::time::Wall;

/// One condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) holds: bool,
    pub(crate) since: Wall,
}

/// The conditions that change; those that hold from the first moment have only `created`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conditions {
    pub(crate) created: Wall,
    /// The sandbox is there.
    pub(crate) sandbox: Condition,
    /// The init containers have done their part.
    pub(crate) initialised: Condition,
    /// All regular containers and sidecars are ready.
    pub(crate) ready: Condition,
    /// The pod's manifest, as it is now, is valid.
    pub(crate) valid: Condition,
    /// All that its spec asks the kernel to enforce is enforced.
    pub(crate) enforced: Condition,
    /// It does not have the resources that it wants.
    pub(crate) pending: Condition,
    /// Its cgroups are on their way to what it is to have.
    pub(crate) resizing: Condition,
    /// All its containers are being started anew.
    pub(crate) restarting: Condition,
    /// No device has gone from a container that has it.
    pub(crate) devices: Condition,
    /// Whoever was to be asked for newer images has been asked.
    pub(crate) images: Condition,
}

impl Conditions {
    pub(crate) fn new(wall: Wall) -> Self {
        let not = Condition { holds: false, since: wall };
        let yes = Condition { holds: true, since: wall };
        Self {
            created: wall,
            sandbox: not,
            initialised: not,
            ready: not,
            valid: yes,
            enforced: yes,
            pending: not,
            resizing: not,
            restarting: not,
            devices: yes,
            images: yes,
        }
    }

    /// What an adopted pod has been since before this agent.
    pub(crate) fn adopted(&mut self, sandbox: bool, ready_since: Option<Wall>) {
        self.sandbox.holds = sandbox;
        if let Some(since) = ready_since {
            self.ready = Condition { holds: true, since };
            self.sandbox.since = since;
        }
    }
}

impl Condition {
    fn note(&mut self, holds: bool, now: Wall) {
        if self.holds != holds {
            *self = Self { holds, since: now };
        }
    }
}

fn is_ready(pod: &Pod) -> bool {
    let mut lasting = pod.containers.iter().filter(|container| container.terms.role != Role::Init);
    lasting.all(Container::is_ready)
}

/// Notes what has changed with this step.
pub(crate) fn note(pod: &mut Pod, now: Wall) {
    let ready = is_ready(pod);
    pod.conditions.initialised.note(pod.initialised, now);
    pod.conditions.sandbox.note(pod.sandbox.made && !pod.sandbox.removed, now);
    pod.conditions.ready.note(ready, now);
    pod.conditions.valid.note(pod.problem.is_none(), now);
    let refused = pod.wants.as_ref().is_some_and(|wants| wants.refusal.is_some());
    pod.conditions.pending.note(refused, now);
    let resizing = grow::in_progress(pod).is_some();
    pod.conditions.resizing.note(resizing, now);
    pod.conditions.restarting.note(pod.restarting, now);
    let devices = pod.containers.iter().all(|container| container.lost.is_empty());
    pod.conditions.devices.note(devices, now);
    let mut images = pod.images.iter().flat_map(|image| &image.facts);
    pod.conditions.images.note(images.all(|facts| facts.unasked.is_empty()), now);
    pod.conditions.enforced.note(pod.not_enforced.is_empty() && pod.unheld.is_none(), now);
}
