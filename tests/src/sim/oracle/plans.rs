//! What a plan must hold to, action by action.

use super::{Doing, InFlight, Oracle, Rule, Run, health, turns};
use crate::sim::machine::Machine;
use berth_core::{
    action::{Action, ActionKind, Plan},
    event::{Checkpoint, DesiredSet, EndReason},
    ids::{ContainerId, PodUid},
    manifest::{DesiredPod, objects::Objects},
    time::Mono,
    world::World,
};

/// A kill and the wait for its exit take no longer than this, seconds.
const CLEAR_S: u64 = 20;
/// What a sidecar has after its stop signal at least, seconds.
const SIDECAR_GRACE_S: u64 = 2;
/// From this step on the wait is the longest; steps beyond it are alike.
const STEP_MAX: u32 = 6;

/// The wait after the n-th failed pull in a row, seconds.
fn pull_wait_s(failures: u32) -> u64 {
    (10_u64 << failures.saturating_sub(1).min(8)).min(300)
}

impl Oracle {
    pub(super) fn check_action(&mut self, action: &Action, now: Mono, machine: &Machine) {
        let uid = &action.pod;
        match &action.kind {
            ActionKind::EnsureImage { image, .. } => self.check_pull(uid, image, now),
            ActionKind::CreateSandbox { desired, begun, objects } => {
                self.check_files(desired, objects);
                self.check_wanted(uid, desired, "a sandbox");
                if self.lacks(desired) && !self.begun.contains_key(uid) {
                    self.broken(Rule::Objects, format!("{uid} begins, and lacks its ConfigMap"));
                }
                self.check_begins_anew(desired, now);
                self.check_begins_in_shortage(desired, now);
                self.check_room(desired);
                self.check_turn(desired);
                if !self.begun.contains_key(uid) {
                    self.check_devices(desired, "a sandbox");
                }
                self.begun.insert(uid.clone(), (**desired).clone());
                self.known.insert(uid.clone(), (**desired).clone());
                self.made.insert(uid.clone());
                self.sandbox_made(uid, *begun);
            }
            ActionKind::RefreshFiles { desired, objects } => {
                self.check_wanted(uid, desired, "a refresh");
                self.check_files(desired, objects);
                self.check_content(uid, desired);
                if machine.sandboxes.get(uid).is_none_or(|sandbox| !sandbox.ready) {
                    self.broken(
                        Rule::Order,
                        format!("files of {uid} are refreshed before its sandbox is ready"),
                    );
                }
                if self.lacks(desired) {
                    self.broken(Rule::Objects, format!("files of {uid} go with the ConfigMap"));
                }
            }
            ActionKind::Resize { desired, runs } => {
                self.check_content(uid, desired);
                let known = |id: &ContainerId| machine.containers.contains_key(id);
                if let Some(run) = runs.iter().find(|run| !known(&run.id)) {
                    self.broken(Rule::Order, format!("{} of {uid} is resized, and was never begun", run.id));
                }
            }
            ActionKind::Update { desired } => {
                self.check_wanted(uid, desired, "an update");
                self.check_content(uid, desired);
                if machine.sandboxes.get(uid).is_none_or(|sandbox| !sandbox.ready) {
                    self.broken(Rule::Order, format!("{uid} is updated before its sandbox is ready"));
                }
            }
            ActionKind::StartContainer { desired, container, attempt, id, objects, .. } => {
                self.check_wanted(uid, desired, container);
                self.check_content(uid, desired);
                let named = |set: &DesiredSet| set.objects.of(&desired.key.namespace, &desired.pod.spec);
                if self.desired.as_deref().is_none_or(|set| named(set) != *objects) {
                    self.broken(Rule::Objects, format!("{uid}/{container} starts with other objects"));
                }
                self.check_devices(desired, container);
                self.check_start(uid, container, *attempt, now, machine);
                self.check_anew(uid, container, machine);
                self.check_policy(desired, container);
                self.check_ports(desired, machine);
                let (uid, name) = (Some(uid.clone()), container.clone());
                let run = Run { uid, name, attempt: *attempt, ..Run::default() };
                self.runs.insert(id.clone(), run);
            }
            ActionKind::Signal { id, .. } => {
                let doomed = self.is_doomed(id);
                if self.stops(uid) || !doomed {
                    self.stops.entry(uid.clone()).or_insert(now);
                }
                if !self.stops(uid) && !doomed {
                    self.broken(Rule::Desired, format!("{id} of {uid} is asked to stop, and is desired"));
                }
                let name = self.runs.get(id).map(|run| run.name.clone()).unwrap_or_default();
                if !doomed {
                    self.check_sidecar_signal(uid, &name, now, machine);
                }
                let run = self.runs.entry(id.clone()).or_default();
                run.signalled = run.signalled.or(Some(now));
                if run.signal_kept {
                    self.broken(Rule::Grace, format!("{id} of {uid} is asked to stop by each agent anew"));
                }
            }
            ActionKind::Check { id, check } => self.check_check(uid, id, check, now, machine),
            ActionKind::Note { .. } => {}
            ActionKind::Measure { .. } => self.check_measure(uid, now),
            ActionKind::Observe | ActionKind::Reclaim | ActionKind::Weigh { .. } => {}
            ActionKind::Kill { id } => self.check_kill(uid, id, now),
            ActionKind::RemoveContainer { id } => self.check_remove(uid, id, machine),
            ActionKind::RemoveSandbox { .. } => {
                let left = machine.containers.values().any(|record| record.pod == *uid);
                if left || !self.terminating.contains(uid) && self.begun.contains_key(uid) {
                    self.broken(
                        Rule::Order,
                        format!("the sandbox of {uid} goes, and the pod is still there"),
                    );
                }
            }
            ActionKind::SaveCheckpoint { checkpoint } => self.check_save(uid, checkpoint, machine),
            ActionKind::DropCheckpoint => {
                if machine.sandboxes.contains_key(uid) {
                    self.broken(Rule::Order, format!("the checkpoint of {uid} goes before its sandbox"));
                }
                let replaced = |set: &DesiredSet| {
                    let key = self.keys.get(uid);
                    set.pods.iter().any(|pod| Some(&pod.key) == key && pod.uid != *uid)
                };
                let broken =
                    self.desired.as_ref().is_some_and(|set| !set.problems.is_empty() && !replaced(set));
                if broken && !self.terminating.contains(uid) && !self.seen.contains(uid) {
                    let message =
                        format!("{uid} is forgotten, and a manifest that cannot be read may want it");
                    self.broken(Rule::Desired, message);
                }
            }
        }
        self.book(action, now);
    }

