//! What is there and belongs to no pod: containers of which only the id is known, checkpoints of pods
//! that nobody wants. Cleared like everything else, with retries.
//!
//! Invariants: while a container of some uid is here, no pod of that uid starts a container or ends; a
//! checkpoint is dropped only when it is sure that no manifest stands for it.

use super::{
    backoff::{RETRY, Retry},
    inflight::{Object, Verb},
    planner::Planner,
    remains, remember,
    state::{Birth, Remains},
};
use crate::{
    action::ActionKind,
    event::{Checkpoint, Failure},
    ids::{ActionId, ContainerId, PodUid},
};
use std::collections::BTreeMap;

/// A container without a pod.
#[derive(Debug)]
pub(crate) struct Orphan {
    pub(crate) pod: PodUid,
    remains: Remains,
    busy: Option<ActionId>,
    retry: Retry,
}

/// A checkpoint without a pod: of one that has not come yet, or will not.
#[derive(Debug)]
pub(crate) struct Stray {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) busy: Option<ActionId>,
    retry: Retry,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    containers: BTreeMap<ContainerId, Orphan>,
    pub(crate) strays: BTreeMap<PodUid, Stray>,
}

impl Orphans {
    /// Takes in a container to be cleared; `alive`: it may have a process whose exit will be told.
    pub(crate) fn add(&mut self, pod: PodUid, birth: Birth, alive: bool) {
        let id = birth.id.clone();
        let remains = if alive { Remains::doubtful(birth) } else { Remains::unknown(birth) };
        self.containers.entry(id).or_insert(Orphan { pod, remains, busy: None, retry: Retry::default() });
    }

    pub(crate) fn add_checkpoint(&mut self, checkpoint: Checkpoint) {
        let stray = Stray { checkpoint, busy: None, retry: Retry::default() };
        self.strays.insert(stray.checkpoint.uid.clone(), stray);
    }

    pub(crate) fn has(&self, id: &ContainerId) -> bool {
        self.containers.contains_key(id)
    }

    /// No container of this uid is here.
    pub(crate) fn clear_of(&self, uid: &PodUid) -> bool {
        self.containers.values().all(|orphan| orphan.pod != *uid)
    }

    pub(crate) fn containers_len(&self) -> usize {
        self.containers.len()
    }

    /// The process of this container has ended.
    pub(crate) fn exited(&mut self, id: &ContainerId) {
        if let Some(orphan) = self.containers.get_mut(id) {
            orphan.remains.killed = true;
            orphan.remains.recorded = true;
            orphan.remains.exit_until = crate::time::Mono(0);
        }
    }

    /// Does what can be done now. `unwanted`: whether a checkpoint is sure to be of no use.
    pub(crate) fn advance(&mut self, planner: &mut Planner, unwanted: impl Fn(&PodUid) -> bool) {
        for (id, orphan) in &mut self.containers {
            let object = Object::Orphan(id.clone());
            remains::clear(&orphan.remains, &mut orphan.busy, orphan.retry, &orphan.pod, object, planner);
        }
        for (uid, stray) in &mut self.strays {
            if stray.busy.is_none() && unwanted(uid) && planner.due(stray.retry.at) {
                stray.busy = Some(planner.act(uid, Object::Stray, Verb::Drop, ActionKind::DropCheckpoint));
            }
        }
    }

    pub(crate) fn container_answered(
        &mut self,
        id: &ContainerId,
        verb: Verb,
        result: &Result<(), Failure>,
        planner: &Planner,
    ) {
        let Some(orphan) = self.containers.get_mut(id) else { return };
        orphan.busy = None;
        if remains::cleared(&mut orphan.remains, &mut orphan.retry, verb, result, planner.now) {
            self.containers.remove(id);
        }
    }

    pub(crate) fn stray_answered(&mut self, uid: &PodUid, result: &Result<(), Failure>, planner: &Planner) {
        let Some(stray) = self.strays.get_mut(uid) else { return };
        stray.busy = None;
        stray.retry.failed(planner.now.mono, RETRY);
        if result.is_ok() || stray.retry.failures >= remember::SAVE_TRIES {
            self.strays.remove(uid);
        }
    }
}
