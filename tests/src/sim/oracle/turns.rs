//! Who may start when, and who has ended for good: the rules for init containers, sidecars and policies,
//! written down anew from what Kubernetes says.

use super::{Oracle, Rule};
use berth_core::{
    ids::PodUid,
    manifest::types::{Container, PodSpec, RestartPolicy},
    time::Mono,
};

/// The container is a sidecar.
pub(super) fn is_sidecar(spec: &PodSpec, name: &str) -> bool {
    spec.init_containers.iter().any(|c| c.name == name && c.restart_policy == Some(RestartPolicy::Always))
}

/// The container is an init container that has to end.
pub(super) fn is_init(spec: &PodSpec, name: &str) -> bool {
    spec.init_containers.iter().any(|c| c.name == name) && !is_sidecar(spec, name)
}

/// By its policy and rules a container that has ended so does not run again.
fn is_last(spec: &PodSpec, container: &Container, code: i32, doomed: bool) -> bool {
    let policy = container.restart_policy.unwrap_or(spec.restart_policy);
    if doomed {
        return policy == RestartPolicy::Never && !is_sidecar(spec, &container.name);
    }
    if is_init(spec, &container.name) && code == 0 {
        return true;
    }
    if is_sidecar(spec, &container.name)
        || container.restart_policy_rules.iter().any(|rule| rule.exit_codes.matches(code))
    {
        return false;
    }
    match policy {
        RestartPolicy::Never => true,
        RestartPolicy::OnFailure => code == 0,
        RestartPolicy::Always => false,
    }
}

impl Oracle {
    /// The container has ended for good: an init container's success counts in its sandbox only.
    pub(super) fn completed(&self, uid: &PodUid, spec: &PodSpec, name: &str) -> bool {
        let place = (uid.clone(), name.to_owned());
        let (Some(ledger), Some(container)) = (self.ledgers.get(&place), spec.container(name)) else {
            return false;
        };
        let Some(code) = ledger.code.filter(|_| !ledger.open && !ledger.again) else { return false };
        let begun = self.sandboxes.get(uid);
        let fresh = begun.is_some_and(|begun| ledger.ended_at().is_some_and(|at| at >= *begun));
        let stale = is_init(spec, name) && code == 0 && !fresh;
        !stale && is_last(spec, container, code, ledger.doomed)
    }

    /// Nothing of the pod starts any more.
    pub(super) fn finished(&self, uid: &PodUid, spec: &PodSpec) -> bool {
        let failed = |init: &Container| {
            let place = (uid.clone(), init.name.clone());
            let code = self.ledgers.get(&place).and_then(|ledger| ledger.code);
            is_init(spec, &init.name) && self.completed(uid, spec, &init.name) && code != Some(0)
        };
        spec.init_containers.iter().any(failed)
            || spec.containers.iter().all(|main| self.completed(uid, spec, &main.name))
    }

    /// Why it is not the container's turn to start.
    pub(super) fn not_its_turn(&self, uid: &PodUid, spec: &PodSpec, name: &str) -> Option<String> {
        let initialised = spec.containers.iter().any(|main| self.is_present(uid, &main.name));
        if initialised {
            return is_init(spec, name).then(|| "the pod is initialised".to_owned());
        }
        let before = spec.init_containers.iter().take_while(|init| init.name != name);
        let mut missing = before.filter(|init| {
            let behind = spec.all_containers().skip_while(|c| c.name != init.name).skip(1);
            let past = behind.into_iter().any(|c| self.is_present(uid, &c.name));
            let done = if is_sidecar(spec, &init.name) {
                self.is_present(uid, &init.name) && self.is_up(uid, init)
            } else {
                self.completed(uid, spec, &init.name)
            };
            !done && !past
        });
        missing.next().map(|init| format!("{} has not done its part", init.name))
    }

    /// The core has come to know of the container in the pod's present sandbox.
    pub(super) fn notes(&mut self, uid: &PodUid, name: &str) {
        self.present.insert((uid.clone(), name.to_owned()));
    }

    fn is_present(&self, uid: &PodUid, name: &str) -> bool {
        self.present.contains(&(uid.clone(), name.to_owned()))
    }

    /// A sandbox is made: what was in an earlier one does not count.
    pub(super) fn sandbox_made(&mut self, uid: &PodUid, begun: Mono) {
        self.anew.remove(uid);
        self.sandboxes.insert(uid.clone(), begun);
        self.present.retain(|(pod, _)| pod != uid);
        self.ups.retain(|(pod, _)| pod != uid);
    }

    /// A sidecar is asked to stop: when nothing may run any more that it serves, or there is no time left.
    pub(super) fn check_sidecar_signal(
        &mut self,
        uid: &PodUid,
        name: &str,
        now: Mono,
        machine: &crate::sim::machine::Machine,
    ) {
        let Some(pod) = self.begun.get(uid) else { return };
        let spec = &pod.pod.spec;
        let grace_s = self.grace_s(uid);
        let over = self.stops.get(uid).is_some_and(|since| now >= since.plus_s(grace_s));
        if over || !is_sidecar(spec, name) {
            return;
        }
        let behind = |other: &str| {
            spec.all_containers().skip_while(|c| c.name != name).skip(1).any(|c| c.name == other)
        };
        let served = |other: &str| is_init(spec, other) || behind(other);
        let known =
            |id| self.runs.get(id).is_some_and(|run| run.told_start.is_some() && !run.told_exit && !run.dead);
        let mut alive =
            machine.processes.values().filter(|p| p.uid == *uid && known(&p.id) && served(&p.name));
        if let Some(process) = alive.next() {
            let message = format!("sidecar {name} of {uid} is asked to stop while {} runs", process.name);
            self.broken(Rule::Grace, message);
        }
    }
}
