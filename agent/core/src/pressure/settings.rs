//! Kubelet's `eviction…` settings, and what one look at a node means by them.

use super::{Level, Limits, Observation, Signal};
use std::collections::BTreeMap;

/// See the keys of the configuration of the same names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `evictionHard`: who goes for these has no grace.
    pub hard: Limits,
    /// `evictionSoft`: pods go for these when they have been met for their grace period.
    pub soft: Limits,
    /// `evictionSoftGracePeriod`, seconds.
    pub soft_grace_s: BTreeMap<Signal, u64>,
    /// `evictionMinimumReclaim`: a threshold that was met is met until there is so much more than it.
    pub minimum_reclaim: Limits,
    /// `evictionPressureTransitionPeriod`, seconds: a condition holds for so long after a threshold was last met.
    pub transition_s: u64,
    /// `evictionMaxPodGracePeriod`, seconds: bound on the grace of pods that go for a soft threshold.
    pub max_pod_grace_s: u64,
}

/// Kubelet's `evictionPressureTransitionPeriod`, seconds.
const TRANSITION_S: u64 = 300;
/// A signal is near its threshold when there is less than so many times as much.
const NEAR: u64 = 2;
/// And it is falling when it has lost more than this part of its threshold since the last look.
const FALLEN_PART: u64 = 64;

impl Default for Settings {
    /// No thresholds.
    fn default() -> Self {
        Self {
            hard: Limits::new(),
            soft: Limits::new(),
            soft_grace_s: BTreeMap::new(),
            minimum_reclaim: Limits::new(),
            transition_s: TRANSITION_S,
            max_pod_grace_s: 0,
        }
    }
}

impl Settings {
    /// The threshold of the signal, where there is one on a node of this capacity.
    pub fn threshold(&self, signal: Signal, hard: bool, level: Level) -> Option<u64> {
        let limits = if hard { &self.hard } else { &self.soft };
        limits.get(&signal)?.of(level.capacity)
    }

    /// By how much a threshold that was met must be passed to be met no more.
    pub fn reclaim(&self, signal: Signal, level: Level) -> u64 {
        self.minimum_reclaim.get(&signal).and_then(|limit| limit.of(level.capacity)).unwrap_or(0)
    }

    /// Some signal is near a threshold and comes nearer: it is worth another look before long.
    pub fn is_coming(&self, before: &Observation, now: &Observation) -> bool {
        now.levels.iter().any(|(signal, level)| {
            let thresholds = [true, false].map(|hard| self.threshold(*signal, hard, *level));
            thresholds.into_iter().flatten().any(|threshold| {
                let near = level.available < threshold.saturating_mul(NEAR);
                let fallen = |before: &Level| {
                    before.available.saturating_sub(level.available) > threshold / FALLEN_PART
                };
                near && before.levels.get(signal).is_none_or(fallen)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pressure::Limit;

    fn look(available: u64) -> Observation {
        let level = Level { available, capacity: 10_000 };
        Observation { levels: [(Signal::NodefsAvailable, level)].into(), ..Observation::default() }
    }

    #[test]
    fn a_signal_is_worth_another_look_while_it_is_near_and_falls() {
        let limit: Limit = "10%".parse().unwrap();
        let settings = Settings { hard: [(Signal::NodefsAvailable, limit)].into(), ..Settings::default() };
        for (before, now, coming) in [
            (Some(9000), 2000, false),
            (Some(9000), 1999, true),
            (Some(2000), 1985, false),
            (Some(2000), 1984, true),
            (Some(1000), 1500, false),
            (None, 1500, true),
            (None, 2500, false),
        ] {
            let before = before.map(look).unwrap_or_default();
            assert_eq!(settings.is_coming(&before, &look(now)), coming, "{before:?} {now}");
        }
        assert!(!Settings::default().is_coming(&look(9000), &look(1)));
    }
}
