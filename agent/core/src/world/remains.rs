//! Clearing away what is left of a run: kill what may live, wait for its exit, remove all of it.
//!
//! Invariant: nothing is removed while its exit may still be told, because removing acknowledges the exit.

use super::{
    backoff::{RETRY, Retry},
    inflight::{Object, Verb},
    planner::Planner,
    state::{Birth, Remains},
};
use crate::{
    action::ActionKind,
    event::Failure,
    ids::{ActionId, PodUid},
    time::{Mono, Now},
};

/// After a kill its exit is told within this, seconds; else there was none.
pub(crate) const EXIT_WAIT_S: u64 = 5;
/// Kills that may fail in a row; then the removal, which kills too, has to do.
const KILL_TRIES: u32 = 3;

impl Remains {
    /// Of a process that may still be alive; its exit may be told for some time after it was killed.
    pub(crate) fn doubtful(birth: Birth) -> Self {
        Self { birth, killed: false, recorded: false, may_tell: true, exit_until: Mono(0), gate: 0 }
    }

    /// Of a container that the keeper does not know: no exit will be told, but something may be left.
    pub(crate) fn unknown(birth: Birth) -> Self {
        Self { may_tell: false, ..Self::doubtful(birth) }
    }

    /// Of a start of which the runtime says that it left no process.
    pub(crate) fn dead(birth: Birth) -> Self {
        Self { killed: true, ..Self::unknown(birth) }
    }
}

/// The next step of clearing, if it is time for one.
pub(crate) fn clear(
    remains: &Remains,
    busy: &mut Option<ActionId>,
    retry: Retry,
    pod: &PodUid,
    object: Object,
    planner: &mut Planner,
) {
    if busy.is_some() || !planner.due(retry.at) {
        return;
    }
    let id = remains.birth.id.clone();
    if !remains.killed && retry.failures < KILL_TRIES {
        *busy = Some(planner.act(pod, object, Verb::Kill, ActionKind::Kill { id }));
    } else if planner.due(remains.exit_until) {
        *busy = Some(planner.act(pod, object, Verb::Remove, ActionKind::RemoveContainer { id }));
    }
}

/// Takes in the end of a kill or removal. True: nothing is left.
pub(crate) fn cleared(
    remains: &mut Remains,
    retry: &mut Retry,
    verb: Verb,
    result: &Result<(), Failure>,
    now: Now,
) -> bool {
    match (verb, result) {
        (Verb::Remove, Ok(())) => return true,
        (Verb::Kill, Ok(())) => {
            retry.clear();
            remains.killed = true;
            if remains.may_tell && !remains.recorded {
                remains.exit_until = now.mono.plus_s(EXIT_WAIT_S);
            }
        }
        (_, Ok(())) => {}
        (_, Err(_)) => retry.failed(now.mono, RETRY),
    }
    false
}
