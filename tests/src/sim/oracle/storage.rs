//! Pods that write more than they may: measured in time, ended when and only when they did, begun anew when their wait
//! is over. Written down anew from what is promised.

use super::{Oracle, Rule, pressure::Books};
use berth_core::{
    action::Plan,
    event::{Cause, Checkpoint},
    ids::PodUid,
    manifest::{
        DesiredPod,
        types::{PodSpec, RestartPolicy},
    },
    storage::StorageUse,
    time::{Mono, NS_PER_S},
};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that a limited volume of the simulator's pods may have.
pub(crate) const LIMIT_BYTES: u64 = 1024;
/// The grace of an evicted pod, seconds.
const GRACE_S: u64 = 1;
/// A time without an eviction that ends a row of them, beside the wait, seconds.
const RESET_S: u64 = 600;

/// The books of it.
#[derive(Debug, Default)]
pub(super) struct Evictions {
    /// When this agent measured the pod last.
    measured: BTreeMap<PodUid, Mono>,
    /// Found to be over their limits, with this news.
    over: BTreeSet<PodUid>,
    /// Being ended for it.
    pub(super) going: BTreeSet<PodUid>,
    /// When each was last ended, how often in a row, and what it was; none in `pod` if that is not known.
    past: BTreeMap<PodUid, (Mono, u32, Option<DesiredPod>)>,
}

/// The wait after the n-th eviction in a row, seconds.
fn wait_s(count: u32) -> u64 {
    (10_u64 << count.saturating_sub(1).min(8)).min(300)
}

pub(super) fn is_limited(spec: &PodSpec) -> bool {
    spec.volumes.iter().any(|volume| volume.empty_dir.as_ref().is_some_and(|dir| dir.size_limit.is_some()))
}

impl Evictions {
    /// The pod was ended, as it is now.
    pub(super) fn has(&self, uid: &PodUid) -> bool {
        self.past.contains_key(uid)
    }
}

impl Evictions {
    /// It goes for another reason, and does not wait for this one any more.
    pub(super) fn end_row(&mut self, uid: &PodUid) {
        self.past.remove(uid);
    }
}

impl Oracle {
    pub(super) fn evictions_up(&mut self, checkpoints: &[Checkpoint], boot: &str) {
        self.evictions = Evictions::default();
        self.pressure = Books::default();
        let goes = |checkpoint: &&Checkpoint, cause| {
            let ended = checkpoint.evicted.as_ref().filter(|evicted| evicted.cause == cause);
            let of_boot = checkpoint.boot_id == boot && self.begun.contains_key(&checkpoint.uid);
            of_boot && ended.is_some_and(|evicted| checkpoint.terminating == Some(evicted.at))
        };
        let giving_way = checkpoints.iter().filter(|checkpoint| goes(checkpoint, Cause::Preempting));
        self.giving_way = giving_way.map(|checkpoint| checkpoint.uid.clone()).collect();
        for checkpoint in checkpoints {
            let Some(evicted) = checkpoint.evicted.as_ref().filter(|e| e.cause == Cause::Evicted) else {
                continue;
            };
            let same_boot = checkpoint.boot_id == boot;
            self.pressure.up(checkpoint, evicted, same_boot);
            let at = if same_boot { evicted.at.mono } else { Mono(0) };
            let known = self.begun.get(&checkpoint.uid).cloned();
            self.evictions.past.insert(checkpoint.uid.clone(), (at, evicted.count, known));
            if same_boot
                && checkpoint.terminating == Some(evicted.at)
                && self.begun.contains_key(&checkpoint.uid)
            {
                self.evictions.going.insert(checkpoint.uid.clone());
                self.seen.insert(checkpoint.uid.clone());
            }
        }
    }

