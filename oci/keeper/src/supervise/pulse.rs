//! Whether the agent's loop turns. It is asked when it has said nothing for long, or when the service
//! manager's watchdog wants to know; if it does not answer it is killed, and its successor takes over.
//! Costs nothing while the agent speaks by itself, which it does with every rescan of its directories.

use super::{Effect, FrontNews, Supervisor, phases::Mode};

/// Silence after which a ready agent is asked, nanoseconds: longer than the agent's default pause between
/// two rescans, so that idle it is never asked. 75 s.
pub const SILENCE_NS: u64 = 75_000_000_000;
/// How long its answer may take, nanoseconds: a slow card that stalls writes is no reason to kill. 30 s.
pub const ANSWER_NS: u64 = 30_000_000_000;
/// How long its start-up may take, nanoseconds: it may have to look through a large store. 5 min.
pub const START_NS: u64 = 300_000_000_000;

/// What is known of the agent's loop. All zeroes at first, see `Mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pulse {
    /// The last word of a ready agent, or since when one is wanted.
    heard_ns: u64,
    asked_ns: Option<u64>,
    /// The question is not in the agent's socket yet.
    owed: bool,
    /// The front waits for the answer.
    front: bool,
    killed: bool,
}

impl Pulse {
    pub(super) const NONE: Self =
        Self { heard_ns: 0, asked_ns: None, owed: false, front: false, killed: false };

    /// A successor is to be there soon.
    pub(super) fn begin(&mut self) {
        *self = Self { heard_ns: self.heard_ns, front: self.front, ..Self::NONE };
    }

    /// Serving begins.
    pub(super) fn renew(&mut self, now_ns: u64) {
        *self = Self { heard_ns: now_ns, ..Self::NONE };
    }

    pub(super) fn is_owed(&self) -> bool {
        self.owed
    }

    pub(super) fn sent(&mut self) {
        self.owed = false;
    }

    fn ask(&mut self, now_ns: u64) {
        self.owed = true;
        self.asked_ns = Some(now_ns);
    }
}

impl Supervisor {
    /// The agent's loop has turned.
    pub(super) fn agent_heard(&mut self, now_ns: u64) {
        if !self.agent.ready {
            return;
        }
        let front = std::mem::take(&mut self.pulse.front);
        self.pulse = Pulse { heard_ns: now_ns, asked_ns: None, owed: false, ..self.pulse };
        if front {
            self.push(Effect::Front(FrontNews::Alive));
        }
    }

    /// The front wants to know whether the agent lives. It asks a second time when the answer is late for
    /// the service manager: then the agent is killed, so that its successor can answer in time.
    pub fn front_asks(&mut self, now_ns: u64) {
        if !self.is_serving() {
            // A stop has its own deadline.
            self.push(Effect::Front(FrontNews::Alive));
        } else if !self.agent.ready {
            // It has its time to get ready; if it needs longer the service manager may know.
            if now_ns.saturating_sub(self.pulse.heard_ns) < START_NS {
                self.push(Effect::Front(FrontNews::Alive));
            }
        } else if self.pulse.front {
            self.kill_hung();
        } else {
            self.pulse.front = true;
            if self.pulse.asked_ns.is_none() {
                self.pulse.ask(now_ns);
            }
        }
    }

    /// When the agent is to be asked or killed, unless it speaks.
    pub(super) fn pulse_due_ns(&self) -> Option<u64> {
        let since_ns = self.agent.since_ns()?;
        if self.mode != Mode::Serving || self.pulse.killed {
            return None;
        }
        Some(match self.pulse.asked_ns {
            _ if !self.agent.ready => since_ns.saturating_add(START_NS),
            Some(asked_ns) => asked_ns.saturating_add(ANSWER_NS),
            None => self.pulse.heard_ns.saturating_add(SILENCE_NS),
        })
    }

    pub(super) fn take_pulse(&mut self, now_ns: u64) {
        if self.pulse_due_ns().is_none_or(|due| due > now_ns) {
            return;
        }
        if self.agent.ready && self.pulse.asked_ns.is_none() {
            self.pulse.ask(now_ns);
        } else {
            self.kill_hung();
        }
    }

    fn kill_hung(&mut self) {
        if let Some(pid) = self.agent.pid()
            && !std::mem::replace(&mut self.pulse.killed, true)
        {
            self.push(Effect::KillHung { pid });
        }
    }
}
