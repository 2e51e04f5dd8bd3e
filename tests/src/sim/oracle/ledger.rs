//! The book of one container: how often it has run, when it ended, how long its next start must wait.

use berth_core::{
    event::ContainerMemory,
    ids::ContainerId,
    time::{Mono, NS_PER_S},
};

/// The waits between restarts, seconds, within their bound; the last one for ever.
const WAITS_S: [u64; 7] = [0, 10, 20, 40, 80, 160, 300];
/// A run longer than this begins the row anew, seconds.
const LONG_RUN_S: u64 = 600;

/// An end that nobody saw counts as a failure.
const UNSEEN: i32 = 137;

/// What the core knows, or can know from its disk and the keeper.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    /// Attempts that the core knows to have run: the next one is at least this.
    pub(crate) known: u32,
    ends: Option<usize>,
    last: Option<ContainerId>,
    ended_at: Option<Mono>,
    /// With what it ended.
    pub(crate) code: Option<i32>,
    /// It runs, as far as the core knows.
    pub(super) open: bool,
    /// That run, or the last one, was found unwell and is to be replaced.
    pub(crate) doomed: bool,
    /// Its pod is started anew as a whole, and it has not come to run again: its last end does not count.
    pub(super) again: bool,
}

impl Ledger {
    pub(crate) fn from_disk(memory: &ContainerMemory, same_boot: bool) -> Self {
        let last = memory.last.as_ref();
        Self {
            known: memory.next_attempt,
            ends: last.map(|_| memory.backoff_step as usize),
            last: last.map(|last| last.id.clone()),
            ended_at: last.map(|last| last.exit.at.mono).filter(|at| same_boot && *at != Mono(0)),
            code: last.map(|last| last.exit.code),
            open: memory.running.is_some(),
            doomed: same_boot && memory.doomed.is_some(),
            again: memory.again,
        }
    }

    /// The core has come to know that this attempt runs.
    pub(crate) fn started(&mut self, attempt: u32) {
        // Its end may have been told first.
        if attempt >= self.known {
            (self.doomed, self.open) = (false, true);
        }
        self.known = self.known.max(attempt + 1);
    }

    /// The core has come to know of this end.
    pub(crate) fn ended(&mut self, id: &ContainerId, attempt: u32, code: i32, started: Mono, at: Mono) {
        self.doomed &= attempt < self.known;
        self.known = self.known.max(attempt + 1);
        self.open = false;
        if self.last.as_ref() == Some(id) {
            return;
        }
        let long = at.since(started) > LONG_RUN_S * NS_PER_S;
        self.ends = match self.ends {
            Some(ends) if !long => Some(ends + 1),
            _ => Some(0),
        };
        self.last = Some(id.clone());
        self.code = Some(code);
        self.ended_at = Some(at);
    }

    /// Nothing is there of a run that had begun: it ended unseen, which is no reason to wait.
    pub(crate) fn settle(&mut self) {
        if std::mem::take(&mut self.open) {
            self.ends = Some(self.ends.unwrap_or(0));
            self.ended_at = None;
            self.code = Some(UNSEEN);
            self.doomed = false;
        }
    }

    /// What a checkpoint should say of the last end: its step, if this is the end that it tells of.
    pub(crate) fn step(&self, last: &ContainerId) -> Option<u32> {
        self.ends.filter(|_| self.last.as_ref() == Some(last)).map(|ends| ends as u32)
    }

    /// When it last ended, if that was in this boot and somebody saw it.
    pub(crate) fn ended_at(&self) -> Option<Mono> {
        self.ended_at
    }

    /// Not to be started again before.
    pub(crate) fn not_before(&self, bound_s: u64) -> Mono {
        match (self.ended_at, self.ends) {
            (Some(at), Some(ends)) => at.plus_s(WAITS_S[ends.min(WAITS_S.len() - 1)].min(bound_s)),
            _ => Mono(0),
        }
    }
}
