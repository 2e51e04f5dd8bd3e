//! What was begun and not answered yet.
//!
//! Invariants: an action is in the table from the plan that has it until its first answer or its
//! deadline, whichever is first; an object has at most one (it keeps the action's id in `busy`);
//! an answer that finds no entry changes nothing, with the one exception in [`Late`].

use crate::{
    check::Purpose,
    ids::{ActionId, ContainerId, PodUid},
    pressure::Signal,
    time::Mono,
};
use std::collections::{BTreeMap, VecDeque};

/// Starts remembered after their deadline; the oldest is forgotten first.
const LATE_STARTS_MAX: usize = 256;

/// What an action is done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Object {
    /// The pod's n-th image.
    Image(usize),
    /// The pod's sandbox.
    Sandbox,
    /// The pod's n-th container.
    Container(usize),
    /// The cgroups of the pod and of its containers.
    Resources,
    /// What the pod has on disk.
    Storage,
    /// The pod's checkpoint.
    Checkpoint,
    /// A question to a run of the pod's n-th container.
    Check(usize, Purpose, ContainerId),
    /// What is noted of a run of the pod's n-th container.
    Standing(usize, ContainerId),
    /// A container that no pod knows.
    Orphan(ContainerId),
    /// A checkpoint that no pod knows.
    Stray,
    /// The node.
    Node,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Ensure,
    Create,
    Refresh,
    Update,
    Start,
    Resize,
    Signal,
    Check,
    Note,
    Measure,
    Look,
    Collect,
    Weigh(Signal),
    Kill,
    Remove,
    /// The checkpoint's content of this version.
    Save(u64),
    Drop,
}

/// One action in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) pod: PodUid,
    pub(crate) object: Object,
    pub(crate) verb: Verb,
    pub(crate) deadline: Mono,
    /// The container of a `Start`.
    pub(crate) starts: Option<ContainerId>,
}

/// A start that was taken for lost. If it succeeds after all there is a process that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Late {
    action: ActionId,
    pub(crate) pod: PodUid,
    pub(crate) id: ContainerId,
}

/// All actions in flight.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    table: BTreeMap<ActionId, Flight>,
    late: VecDeque<Late>,
    last: u64,
}

impl Flights {
    pub(crate) fn begin(&mut self, flight: Flight) -> ActionId {
        self.last += 1;
        self.table.insert(ActionId(self.last), flight);
        ActionId(self.last)
    }

    /// The action that was just answered; none if it is not in flight any more.
    pub(crate) fn land(&mut self, action: ActionId) -> Option<Flight> {
        self.table.remove(&action)
    }

    /// Takes out the actions whose deadline is over.
    pub(crate) fn expire(&mut self, now: Mono) -> Vec<(ActionId, Flight)> {
        let over: Vec<ActionId> = self
            .table
            .iter()
            .filter(|(_, flight)| flight.deadline <= now)
            .map(|(action, _)| *action)
            .collect();
        let expired: Vec<_> = over.into_iter().filter_map(|id| Some((id, self.land(id)?))).collect();
        for (action, flight) in &expired {
            if let Some(id) = &flight.starts {
                self.late.truncate(LATE_STARTS_MAX - 1);
                self.late.push_front(Late { action: *action, pod: flight.pod.clone(), id: id.clone() });
            }
        }
        expired
    }

    /// The start that was taken for lost under this number.
    pub(crate) fn late_start(&mut self, action: ActionId) -> Option<Late> {
        let place = self.late.iter().position(|late| late.action == action)?;
        self.late.remove(place)
    }

    /// The start of this container that was taken for lost.
    pub(crate) fn late_start_of(&mut self, id: &ContainerId) -> Option<Late> {
        let place = self.late.iter().position(|late| late.id == *id)?;
        self.late.remove(place)
    }

    /// Stops waiting for the pod's images, and for what it has on disk: they are of no use to it any more.
    pub(crate) fn forget_answers(&mut self, pod: &PodUid) {
        let of_use = |object: &Object| !matches!(object, Object::Image(_) | Object::Storage);
        self.table.retain(|_, flight| flight.pod != *pod || of_use(&flight.object));
    }

    pub(crate) fn earliest_deadline(&self) -> Option<Mono> {
        self.table.values().map(|flight| flight.deadline).min()
    }

    /// Nothing but probes, measuring and looks at the node: as long as there is something to see these go on and on.
    pub(crate) fn is_quiet(&self) -> bool {
        let probes = [Purpose::Startup, Purpose::Liveness, Purpose::Readiness];
        let probe =
            |object: &Object| matches!(object, Object::Check(_, purpose, _) if probes.contains(purpose));
        let endless = |object: &Object| probe(object) || matches!(object, Object::Storage | Object::Node);
        self.table.values().all(|flight| endless(&flight.object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(flights: &mut Flights, deadline: u64) -> ActionId {
        let id = ContainerId("c".into());
        let (object, verb) = (Object::Container(0), Verb::Start);
        let pod = PodUid("p".into());
        flights.begin(Flight { pod, object, verb, deadline: Mono(deadline), starts: Some(id) })
    }

    #[test]
    fn an_action_lands_once() {
        let mut flights = Flights::default();
        let action = start(&mut flights, 10);
        assert!(flights.expire(Mono(9)).is_empty());
        assert!(flights.land(action).is_some());
        assert!(flights.land(action).is_none());
        assert!(flights.late_start(action).is_none());
    }

    #[test]
    fn a_lost_start_is_remembered_once_and_only_so_many_of_them() {
        let mut flights = Flights::default();
        let first = start(&mut flights, 10);
        assert_eq!(flights.expire(Mono(10)).len(), 1);
        assert!(flights.land(first).is_none());
        assert!(flights.late_start(first).is_some());
        assert!(flights.late_start(first).is_none());
        for _ in 0..2 * LATE_STARTS_MAX {
            start(&mut flights, 10);
        }
        flights.expire(Mono(10));
        assert_eq!(flights.late.len(), LATE_STARTS_MAX);
    }
}
