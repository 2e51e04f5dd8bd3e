//! What the zygote and its workers say.

use super::{Effect, Greeting, SIGKILL, Supervisor};
use crate::{
    protocol::{FailClass, WorkReport},
    tables::Entry,
};

impl Supervisor {
    /// The zygote or a worker reports.
    pub fn report(&mut self, now_ns: u64, report: &WorkReport) {
        match report {
            WorkReport::Ready => self.zygote.ready = self.zygote.pid().is_some(),
            WorkReport::Started { ticket, pid } => self.started(now_ns, *ticket, *pid),
            WorkReport::Failed { ticket, class, text } => self.work_failed(*ticket, *class, text),
            WorkReport::Lost { ticket, class } => {
                let why = match class {
                    FailClass::Timeout => "the deadline passed and the worker was killed",
                    _ => "the worker died",
                };
                self.work_failed(*ticket, *class, why);
            }
        }
        self.settle(now_ns);
    }

    /// A datagram came from the zygote's side that is no report.
    pub fn bad_report(&mut self) {
        self.counters.bad_reports = self.counters.bad_reports.saturating_add(1);
    }

    fn started(&mut self, now_ns: u64, ticket: u64, pid: i32) {
        const LIE: &str = "the worker reported a pid that cannot be its container's";
        let tell = self.greeting != Greeting::None;
        let plausible = self.may_be_new(pid);
        if let Some(place) = self.containers.by_ticket(ticket) {
            match self.containers.get_mut(place) {
                Some(entry) if plausible => {
                    let fits = entry.started(pid, now_ns, tell);
                    debug_assert!(fits, "found by ticket, so it is creating");
                }
                _ => self.fail_container(place, FailClass::Internal, LIE),
            }
        } else if let Some(place) = self.sessions.by_ticket(ticket) {
            match self.sessions.get_mut(place) {
                Some(entry) if plausible => {
                    let orphan = entry.work.orphan;
                    let fits = entry.started(pid, now_ns, tell && !orphan);
                    debug_assert!(fits, "found by ticket, so it is creating");
                    if orphan {
                        self.push(Effect::Signal { pid, signal: SIGKILL });
                    }
                }
                _ => self.fail_session(place, FailClass::Internal, LIE),
            }
        } else if plausible {
            // Its ticket was given up, and its cgroup may have been killed before it was in it. It is the
            // worker's child or ours and not reaped, so the pid is its.
            self.counters.late_starts = self.counters.late_starts.saturating_add(1);
            self.push(Effect::Signal { pid, signal: SIGKILL });
        } else {
            self.bad_report();
        }
    }

    /// Not pid 1, nor ours, nor that of anybody whom we know.
    fn may_be_new(&self, pid: i32) -> bool {
        let ours = [Some(self.own_pid), self.agent.pid(), self.zygote.pid(), self.check_pid()];
        pid > 1
            && !ours.contains(&Some(pid))
            && self.containers.by_pid(pid).is_none()
            && self.sessions.by_pid(pid).is_none()
    }

    fn work_failed(&mut self, ticket: u64, class: FailClass, why: &str) {
        if let Some(place) = self.containers.by_ticket(ticket) {
            self.fail_container(place, class, why);
        } else if let Some(place) = self.sessions.by_ticket(ticket) {
            self.fail_session(place, class, why);
        } else {
            // A worker that reported and then died badly: its first word counts.
            self.bad_report();
        }
    }

    /// The zygote is dead: nobody will report on what it had.
    pub(super) fn fail_all_sent(&mut self) {
        const WHY: &str = "the zygote died";
        while let Some(place) = self.containers.position(|e: &Entry<_>| e.is_creating() && e.sent) {
            self.fail_container(place, FailClass::Lost, WHY);
        }
        while let Some(place) = self.sessions.position(|e: &Entry<_>| e.is_creating() && e.sent) {
            self.fail_session(place, FailClass::Lost, WHY);
        }
    }
}
