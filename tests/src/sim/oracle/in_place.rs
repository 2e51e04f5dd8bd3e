//! Which pod a revision is. Changes of labels, annotations, probes, the grace and tolerations are the same pod's, that
//! runs on; so are other CPU time and memory, which it gets when there is room, as long as it asks for any; all others make
//! another one. Said anew here; the core is only asked which pod it takes a revision for.

use super::{Doing, Oracle, Rule, health::probe, milli};
use berth_core::{
    check::Purpose,
    devices::DEVICES,
    event::DesiredSet,
    manifest::{DesiredPod, types::Pod},
    time::Mono,
    world::World,
};
use std::sync::Arc;

/// What all revisions of a pod share.
fn lasting(pod: &Pod) -> Pod {
    let mut pod = pod.clone();
    pod.metadata.uid.clear();
    pod.metadata.labels.clear();
    pod.metadata.annotations.retain(|name, _| name == DEVICES);
    pod.spec.termination_grace_period_seconds = None;
    pod.spec.tolerations.clear();
    for container in pod.spec.containers.iter_mut().chain(&mut pod.spec.init_containers) {
        container.resources.requests.remove("cpu");
        container.resources.limits.remove("cpu");
        (container.startup_probe, container.liveness_probe, container.readiness_probe) = (None, None, None);
    }
    pod
}

/// The pod with the requests of another one of its shape.
fn with_cpu_of(pod: &Pod, other: &Pod) -> Arc<Pod> {
    let mut pod = pod.clone();
    for (container, other) in pod.spec.all_containers_mut().zip(other.spec.all_containers()) {
        container.resources.clone_from(&other.resources);
    }
    Arc::new(pod)
}

impl Oracle {
    /// They are one pod, and the new one is what is to become of the old.
    pub(super) fn is_revision(&self, old: &DesiredPod, new: &DesiredPod) -> bool {
        let given = |pod: &DesiredPod| (pod.uid.0.len() != 32).then(|| pod.uid.clone());
        let values = old.values == new.values || self.lacks(new);
        let asks = |pod: &DesiredPod| milli(&pod.pod.spec) > 0;
        old.key == new.key
            && asks(old) == asks(new)
            && given(old) == given(new)
            && values
            && lasting(&old.pod) == lasting(&new.pod)
    }

    /// Nobody knows whether they differ at all: an object is not there from which variables come.
    fn differs_in_what_lacks(&self, old: &DesiredPod, new: &DesiredPod) -> bool {
        new.base.is_some() && self.lacks(new) && (&old.key, &old.base) == (&new.key, &new.base)
    }

    /// The set with the uids that the core has for its pods, if it may have them.
    pub(super) fn under_uids(&mut self, said: &Arc<DesiredSet>, world: &World) -> Arc<DesiredSet> {
        let mut set = DesiredSet::clone(said);
        for new in &mut set.pods {
            let uid = world.standing(&new.uid).clone();
            if uid == new.uid {
                self.check_not_replaced(new);
                continue;
            }
            let known = self.begun.get(&uid).or_else(|| self.known.get(&uid)).cloned();
            let same = |old: &DesiredPod| self.is_revision(old, new) || self.differs_in_what_lacks(old, new);
            if known.as_ref().is_some_and(|known| !same(known)) {
                self.broken(Rule::InPlace, format!("{} is taken for a revision of {uid}", new.uid));
            }
            let mut pod = Pod::clone(&new.pod);
            pod.metadata.uid = uid.0.to_string();
            (new.uid, new.pod) = (uid, Arc::new(pod));
        }
        Arc::new(set)
    }

    /// A pod that runs and could go on with this must not make room for it.
    fn check_not_replaced(&mut self, new: &DesiredPod) {
        let goes = |old: &DesiredPod| self.terminating.contains(&old.uid) || self.held.contains(&old.uid);
        let mut others = self.begun.values().filter(|old| old.uid != new.uid && !goes(old));
        if let Some(old) = others.find(|old| self.is_revision(old, new)).map(|old| old.uid.clone()) {
            let message = format!("{} takes the place of {old}, which could go on with it", new.uid);
            self.broken(Rule::InPlace, message);
        }
    }