    /// A container that waits for nothing but its back-off is started when that is over.
    pub(super) fn check_wakes(&mut self, plan: &Plan, world: &World, now: Mono, machine: &Machine) {
        let mut late = None;
        if self.desired.is_none() {
            return;
        }
        for ((uid, name), ledger) in
            self.ledgers.iter().filter(|(_, ledger)| now < ledger.not_before(self.crash_wait_max_s))
        {
            let Some(pod) =
                self.begun.get(uid).filter(|_| !self.terminating.contains(uid) && !self.held.contains(uid))
            else {
                continue;
            };
            // What is left of the last run, or of a process that turned up late, is cleared first.
            let clearing = |run: &Run| {
                run.uid.as_ref() == Some(uid)
                    && (run.told_exit && !run.removed
                        || run.killed_again.is_some_and(|at| now <= at.plus_s(CLEAR_S)))
            };
            let quiet = !self.runs.values().any(clearing)
                && self.in_flight.values().all(|flight| flight.uid != *uid)
                && !self.is_hooked(uid, now)
                && machine.sandboxes.get(uid).is_some_and(|sandbox| sandbox.ready)
                && machine.containers.values().all(|record| record.pod != *uid || machine.alive(&record.id))
                && world.runs(uid).iter().any(|run| run.container == name && run.pid.is_none());
            let spec = &pod.pod.spec;
            // A start that failed for want of the ConfigMap waits for that, or for longer.
            // Of one that begins anew the first decides, which has begun nothing yet.
            let due = !self.anew.contains(uid)
                && !self.lacks(pod)
                && !self.lacks_device(pod)
                && !self.completed(uid, spec, name)
                && !self.finished(uid, spec)
                && self.not_its_turn(uid, spec, name).is_none();
            let waits = quiet && due;
            if waits && plan.wake.is_none_or(|wake| wake > ledger.not_before(self.crash_wait_max_s)) {
                late = Some(format!(
                    "{uid}/{name} is due at {:?}, wake is {:?}",
                    ledger.not_before(self.crash_wait_max_s),
                    plan.wake
                ));
            }
        }
        if let Some(message) = late {
            self.broken(Rule::Backoff, message);
        }
    }

