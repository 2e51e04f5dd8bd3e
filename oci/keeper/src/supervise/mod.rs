//! All that the keeper decides, as a pure state machine: no descriptor, no clock, no system call.
//!
//! One method for each thing that can happen; what must follow is queued as [`Effect`]s, which the shell
//! carries out at once. Messages are not queued but owed: the shell asks [`Supervisor::next_notice`] and
//! [`Supervisor::next_work`] whenever a socket has room and says what it has sent, so that a slow or dead
//! agent costs no memory and loses nothing. Requests are read only while [`Supervisor::accepts_requests`].
//!
//! Time is an argument everywhere: `CLOCK_BOOTTIME` in nanoseconds.
//!
//! It must never wait for the agent or the zygote, and nothing that they do or fail to do may touch a
//! running container, apart from what the agent asks for.

mod child;
mod effect;
mod exits;
mod outbox;
mod phases;
mod pulse;
mod reports;
mod requests;
mod snapshot;
#[cfg(test)]
mod tests;

use crate::{
    protocol::{CONTAINERS_MAX, EXECS_MAX, FailClass, Id, Path, Text},
    tables::{Containers, Entry, Place, Sessions},
};
pub use child::{
    Child, Phase, QUICK_RESTART_NS, QUICK_RESTARTS_MAX, RESTART_DELAY_NS_MAX, RESTART_DELAY_NS_MIN,
};
pub use effect::{Effect, FrontNews, Who};
use heapless::Deque;
pub use outbox::{Due, WorkDue};
use phases::{Check, Mode};
use pulse::Pulse;
pub use pulse::{ANSWER_NS, SILENCE_NS, START_NS};
pub use snapshot::STATE_VERSION;

/// Immediate answers waiting for room in the agent's socket; no request is read while this many do.
pub const REPLIES_MAX: usize = 8;
/// Effects of one call: the zygote's death with all tables full of work is the worst (a cgroup to kill
/// and pipes to close for each slot), and each session may need its descriptors closed and a signal.
pub const EFFECTS_MAX: usize = 2 * CONTAINERS_MAX + 2 * EXECS_MAX + 16;
/// Longest deadline that a create or exec may have, milliseconds; longer ones are cut. 10 min.
pub const DEADLINE_MS_MAX: u32 = 600_000;
/// How much longer than a worker's deadline the keeper waits for the zygote's word on it, nanoseconds:
/// enough for a zygote that is just being started on a slow box. Then the zygote itself is taken for
/// hung and is killed. 10 s.
pub const ZYGOTE_GRACE_NS: u64 = 10_000_000_000;
/// How long the process of a session whose agent has died may take after SIGHUP, nanoseconds. 2 s.
pub const ORPHAN_KILL_NS: u64 = 2_000_000_000;
/// How long a child that has closed its socket may take to end, nanoseconds: its exit status is worth waiting
/// for, and a process closes what it has before it ends. 2 s.
pub const LEAVE_NS: u64 = 2_000_000_000;
/// How long agent and zygote may take to stop after SIGTERM, nanoseconds. 5 s.
pub const STOP_NS: u64 = 5_000_000_000;
/// How long a new program may take to say whether it reads our state, nanoseconds. 10 s.
pub const CHECK_NS: u64 = 10_000_000_000;

pub(crate) const SIGHUP: i32 = 1;
pub(crate) const SIGKILL: i32 = 9;
pub(crate) const SIGTERM: i32 = 15;

/// Things that happened and changed nothing, for people who look for a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Children reaped that no entry names: helpers of a runtime whose worker was killed.
    pub unknown_exits: u32,
    /// Datagrams from the agent that were no request.
    pub bad_requests: u32,
    /// Datagrams from zygote or workers that were no report, or one that fits nothing.
    pub bad_reports: u32,
    /// Processes that were reported started after their ticket was given up, and killed.
    pub late_starts: u32,
    /// Effects that found no room: must stay 0, see the test of `EFFECTS_MAX`.
    pub effects_lost: u32,
}

