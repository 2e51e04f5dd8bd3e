//! How long to wait after a failure. Kubelet's figures where kubelet has some.
//!
//! Invariants: a wait is never longer than its schedule's `max_s`; a step never counts past
//! [`STEP_MAX`]; a moment of an earlier boot (`Mono(0)`) never makes anybody wait.

use crate::{
    event::ContainerMemory,
    time::{Mono, NS_PER_S},
};

/// First wait of a crashing container, seconds; its very first restart is immediate.
pub(crate) const CRASH_BASE_S: u64 = 10;
/// Longest wait of a crashing container, seconds.
pub(crate) const CRASH_MAX_S: u64 = 300;
/// A run longer than this ends the row of crashes, seconds. Fixed, as in kubelet.
pub(crate) const CRASH_RESET_S: u64 = 600;
/// Steps counted; every schedule has reached its longest wait by then.
pub(crate) const STEP_MAX: u32 = 16;

const _: () = assert!(CRASH_BASE_S <= CRASH_MAX_S && CRASH_RESET_S == 2 * CRASH_MAX_S);
const _: () = assert!(CRASH_BASE_S << (STEP_MAX - 1) > CRASH_MAX_S);

/// A wait that doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// Wait at step 1, seconds.
    pub(crate) base_s: u64,
    /// Longest wait, seconds.
    pub(crate) max_s: u64,
}

/// After a failed pull, and after a start that the runtime refused: no use in hurrying.
pub(crate) const PULL: Schedule = Schedule { base_s: CRASH_BASE_S, max_s: CRASH_MAX_S };
/// After something of our own failed (a lost worker, a busy cgroup, a full disk): mostly gone at once.
pub(crate) const RETRY: Schedule = Schedule { base_s: 1, max_s: 60 };

impl Schedule {
    /// Seconds to wait at `step`; none at step 0.
    pub(crate) fn delay_s(self, step: u32) -> u64 {
        match step {
            0 => 0,
            _ => (self.base_s << (step.min(STEP_MAX) - 1)).min(self.max_s),
        }
    }
}

/// Failures in a row of one thing, and when to try it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Retry {
    /// In a row, up to [`STEP_MAX`].
    pub(crate) failures: u32,
    /// Not before.
    pub(crate) at: Mono,
}

impl Retry {
    /// Counts a failure that is known since `now`.
    pub(crate) fn failed(&mut self, now: Mono, schedule: Schedule) {
        self.failures = (self.failures + 1).min(STEP_MAX);
        self.at = now.plus_s(schedule.delay_s(self.failures));
    }

    /// It worked.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The step that a container's next restart waits at, when a run from `started` to `ended` is over: none
/// for the first end there is and after a long run, else one more than last time.
pub(crate) fn next_step(memory: &ContainerMemory, started: Mono, ended: Mono) -> u32 {
    if memory.last.is_none() || ended.since(started) > CRASH_RESET_S * NS_PER_S {
        return 0;
    }
    (memory.backoff_step + 1).min(STEP_MAX)
}

/// The earliest moment of the next start, as far as crashes decide it. `max_s` is the configured longest wait.
pub(crate) fn restart_at(memory: &ContainerMemory, max_s: u64) -> Mono {
    match &memory.last {
        Some(last) if last.exit.at.mono != Mono(0) => last.exit.at.mono.plus_s(crash_delay_s(memory, max_s)),
        _ => Mono(0),
    }
}

/// Seconds that the next restart waits after the last end.
pub(crate) fn crash_delay_s(memory: &ContainerMemory, max_s: u64) -> u64 {
    Schedule { base_s: CRASH_BASE_S.min(max_s), max_s }.delay_s(memory.backoff_step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Exit, LastRun},
        ids::ContainerId,
        time::{Now, Wall},
    };

    /// Runs of the given lengths, restarted as soon as allowed: the waits between them.
    fn waits(run_lengths_s: &[u64], max_s: u64) -> Vec<u64> {
        let mut memory = ContainerMemory::default();
        let mut clock = Mono(5 * NS_PER_S);
        run_lengths_s
            .iter()
            .map(|length| {
                let (started, ended) = (clock, clock.plus_s(*length));
                memory.backoff_step = next_step(&memory, started, ended);
                let now = |mono| Now { mono, wall: Wall(0) };
                let exit = Exit { code: 1, signal: 0, oom: false, at: now(ended) };
                let id = ContainerId("c".into());
                let (reason, message) = Default::default();
                memory.last = Some(LastRun { id, started: now(started), exit, reason, message });
                clock = restart_at(&memory, max_s).max(ended);
                clock.since(ended) / NS_PER_S
            })
            .collect()
    }

    #[test]
    fn crashes_wait_as_kubelet_makes_them_wait() {
        for (lengths, max_s, expected) in [
            (&[0; 9][..], 300, &[0, 10, 20, 40, 80, 160, 300, 300, 300][..]),
            (&[0, 0, 0, 600, 0], 300, &[0, 10, 20, 40, 80]),
            (&[0, 0, 0, 601, 0, 0], 300, &[0, 10, 20, 0, 10, 20]),
            (&[601, 0, 0], 300, &[0, 10, 20]),
            (&[0; 5], 5, &[0, 5, 5, 5, 5]),
            (&[0; 5], 30, &[0, 10, 20, 30, 30]),
        ] {
            assert_eq!(waits(lengths, max_s), expected, "{lengths:?} at most {max_s} s");
        }
    }

    #[test]
    fn an_end_in_an_earlier_boot_makes_nobody_wait() {
        let mut memory = ContainerMemory { backoff_step: 6, ..ContainerMemory::default() };
        let at = Now { mono: Mono(0), wall: Wall(9) };
        let exit = Exit { code: 1, signal: 0, oom: false, at };
        let (reason, message) = Default::default();
        memory.last = Some(LastRun { id: ContainerId("c".into()), started: at, exit, reason, message });
        assert_eq!(restart_at(&memory, 300), Mono(0));
        assert_eq!(next_step(&memory, Mono(1), Mono(2)), 7);
    }

    #[test]
    fn retries_double_to_a_bound_and_stay_there() {
        let mut retry = Retry::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            retry.failed(Mono(0), RETRY);
            waits.push(retry.at.0 / NS_PER_S);
        }
        assert_eq!(waits[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(waits[39], 60);
    }
}