    fn check_wanted(&mut self, uid: &PodUid, desired: &DesiredPod, what: &str) {
        if self.terminating.contains(uid) {
            self.broken(Rule::Desired, format!("{what} of {uid} begins, and the pod is on its way out"));
        } else if !self.wanted(uid, desired) {
            self.broken(Rule::Desired, format!("{what} of {uid} begins, and nobody wants it"));
        }
    }

    /// What is done for the pod is of the revision that it has now.
    fn check_content(&mut self, uid: &PodUid, desired: &DesiredPod) {
        if self.begun.get(uid).is_some_and(|begun| begun.pod != desired.pod) {
            self.broken(Rule::InPlace, format!("something is done for an earlier revision of {uid}"));
        }
    }

    /// The files of a pod's volumes are made from what there is now.
    fn check_files(&mut self, desired: &DesiredPod, objects: &Objects) {
        let named = |set: &DesiredSet| set.objects.of_volumes(&desired.key.namespace, &desired.pod.spec);
        if self.desired.as_deref().is_none_or(|set| named(set) != *objects) {
            self.broken(Rule::Objects, format!("files of {} are made from other objects", desired.uid));
        }
    }

    fn check_start(&mut self, uid: &PodUid, name: &str, attempt: u32, now: Mono, machine: &Machine) {
        let place = (uid.clone(), name.to_owned());
        let ledger = self.ledgers.entry(place.clone()).or_default().clone();
        let reached = self.reached.get(&place).copied().unwrap_or(0);
        if attempt < ledger.known || attempt > reached {
            let message = format!(
                "{uid}/{name} starts with restart count {attempt}; {} ends are known, {reached} attempts ran",
                ledger.known
            );
            self.broken(Rule::Count, message);
        }
        if now < ledger.not_before(self.crash_wait_max_s) {
            let wait = ledger.not_before(self.crash_wait_max_s).since(now) as f64 / 1e9;
            self.broken(Rule::Backoff, format!("{uid}/{name} starts {wait} s too early"));
        }
        if machine.sandboxes.get(uid).is_none_or(|sandbox| !sandbox.ready) {
            self.broken(Rule::Order, format!("{uid}/{name} starts before its sandbox is ready"));
        }
        if machine.containers.len() >= self.containers_max && self.made.contains(uid) {
            self.broken(Rule::Limit, format!("{uid}/{name} is one container more than there may be"));
        }
        if machine.containers.values().any(|record| record.pod == *uid && record.name == name) {
            self.broken(
                Rule::OneContainer,
                format!("{uid}/{name} starts beside the remains of an earlier run"),
            );
        }
    }

    fn check_policy(&mut self, pod: &DesiredPod, name: &str) {
        let (uid, spec) = (&pod.uid, &pod.pod.spec);
        if self.completed(uid, spec, name) || self.finished(uid, spec) {
            self.broken(Rule::Desired, format!("{uid}/{name} has completed, or its pod, and starts again"));
        }
        if let Some(why) = self.not_its_turn(uid, spec, name) {
            self.broken(Rule::Order, format!("{uid}/{name} starts, and {why}"));
        }
        self.notes(uid, name);
    }

