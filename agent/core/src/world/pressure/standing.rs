//! Conditions of the node: they hold from the look that finds a threshold met until none has been for the transition
//! period.

use super::{Pressure, Since, tell};
use crate::{
    pressure::{Condition, Observation},
    time::Mono,
    world::planner::Planner,
};

/// How it is with one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) holds: bool,
    /// Since when that is so.
    pub(crate) since: Since,
    /// When a threshold was last found to be met.
    met: Option<Mono>,
}

/// The node was looked at.
pub(super) fn take(pressure: &mut Pressure, seen: &Observation, planner: &mut Planner) {
    for condition in Condition::ALL {
        let met = pressure.met.keys().any(|(signal, _)| signal.condition() == condition);
        let since = planner.now.wall;
        let standing = pressure.conditions.entry(condition);
        let standing = standing.or_insert(Standing { holds: false, since, met: None });
        if met {
            standing.met = Some(seen.at);
        }
    }
}

/// Brings conditions up to the time; tells those that change.
pub(super) fn note(pressure: &mut Pressure, transition_s: u64, planner: &mut Planner) {
    let Pressure { conditions, met, .. } = pressure;
    for (condition, standing) in conditions {
        let is_met = met.keys().any(|(signal, _)| signal.condition() == *condition);
        let holds = is_met || standing.met.is_some_and(|at| !planner.due(at.plus_s(transition_s)));
        if holds == standing.holds {
            continue;
        }
        (standing.holds, standing.since) = (holds, planner.now.wall);
        let (reason, what) = told(*condition, holds);
        let node = planner.config.node_name.clone();
        tell(planner, holds, reason, format!("Node {node} status is now: {what}"));
    }
}

/// Reason of the event, and what its message says; kubelet's.
fn told(condition: Condition, holds: bool) -> (&'static str, &'static str) {
    let word = match (condition, holds) {
        (Condition::MemoryPressure, true) => "NodeHasInsufficientMemory",
        (Condition::MemoryPressure, false) => "NodeHasSufficientMemory",
        (Condition::DiskPressure, true) => "NodeHasDiskPressure",
        (Condition::DiskPressure, false) => "NodeHasNoDiskPressure",
        (Condition::PidPressure, true) => "NodeHasInsufficientPID",
        (Condition::PidPressure, false) => "NodeHasSufficientPID",
    };
    (word, word)
}