/// How far the agent's Hello is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Greeting {
    /// No agent, or it has not said Hello.
    None,
    /// It speaks another version: owed a Welcome that says ours, and nothing else.
    Mismatch,
    /// Owed a Welcome and the list.
    Welcome,
    /// Owed the slots from this place on.
    Slots(Place),
    /// Done.
    Greeted,
    /// It was greeted by the program before us: owed a Welcome without a list.
    Renewed,
}

/// An answer that needs no entry.
#[derive(Debug, Clone)]
struct Reply {
    op: u64,
    id: Id,
    failed: Option<(FailClass, &'static str)>,
}

/// See the module.
#[derive(Debug)]
pub struct Supervisor {
    containers: Containers,
    sessions: Sessions,
    agent: Child,
    zygote: Child,
    greeting: Greeting,
    pulse: Pulse,
    replies: Deque<Reply, REPLIES_MAX>,
    effects: Deque<Effect, EFFECTS_MAX>,
    mode: Mode,
    check: Check,
    program: Path,
    ticket: u64,
    own_pid: i32,
    counters: Counters,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Supervisor {
    /// Nothing runs and nothing is known.
    pub const fn new() -> Self {
        Self {
            containers: Containers::new(),
            sessions: Sessions::new(),
            agent: Child::ABSENT,
            zygote: Child::ABSENT,
            greeting: Greeting::None,
            pulse: Pulse::NONE,
            replies: Deque::new(),
            effects: Deque::new(),
            mode: Mode::Serving,
            check: Check::NONE,
            program: Path::new(),
            ticket: 0,
            own_pid: 0,
            counters: Counters {
                unknown_exits: 0,
                bad_requests: 0,
                bad_reports: 0,
                late_starts: 0,
                effects_lost: 0,
            },
        }
    }

    /// Begin to serve: whatever of agent and zygote is not there is started.
    pub fn start(&mut self, now_ns: u64, own_pid: i32) {
        self.own_pid = own_pid;
        self.mode = Mode::Serving;
        self.pulse.renew(now_ns);
        for child in [&mut self.agent, &mut self.zygote] {
            if child.pid().is_none() {
                child.phase = Phase::Due { at_ns: now_ns };
            }
        }
        self.tick(now_ns);
    }

    /// The next effect, in order.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn push(&mut self, effect: Effect) {
        if self.effects.push_back(effect).is_err() {
            self.counters.effects_lost = self.counters.effects_lost.saturating_add(1);
        }
    }

    /// The shell has started a child, with a new and empty socket.
    pub fn spawned(&mut self, now_ns: u64, who: Who, pid: i32) {
        let child = self.child_mut(who);
        child.phase = Phase::Alive { pid, since_ns: now_ns };
        child.ready = false;
        child.kill_at_ns = None;
        if who == Who::Agent {
            self.greeting = Greeting::None;
            self.pulse.begin();
        }
    }

    /// The shell could not start a child.
    pub fn spawn_failed(&mut self, now_ns: u64, who: Who) {
        self.child_mut(who).died(now_ns, false);
    }

    fn child_mut(&mut self, who: Who) -> &mut Child {
        match who {
            Who::Agent => &mut self.agent,
            Who::Zygote => &mut self.zygote,
        }
    }

    /// State of a child.
    pub fn child(&self, who: Who) -> &Child {
        match who {
            Who::Agent => &self.agent,
            Who::Zygote => &self.zygote,
        }
    }

    /// Container slots.
    pub fn containers(&self) -> &Containers {
        &self.containers
    }

    /// Exec sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Counters.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Leaf cgroup of a slot, also of one that has just been freed.
    pub fn cgroup(&self, slot: Place) -> Option<&str> {
        self.containers.last(slot).map(|entry| entry.work.cgroup.as_str())
    }

    /// The program of `CheckProgram` and `ReplaceSelf`.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Someone waits for a worker's word.
    pub fn in_flight(&self) -> bool {
        self.containers.position(Entry::is_creating).is_some()
            || self.sessions.position(Entry::is_creating).is_some()
    }

