//! What a plan must hold to, action by action.

use super::{DISK_TRIES, Doing, InFlight, Oracle, Rule, Run};
use crate::sim::machine::Machine;
use berth_core::{
    action::{Action, ActionKind},
    ids::{ContainerId, PodUid},
    manifest::DesiredPod,
    time::Mono,
};

/// The wait after the n-th failed pull in a row, seconds.
fn pull_wait_s(failures: u32) -> u64 {
    (10_u64 << failures.saturating_sub(1).min(8)).min(300)
}

impl Oracle {
    pub(super) fn check_action(&mut self, action: &Action, now: Mono, machine: &Machine) {
        let uid = &action.pod;
        match &action.kind {
            ActionKind::EnsureImage { image, .. } => self.check_pull(uid, image, now),
            ActionKind::CreateSandbox { desired } => {
                self.check_wanted(uid, desired, "a sandbox");
                self.begun.insert(uid.clone(), (**desired).clone());
            }
            ActionKind::StartContainer { desired, container, attempt, id, .. } => {
                self.check_wanted(uid, desired, container);
                self.check_start(uid, container, *attempt, now, machine);
                let (uid, name) = (Some(uid.clone()), container.clone());
                let run = Run { uid, name, attempt: *attempt, ..Run::default() };
                self.runs.insert(id.clone(), run);
            }
            ActionKind::Signal { id, .. } => {
                if !self.terminating.contains(uid) {
                    self.broken(Rule::Desired, format!("{id} of {uid} is asked to stop, and is desired"));
                }
                let run = self.runs.entry(id.clone()).or_default();
                run.signalled = run.signalled.or(Some(now));
            }
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
            ActionKind::SaveCheckpoint { .. } => {}
            ActionKind::DropCheckpoint => {
                if machine.sandboxes.contains_key(uid) {
                    self.broken(Rule::Order, format!("the checkpoint of {uid} goes before its sandbox"));
                }
            }
        }
        self.book(action, now);
    }

    fn check_wanted(&mut self, uid: &PodUid, desired: &DesiredPod, what: &str) {
        if self.terminating.contains(uid) {
            self.broken(Rule::Desired, format!("{what} of {uid} begins, and the pod is on its way out"));
        } else if !self.wanted(uid, desired) {
            self.broken(Rule::Desired, format!("{what} of {uid} begins, and nobody wants it"));
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
        if now < ledger.not_before() {
            let wait = ledger.not_before().since(now) as f64 / 1e9;
            self.broken(Rule::Backoff, format!("{uid}/{name} starts {wait} s too early"));
        }
        if machine.sandboxes.get(uid).is_none_or(|sandbox| !sandbox.ready) {
            self.broken(Rule::Order, format!("{uid}/{name} starts before its sandbox is ready"));
        }
        if machine.containers.values().any(|record| record.pod == *uid && record.name == name) {
            self.broken(
                Rule::OneContainer,
                format!("{uid}/{name} starts beside the remains of an earlier run"),
            );
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
        let grace_s =
            self.begun.get(uid).and_then(|pod| pod.pod.spec.termination_grace_period_seconds).unwrap_or(0);
        let run = self.runs.entry(id.clone()).or_default();
        let runs = run.told_start.is_some() && !run.told_exit && !run.dead;
        let over = grace_s == 0 || run.signalled.is_some_and(|at| now >= at.plus_s(grace_s));
        run.dead = true;
        if runs && !over {
            self.broken(Rule::Grace, format!("{id} of {uid} is killed, and its {grace_s} s are not over"));
        } else if runs && !self.terminating.contains(uid) {
            self.broken(Rule::Desired, format!("{id} of {uid} is killed, and is desired"));
        }
    }

    fn check_remove(&mut self, uid: &PodUid, id: &ContainerId, machine: &Machine) {
        let run = self.runs.entry(id.clone()).or_default();
        let (told_exit, removed) = (run.told_exit, run.removed);
        let untouched = !told_exit && !run.dead;
        let (name, attempt) = (run.name.clone(), run.attempt);
        if untouched {
            self.broken(Rule::Order, format!("{id} of {uid} is removed alive"));
        }
        // Removing acknowledges the exit: it must be on disk, or the disk must have refused it often.
        let on_disk =
            machine.disk.get(uid).and_then(|disk| disk.current.containers.get(&name)).is_some_and(|memory| {
                memory.last.as_ref().is_some_and(|last| last.id == *id) || memory.next_attempt > attempt + 1
            });
        let refused = self.failed_saves.get(uid).is_some_and(|failures| *failures >= DISK_TRIES);
        if told_exit && !removed && !on_disk && !refused && !self.terminating.contains(uid) {
            self.broken(Rule::ExitLost, format!("the end of {id} of {uid} is acknowledged and not recorded"));
        }
    }

    /// Books the action as in flight; there must be none on its object.
    fn book(&mut self, action: &Action, now: Mono) {
        let (object, what) = match &action.kind {
            ActionKind::EnsureImage { image, .. } => (format!("image {image}"), Doing::Pull(image.clone())),
            ActionKind::CreateSandbox { .. } | ActionKind::RemoveSandbox { .. } => {
                ("sandbox".to_owned(), Doing::Other)
            }
            ActionKind::StartContainer { container, id, .. } => {
                let doing = Doing::Start { name: container.clone(), id: id.clone(), asked: now };
                (self.object(id, container), doing)
            }
            ActionKind::RemoveContainer { id } => (self.object(id, ""), Doing::Remove(id.clone())),
            ActionKind::Signal { id, .. } | ActionKind::Kill { id } => (self.object(id, ""), Doing::Other),
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
