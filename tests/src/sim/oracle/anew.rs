//! Pods that are started anew as a whole, because a rule of one of their containers says so: all of it ends, without grace,
//! before anything begins. Written down anew from what Kubernetes says.

use super::{Oracle, Rule, Run, START_ERROR};
use crate::sim::machine::Machine;
use berth_core::{
    event::ContainerRecord,
    ids::{ContainerId, PodUid},
    time::Mono,
};
use std::collections::BTreeSet;

/// Runs, as far as the core knows.
fn is_alive(run: &Run) -> bool {
    run.told_start.is_some() && !run.told_exit && !run.dead
}

impl Oracle {
    /// The core has come to know that this attempt of a container runs.
    pub(super) fn starts(&mut self, id: &ContainerId, uid: &PodUid, name: &str, attempt: u32, now: Mono) {
        let anew = self.anew.contains(uid);
        let ledger = self.ledgers.entry((uid.clone(), name.to_owned())).or_default();
        ledger.started(attempt);
        ledger.again &= anew;
        if anew {
            self.dooms(id, now);
        }
    }

    /// The core has come to know that a run has ended by itself.
    pub(super) fn ends(&mut self, id: &ContainerId, uid: &PodUid, code: i32, now: Mono) {
        if self.anew.contains(uid) {
            return;
        }
        let Some(run) = self.runs.get(id) else { return };
        let (name, doomed) = (run.name.clone(), run.health.doomed.is_some());
        self.ledgers.entry((uid.clone(), name.clone())).or_default().again = false;
        let Some(spec) = self.begun.get(uid).map(|pod| &pod.pod.spec) else { return };
        let rules = spec.container(&name).map(|container| &container.restart_policy_rules);
        let rule = rules.into_iter().flatten().find(|rule| rule.exit_codes.matches(code));
        let all = rule.is_some_and(|rule| rule.action == "RestartAllContainers");
        if all && !doomed && !self.stops(uid) {
            let names: Vec<String> = spec.all_containers().map(|container| container.name.clone()).collect();
            for name in names {
                self.ledgers.entry((uid.clone(), name)).or_default().again = true;
            }
            self.goes_anew(uid, now);
        }
    }

    /// Its program could not be started: an end too, but no rule is about it.
    pub(super) fn ends_unstarted(
        &mut self,
        place: (PodUid, String),
        id: &ContainerId,
        attempt: u32,
        asked: Mono,
        now: Mono,
    ) {
        let anew = self.anew.contains(&place.0);
        let ledger = self.ledgers.entry(place).or_default();
        ledger.ended(id, attempt, START_ERROR, asked, now);
        ledger.again &= anew;
    }

    /// What runs of the pod is to be killed.
    pub(super) fn goes_anew(&mut self, uid: &PodUid, now: Mono) {
        self.anew.insert(uid.clone());
        let of_pod = self.runs.iter().filter(|(_, run)| run.uid.as_ref() == Some(uid) && is_alive(run));
        let ids: Vec<ContainerId> = of_pod.map(|(id, _)| id.clone()).collect();
        ids.iter().for_each(|id| self.dooms(id, now));
    }

    /// A new agent finds pods of which no container has come to run again, and something is left.
    pub(super) fn finds_anew(&mut self, records: &[ContainerRecord], now: Mono) {
        let left: BTreeSet<&PodUid> = records.iter().map(|record| &record.pod).collect();
        for uid in left {
            let Some(pod) = self.begun.get(uid) else { continue };
            let again = |name: &String| {
                self.ledgers.get(&(uid.clone(), name.clone())).is_some_and(|ledger| ledger.again)
            };
            if pod.pod.spec.all_containers().all(|container| again(&container.name)) {
                self.goes_anew(uid, now);
                continue;
            }
            for ((_, _), ledger) in self.ledgers.iter_mut().filter(|((pod, _), _)| pod == uid) {
                ledger.again &= !ledger.open;
            }
        }
    }

    fn dooms(&mut self, id: &ContainerId, now: Mono) {
        if let Some(run) = self.runs.get_mut(id) {
            run.health.doomed = Some((now, 0));
            self.doomed_now.push(id.clone());
        }
    }

    /// Something of the pod begins: of one that goes anew nothing runs any more, and its order begins from the first.
    pub(super) fn check_anew(&mut self, uid: &PodUid, name: &str, machine: &Machine) {
        if !self.anew.remove(uid) {
            return;
        }
        let known = |id| self.runs.get(id).is_some_and(|run| run.told_start.is_some());
        let mut alive =
            machine.processes.values().filter(|process| process.uid == *uid && known(&process.id));
        if let Some(process) = alive.next() {
            let message =
                format!("{uid}/{name} starts, and {} has not ended for it to begin anew", process.id);
            self.broken(Rule::Anew, message);
        }
        self.present.retain(|(pod, _)| pod != uid);
        self.ups.retain(|(pod, _)| pod != uid);
    }
}
