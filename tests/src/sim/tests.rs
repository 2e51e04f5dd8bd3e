//! That the oracle bites: each way to break the core is caught, by the rule that it breaks.

use super::{Rule, Sabotage, run, run_with};

/// Seeds that a sabotage may get through before it must be caught.
const SEEDS: u64 = 400;

#[test]
fn every_sabotage_is_caught() {
    for (sabotage, rules) in [
        (Sabotage::KillAtOnce, &[Rule::Grace][..]),
        (Sabotage::ForgetExits, &[Rule::ExitLost]),
        (Sabotage::StartTwice, &[Rule::OneContainer, Rule::OneAction]),
        (Sabotage::NoBackoff, &[Rule::Backoff]),
        (Sabotage::LeaveSandboxes, &[Rule::Leftover, Rule::Order, Rule::OneRevision]),
        (Sabotage::LeaveCheckpoints, &[Rule::Leftover]),
        (Sabotage::NeverRemove, &[Rule::Liveness, Rule::Leftover]),
        (Sabotage::PlanTwice, &[Rule::OneAction]),
        (Sabotage::CountTwice, &[Rule::Count]),
        (Sabotage::ReplayOldStart, &[Rule::Desired, Rule::OneContainer, Rule::Count, Rule::OneAction]),
        (Sabotage::NeverWake, &[Rule::Backoff, Rule::Liveness, Rule::Leftover]),
        (Sabotage::IgnoreLimits, &[Rule::Limit]),
        (Sabotage::SkipInit, &[Rule::Order, Rule::Count]),
        (Sabotage::StopSidecars, &[Rule::Grace, Rule::OneAction, Rule::Desired]),
        (Sabotage::ForgetStops, &[Rule::Grace, Rule::Desired, Rule::Limit]),
        (Sabotage::OldObjects, &[Rule::Objects]),
        (Sabotage::StaleCheck, &[Rule::Probe, Rule::OneAction]),
        (Sabotage::HookTwice, &[Rule::Hook]),
        (Sabotage::StopWell, &[Rule::Desired]),
        (Sabotage::EmptyCounts, &[Rule::Source]),
        (Sabotage::ForgetPressure, &[Rule::Pressure]),
        (Sabotage::SeeDevices, &[Rule::Devices]),
        (Sabotage::ShareCpus, &[Rule::Cpus]),
        (Sabotage::ForgetEvictions, &[Rule::Backoff, Rule::Desired, Rule::Grace]),
    ] {
        let caught = (1..=SEEDS).find_map(|seed| run_with(seed, sabotage).err());
        let caught = caught.unwrap_or_else(|| panic!("{sabotage:?} gets through {SEEDS} seeds"));
        assert!(rules.contains(&caught.rule), "{sabotage:?} was caught as: {caught}");
        assert!(!caught.trace.is_empty());
    }
}

#[test]
fn the_core_as_it_is_gets_through() {
    for seed in 1..=100 {
        if let Err(broken) = run(seed) {
            panic!("{broken}");
        }
    }
}

#[test]
fn a_seed_is_a_run() {
    assert_eq!(run(7), run(7));
}

/// What follows from a rule that is not heard is broken in many ways; one of them is this rule's.
#[test]
fn a_pod_that_does_not_begin_anew_is_seen() {
    let broken = (1..=SEEDS).filter_map(|seed| run_with(seed, Sabotage::MistakeFailures).err());
    assert!(broken.map(|broken| broken.rule).any(|rule| rule == Rule::Anew));
}
