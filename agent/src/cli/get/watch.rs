//! From whole lists to changes: which pods look otherwise than in the list before. Pure.

use super::super::{json, table::Cell};
use serde_json::Value;
use std::collections::BTreeMap;

/// A pod that looks otherwise than before.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    /// As it is, or as it last was.
    pub(super) pod: Value,
    /// It is no longer there.
    pub(super) gone: bool,
}

/// What was shown last, by pod uid.
#[derive(Debug, Default)]
pub(super) struct Changes {
    shown: BTreeMap<String, (Value, Vec<Cell>)>,
}

impl Changes {
    /// The pods of this list whose `row` (without what only the clock changes) is not that of the list
    /// before, and the pods that are gone, as they last were.
    pub(super) fn since_last(&mut self, pods: &[&Value], row: impl Fn(&Value) -> Vec<Cell>) -> Vec<Change> {
        let mut before = std::mem::take(&mut self.shown);
        let mut changes = Vec::new();
        for pod in pods {
            let uid = json::text(pod, "/metadata/uid").to_owned();
            let now = row(pod);
            let unchanged = before.remove(&uid).is_some_and(|(_, then)| then == now);
            if !unchanged {
                changes.push(Change { pod: (*pod).clone(), gone: false });
            }
            self.shown.insert(uid, ((*pod).clone(), now));
        }
        // Before the new ones: what goes makes room for what comes.
        let gone = before.into_values().map(|(pod, _)| Change { pod, gone: true });
        gone.chain(changes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_looks_otherwise_is_a_change() {
        let pod = |uid: &str, phase: &str| json!({"metadata": {"uid": uid}, "status": {"phase": phase, "n": phase.len()}});
        let row = |pod: &Value| vec![Cell::from(json::text(pod, "/status/phase"))];
        let mut changes = Changes::default();
        let mut see = |pods: &[Value]| {
            let pods: Vec<&Value> = pods.iter().collect();
            let told = changes.since_last(&pods, row);
            told.iter()
                .map(|c| format!("{}{}", json::text(&c.pod, "/metadata/uid"), if c.gone { "-" } else { "" }))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(see(&[pod("a", "Pending"), pod("b", "Pending")]), "a b");
        assert_eq!(see(&[pod("a", "Running"), pod("b", "Pending")]), "a");
        assert_eq!(see(&[pod("a", "Running"), pod("b", "Pending")]), "");
        assert_eq!(see(&[pod("c", "Pending"), pod("b", "Pending")]), "a- c");
        assert_eq!(see(&[]), "b- c-");
    }
}
