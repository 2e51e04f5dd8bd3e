//! Where a pass over the world leaves what it decides.
//!
//! Invariant: whoever decides to wait says until when ([`Planner::wake_at`]), so that the plan's `wake`
//! is never later than the next thing to be done without news.

use super::{
    config::WorldConfig,
    devices::Table,
    inflight::{Flight, Flights, Object, Verb},
};
use crate::{
    action::{Action, ActionKind, Plan, PodEvent},
    ids::{ActionId, PodKey, PodUid},
    manifest::{DesiredPod, objects::Objects},
    time::{Mono, Now},
};
use std::sync::Arc;

/// Bytes of an event's message; longer ones are cut.
const EVENT_MESSAGE_LEN_MAX: usize = 1024;

/// One step's clock, table of actions in flight, and plan so far.
#[derive(Debug)]
pub(crate) struct Planner {
    pub(crate) now: Now,
    pub(crate) config: Arc<WorldConfig>,
    pub(crate) flights: Flights,
    /// All objects that there are.
    pub(crate) objects: Objects,
    /// Devices, and whose they are.
    pub(crate) devices: Table,
    plan: Plan,
}

impl Planner {
    pub(crate) fn new(now: Now, config: Arc<WorldConfig>, flights: Flights) -> Self {
        Self {
            now,
            config,
            flights,
            objects: Objects::default(),
            devices: Table::default(),
            plan: Plan::default(),
        }
    }

    /// The objects that the pod names, as far as they are there.
    pub(crate) fn objects_of(&self, pod: &DesiredPod) -> Objects {
        self.objects.of(&pod.key.namespace, &pod.pod.spec)
    }

    /// Those of them that its volumes name.
    pub(crate) fn objects_of_volumes(&self, pod: &DesiredPod) -> Objects {
        self.objects.of_volumes(&pod.key.namespace, &pod.pod.spec)
    }

    /// Plans an action, to be answered within the time that its kind has.
    pub(crate) fn act(&mut self, pod: &PodUid, object: Object, verb: Verb, kind: ActionKind) -> ActionId {
        let deadline = self.now.mono.plus_s(self.deadline_s(&kind));
        self.act_until(pod, object, verb, kind, deadline)
    }

    /// Plans an action, to be answered by `deadline`.
    pub(crate) fn act_until(
        &mut self,
        pod: &PodUid,
        object: Object,
        verb: Verb,
        kind: ActionKind,
        deadline: Mono,
    ) -> ActionId {
        let starts = match &kind {
            ActionKind::StartContainer { id, .. } => Some(id.clone()),
            _ => None,
        };
        let id = self.flights.begin(Flight { pod: pod.clone(), object, verb, deadline, starts });
        self.plan.actions.push(Action { id, pod: pod.clone(), deadline, kind });
        id
    }

    fn deadline_s(&self, kind: &ActionKind) -> u64 {
        let deadlines = &self.config.deadlines;
        match kind {
            ActionKind::EnsureImage { .. } => deadlines.image_s,
            ActionKind::CreateSandbox { .. }
            | ActionKind::RefreshFiles { .. }
            | ActionKind::Update { .. }
            | ActionKind::Resize { .. }
            | ActionKind::RemoveSandbox { .. } => deadlines.sandbox_s,
            ActionKind::StartContainer { .. } => deadlines.start_s,
            ActionKind::Signal { .. } | ActionKind::Kill { .. } | ActionKind::Note { .. } => {
                deadlines.signal_s
            }
            ActionKind::Measure { .. }
            | ActionKind::Observe
            | ActionKind::Reclaim
            | ActionKind::Weigh { .. } => deadlines.measure_s,
            ActionKind::Check { check, .. } => check.timeout_s + deadlines.check_s,
            ActionKind::RemoveContainer { .. } => deadlines.remove_s,
            ActionKind::SaveCheckpoint { .. } | ActionKind::DropCheckpoint => deadlines.checkpoint_s,
        }
    }

    /// Something that went as it should.
    pub(crate) fn tell(&mut self, pod: &DesiredPod, reason: &str, message: String) {
        self.event(pod.key.clone(), pod.uid.clone(), false, reason, message);
    }

    /// Something that did not.
    pub(crate) fn warn(&mut self, pod: &DesiredPod, reason: &str, message: String) {
        self.event(pod.key.clone(), pod.uid.clone(), true, reason, message);
    }

    pub(crate) fn event(
        &mut self,
        pod: PodKey,
        uid: PodUid,
        warning: bool,
        reason: &str,
        mut message: String,
    ) {
        cut(&mut message, EVENT_MESSAGE_LEN_MAX);
        self.plan.events.push(PodEvent {
            pod,
            uid,
            warning,
            reason: reason.to_owned(),
            message,
            at: self.now,
        });
    }

    /// Whether it is time already; if not, the core will be asked again when it is.
    pub(crate) fn due(&mut self, at: Mono) -> bool {
        let due = at <= self.now.mono;
        if !due {
            self.wake_at(at);
        }
        due
    }

    pub(crate) fn wake_at(&mut self, at: Mono) {
        self.plan.wake = Some(self.plan.wake.map_or(at, |wake| wake.min(at)));
    }

    pub(crate) fn finish(mut self) -> (Plan, Flights) {
        if let Some(deadline) = self.flights.earliest_deadline() {
            self.wake_at(deadline);
        }
        (self.plan, self.flights)
    }
}

/// Cuts `text` to at most `len_max` bytes, between characters.
pub(crate) fn cut(text: &mut String, len_max: usize) {
    text.truncate(text.floor_char_boundary(len_max));
}
