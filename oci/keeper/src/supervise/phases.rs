//! The keeper's own life: serving, stopping agent and zygote, holding what is left without them, and
//! becoming another program.
//!
//! Whoever stops the service wants agent and zygote gone and the containers left alone. Somebody must
//! then remain their parent, or their exits and the bytes in their pipes are lost: the keeper *holds*.
//! The next start attaches, and the holder becomes the program that was started.

use super::{CHECK_NS, Effect, FrontNews, Greeting, Phase, SIGKILL, SIGTERM, STOP_NS, Supervisor, Who};
use crate::{
    protocol::{FailClass, Id, Path},
    tables::Life,
};

/// What the keeper is about. Its tag is its own byte, and 0 at first: a new supervisor is all zeroes, so
/// that in static memory it takes no place in the file and none in memory before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mode {
    /// Agent and zygote are kept alive.
    Serving,
    /// They are being stopped; the zygote last, when nobody waits for a worker any more.
    Stopping {
        /// When to kill what is left of them.
        kill_at_ns: Option<u64>,
        /// The zygote has its SIGTERM.
        zygote_told: bool,
        /// A front has attached in the meantime: go on as soon as all is stopped.
        resume: bool,
    },
    /// They are stopped; exits are still kept, pipes held.
    Held,
}

impl Mode {
    pub(super) fn kill_at_ns(self) -> Option<u64> {
        match self {
            Self::Stopping { kill_at_ns, .. } => kill_at_ns,
            Self::Serving | Self::Held => None,
        }
    }
}

/// Why the keeper is to become another program. Its tag is like that of [`Mode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Why {
    /// It is not.
    Nothing,
    /// The agent asked.
    Upgrade { op: u64 },
    /// A front attached to a keeper that holds.
    Resume,
    /// Nobody wants it any more; the process that asks is being killed. A front that attached since
    /// wants a new one.
    Cancelled { resume: bool },
}

/// A new program is being asked whether it reads our state, or we are about to become it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Check {
    why: Why,
    pid: Option<i32>,
    kill_at_ns: Option<u64>,
}

impl Check {
    /// No program is being asked.
    pub(super) const NONE: Self = Self { why: Why::Nothing, pid: None, kill_at_ns: None };

    pub(super) fn is_on(&self) -> bool {
        self.why != Why::Nothing
    }

    pub(super) fn kill_at_ns(&self) -> Option<u64> {
        self.kill_at_ns
    }
}

impl Supervisor {
    /// Agent and zygote are kept alive.
    pub fn is_serving(&self) -> bool {
        self.mode == Mode::Serving
    }

    /// Stop agent and zygote, hold the containers; with none left, end. Idempotent.
    pub fn hold(&mut self, now_ns: u64) {
        self.cancel_check();
        match &mut self.mode {
            Mode::Serving => {}
            Mode::Stopping { resume, .. } => {
                *resume = false;
                return;
            }
            Mode::Held => return self.rest(),
        }
        let kill_at_ns = Some(now_ns.saturating_add(STOP_NS));
        self.mode = Mode::Stopping { kill_at_ns, zygote_told: false, resume: false };
        for child in [&mut self.agent, &mut self.zygote] {
            if child.pid().is_none() {
                child.phase = Phase::Absent;
            }
        }
        if let Some(pid) = self.agent.pid() {
            self.push(Effect::Signal { pid, signal: SIGTERM });
        }
        self.drop_unsent();
        self.settle(now_ns);
    }

    /// Nobody will take up what the zygote does not have yet.
    fn drop_unsent(&mut self) {
        const WHY: &str = "the service is being stopped";
        while let Some(place) = self.containers.position(|e| e.is_creating() && !e.sent) {
            self.fail_container(place, FailClass::Lost, WHY);
        }
        while let Some(place) = self.sessions.position(|e| e.is_creating() && !e.sent) {
            self.fail_session(place, FailClass::Lost, WHY);
        }
    }

    /// A front has attached and brought a program: serve, as that program if we hold.
    pub fn attach(&mut self, now_ns: u64, program: Path) {
        match &mut self.mode {
            Mode::Serving => {
                if self.agent.ready {
                    self.push(Effect::Front(FrontNews::Ready));
                }
            }
            Mode::Stopping { resume, .. } => {
                *resume = true;
                self.program = program;
            }
            Mode::Held => {
                self.program = program;
                self.begin_check(now_ns, Why::Resume);
            }
        }
    }

    pub(super) fn begin_upgrade(&mut self, now_ns: u64, op: u64, program: Path) {
        self.program = program;
        self.begin_check(now_ns, Why::Upgrade { op });
    }

    fn begin_check(&mut self, now_ns: u64, why: Why) {
        if self.check.is_on() {
            self.check.why = Why::Cancelled { resume: why == Why::Resume };
            return;
        }
        self.check = Check { why, pid: None, kill_at_ns: Some(now_ns.saturating_add(CHECK_NS)) };
        self.push(Effect::CheckProgram);
    }

    /// The shell has started the program that is to be asked.
    pub fn check_spawned(&mut self, pid: i32) {
        self.check.pid = Some(pid);
    }

