//! What is shown of an address, and what is worth an event: a change for the worse or back, not each request. Pure,
//! apart from the shelf that the command line's answers are taken from.

use super::{super::event::SourceEvent, ask::Heard};
use berth_core::time::Wall;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// How it is with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Not asked yet since the start.
    Pending,
    /// Its last answer counts.
    Current,
    /// Its last answer cannot be acted on; the one before counts.
    Refused,
    /// It gives no answer; the last one counts.
    Failing,
    /// It cannot be asked as it is configured.
    Misconfigured,
}

/// What is shown of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    url: Arc<str>,
    pub(super) state: State,
    /// What is wrong; empty if nothing is.
    pub(super) message: String,
    /// Pods that count.
    pods: usize,
    failures: u32,
    last_asked: Option<Wall>,
    /// When the answer that counts came, or was last confirmed.
    pub(super) last_good: Option<Wall>,
}

impl Report {
    pub(super) fn new(url: &Arc<str>) -> Self {
        let (url, state, message) = (Arc::clone(url), State::Pending, String::new());
        Self { url, state, message, pods: 0, failures: 0, last_asked: None, last_good: None }
    }

    /// With so many pods that count.
    pub(super) fn with_pods(&self, pods: usize) -> Self {
        Self { pods, ..self.clone() }
    }

    /// Takes note of a request; the event that it is worth.
    pub(super) fn note(&mut self, url: &Arc<str>, heard: &Heard, now: Wall) -> Option<SourceEvent> {
        let (state, message) = match heard {
            Heard::Unchanged | Heard::Taken(_) => (State::Current, String::new()),
            Heard::Refused(problems) => {
                (State::Refused, problems.first().map(ToString::to_string).unwrap_or_default())
            }
            Heard::Failed(why) => (State::Failing, why.clone()),
        };
        self.last_asked = Some(now);
        if state == State::Current {
            (self.failures, self.last_good) = (0, Some(now));
        } else {
            self.failures = self.failures.saturating_add(1);
        }
        let before = std::mem::replace(&mut self.state, state);
        let same = before == state && self.message == message;
        self.message.clone_from(&message);
        let event = |warning, reason, message| Some(SourceEvent::of_node(warning, reason, message));
        match state {
            _ if same => None,
            State::Failing => event(true, "SourceFailed", message),
            // Its problems are events of their own.
            State::Refused => None,
            State::Current if matches!(before, State::Failing | State::Refused) => {
                event(false, "SourceRecovered", format!("{url} answers again, and its answer counts"))
            }
            _ => None,
        }
    }

    fn show(&self) -> Value {
        let time = |at: Option<Wall>| at.map(Wall::rfc3339);
        json!({
            "kind": "URL", "location": &*self.url, "state": format!("{:?}", self.state), "message": self.message,
            "pods": self.pods, "failures": self.failures, "lastAsked": time(self.last_asked),
            "lastGood": time(self.last_good),
        })
    }
}

/// The reports of all addresses, for whoever answers the command line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reports(Arc<Mutex<Vec<Report>>>);

impl Reports {
    pub(super) fn set(&self, reports: impl Iterator<Item = Report>) {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.clear();
        shelf.extend(reports);
    }

    /// `{"kind":"URL","location":…,"state":…,"message":…,"pods":n,"failures":n,"lastAsked":…,"lastGood":…}` each.
    pub(crate) fn show(&self) -> Vec<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Report::show).collect()
    }
}
