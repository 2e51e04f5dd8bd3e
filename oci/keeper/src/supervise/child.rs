//! When to start a child again: at once if it had got ready or was killed, later if it dies in its start-up
//! by itself (a full disk, a bug), and in any case not faster than a bound.

/// First delay after a death in the start-up: hardly to be seen by a person, and already a bound of 20
/// starts in a second. 50 ms.
pub const RESTART_DELAY_NS_MIN: u64 = 50_000_000;
/// Longest delay, reached by doubling: the cost of a start each 5 s is negligible on the smallest box,
/// and a cause that goes away (a disk freed) is noticed soon enough.
pub const RESTART_DELAY_NS_MAX: u64 = 5_000_000_000;

/// Restarts at once that may follow each other without a pause: enough for whoever kills the agent as a
/// test, and for a child that gets ready and then always dies some seconds of a box's time.
pub const QUICK_RESTARTS_MAX: u64 = 120;
/// One more of them is allowed again after each such time, so that in the long run nothing is started more
/// often than by slowing down. 5 s.
pub const QUICK_RESTART_NS: u64 = RESTART_DELAY_NS_MAX;

const _: () = assert!(RESTART_DELAY_NS_MIN < RESTART_DELAY_NS_MAX);

/// State of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not there and not wanted.
    Absent,
    /// To be started at this time.
    Due {
        /// `CLOCK_BOOTTIME`, nanoseconds.
        at_ns: u64,
    },
    /// Being started by the shell.
    Starting,
    /// There.
    Alive {
        /// Its pid.
        pid: i32,
        /// Since, `CLOCK_BOOTTIME` nanoseconds.
        since_ns: u64,
    },
}

/// Agent or zygote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    pub(super) phase: Phase,
    pub(super) delay_ns: u64,
    /// Times that it was started again.
    pub(super) restarts: u32,
    /// It has said that it does its work.
    pub(super) ready: bool,
    /// When all restarts at once are allowed again.
    pub(super) rested_ns: u64,
    /// It has closed its socket, so it is of no use any more: if it has not ended by then it is killed.
    pub(super) kill_at_ns: Option<u64>,
}

impl Child {
    /// Not there and not wanted.
    pub const ABSENT: Self =
        Self { phase: Phase::Absent, delay_ns: 0, restarts: 0, ready: false, rested_ns: 0, kill_at_ns: None };

    /// Its pid, if it is there.
    pub fn pid(&self) -> Option<i32> {
        match self.phase {
            Phase::Alive { pid, .. } => Some(pid),
            _ => None,
        }
    }

    /// Since when it is there.
    pub(super) fn since_ns(&self) -> Option<u64> {
        match self.phase {
            Phase::Alive { since_ns, .. } => Some(since_ns),
            _ => None,
        }
    }

    /// It has died, or could not be started: says when to start it (again). `killed`: by SIGKILL, so it did
    /// not fail by itself.
    pub fn died(&mut self, now_ns: u64, killed: bool) {
        let wait_ns = if self.ready || killed {
            self.delay_ns = 0;
            self.rested_ns = self.rested_ns.max(now_ns).saturating_add(QUICK_RESTART_NS);
            self.rested_ns.saturating_sub(now_ns.saturating_add(QUICK_RESTARTS_MAX * QUICK_RESTART_NS))
        } else {
            self.delay_ns = self.delay_ns.saturating_mul(2).clamp(RESTART_DELAY_NS_MIN, RESTART_DELAY_NS_MAX);
            self.delay_ns
        };
        self.ready = false;
        self.restarts = self.restarts.saturating_add(1);
        self.phase = Phase::Due { at_ns: now_ns.saturating_add(wait_ns) };
    }

    /// When it is due, if it is.
    pub fn due_ns(&self) -> Option<u64> {
        match self.phase {
            Phase::Due { at_ns } => Some(at_ns),
            _ => None,
        }
    }
}