    /// No process of another pod may listen where this one is going to.
    fn check_ports(&mut self, pod: &DesiredPod, machine: &Machine) {
        let numbers = |pod: &DesiredPod| -> Vec<u16> {
            let ports = pod.pod.spec.containers.iter().flat_map(|container| &container.ports);
            ports.filter_map(|port| port.host_port).collect()
        };
        let wanted = numbers(pod);
        let others = self.begun.values().filter(|other| other.uid != pod.uid);
        let mut rivals = others.filter(|other| numbers(other).iter().any(|number| wanted.contains(number)));
        let rival = rivals.find(|other| machine.processes.values().any(|process| process.uid == other.uid));
        if let Some(message) =
            rival.map(|other| format!("{} starts, and {} has its port", pod.uid, other.uid))
        {
            self.broken(Rule::Ports, message);
        }
    }

    fn check_pull(&mut self, uid: &PodUid, image: &str, now: Mono) {
        if let Some((failures, at)) = self.pulls.get(&(uid.clone(), image.to_owned()))
            && *at != Mono(0)
            && now < at.plus_s(pull_wait_s(*failures))
        {
            self.broken(Rule::Backoff, format!("{image} for {uid} is pulled again too early"));
        }
    }

    fn check_kill(&mut self, uid: &PodUid, id: &ContainerId, now: Mono) {
        let stops = self.stops(uid);
        let doomed = self.runs.get(id).and_then(|run| run.health.doomed);
        let stop = match doomed {
            Some((since, _)) if !stops => since,
            _ => *self.stops.entry(uid.clone()).or_insert(now),
        };
        let pod_grace_s = self.grace_s(uid);
        let grace_s = match doomed {
            Some((_, own_s)) if stops => own_s.min(pod_grace_s),
            Some((_, own_s)) => own_s,
            None => pod_grace_s,
        };
        let spec = self.begun.get(uid).map(|pod| &pod.pod.spec);
        let run = self.runs.entry(id.clone()).or_default();
        let sidecar = spec.is_some_and(|spec| turns::is_sidecar(spec, &run.name)) && doomed.is_none();
        let hook = spec.and_then(|spec| spec.container(&run.name)).and_then(health::pre_stop);
        let runs = run.told_start.is_some() && !run.told_exit && !run.dead;
        let signalled_for = |seconds| run.signalled.is_some_and(|at| now >= at.plus_s(seconds));
        let over = grace_s == 0
            || if sidecar {
                now >= stop.plus_s(grace_s) && signalled_for(SIDECAR_GRACE_S)
            } else if hook.is_some() && !run.signal_kept {
                let since =
                    run.health.pre_stop_at().unwrap_or_else(|| doomed.map_or(stop, |(since, _)| since));
                now >= since.plus_s(grace_s) && signalled_for(health::HOOKED_GRACE_S)
            } else {
                signalled_for(grace_s)
            };
        run.dead = true;
        run.killed = run.killed.or(Some(now));
        run.killed_again = Some(now);
        if runs && !over {
            self.broken(Rule::Grace, format!("{id} of {uid} is killed, and its {grace_s} s are not over"));
        } else if runs && !stops && doomed.is_none() {
            self.broken(Rule::Desired, format!("{id} of {uid} is killed, and is desired"));
        }
    }

    /// Nothing of the pod is to run any more, though it is desired.
    pub(super) fn is_over(&self, uid: &PodUid) -> bool {
        self.begun.get(uid).is_some_and(|pod| self.finished(uid, &pod.pod.spec))
    }