    /// When [`Supervisor::tick`] has something to do; none if only news can change anything.
    pub fn deadline_ns(&self) -> Option<u64> {
        let containers = self.containers.used().filter(|(_, e)| e.is_creating()).map(|(_, e)| e.give_up_ns);
        let sessions = self.sessions.used().filter(|(_, e)| e.is_creating()).map(|(_, e)| e.give_up_ns);
        let orphans = self.sessions.used().filter_map(|(_, e)| e.work.kill_at_ns);
        let children = [
            self.agent.due_ns(),
            self.zygote.due_ns(),
            self.agent.kill_at_ns,
            self.zygote.kill_at_ns,
            self.mode.kill_at_ns(),
            self.pulse_due_ns(),
        ];
        let check = self.check.kill_at_ns();
        containers.chain(sessions).chain(orphans).chain(children.into_iter().flatten()).chain(check).min()
    }

    /// Time has passed.
    pub fn tick(&mut self, now_ns: u64) {
        for who in [Who::Zygote, Who::Agent] {
            if self.child(who).due_ns().is_some_and(|due| due <= now_ns) {
                self.child_mut(who).phase = Phase::Starting;
                self.push(Effect::Spawn(who));
            }
        }
        self.give_up_overdue(now_ns);
        self.kill_orphans(now_ns);
        self.kill_stragglers(now_ns);
        self.take_pulse(now_ns);
        self.settle(now_ns);
    }

    fn give_up_overdue(&mut self, now_ns: u64) {
        const LATE: &str = "no word from the zygote by the deadline";
        let mut hung = false;
        while let Some(place) = self.containers.position(|e| e.is_creating() && e.give_up_ns <= now_ns) {
            hung |= self.containers.get(place).is_some_and(|entry| entry.sent);
            self.fail_container(place, FailClass::Timeout, LATE);
        }
        while let Some(place) = self.sessions.position(|e| e.is_creating() && e.give_up_ns <= now_ns) {
            hung |= self.sessions.get(place).is_some_and(|entry| entry.sent);
            self.fail_session(place, FailClass::Timeout, LATE);
        }
        if hung && let Some(pid) = self.zygote.pid() {
            self.push(Effect::Signal { pid, signal: SIGKILL });
        }
    }

    fn kill_orphans(&mut self, now_ns: u64) {
        let overdue = |at: Option<u64>| at.is_some_and(|at| at <= now_ns);
        while let Some(place) = self.sessions.position(|e| overdue(e.work.kill_at_ns)) {
            let pid = self.sessions.get_mut(place).and_then(|entry| {
                entry.work.kill_at_ns = None;
                entry.pid()
            });
            if let Some(pid) = pid {
                self.push(Effect::Signal { pid, signal: SIGKILL });
            }
        }
    }

    /// A create has failed: kill what was begun, close its pipes, owe the agent the answer.
    fn fail_container(&mut self, place: Place, class: FailClass, why: &str) {
        let tell = self.greeting != Greeting::None;
        let Some(entry) = self.containers.get_mut(place) else { return };
        let begun = entry.sent;
        if !entry.failed(class, text(why), tell) {
            return;
        }
        if begun {
            self.push(Effect::KillCgroup { slot: place });
        }
        self.push(Effect::ClosePipes { slot: place });
    }

    /// An exec has failed: close its descriptors, owe the agent the answer.
    fn fail_session(&mut self, place: Place, class: FailClass, why: &str) {
        let listening = self.greeting != Greeting::None;
        let Some(entry) = self.sessions.get_mut(place) else { return };
        let tell = listening && !entry.work.orphan;
        if entry.failed(class, text(why), tell) {
            self.push(Effect::CloseExecFds { session: place });
        }
    }
}

/// A text cut to its bound, between characters.
pub(crate) fn text(long: &str) -> Text {
    let mut short = Text::new();
    for char in long.chars() {
        if short.push(char).is_err() {
            break;
        }
    }
    short
}
