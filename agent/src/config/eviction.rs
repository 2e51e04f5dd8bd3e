//! The keys of eviction: their defaults, what is wrong with them, and what the core is told. Pure.
//!
//! Kubelet's defaults are meant for servers: of a small node's memory 100Mi is too much to be kept free, and a tenth of
//! a large disk is too. So each is a share, and no more than an amount.

use super::Config;
use berth_core::pressure::{Limits, Settings, Signal};

/// What `evictionHard` is without the file.
const HARD: [(Signal, &str); 5] = [
    (Signal::MemoryAvailable, "5%,100Mi"),
    (Signal::NodefsAvailable, "10%,500Mi"),
    (Signal::NodefsInodesFree, "5%"),
    (Signal::ImagefsAvailable, "10%,500Mi"),
    (Signal::ImagefsInodesFree, "5%"),
];

pub(super) fn default_hard() -> Limits {
    // A test holds that all of them can be read.
    HARD.iter().filter_map(|(signal, text)| Some((*signal, text.parse().ok()?))).collect()
}

/// What the file does not name keeps its default: who sets one threshold does not switch off the others.
pub(super) fn complete(config: &mut Config) {
    for (signal, limit) in default_hard() {
        config.eviction_hard.entry(signal).or_insert(limit);
    }
}

/// What is out of its range, by key.
pub(super) fn faults(config: &Config) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    for signal in config.eviction_soft.keys() {
        if !config.eviction_soft_grace_period.contains_key(signal) {
            let what = format!("{} needs a time in evictionSoftGracePeriod", signal.as_str());
            faults.push(("evictionSoft", what));
        }
    }
    for (signal, period) in &config.eviction_soft_grace_period {
        if !config.eviction_soft.contains_key(signal) {
            let what = format!("{} has no threshold in evictionSoft", signal.as_str());
            faults.push(("evictionSoftGracePeriod", what));
        } else if period.0.as_secs() == 0 {
            faults.push(("evictionSoftGracePeriod", "must be 1s or more".to_owned()));
        }
    }
    faults
}

impl Config {
    /// For the core.
    pub(crate) fn eviction(&self) -> Settings {
        let grace = self.eviction_soft_grace_period.iter();
        Settings {
            hard: self.eviction_hard.clone(),
            soft: self.eviction_soft.clone(),
            soft_grace_s: grace.map(|(signal, period)| (*signal, period.0.as_secs())).collect(),
            minimum_reclaim: self.eviction_minimum_reclaim.clone(),
            transition_s: self.eviction_pressure_transition_period.0.as_secs(),
            max_pod_grace_s: u64::from(self.eviction_max_pod_grace_period),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::check::parse, *};
    use std::path::Path;

    fn read(text: &str) -> Config {
        parse(Path::new("c"), text).unwrap()
    }

    #[test]
    fn what_is_not_named_keeps_its_default_and_one_can_be_switched_off() {
        assert_eq!(default_hard().len(), HARD.len());
        assert_eq!(read("").eviction_hard, default_hard());
        let config =
            read("evictionHard: {memory.available: 20Mi, pid.available: 1000, nodefs.inodesFree: 0%}\n");
        let of = |signal| config.eviction_hard[&signal].of(10 << 30);
        for (signal, amount) in [
            (Signal::MemoryAvailable, Some(20 << 20)),
            (Signal::PidAvailable, Some(1000)),
            (Signal::NodefsInodesFree, None),
            (Signal::NodefsAvailable, Some(500 << 20)),
        ] {
            assert_eq!(of(signal), amount, "{signal:?}");
        }
    }

    #[test]
    fn all_keys_reach_the_core() {
        let config = read(
            "evictionSoft: {memory.available: 30%}\nevictionSoftGracePeriod: {memory.available: 1m30s}\n\
             evictionMinimumReclaim: {memory.available: 10Mi}\nevictionMaxPodGracePeriod: 7\n\
             evictionPressureTransitionPeriod: 30s\n",
        );
        let settings = config.eviction();
        assert_eq!(settings.soft[&Signal::MemoryAvailable].of(100), Some(30));
        assert_eq!(settings.soft_grace_s[&Signal::MemoryAvailable], 90);
        assert_eq!(settings.minimum_reclaim[&Signal::MemoryAvailable].of(1), Some(10 << 20));
        assert_eq!((settings.max_pod_grace_s, settings.transition_s), (7, 30));
    }
}