    fn check_remove(&mut self, uid: &PodUid, id: &ContainerId, machine: &Machine) {
        let run = self.runs.entry(id.clone()).or_default().clone();
        if !run.told_exit && !run.dead {
            self.broken(Rule::Order, format!("{id} of {uid} is removed alive"));
        }
        // Removing acknowledges the exit.
        if run.told_exit && !run.removed && !self.is_safe(uid, id, &run, machine) {
            self.broken(Rule::ExitLost, format!("the end of {id} of {uid} is acknowledged and not recorded"));
        }
    }

    /// What is written must be what happened.
    fn check_save(&mut self, uid: &PodUid, checkpoint: &Checkpoint, machine: &Machine) {
        for (name, memory) in &checkpoint.containers {
            let place = (uid.clone(), name.clone());
            let (Some(last), Some(ledger)) = (&memory.last, self.ledgers.get(&place)) else { continue };
            let step = ledger.step(&last.id).map(|step| step.min(STEP_MAX));
            if step.is_some_and(|step| step != memory.backoff_step.min(STEP_MAX)) {
                let message =
                    format!("{uid}/{name} is at step {}, and {step:?} is right", memory.backoff_step);
                self.broken(Rule::Backoff, message);
            }
            if last.reason == EndReason::Exited && last.message != machine.last_words(&last.id) {
                let message = format!("{uid}/{name} is said to have said {:?}", last.message);
                self.broken(Rule::ExitLost, message);
            }
        }
    }

    /// Books the action as in flight; there must be none on its object.
    fn book(&mut self, action: &Action, now: Mono) {
        let (object, what) = match &action.kind {
            ActionKind::EnsureImage { image, .. } => (format!("image {image}"), Doing::Pull(image.clone())),
            ActionKind::CreateSandbox { .. }
            | ActionKind::RefreshFiles { .. }
            | ActionKind::Update { .. }
            | ActionKind::RemoveSandbox { .. } => ("sandbox".to_owned(), Doing::Other),
            ActionKind::StartContainer { container, id, .. } => {
                let doing = Doing::Start { name: container.clone(), id: id.clone(), asked: now };
                (self.object(id, container), doing)
            }
            ActionKind::RemoveContainer { id } => (self.object(id, ""), Doing::Remove(id.clone())),
            ActionKind::Signal { id, .. } | ActionKind::Kill { id } => (self.object(id, ""), Doing::Other),
            ActionKind::Check { id, check } => {
                (format!("{:?} of {id}", check.purpose), Doing::Check(id.clone(), check.purpose))
            }
            ActionKind::Resize { .. } => ("resources".to_owned(), Doing::Other),
            ActionKind::Measure { .. } => ("storage".to_owned(), Doing::Measure),
            ActionKind::Note { id, .. } => (format!("note of {id}"), Doing::Other),
            ActionKind::Observe | ActionKind::Reclaim => ("node".to_owned(), Doing::Other),
            ActionKind::Weigh { signal, .. } => ("node".to_owned(), Doing::Weigh(*signal)),
            ActionKind::SaveCheckpoint { .. } => ("checkpoint".to_owned(), Doing::Save),
            ActionKind::DropCheckpoint => ("checkpoint".to_owned(), Doing::Drop),
        };
        let uid = action.pod.clone();
        let pull = matches!(what, Doing::Pull(_));
        let twice = self.in_flight.values().any(|f| f.uid == uid && f.object == object);
        // A pull for a pod that has gone meanwhile may still be under way when the pod is back.
        if twice && !pull {
            self.broken(Rule::OneAction, format!("{object} of {uid} has two actions in flight"));
        }
        self.in_flight.insert(action.id, InFlight { uid, object, deadline: action.deadline, what });
    }

    /// A container by its name; a run that no longer is the container's own, by its id.
    fn object(&self, id: &ContainerId, name: &str) -> String {
        match self.runs.get(id) {
            Some(run) if !run.removed && !run.name.is_empty() => format!("container {}", run.name),
            _ if !name.is_empty() => format!("container {name}"),
            _ => format!("container {id}"),
        }
    }
}
