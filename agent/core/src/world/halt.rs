//! What time the pods have to stop when the machine goes down: kubelet's `shutdownGracePeriod`, of which critical pods keep
//! a part for themselves. A pod that does not hear must not cost those after it their stop signal.
//!
//! Invariants: a critical pod's turn comes no later than when its part of the time begins, and everybody's graces end with
//! its part; of the time that is left each turn behind one has an even share, or what it asks for if that is less.

use super::{
    World,
    planner::Planner,
    state::{Container, Pod, Stage},
    stopping::GRACE_MIN_S,
};
use crate::{
    ids::PodUid,
    node::CLUSTER_CRITICAL,
    time::{Mono, NS_PER_S},
};
use std::collections::BTreeMap;

/// Seconds in which a machine that goes down has its pods stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownTime {
    /// All of it; 0: every pod has its own grace, however long that takes.
    pub all_s: u64,
    /// What critical pods keep of it for themselves, at its end; no more than `all_s`.
    pub critical_s: u64,
}

impl Default for ShutdownTime {
    fn default() -> Self {
        Self { all_s: 80, critical_s: 20 }
    }
}

/// The time of a machine that is on its way down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// When the part of critical pods begins.
    critical: Mono,
    end: Mono,
}

/// A pod that goes, and when among the others: `turn` is higher than that of all for whom it waits.
pub(super) struct Going<'a> {
    pub(super) pod: &'a Pod,
    pub(super) rank: i32,
    pub(super) turn: usize,
    pub(super) held: bool,
}

impl Budget {
    /// None if the machine does not go down, or has all the time.
    pub(super) fn of(world: &World) -> Option<Self> {
        let begun = world.desired.as_ref()?.halting_since()?;
        let ShutdownTime { all_s, critical_s } = world.config.shutdown;
        let critical = begun.plus_s(all_s.saturating_sub(critical_s));
        (all_s > 0).then(|| Self { critical, end: begun.plus_s(all_s) })
    }

    /// One of `rank` waits for one of `other` no longer: its own time has begun.
    pub(super) fn is_turn_of(self, rank: i32, other: i32, planner: &mut Planner) -> bool {
        is_critical(rank) && !is_critical(other) && planner.due(self.critical)
    }

    /// The seconds that those have to stop whose turn it is and to whom nothing was said yet.
    pub(super) fn graces(self, going: &[Going<'_>], now: Mono) -> Vec<(PodUid, u64)> {
        let due = going.iter().filter(|one| !one.held && one.pod.halt_grace_s.is_none());
        due.map(|one| (one.pod.desired.uid.clone(), self.grace_s(one, going, now))).collect()
    }

    fn grace_s(self, one: &Going<'_>, going: &[Going<'_>], now: Mono) -> u64 {
        let end = if is_critical(one.rank) { self.end } else { self.critical };
        let left_s = end.since(now) / NS_PER_S;
        // What the turns behind it ask for.
        let mut behind: BTreeMap<usize, u64> = BTreeMap::new();
        for other in going.iter().filter(|other| {
            other.turn > one.turn
                && is_critical(other.rank) == is_critical(one.rank)
                && other.pod.containers.iter().any(Container::may_run)
        }) {
            let longest_s = behind.entry(other.turn).or_default();
            *longest_s = other.pod.grace_s().max(*longest_s);
        }
        let turns = u64::try_from(behind.len()).unwrap_or(u64::MAX).saturating_add(1);
        let asked_s = behind.values().fold(0_u64, |sum, grace_s| sum.saturating_add(*grace_s));
        let share_s = left_s.saturating_sub(asked_s).max(left_s / turns);
        // Of one that was on its way out already it counts from the beginning of that.
        let gone_s = match one.pod.stage {
            Stage::Terminating { since } => now.since(since.mono) / NS_PER_S,
            Stage::Queued | Stage::Active => 0,
        };
        gone_s.saturating_add(share_s.max(GRACE_MIN_S))
    }
}

fn is_critical(rank: i32) -> bool {
    rank >= CLUSTER_CRITICAL
}
