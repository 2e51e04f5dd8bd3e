//! One entry of a table: its state, the steps that the state allows, and what the agent is still owed.

use crate::protocol::{ExitStatus, FailClass, Id, NOBODY, SlotState, Text};

/// State of an entry. A failure's text lies in the table, for want of an allocator.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)]
pub enum Life {
    /// Nobody's.
    Free,
    /// Waiting for a worker, or a worker is at it.
    Creating,
    /// The process runs.
    Running {
        /// Pid on the host.
        pid: i32,
        /// Since, `CLOCK_BOOTTIME` nanoseconds.
        started_ns: u64,
    },
    /// The process has ended and the exit is kept.
    Exited {
        /// The pid that it had.
        pid: i32,
        /// Since when it had run.
        started_ns: u64,
        /// How it ended.
        exit: ExitStatus,
    },
    /// It never ran; kept until the agent is told.
    Failed {
        /// Kind of failure.
        class: FailClass,
        /// For people.
        text: Text,
    },
}

/// What the agent is still owed for an entry, in the order of telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owed {
    /// The answer to the create or exec.
    pub answer: bool,
    /// The exit.
    pub exit: bool,
}

/// One container slot or exec session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<W> {
    /// Its id.
    pub id: Id,
    /// What the zygote is to do.
    pub work: W,
    /// The request to answer, or [`NOBODY`].
    pub op: u64,
    /// By which the zygote and its worker name it.
    pub ticket: u64,
    /// The zygote has the work.
    pub sent: bool,
    /// While creating: when to take zygote and worker for lost, `CLOCK_BOOTTIME` nanoseconds.
    pub give_up_ns: u64,
    /// What the agent is owed.
    pub owed: Owed,
    pub(super) life: Life,
}

impl<W> Entry<W> {
    /// An entry that is being created.
    pub fn new(id: Id, work: W, op: u64, ticket: u64, give_up_ns: u64) -> Self {
        Self { id, work, op, ticket, sent: false, give_up_ns, owed: Owed::default(), life: Life::Creating }
    }

    /// An entry as it was saved: neither creating nor failed.
    pub fn saved(id: Id, work: W, life: Life, owed: Owed) -> Self {
        Self { id, work, op: NOBODY, ticket: 0, sent: true, give_up_ns: 0, owed, life }
    }

    /// State.
    pub fn life(&self) -> &Life {
        &self.life
    }

    /// Nobody's.
    pub fn is_free(&self) -> bool {
        matches!(self.life, Life::Free)
    }

    /// A worker is at it or will be.
    pub fn is_creating(&self) -> bool {
        matches!(self.life, Life::Creating)
    }

    /// Pid of the running process.
    pub fn pid(&self) -> Option<i32> {
        match self.life {
            Life::Running { pid, .. } => Some(pid),
            _ => None,
        }
    }

    /// Creating → running. False, and nothing changed, from any other state.
    #[must_use]
    pub fn started(&mut self, pid: i32, started_ns: u64, tell: bool) -> bool {
        let fits = self.is_creating();
        if fits {
            self.life = Life::Running { pid, started_ns };
            self.owed.answer = tell;
        }
        fits
    }

    /// Creating → failed, or → free if nobody is to be told. False, and nothing changed, from any other.
    #[must_use]
    pub fn failed(&mut self, class: FailClass, text: Text, tell: bool) -> bool {
        let fits = self.is_creating();
        if fits {
            self.life = if tell { Life::Failed { class, text } } else { Life::Free };
            self.owed.answer = tell;
        }
        fits
    }

    /// Running → exited. False, and nothing changed, from any other state.
    #[must_use]
    pub fn exited(&mut self, exit: ExitStatus, tell: bool) -> bool {
        match self.life {
            Life::Running { pid, started_ns } => {
                self.life = Life::Exited { pid, started_ns, exit };
                self.owed.exit = tell;
                true
            }
            _ => false,
        }
    }

    /// Exited or failed → free. False, and nothing changed, while something runs or is being created.
    #[must_use]
    pub fn release(&mut self) -> bool {
        let fits = matches!(self.life, Life::Exited { .. } | Life::Failed { .. });
        if fits {
            self.life = Life::Free;
            self.owed = Owed::default();
        }
        fits
    }

    /// As the agent is told it in a list. A failure is on its way to the agent, so until then it creates.
    pub fn slot_state(&self) -> SlotState {
        match self.life {
            Life::Running { pid, started_ns } => SlotState::Running { pid, started_ns },
            Life::Exited { started_ns, exit, .. } => SlotState::Exited { started_ns, exit },
            Life::Free | Life::Creating | Life::Failed { .. } => SlotState::Creating,
        }
    }
}