    /// The shell could not start it.
    pub fn check_failed(&mut self, now_ns: u64) {
        self.check_ended(now_ns, false);
    }

    pub(super) fn check_pid(&self) -> Option<i32> {
        self.check.pid
    }

    fn cancel_check(&mut self) {
        if !self.check.is_on() {
            return;
        }
        self.check.why = Why::Cancelled { resume: false };
        if let Some(pid) = self.check.pid {
            self.push(Effect::Signal { pid, signal: SIGKILL });
        }
    }

    pub(super) fn check_ended(&mut self, now_ns: u64, good: bool) {
        match self.check.why {
            Why::Nothing => {}
            Why::Cancelled { resume } => {
                self.check = Check::NONE;
                if resume {
                    self.begin_check(now_ns, Why::Resume);
                }
            }
            Why::Upgrade { op } if !good => {
                self.refuse(op, FailClass::Runtime, "the program does not read this keeper's state");
            }
            Why::Upgrade { op } if !self.is_quiet() => {
                self.refuse(op, FailClass::Busy, "a create or exec is on, or not yet told; try again");
            }
            Why::Resume if !good => {
                self.check = Check::NONE;
                self.push(Effect::Front(FrontNews::Refused));
            }
            Why::Upgrade { .. } | Why::Resume => {
                self.check = Check { why: self.check.why, ..Check::NONE };
                self.push(Effect::ReplaceSelf);
            }
        }
    }

    /// The shell could not become the new program; everything is as before.
    pub fn replace_failed(&mut self) {
        match self.check.why {
            Why::Upgrade { op } => self.refuse(op, FailClass::Internal, "the program cannot be run"),
            Why::Resume => self.push(Effect::Front(FrontNews::Refused)),
            Why::Cancelled { .. } | Why::Nothing => {}
        }
        self.check = Check::NONE;
    }

    fn refuse(&mut self, op: u64, class: FailClass, why: &'static str) {
        self.check = Check::NONE;
        if self.greeting != Greeting::None {
            self.reply(op, &Id::new(), Some((class, why)));
        }
    }

    /// Nothing is under way that a new program could not know of.
    pub(super) fn is_quiet(&self) -> bool {
        let unsettled =
            |answer: bool, life: &Life| answer || matches!(life, Life::Creating | Life::Failed { .. });
        matches!(self.greeting, Greeting::None | Greeting::Greeted)
            && self.agent.kill_at_ns.is_none()
            && self.replies.is_empty()
            && !self.containers.used().any(|(_, e)| unsettled(e.owed.answer, e.life()))
            && !self.sessions.used().any(|(_, e)| unsettled(e.owed.answer, e.life()))
    }

    pub(super) fn kill_stragglers(&mut self, now_ns: u64) {
        if self.check.kill_at_ns.is_some_and(|at| at <= now_ns) {
            self.check.kill_at_ns = None;
            if let Some(pid) = self.check.pid {
                self.push(Effect::Signal { pid, signal: SIGKILL });
            }
        }
        for who in [Who::Agent, Who::Zygote] {
            let child = self.child_mut(who);
            if let (Some(pid), Some(_)) = (child.pid(), child.kill_at_ns.take_if(|at| *at <= now_ns)) {
                self.push(Effect::Signal { pid, signal: SIGKILL });
            }
        }
        if let Mode::Stopping { kill_at_ns, .. } = &mut self.mode
            && kill_at_ns.is_some_and(|at| at <= now_ns)
        {
            *kill_at_ns = None;
            for pid in [self.agent.pid(), self.zygote.pid()].into_iter().flatten() {
                self.push(Effect::Signal { pid, signal: SIGKILL });
            }
        }
    }

    /// After each happening: a stop goes on when what it waits for has come about.
    pub(super) fn settle(&mut self, now_ns: u64) {
        let Mode::Stopping { kill_at_ns, zygote_told, resume } = self.mode else { return };
        match (self.agent.pid(), self.zygote.pid()) {
            (None, None) => {
                self.mode = Mode::Held;
                if resume {
                    self.begin_check(now_ns, Why::Resume);
                } else {
                    self.rest();
                }
            }
            (_, Some(pid)) if !zygote_told && !self.in_flight() => {
                self.mode = Mode::Stopping { kill_at_ns, zygote_told: true, resume };
                self.push(Effect::Signal { pid, signal: SIGTERM });
            }
            _ => {}
        }
    }

    /// Held: say so, and end if there is nothing to hold.
    fn rest(&mut self) {
        self.push(Effect::Front(FrontNews::Held));
        if self.containers.is_empty() {
            self.push(Effect::Quit);
        }
    }

    /// After a restore: the zygote is the old program's and has no work, so it is replaced at once.
    pub(super) fn renew(&mut self) {
        if self.greeting == Greeting::Greeted {
            self.greeting = Greeting::Renewed;
            // Only an agent that serves can ask for an upgrade.
            self.agent.ready = true;
        }
        if let Some(pid) = self.child(Who::Zygote).pid() {
            self.push(Effect::Disconnect(Who::Zygote));
            self.push(Effect::Signal { pid, signal: SIGKILL });
        }
    }
}
