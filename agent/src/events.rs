//! What happened to pods lately, as Kubernetes events: a bounded memory, lost with the agent. Never decides
//! what is an event (the core does), only counts repetitions and forgets the oldest.

use berth_core::{
    action::PodEvent,
    ids::{PodKey, PodUid},
    time::{NS_PER_S, Now},
};
use serde_json::{Value, json};
#[cfg(test)]
use std::collections::BTreeMap;
use std::collections::VecDeque;

/// Events remembered of one pod.
pub(crate) const EVENTS_PER_POD_MAX: usize = 40;
/// Events remembered in all.
pub(crate) const EVENTS_MAX: usize = 1000;
/// The same event within this time is counted and not told anew. Seconds.
const REPEAT_WITHIN_S: u64 = 600;

/// One event, with how often and when last.
#[derive(Debug)]
struct Record {
    /// Raised with every change; the order in which watchers hear.
    sequence: u64,
    event: PodEvent,
    count: u32,
    last: Now,
}

/// Whom an event is about that is about no pod: in the namespace where Kubernetes has the events of nodes, and without a
/// uid, by which it is known.
pub(crate) fn of_node(name: &str) -> (PodKey, PodUid) {
    (PodKey { namespace: "default".into(), name: name.into() }, PodUid("".into()))
}

/// The memory.
#[derive(Debug)]
pub(crate) struct EventLog {
    node: String,
    /// Sorted by `sequence`: the oldest change first.
    records: VecDeque<Record>,
    sequence: u64,
}

impl EventLog {
    /// `node` is named as the events' source.
    pub(crate) fn new(node: &str) -> Self {
        Self { node: node.into(), records: VecDeque::new(), sequence: 0 }
    }

    /// Takes note of an event; false if it is the same as one before and only counted.
    pub(crate) fn push(&mut self, event: PodEvent) -> bool {
        self.sequence += 1;
        let sequence = self.sequence;
        let same = |record: &Record| {
            let e = &record.event;
            let equal = (&e.uid, &e.reason, &e.message) == (&event.uid, &event.reason, &event.message);
            equal && event.at.mono.since(record.last.mono) < REPEAT_WITHIN_S * NS_PER_S
        };
        if let Some(at) = self.records.iter().rposition(same)
            && let Some(mut record) = self.records.remove(at)
        {
            record.count = record.count.saturating_add(1);
            record.last = event.at;
            record.sequence = sequence;
            self.records.push_back(record);
            return false;
        }
        self.make_room(&event.pod);
        self.records.push_back(Record { sequence, last: event.at, event, count: 1 });
        true
    }

    fn make_room(&mut self, pod: &PodKey) {
        let of_pod = |record: &Record| record.event.pod == *pod;
        if self.records.iter().filter(|record| of_pod(record)).count() >= EVENTS_PER_POD_MAX
            && let Some(oldest) = self.records.iter().position(of_pod)
        {
            self.records.remove(oldest);
        }
        if self.records.len() >= EVENTS_MAX {
            self.records.pop_front();
        }
    }

    /// The last change's number.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Events that changed after number `after`, as `v1.Event` objects, oldest change first.
    pub(crate) fn since(&self, after: u64) -> Vec<Value> {
        self.records.iter().filter(|record| record.sequence > after).map(|record| self.show(record)).collect()
    }

    fn show(&self, record: &Record) -> Value {
        let e = &record.event;
        let (first, last) = (e.at.wall.rfc3339(), record.last.wall.rfc3339());
        // Kubernetes names events after the object and the time of the first one.
        let name = format!("{}.{:016x}", e.pod.name, e.at.wall.0);
        let mut about = json!({"apiVersion": "v1", "kind": "Pod", "namespace": e.pod.namespace,
            "name": e.pod.name, "uid": e.uid});
        if e.uid.0.is_empty() {
            about = json!({"apiVersion": "v1", "kind": "Node", "name": e.pod.name, "uid": e.pod.name});
        }
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": e.pod.namespace, "creationTimestamp": first,
                "resourceVersion": record.sequence.to_string()},
            "involvedObject": about,
            "type": if e.warning { "Warning" } else { "Normal" },
            "reason": e.reason,
            "message": e.message,
            "source": {"component": "berth", "host": self.node},
            "reportingComponent": "berth",
            "reportingInstance": self.node,
            "firstTimestamp": first,
            "lastTimestamp": last,
            "count": record.count,
        })
    }

    /// How many events each pod has.
    #[cfg(test)]
    fn per_pod(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for record in &self.records {
            *counts.entry(record.event.pod.to_string()).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_core::time::{Mono, Wall};

    fn event(pod: &str, message: &str, at_s: u64) -> PodEvent {
        PodEvent {
            pod: PodKey { namespace: "default".into(), name: pod.into() },
            uid: PodUid(format!("uid-{pod}").into()),
            warning: true,
            reason: "BackOff".into(),
            message: message.into(),
            at: Now { mono: Mono(at_s * NS_PER_S), wall: Wall(at_s * NS_PER_S) },
        }
    }

    #[test]
    fn repetitions_are_counted_for_a_while() {
        let mut log = EventLog::new("box");
        for at_s in [1, 5, 9, 10 + REPEAT_WITHIN_S] {
            log.push(event("a", "again", at_s));
        }
        let shown = log.since(0);
        let counts: Vec<_> = shown
            .iter()
            .map(|e| (e["count"].as_u64().unwrap(), e["lastTimestamp"].as_str().unwrap()))
            .collect();
        assert_eq!(counts, [(3, "1970-01-01T00:00:09Z"), (1, "1970-01-01T00:10:10Z")]);
        assert_eq!(log.since(log.sequence()), Vec::<Value>::new());
        assert_eq!(log.since(3).len(), 1, "only what changed after");
    }

    #[test]
    fn a_noisy_pod_forgets_its_own_and_the_total_is_bounded() {
        let mut log = EventLog::new("box");
        log.push(event("quiet", "once", 0));
        for i in 0..200 {
            log.push(event("noisy", &format!("{i}"), i));
        }
        assert_eq!(log.per_pod()["default/noisy"], EVENTS_PER_POD_MAX);
        assert_eq!(log.per_pod()["default/quiet"], 1);
        for i in 0..2000 {
            log.push(event(&format!("p{i}"), "x", i));
        }
        assert_eq!(log.records.len(), EVENTS_MAX);
    }

    #[test]
    fn an_event_has_kubernetes_form() {
        let mut log = EventLog::new("box");
        log.push(event("a", "why", 60));
        let e = &log.since(0)[0];
        assert_eq!(e["kind"], "Event");
        assert_eq!(e["involvedObject"]["name"], "a");
        assert_eq!(
            (&e["type"], &e["reason"], &e["message"]),
            (&json!("Warning"), &json!("BackOff"), &json!("why"))
        );
        assert_eq!(e["firstTimestamp"], "1970-01-01T00:01:00Z");
    }
}
