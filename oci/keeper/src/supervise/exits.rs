//! Deaths: of containers, of sessions, of agent and zygote, and of those whom nobody knows.

use super::{
    Effect, FrontNews, Greeting, LEAVE_NS, ORPHAN_KILL_NS, Phase, SIGHUP, SIGKILL, Supervisor, Who,
    phases::Mode,
};
use crate::{
    protocol::{EXIT_UNFIT, ExitStatus, FailClass, NOBODY},
    tables::{Life, Owed},
};

impl Supervisor {
    /// A child has died. To be called for each death, when all reports that the zygote's socket holds
    /// have been given to [`Supervisor::report`] and the child is not reaped yet: a worker reports before
    /// it exits and only then its container can be our child, so the container is known by now; and as
    /// long as it is a zombie its pid is no other's. So it is to be reaped after the effects of this.
    pub fn reaped(&mut self, now_ns: u64, pid: i32, code: i32, signal: i32) {
        let exit = ExitStatus { code, signal, at_ns: now_ns };
        let tell = self.greeting != Greeting::None;
        if self.agent.pid() == Some(pid) {
            self.agent_died(now_ns, exit);
        } else if self.zygote.pid() == Some(pid) {
            self.zygote_died(now_ns, exit, pid);
        } else if self.check_pid() == Some(pid) {
            self.check_ended(now_ns, code == 0 && signal == 0);
        } else if let Some(place) = self.containers.by_pid(pid) {
            let exited = self.containers.get_mut(place).is_some_and(|entry| entry.exited(exit, tell));
            debug_assert!(exited, "found by pid, so it runs");
        } else if let Some(place) = self.sessions.by_pid(pid) {
            self.session_exited(place, exit, tell);
        } else {
            self.counters.unknown_exits = self.counters.unknown_exits.saturating_add(1);
        }
        self.settle(now_ns);
    }

    fn session_exited(&mut self, place: u16, exit: ExitStatus, tell: bool) {
        let Some(entry) = self.sessions.get_mut(place) else { return };
        let wanted = tell && !entry.work.orphan;
        let exited = entry.exited(exit, wanted);
        debug_assert!(exited, "found by pid, so it runs");
        if !wanted {
            entry.work.kill_at_ns = None;
            let _ = entry.release();
        }
    }

    /// The other end of a child's socket is closed, or the socket fails: the child is of no use any
    /// more, and its death will be told by [`Supervisor::reaped`]. It is given a moment to end by itself.
    pub fn closed(&mut self, now_ns: u64, who: Who) {
        if who == Who::Agent {
            self.greeting = Greeting::None;
            self.replies.clear();
        }
        self.push(Effect::Disconnect(who));
        let child = self.child_mut(who);
        if child.pid().is_some() && child.kill_at_ns.is_none() {
            child.kill_at_ns = Some(now_ns.saturating_add(LEAVE_NS));
        }
    }

    fn died(&mut self, now_ns: u64, exit: ExitStatus, who: Who) {
        self.push(Effect::Disconnect(who));
        let serving = self.mode == Mode::Serving;
        let child = self.child_mut(who);
        child.kill_at_ns = None;
        if serving {
            child.died(now_ns, exit.signal == SIGKILL);
        } else {
            child.phase = Phase::Absent;
        }
    }

    fn agent_died(&mut self, now_ns: u64, exit: ExitStatus) {
        let unfit = self.is_serving() && !self.agent.ready && (exit.code, exit.signal) == (EXIT_UNFIT, 0);
        self.died(now_ns, exit, Who::Agent);
        self.greeting = Greeting::None;
        self.replies.clear();
        for (_, entry) in self.containers.used_mut() {
            entry.op = NOBODY;
            entry.owed = Owed::default();
            if matches!(entry.life(), Life::Failed { .. }) {
                let _ = entry.release();
            }
        }
        self.orphan_sessions(now_ns);
        if unfit {
            // The next one would say the same. It is for a person to mend, and to start the service again.
            self.push(Effect::Front(FrontNews::Unfit));
            self.hold(now_ns);
        }
    }

    /// Nobody holds the other ends of the sessions' descriptors any more.
    fn orphan_sessions(&mut self, now_ns: u64) {
        const WHY: &str = "the agent died";
        while let Some(place) = self.sessions.position(|e| e.is_creating() && !e.sent) {
            self.fail_session(place, FailClass::Lost, WHY);
        }
        let mut hang_up = heapless::Vec::<i32, { crate::protocol::EXECS_MAX }>::new();
        for (_, entry) in self.sessions.used_mut() {
            entry.op = NOBODY;
            entry.owed = Owed::default();
            entry.work.orphan = true;
            if let Some(pid) = entry.pid() {
                if entry.work.kill_at_ns.is_none() {
                    entry.work.kill_at_ns = Some(now_ns.saturating_add(ORPHAN_KILL_NS));
                    let _ = hang_up.push(pid);
                }
            } else {
                let _ = entry.release();
            }
        }
        for pid in hang_up {
            self.push(Effect::Signal { pid, signal: SIGHUP });
        }
    }

    fn zygote_died(&mut self, now_ns: u64, exit: ExitStatus, zygote: i32) {
        self.push(Effect::KillWorkers { zygote });
        self.died(now_ns, exit, Who::Zygote);
        self.fail_all_sent();
    }
}
