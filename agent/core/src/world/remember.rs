//! What is remembered of a pod on disk: its checkpoint, written when it has changed.
//!
//! Invariants: `saved <= version`; an exit is in memory and its version is saved before the container is
//! removed (`gate`), unless it could not be saved and [`SAVE_TRIES`] saves in a row have failed; a start
//! alone is saved only when the pod has come to rest, so that starting a pod costs one write.

use super::{
    backoff::{RETRY, Retry},
    in_place,
    inflight::{Object, Verb},
    planner::Planner,
    state::{Container, Pod, Run, Stage},
};
use crate::{
    action::ActionKind,
    event::{Checkpoint, ContainerMemory, Failure},
    ids::ActionId,
    time::Mono,
};

/// Saves that may fail in a row before exits are acknowledged without; drops, before a checkpoint is left behind.
pub(crate) const SAVE_TRIES: u32 = 3;

/// How far memory and disk agree.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Raised with every change.
    version: u64,
    /// The version that is on disk.
    saved: u64,
    /// The version that is to be saved although the pod has not come to rest.
    urgent: u64,
    /// The latest version that the disk did not take.
    refused: u64,
    /// There may be a file.
    pub(crate) on_disk: bool,
    /// The file is gone for good.
    pub(crate) dropped: bool,
    pub(crate) busy: Option<ActionId>,
    pub(crate) retry: Retry,
    /// The file is being removed: nothing is saved any more. Tried by itself: saves that have failed do not count.
    drop: Option<Retry>,
}

impl Memory {
    /// Something worth remembering has changed.
    pub(crate) fn touch(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// As [`Self::touch`], for what others wait for: a disk that has failed is tried again at once.
    pub(crate) fn touch_now(&mut self) -> u64 {
        self.retry.at = Mono(0);
        self.touch()
    }

    /// As [`Self::touch_now`], for what must not be forgotten whatever the pod is at.
    pub(crate) fn touch_urgently(&mut self) {
        self.urgent = self.touch_now();
    }

    /// What needed this version on disk may go on.
    pub(crate) fn has(&self, gate: u64) -> bool {
        self.saved >= gate || self.refused >= gate && self.retry.failures >= SAVE_TRIES
    }
}

/// Saves the pod's checkpoint if it is time to.
pub(crate) fn save(pod: &mut Pod, boot_id: &str, planner: &mut Planner) {
    let memory = &pod.memory;
    if memory.version == memory.saved || memory.busy.is_some() || memory.drop.is_some() {
        return;
    }
    let waited_for = memory.urgent > memory.saved
        || pod.containers.iter().any(|c| matches!(&c.run, Run::Remains(r) if r.gate > memory.saved));
    let at_rest = pod.sandbox.busy.is_none()
        && pod.images.iter().all(|image| image.busy.is_none())
        && pod.containers.iter().all(|container| container.busy.is_none());
    if !(waited_for || at_rest) || !planner.due(memory.retry.at) {
        return;
    }
    let verb = Verb::Save(memory.version);
    let kind = ActionKind::SaveCheckpoint { checkpoint: Box::new(checkpoint(pod, boot_id)) };
    pod.memory.busy = Some(planner.act(&pod.desired.uid, Object::Checkpoint, verb, kind));
    pod.memory.on_disk = true;
}

fn checkpoint(pod: &Pod, boot_id: &str) -> Checkpoint {
    let worth = |c: &&Container| c.memory != ContainerMemory::default();
    let containers =
        pod.containers.iter().filter(worth).map(|c| (c.name.clone(), c.memory.clone())).collect();
    let terminating = match pod.stage {
        Stage::Terminating { since } => Some(since),
        Stage::Queued | Stage::Active => None,
    };
    Checkpoint {
        uid: pod.desired.uid.clone(),
        boot_id: boot_id.to_owned(),
        started: pod.seen,
        active: (pod.stage != Stage::Queued).then_some(pod.active_since),
        terminating,
        ending: pod.ending,
        expired: pod.expired,
        evicted: pod.evicted.clone(),
        containers,
        lineage: Some(in_place::lineage(&pod.desired)),
    }
}

/// Removes the checkpoint of a pod of which nothing else is left. True: it is gone.
pub(crate) fn forget(pod: &mut Pod, planner: &mut Planner) -> bool {
    let memory = &mut pod.memory;
    let retry_at = memory.drop.get_or_insert_default().at;
    if !memory.dropped && memory.busy.is_none() && planner.due(retry_at) {
        let kind = ActionKind::DropCheckpoint;
        memory.busy = Some(planner.act(&pod.desired.uid, Object::Checkpoint, Verb::Drop, kind));
    }
    memory.dropped
}

/// Takes in the end of a save or a drop.
pub(crate) fn answered(pod: &mut Pod, verb: Verb, result: Result<(), Failure>, planner: &mut Planner) {
    let memory = &mut pod.memory;
    memory.busy = None;
    match (verb, result) {
        (Verb::Save(version), Ok(())) => {
            memory.saved = memory.saved.max(version);
            memory.retry.clear();
        }
        (Verb::Drop, Ok(())) => memory.dropped = true,
        (_, Ok(())) => {}
        (_, Err(failure)) => {
            let retry = memory.drop.as_mut().filter(|_| verb == Verb::Drop).unwrap_or(&mut memory.retry);
            retry.failed(planner.now.mono, RETRY);
            let given_up = retry.failures == SAVE_TRIES;
            if let Verb::Save(version) = verb {
                memory.refused = version;
            }
            // The next agent drops it then: nothing must stand in the way of the pod's next revision.
            memory.dropped = given_up && verb == Verb::Drop;
            if given_up {
                let what = "the pod's restart counts cannot be kept on disk";
                planner.warn(&pod.desired, "FailedCheckpoint", format!("{what}: {}", failure.message));
            }
        }
    }
}
