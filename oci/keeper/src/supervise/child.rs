//! When to start a child again. The rate is bounded by how long it ran, not by counting deaths.

/// A child that ran at least this long is started again at once. Long enough that one which dies in its
/// start-up (a bad configuration, a full disk) never counts as having run; short enough that an agent
/// killed now and then by a person or by the OOM killer is back without delay. 1 s.
pub const RUN_NS_MIN: u64 = 1_000_000_000;
/// First delay after a shorter run: hardly to be seen by a person who kills the agent twice, and already
/// a bound of 20 starts in a second. 50 ms.
pub const RESTART_DELAY_NS_MIN: u64 = 50_000_000;
/// Longest delay, reached by doubling: the cost of a start each 5 s is negligible on the smallest box,
/// and a cause that goes away (a disk freed) is noticed soon enough.
pub const RESTART_DELAY_NS_MAX: u64 = 5_000_000_000;

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
}

impl Child {
    /// Not there and not wanted.
    pub const ABSENT: Self = Self { phase: Phase::Absent, delay_ns: 0, restarts: 0 };

    /// Its pid, if it is there.
    pub fn pid(&self) -> Option<i32> {
        match self.phase {
            Phase::Alive { pid, .. } => Some(pid),
            _ => None,
        }
    }

    /// It has died, or could not be started: says when to start it (again).
    pub fn died(&mut self, now_ns: u64) {
        let ran_ns = match self.phase {
            Phase::Alive { since_ns, .. } => now_ns.saturating_sub(since_ns),
            _ => 0,
        };
        self.delay_ns = if ran_ns >= RUN_NS_MIN {
            0
        } else {
            self.delay_ns.saturating_mul(2).clamp(RESTART_DELAY_NS_MIN, RESTART_DELAY_NS_MAX)
        };
        self.restarts = self.restarts.saturating_add(1);
        self.phase = Phase::Due { at_ns: now_ns.saturating_add(self.delay_ns) };
    }

    /// When it is due, if it is.
    pub fn due_ns(&self) -> Option<u64> {
        match self.phase {
            Phase::Due { at_ns } => Some(at_ns),
            _ => None,
        }
    }
}
