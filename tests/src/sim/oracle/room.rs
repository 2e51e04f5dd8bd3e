//! Room on the node: never more given away than there is, and nobody ended but for one of a higher priority. Written
//! down anew from what is promised.

use super::{Oracle, Rule};
use berth_core::{
    action::{Action, ActionKind, Plan},
    check::Purpose,
    ids::PodUid,
    manifest::{
        DesiredPod,
        types::{Container, PodSpec},
    },
    time::Mono,
    world::World,
};

/// Those of the simulator ask in thousandths; scenarios in whole ones, too.
pub(super) fn of_container(container: &Container) -> u64 {
    let Some(asked) = container.resources.requests.get("cpu") else { return 0 };
    match asked.strip_suffix('m') {
        Some(milli) => milli.parse().unwrap_or(0),
        None => asked.parse::<u64>().map_or(0, |whole| whole * 1000),
    }
}

pub(crate) fn milli(spec: &PodSpec) -> u64 {
    peak(spec, of_container)
}

/// Of what is asked for, what those containers need that are there at one time.
pub(super) fn peak(spec: &PodSpec, of: impl Fn(&Container) -> u64) -> u64 {
    let (mut sidecars, mut most) = (0, 0);
    for init in &spec.init_containers {
        most = most.max(sidecars + of(init));
        sidecars += if init.restarts_always() { of(init) } else { 0 };
    }
    most.max(sidecars + spec.containers.iter().map(of).sum::<u64>())
}

pub(crate) fn priority(spec: &PodSpec) -> i32 {
    spec.priority.unwrap_or(0)
}

impl Oracle {
    /// A pod begins.
    pub(super) fn check_room(&mut self, pod: &DesiredPod) {
        let others = self
            .begun
            .iter()
            .filter(|(uid, _)| **uid != pod.uid && self.made.contains(*uid) && !self.is_over(uid));
        let taken: u64 = others.map(|(_, other)| milli(&other.pod.spec)).sum();
        let asked = milli(&pod.pod.spec);
        if asked > 0 && taken + asked > self.cpu_milli && !self.begun.contains_key(&pod.uid) {
            let message = format!("{} begins with {asked}m beside {taken}m of {}m", pod.uid, self.cpu_milli);
            self.broken(Rule::Limit, message);
        }
    }

    /// Who goes for another one goes for one that is more important and is not there.
    pub(super) fn check_preemptions(&mut self, plan: &Plan, world: &World) {
        for event in plan.events.iter().filter(|event| event.reason == "Preempting") {
            let uid = &event.uid;
            let rank = self.begun.get(uid).map(|pod| priority(&pod.pod.spec));
            // One that was evicted begins anew although its manifest cannot be read now: only the core has it.
            let goes_for = |other: &DesiredPod| {
                Some(priority(&other.pod.spec)) > rank && !self.begun.contains_key(&other.uid)
            };
            let better =
                self.desired.iter().flat_map(|set| &set.pods).any(goes_for) || world.pods().any(goes_for);
            if rank.is_none() || !better || self.terminating.contains(uid) {
                self.broken(
                    Rule::Limit,
                    format!("{uid} goes, and there is nobody for whom it would have to"),
                );
            }
            self.preempted.insert(uid.clone());
            self.evictions.end_row(uid);
        }
    }

    /// An action is looked at. What was planned for a pod before another one needed its room may stand before what ends
    /// it.
    pub(super) fn check_end_of_preempted(&mut self, action: &Action, now: Mono) {
        let ends = match &action.kind {
            ActionKind::Signal { .. } | ActionKind::Kill { .. } | ActionKind::RemoveSandbox { .. } => true,
            ActionKind::Check { check, .. } => check.purpose == Purpose::PreStop,
            _ => false,
        };
        if ends && self.preempted.remove(&action.pod) {
            self.preempt(&action.pod, now);
        }
    }

    /// All actions of the plan are looked at.
    pub(super) fn end_preempted(&mut self, now: Mono) {
        while let Some(uid) = self.preempted.pop_first() {
            self.preempt(&uid, now);
        }
    }

    fn preempt(&mut self, uid: &PodUid, now: Mono) {
        self.forget_measurements(uid);
        self.giving_way.insert(uid.clone());
        if self.terminating.insert(uid.clone()) {
            self.stops.insert(uid.clone(), now);
        }
    }
}
