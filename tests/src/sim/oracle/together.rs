//! Pods that begin after others and go before them. Written down anew from what is promised.

use super::{Oracle, Rule};
use berth_core::{
    ids::{ContainerId, PodKey, PodUid},
    manifest::{
        DesiredPod,
        types::{Container, RestartPolicy},
    },
    time::Mono,
    world::World,
};

/// The name of the pod after which it begins; the simulator's pods name one at most.
pub(crate) fn after(pod: &DesiredPod) -> Option<&str> {
    pod.pod.metadata.annotations.get("berth/start-after").map(String::as_str)
}

/// The name, with or without the node's behind it, means this pod.
pub(crate) fn is_named(pod: &DesiredPod, name: &str) -> bool {
    let rest = pod.key.name.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('-') == pod.pod.spec.node_name.as_deref())
}

/// Following the names from the pod leads back to it.
pub(crate) fn in_circle(pod: &DesiredPod, pods: &[DesiredPod]) -> bool {
    let mut at = pod;
    for _ in 0..pods.len() {
        let next = after(at).and_then(|name| pods.iter().find(|other| is_named(other, name)));
        match next {
            Some(next) if next.key == pod.key => return true,
            Some(next) => at = next,
            None => return false,
        }
    }
    false
}

/// The pods after which it begins, and those after which they do.
pub(crate) fn leans_on<'a>(pod: &'a DesiredPod, pods: &'a [DesiredPod]) -> Vec<&'a PodKey> {
    let (mut at, mut found) = (pod, Vec::new());
    for _ in 0..pods.len() {
        let Some(next) = after(at).and_then(|name| pods.iter().find(|other| is_named(other, name))) else {
            break;
        };
        found.push(&next.key);
        at = next;
    }
    found
}

impl Oracle {
    /// A pod begins: the one that it names is there, as far as one can know.
    pub(super) fn check_turn(&mut self, pod: &DesiredPod) {
        if self.begun.contains_key(&pod.uid) {
            return;
        }
        let Some(name) = after(pod) else { return };
        let ready = self.begun.values().any(|other| is_named(other, name) && self.is_there(other))
            || self.ever.values().any(|other| is_named(other, name) && self.completed_well(other));
        if !ready {
            self.broken(Rule::Order, format!("{} begins, and {name} is not there", pod.uid));
        }
    }

    fn is_there(&self, pod: &DesiredPod) -> bool {
        let runs = |main: &Container| {
            self.runs.values().any(|run| {
                run.uid.as_ref() == Some(&pod.uid)
                    && run.name == main.name
                    && run.told_start.is_some()
                    && !run.told_exit
            })
        };
        let ends = pod.pod.spec.restart_policy != RestartPolicy::Always;
        !ends && !self.terminating.contains(&pod.uid) && pod.pod.spec.containers.iter().all(runs)
            || self.completed_well(pod)
    }

    fn completed_well(&self, pod: &DesiredPod) -> bool {
        pod.pod.spec.containers.iter().all(|main| {
            let ledger = self.ledgers.get(&(pod.uid.clone(), main.name.clone()));
            self.completed(&pod.uid, &pod.pod.spec, &main.name)
                && ledger.is_some_and(|ledger| ledger.code == Some(0))
        })
    }

    /// Others that go too, and that begin after this one, may go first.
    pub(super) fn may_be_held(&self, uid: &PodUid, pod: &DesiredPod) -> bool {
        self.begun.iter().any(|(other, dependent)| {
            other != uid
                && after(dependent).is_some_and(|name| is_named(pod, name))
                && !self.wanted(other, dependent)
        })
    }

    /// The core has let go of pods that were held: then nothing may run of those for whom they were.
    pub(super) fn check_held(&mut self, world: &World, now: Mono) {
        let held: Vec<PodUid> = self.held.iter().filter(|uid| world.is_stopping(uid)).cloned().collect();
        for uid in held {
            self.held.remove(&uid);
            let Some(pod) = self.begun.get(&uid).cloned() else { continue };
            let early = self.begun.iter().find_map(|(other, dependent)| {
                let before = after(dependent).is_some_and(|name| is_named(&pod, name));
                let names = *other != uid && before && !self.wanted(other, dependent);
                let slack_s = self.grace_s(other) + 10;
                let late = self.stops.get(other).is_some_and(|since| now >= since.plus_s(slack_s));
                let all: Vec<DesiredPod> = self.begun.values().cloned().collect();
                (names && !late && !in_circle(dependent, &all)).then(|| self.alive(other)).flatten()
            });
            if let Some(id) = early {
                self.broken(Rule::Order, format!("{uid} goes, and {id} runs, which began after it"));
            }
            if self.terminating.insert(uid.clone()) {
                self.stops.insert(uid, now);
            }
        }
    }

    fn alive(&self, uid: &PodUid) -> Option<ContainerId> {
        let alive = |run: &super::Run| {
            run.uid.as_ref() == Some(uid) && run.told_start.is_some() && !run.told_exit && !run.dead
        };
        self.runs.iter().find(|(_, run)| alive(run)).map(|(id, _)| id.clone())
    }
}
