//! A node that is short of something: who goes, one at a time and by Kubernetes' ranking, who never does, who may begin
//! meanwhile, and when those come back that went. Written down anew from what is promised.

use super::{Oracle, Rule, priority};
use crate::sim::{
    machine::LOW,
    shell::{SOFT_GRACE_S, SOFT_POD_GRACE_S},
};
use berth_core::{
    action::PodEvent,
    event::{Checkpoint, Evicted},
    ids::PodUid,
    manifest::DesiredPod,
    pressure::{Condition, Observation, Signal, Uses},
    time::Mono,
};
use std::collections::BTreeMap;

/// From this priority on nobody goes.
const CRITICAL: i32 = 2_000_000_000;
/// Seconds that a condition holds after it was last seen to.
const TRANSITION_S: u64 = 300;
/// Seconds that one who goes is waited for, beside the grace.
const GONE_MAX_S: u64 = 60;

/// The books of it.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// The latest look that was told.
    seen: Mono,
    /// What the node is short of, and since which look.
    low: BTreeMap<Signal, Mono>,
    /// When a condition was last seen to hold.
    met: BTreeMap<Condition, Mono>,
    /// What pods use, as it was told with this news.
    uses: Option<(Signal, Uses)>,
    /// Who went last, and when.
    victim: Option<(PodUid, Mono)>,
    /// For what each went, when, and with which grace.
    gone: BTreeMap<PodUid, (Condition, Mono, u64)>,
}

impl Books {
    pub(super) fn up(&mut self, checkpoint: &Checkpoint, evicted: &Evicted, same_boot: bool) {
        let Some(condition) = evicted.short_of.filter(|_| same_boot) else { return };
        let grace_s = evicted.grace_max_s.unwrap_or(0);
        self.gone.insert(checkpoint.uid.clone(), (condition, evicted.at.mono, grace_s));
    }

    /// The grace of a pod that went for a shortage.
    pub(super) fn grace_s(&self, uid: &PodUid) -> Option<u64> {
        self.gone.get(uid).map(|(_, _, grace_s)| *grace_s)
    }

    fn holds(&self, condition: Condition, now: Mono) -> bool {
        let low = self.low.keys().any(|signal| signal.condition() == condition);
        low || self.met.get(&condition).is_some_and(|at| now < at.plus_s(TRANSITION_S))
    }
}

impl Oracle {
    pub(super) fn hears_observed(&mut self, seen: &Observation) {
        let books = &mut self.pressure;
        if seen.at < books.seen {
            return;
        }
        books.seen = seen.at;
        for (signal, level) in &seen.levels {
            if level.available <= LOW {
                books.low.entry(*signal).or_insert(seen.at);
                books.met.insert(signal.condition(), seen.at);
            } else {
                books.low.remove(signal);
            }
        }
    }

    pub(super) fn hears_weighed(&mut self, signal: Signal, uses: &Uses) {
        self.pressure.uses = Some((signal, uses.clone()));
    }

    /// Somebody is said to be evicted. False: not for a shortage.
    pub(super) fn check_gone_for_shortage(&mut self, event: &PodEvent, now: Mono) -> bool {
        if !event.message.starts_with("The node was low on resource: ") {
            self.pressure.gone.remove(&event.uid);
            return false;
        }
        let uid = &event.uid;
        if let Some(why) = self.why_not(uid, now) {
            self.broken(Rule::Pressure, format!("{uid} goes for a shortage, and {why}"));
        }
        if let Some((signal, _)) = self.pressure.uses.take() {
            let grace_s = if signal == Signal::PidAvailable { SOFT_POD_GRACE_S } else { 1 };
            self.pressure.gone.insert(uid.clone(), (signal.condition(), now, grace_s));
        }
        self.pressure.victim = Some((uid.clone(), now));
        true
    }

    fn why_not(&self, uid: &PodUid, now: Mono) -> Option<String> {
        let books = &self.pressure;
        let goes = self.terminating.contains(uid) && !self.unwanted_now.contains(uid);
        let Some(pod) = self.begun.get(uid).filter(|_| !goes) else {
            return Some("is not there".to_owned());
        };
        if priority(&pod.pod.spec) >= CRITICAL {
            return Some("is critical".to_owned());
        }
        let goes = |(other, at): &&(PodUid, Mono)| {
            let grace_s = books.grace_s(other).unwrap_or(0);
            self.begun.contains_key(other)
                && self.terminating.contains(other)
                && now < at.plus_s(grace_s.min(self.grace_s(other)) + GONE_MAX_S)
        };
        if let Some((other, _)) = books.victim.as_ref().filter(goes) {
            return Some(format!("{other} is still going"));
        }
        let Some((signal, uses)) = &books.uses else { return Some("nobody was weighed".to_owned()) };
        let Some(since) = books.low.get(signal) else {
            return Some(format!("there is enough of {}", signal.as_str()));
        };
        if *signal == Signal::PidAvailable && now < since.plus_s(SOFT_GRACE_S) {
            return Some("the grace of the threshold is not over".to_owned());
        }
        let used = |uid: &PodUid| uses.get(uid).map_or(0, |used| used.total);
        if used(uid) == 0 {
            return Some("uses none of it".to_owned());
        }
        // They ask for nothing of what is short.
        let better = self.begun.values().find(|other| {
            let there = !self.terminating.contains(&other.uid) && !self.is_over(&other.uid);
            let (rank, own) = (priority(&other.pod.spec), priority(&pod.pod.spec));
            let wanted = self.desired.as_ref().is_some_and(|set| set.pods.iter().any(|p| p.uid == other.uid));
            let much = used(&other.uid) > 1 << 20;
            there && wanted && much && (rank < own || rank == own && used(&other.uid) > used(uid))
        });
        better.map(|other| format!("{} should", other.uid))
    }

    /// A pod begins: not while the node is short of what it would take, and if it went for that, not before that has
    /// been over for some time.
    pub(super) fn check_begins_in_shortage(&mut self, pod: &DesiredPod, now: Mono) {
        if self.begun.contains_key(&pod.uid) {
            return;
        }
        let books = &self.pressure;
        let best_effort = pod.pod.spec.all_containers().all(|c| c.resources.requests.is_empty());
        let keeps = |condition: &Condition| {
            books.holds(*condition, now) && (*condition != Condition::MemoryPressure || best_effort)
        };
        let critical = priority(&pod.pod.spec) >= CRITICAL;
        let kept = Condition::ALL.into_iter().find(|condition| !critical && keeps(condition));
        let gone = books.gone.get(&pod.uid).filter(|(condition, at, _)| {
            self.evictions.has(&pod.uid) && (books.holds(*condition, now) || now < at.plus_s(TRANSITION_S))
        });
        let why = kept.map(|condition| format!("under {condition:?}"));
        let why = why.or_else(|| gone.map(|(condition, _, _)| format!("and went for {condition:?}")));
        if let Some(why) = why {
            self.broken(Rule::Pressure, format!("{} begins {why}", pod.uid));
        }
    }

    /// The news were answered with a plan.
    pub(super) fn end_weighing(&mut self) {
        self.pressure.uses = None;
    }
}
