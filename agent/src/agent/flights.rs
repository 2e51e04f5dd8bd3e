//! Requests to the keeper that are not answered yet. Each has a deadline, so that none is waited for in vain.

use berth_core::{
    ids::{ActionId, ContainerId},
    time::Mono,
};
use std::collections::HashMap;
use tokio::sync::oneshot;

/// What the answer is for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// A container's start.
    Start(ActionId, ContainerId),
    /// A signal to a container.
    Signal(ActionId),
    /// The last step of a container's removal.
    Release(ActionId, ContainerId),
    /// A command in a container, by session id.
    Exec(String),
    /// Something for which nobody waits.
    Nobody,
    /// The exchange of the program.
    Upgrade(oneshot::Sender<crate::api::ask::Answer>),
}

/// A request under way.
#[derive(Debug)]
struct Flight {
    /// What for.
    purpose: Purpose,
    /// When it counts as lost.
    deadline: Mono,
}

/// All of them, by the number that the keeper repeats.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    last: u64,
    table: HashMap<u64, Flight>,
}

impl Flights {
    /// Enters a request; the number to send with it. Never the keeper's `NOBODY`, which is 0.
    pub(crate) fn begin(&mut self, purpose: Purpose, deadline: Mono) -> u64 {
        self.last += 1;
        self.table.insert(self.last, Flight { purpose, deadline });
        self.last
    }

    /// The request that this number answers; None for an answer that came too late.
    pub(crate) fn end(&mut self, op: u64) -> Option<Purpose> {
        self.table.remove(&op).map(|flight| flight.purpose)
    }

    /// The exchange of the program, if one is under way.
    pub(crate) fn end_upgrade(&mut self) -> Option<oneshot::Sender<crate::api::ask::Answer>> {
        let op = *self.table.iter().find(|(_, flight)| matches!(flight.purpose, Purpose::Upgrade(_)))?.0;
        match self.end(op)? {
            Purpose::Upgrade(answer) => Some(answer),
            _ => None,
        }
    }

    /// Those whose deadline has passed.
    pub(crate) fn overdue(&mut self, now: Mono) -> Vec<Purpose> {
        let late: Vec<u64> =
            self.table.iter().filter(|(_, f)| f.deadline <= now).map(|(op, _)| *op).collect();
        late.into_iter().filter_map(|op| self.end(op)).collect()
    }

    /// The next deadline.
    pub(crate) fn next_deadline(&self) -> Option<Mono> {
        self.table.values().map(|flight| flight.deadline).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_answered_once_or_overdue_once() {
        let mut flights = Flights::default();
        let first = flights.begin(Purpose::Signal(ActionId(1)), Mono(100));
        let second = flights.begin(Purpose::Nobody, Mono(50));
        assert!(first != 0 && first != second);
        assert_eq!(flights.next_deadline(), Some(Mono(50)));
        assert!(matches!(flights.overdue(Mono(50))[..], [Purpose::Nobody]));
        assert!(flights.overdue(Mono(99)).is_empty());
        assert!(matches!(flights.end(first), Some(Purpose::Signal(ActionId(1)))));
        assert!(flights.end(first).is_none() && flights.end(second).is_none());
        assert_eq!(flights.next_deadline(), None);
    }
}