    /// What runs is of this revision from now on.
    pub(super) fn takes_on(&mut self, new: &DesiredPod, now: Mono) {
        let Some(old) = self.begun.get(&new.uid).cloned() else { return };
        let going = self.evictions.going.contains(&new.uid) || self.giving_way.contains(&new.uid);
        if self.terminating.contains(&new.uid) && !going || old.pod == new.pod {
            return;
        }
        if !self.is_revision(&old, new) || self.differs_in_what_lacks(&old, new) {
            return;
        }
        self.revise_probes(&old, new, now);
        let values = new.values.clone().or(old.values);
        let pod = with_cpu_of(&new.pod, &old.pod);
        self.begun.insert(new.uid.clone(), DesiredPod { values, pod, ..new.clone() });
    }

    /// What the core has given to pods that run must be wanted, and there. What some of them give back others have in the
    /// same plan.
    pub(super) fn check_resized(&mut self, world: &World) {
        let resized = |now: &&DesiredPod| {
            self.begun.get(&now.uid).is_some_and(|old| with_cpu_of(&old.pod, &now.pod) != old.pod)
        };
        let mut resized: Vec<&DesiredPod> = world.pods().filter(resized).collect();
        let had = |oracle: &Self, now: &DesiredPod| {
            oracle.begun.get(&now.uid).map_or(0, |old| milli(&old.pod.spec))
        };
        resized.sort_by_key(|now| milli(&now.pod.spec) > had(self, now));
        for now in resized {
            self.check_given(now, had(self, now));
        }
    }

    /// The pod has what `now` says from now on, and had `had` thousandths of a processor.
    fn check_given(&mut self, now: &DesiredPod, had: u64) {
        let (uid, has) = (&now.uid, milli(&now.pod.spec));
        let mut wanted = self.desired.iter().flat_map(|set| &set.pods);
        if !wanted.any(|new| new.uid == *uid && milli(&new.pod.spec) == has) {
            self.broken(Rule::InPlace, format!("{uid} is given {has}m, which nobody wants"));
        }
        let others = self.begun.iter();
        let others =
            others.filter(|(other, _)| *other != uid && self.made.contains(*other) && !self.is_over(other));
        let taken: u64 = others.map(|(_, other)| milli(&other.pod.spec)).sum();
        if has > had && taken + has > self.cpu_milli {
            let message = format!("{uid} is given {has}m beside {taken}m of {}m", self.cpu_milli);
            self.broken(Rule::Limit, message);
        }
        if let Some(begun) = self.begun.get_mut(uid) {
            begun.pod = with_cpu_of(&begun.pod, &now.pod);
        }
    }

    /// Probes that are others now are asked when they are due by themselves, and answers to what was asked before
    /// do not count. What came up without a startup probe has come up.
    fn revise_probes(&mut self, old: &DesiredPod, new: &DesiredPod, now: Mono) {
        let uid = &new.uid;
        let runs = self.runs.iter().filter(|(_, run)| run.uid.as_ref() == Some(uid));
        let runs: Vec<_> = runs.map(|(id, run)| (id.clone(), run.name.clone())).collect();
        for (id, name) in runs {
            let (Some(before), Some(after)) = (old.pod.spec.container(&name), new.pod.spec.container(&name))
            else {
                continue;
            };
            for purpose in [Purpose::Startup, Purpose::Liveness, Purpose::Readiness] {
                let (before_probe, after_probe) = (probe(before, purpose), probe(after, purpose));
                if before_probe == after_probe {
                    continue;
                }
                for flight in self.in_flight.values_mut() {
                    if matches!(&flight.what, Doing::Check(of, what) if *of == id && *what == purpose) {
                        flight.what = Doing::Other;
                    }
                }
                let Some(run) = self.runs.get(&id) else { continue };
                let over = run.told_start.is_some_and(|at| self.is_post_start_over(run, before, at, now));
                let came_up = purpose == Purpose::Startup && before_probe.is_none() && over;
                if let Some(run) = self.runs.get_mut(&id) {
                    run.health.forget(purpose);
                    run.health.started |= came_up;
                }
                if came_up {
                    self.ups.insert((uid.clone(), name.clone()));
                }
            }
        }
    }
}
