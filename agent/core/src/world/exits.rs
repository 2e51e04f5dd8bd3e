//! Ends of runs: each is counted once, into the memory that is then saved.
//!
//! Invariant: an end is recorded when, and only when, it is of the run that the container has now and is
//! not recorded yet. Telling it again changes nothing.

use super::{
    backoff,
    remember::Memory,
    restart_all,
    state::{Birth, Container, Pod, Remains, Run},
};
use crate::{
    event::{
        END_MESSAGE_LEN_MAX, EndReason, Exit, LastRun, POD_TERMINATION_MESSAGES_LEN_MAX,
        TERMINATION_MESSAGE_LEN_MAX,
    },
    ids::ContainerId,
    time::Now,
};

/// Exit code of a run whose end nobody saw; Kubernetes shows such a container as killed.
const CODE_UNKNOWN: i32 = 137;
/// Exit code of a run whose program could not be started.
const CODE_START_ERROR: i32 = 128;

/// The part of a termination message that the pod keeps.
pub(crate) fn share(message: &str, containers: usize) -> String {
    let share = POD_TERMINATION_MESSAGES_LEN_MAX / containers.max(1);
    let mut kept = message.to_owned();
    super::planner::cut(&mut kept, share.min(TERMINATION_MESSAGE_LEN_MAX));
    kept
}

/// An exit of the pod's `i`-th container, of run `id`, was told. True if it was news.
pub(crate) fn told(pod: &mut Pod, i: usize, id: &ContainerId, exit: Exit, message: &str) -> bool {
    let message = share(message, pod.containers.len());
    let Some(container) = pod.containers.get_mut(i) else { return false };
    let (birth, started) = match &container.run {
        Run::Starting(birth) => (birth.clone(), birth.asked),
        Run::Adopting { birth, .. } => (birth.clone(), exit.at),
        Run::Running(live) => (Birth { id: live.id.clone(), attempt: live.attempt, asked: live.at }, live.at),
        Run::Remains(remains) if !remains.recorded => (remains.birth.clone(), remains.birth.asked),
        Run::Idle | Run::Remains(_) => return false,
    };
    if birth.id != *id {
        return false;
    }
    record(container, &mut pod.memory, &birth, LastRun::exited(&birth, started, exit, message));
    restart_all::ended(pod, i);
    true
}

/// The runtime could not start the program: kubelet counts that as a run that failed.
pub(crate) fn start_error(
    container: &mut Container,
    memory: &mut Memory,
    birth: &Birth,
    why: &str,
    now: Now,
) {
    let exit = Exit { code: CODE_START_ERROR, signal: 0, oom: false, at: now };
    let mut message = why.to_owned();
    super::planner::cut(&mut message, END_MESSAGE_LEN_MAX);
    let mut last = LastRun::exited(birth, birth.asked, exit, message);
    last.reason = EndReason::StartError;
    record(container, memory, birth, last);
}

/// Puts an end into memory; what is left of the run waits for the memory to be saved.
pub(crate) fn record(container: &mut Container, memory: &mut Memory, birth: &Birth, last: LastRun) {
    let kept = &mut container.memory;
    kept.backoff_step = backoff::next_step(kept, last.started.mono, last.exit.at.mono);
    // A run of which memory knew nothing: what is remembered is of one before it.
    if birth.attempt >= kept.next_attempt {
        kept.doomed = None;
    }
    kept.next_attempt = kept.next_attempt.max(birth.attempt.saturating_add(1));
    kept.running = None;
    kept.stop = None;
    kept.last = Some(last);
    container.failure = None;
    container.start.clear();
    container.retry.clear();
    let gate = memory.touch_now();
    container.run = Run::Remains(Remains { recorded: true, gate, ..Remains::dead(birth.clone()) });
}

/// The container's run is known to have begun, nothing of it is there, and nobody saw its end (the boot
/// is over, or the keeper died). Its end is noted without a wait: it was no crash.
pub(crate) fn unseen(container: &mut Container, memory: &mut Memory, id: ContainerId) {
    let Some(started) = container.memory.running.take() else { return };
    (container.memory.stop, container.memory.doomed) = (None, None);
    let at = Now { mono: crate::time::Mono(0), ..started };
    let exit = Exit { code: CODE_UNKNOWN, signal: 0, oom: false, at };
    let message = "the container was gone and its end was not seen".to_owned();
    container.memory.last = Some(LastRun { id, started, exit, reason: EndReason::Unknown, message });
    memory.touch();
}

impl LastRun {
    fn exited(birth: &Birth, started: Now, exit: Exit, message: String) -> Self {
        Self { id: birth.id.clone(), started, exit, reason: EndReason::Exited, message }
    }
}