    /// What is desired otherwise now is another pod.
    pub(super) fn evictions_hear_desired(&mut self) {
        let Some(set) = self.desired.clone() else { return };
        let mut past = std::mem::take(&mut self.evictions.past);
        past.retain(|uid, (_, _, pod)| {
            let new = set.pods.iter().find(|new| new.uid == *uid);
            new.is_some_and(|new| self.is_revision(pod.get_or_insert_with(|| new.clone()), new))
        });
        self.evictions.past = past;
    }

    pub(super) fn check_measure(&mut self, uid: &PodUid, now: Mono) {
        let spec = self.begun.get(uid).map(|pod| &pod.pod.spec);
        let wrong = if !spec.is_some_and(is_limited) {
            "it has no limit"
        } else if self.terminating.contains(uid) || self.is_over(uid) {
            "it is over"
        } else if self.evictions.measured.get(uid).is_some_and(|at| now < at.plus_s(10)) {
            "it was just measured"
        } else {
            ""
        };
        if !wrong.is_empty() {
            self.broken(Rule::Storage, format!("{uid} is measured, and {wrong}"));
        }
        self.evictions.measured.insert(uid.clone(), now);
    }

    pub(super) fn hears_measured(&mut self, uid: &PodUid, found: &StorageUse) {
        let over = found.volumes.values().any(|bytes| *bytes > LIMIT_BYTES);
        if over && self.begun.contains_key(uid) && !self.terminating.contains(uid) && !self.is_over(uid) {
            self.evictions.over.insert(uid.clone());
        }
    }

    /// Who is said to be evicted must be, and nobody else.
    pub(super) fn check_evictions(&mut self, plan: &Plan, now: Mono) {
        for event in plan.events.iter().filter(|event| event.reason == "Evicted") {
            let uid = &event.uid;
            let over = self.evictions.over.remove(uid);
            if self.check_gone_for_shortage(event, now) {
                // Nothing that it wrote counts.
            } else if !over {
                self.broken(Rule::Storage, format!("{uid} is evicted, and was within its limits"));
            }
            let before = self.evictions.past.get(uid).filter(|(at, _, _)| *at != Mono(0));
            let row = before.filter(|(at, count, _)| now.since(*at) <= (wait_s(*count) + RESET_S) * NS_PER_S);
            let count = row.map_or(1, |(_, count, _)| count + 1);
            self.evictions.past.insert(uid.clone(), (now, count, self.begun.get(uid).cloned()));
            self.evictions.going.insert(uid.clone());
            self.seen.insert(uid.clone());
            self.forget_measurements(uid);
            if self.terminating.insert(uid.clone()) {
                self.stops.insert(uid.clone(), now);
            }
        }
        if let Some(uid) = self.evictions.over.pop_first() {
            self.broken(Rule::Storage, format!("{uid} is over its limits, and nothing is done about it"));
        }
    }

    /// A pod begins: not before the wait after its eviction is over, and never if it is not to be restarted.
    pub(super) fn check_begins_anew(&mut self, pod: &DesiredPod, now: Mono) {
        let Some((at, count, _)) = self.evictions.past.get(&pod.uid) else { return };
        let (early, never) = (
            *at != Mono(0) && now < at.plus_s(wait_s(*count)),
            pod.pod.spec.restart_policy == RestartPolicy::Never && !self.begun.contains_key(&pod.uid),
        );
        if early && !self.begun.contains_key(&pod.uid) || never {
            self.broken(Rule::Backoff, format!("{} was evicted and begins again: early {early}", pod.uid));
        }
    }

    pub(super) fn forget_measurements(&mut self, uid: &PodUid) {
        self.in_flight
            .retain(|_, flight| flight.uid != *uid || !matches!(flight.what, super::Doing::Measure));
        self.evictions.measured.remove(uid);
    }

    /// Bound of a pod's grace, seconds.
    pub(super) fn grace_max_s(&self, uid: &PodUid) -> u64 {
        let going = self.evictions.going.contains(uid);
        if going { self.pressure.grace_s(uid).unwrap_or(GRACE_S) } else { u64::MAX }
    }
}
