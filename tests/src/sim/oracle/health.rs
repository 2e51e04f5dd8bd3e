//! Probes and hooks: asked when they may be, with the consequences that the manifest says and no others. Written down
//! anew from what Kubernetes says.

use super::{Doing, InFlight, Oracle, Rule, Run};
use crate::sim::machine::Machine;
use berth_core::{
    action::{ActionKind, Plan},
    check::{Check, Purpose, Verdict},
    event::{FailReason, Outcome},
    ids::{ContainerId, PodUid},
    manifest::types::{Container, LifecycleHandler, Probe},
    time::Mono,
};
use std::collections::BTreeMap;

/// What a process has at least between its stop signal and the kill where a hook came before.
pub(super) const HOOKED_GRACE_S: u64 = 2;

/// The book of one run.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    /// When each question was asked last, by this agent.
    asked: BTreeMap<Purpose, Mono>,
    /// Equal answers in a row, as the core heard them.
    rows: BTreeMap<Purpose, (bool, u32)>,
    /// Its startup probe has succeeded.
    pub(super) started: bool,
    /// Its hook after the start is over.
    pub(super) post_start_over: bool,
    /// Since when it is to be replaced, and the grace that it then has, seconds.
    pub(super) doomed: Option<(Mono, u64)>,
}

pub(super) fn pre_stop(container: &Container) -> Option<&LifecycleHandler> {
    container.lifecycle.as_ref()?.pre_stop.as_ref()
}

fn post_start(container: &Container) -> Option<&LifecycleHandler> {
    container.lifecycle.as_ref()?.post_start.as_ref()
}

pub(super) fn probe(container: &Container, purpose: Purpose) -> Option<&Probe> {
    match purpose {
        Purpose::Startup => container.startup_probe.as_ref(),
        Purpose::Liveness => container.liveness_probe.as_ref(),
        Purpose::Readiness => container.readiness_probe.as_ref(),
        _ => None,
    }
}

impl Health {
    /// Nothing is known of what the probe that there is now has found.
    pub(super) fn forget(&mut self, purpose: Purpose) {
        self.asked.remove(&purpose);
        self.rows.remove(&purpose);
    }

    /// When the hook before the stop was begun.
    pub(super) fn pre_stop_at(&self) -> Option<Mono> {
        self.asked.get(&Purpose::PreStop).copied()
    }
}

impl Oracle {
    fn spec(&self, uid: &PodUid, name: &str) -> Option<&Container> {
        self.begun.get(uid)?.pod.spec.container(name)
    }

    /// The pod is on its way out, or over.
    pub(super) fn stops(&self, uid: &PodUid) -> bool {
        self.terminating.contains(uid) || self.is_over(uid)
    }

    pub(super) fn is_doomed(&self, id: &ContainerId) -> bool {
        self.runs.get(id).is_some_and(|run| run.health.doomed.is_some())
    }

    /// The container's last end was brought about because it was found unwell.
    pub(crate) fn was_doomed(&self, uid: &str, name: &str) -> bool {
        let place = (PodUid(uid.into()), name.to_owned());
        self.ledgers.get(&place).is_some_and(|ledger| ledger.doomed)
    }

    /// A question is asked.
    pub(super) fn check_check(
        &mut self,
        uid: &PodUid,
        id: &ContainerId,
        check: &Check,
        now: Mono,
        machine: &Machine,
    ) {
        let purpose = check.purpose;
        if let Err((rule, why)) = self.may_ask(uid, id, purpose, now, machine) {
            self.broken(rule, format!("{purpose:?} of {id} of {uid} is asked, and {why}"));
        }
        if let Some(run) = self.runs.get_mut(id) {
            run.health.asked.insert(purpose, now);
        }
    }

    fn may_ask(
        &self,
        uid: &PodUid,
        id: &ContainerId,
        purpose: Purpose,
        now: Mono,
        machine: &Machine,
    ) -> Result<(), (Rule, String)> {
        let probe_rule = |why: &str| Err((Rule::Probe, why.to_owned()));
        let Some(run) = self.runs.get(id) else { return probe_rule("no such run is known") };
        let Some(since) = run.told_start.filter(|_| !run.told_exit && !run.dead) else {
            return probe_rule("it does not run");
        };
        let Some(spec) = self.spec(uid, &run.name) else { return probe_rule("there is no such container") };
        let stops = self.stops(uid) || run.health.doomed.is_some();
        let noted = machine.containers.get(id).map(|record| record.standing).unwrap_or_default();
        let asked = run.health.asked.get(&purpose);
        let hook = |rule_broken: bool, why: &str| {
            if rule_broken { Err((Rule::Hook, why.to_owned())) } else { Ok(()) }
        };
        match purpose {
            Purpose::PostStart => {
                hook(asked.is_some() || noted.post_start, "it was before")?;
                return hook(stops, "the container stops");
            }
            Purpose::PreStop => {
                hook(asked.is_some() || noted.pre_stop, "it was before")?;
                return hook(!stops, "the container is to go on");
            }
            _ => {}
        }
        let Some(probe) = probe(spec, purpose) else { return probe_rule("there is no such probe") };
        let up = run.health.started || spec.startup_probe.is_none();
        let period_s = u64::from(probe.period_seconds.unwrap_or(10));
        if now < since.plus_s(u64::from(probe.initial_delay_seconds)) {
            return probe_rule("its delay is not over");
        }
        if asked.is_some_and(|at| now < at.plus_s(period_s)) {
            return probe_rule("its period is not over");
        }
        if up == (purpose == Purpose::Startup) {
            return probe_rule("it is not the time in its life");
        }
        if !self.is_post_start_over(run, spec, since, now) {
            return probe_rule("its hook is not over");
        }
        if stops && purpose != Purpose::Readiness {
            return probe_rule("it stops");
        }
        Ok(())
    }

    pub(super) fn is_post_start_over(&self, run: &Run, spec: &Container, since: Mono, now: Mono) -> bool {
        let Some(hook) = post_start(spec) else { return true };
        match &hook.sleep {
            Some(sleep) => now >= since.plus_s(sleep.seconds),
            None => run.health.post_start_over,
        }
    }

    /// A container of the pod sleeps after its start: the others wait for it.
    pub(super) fn is_hooked(&self, uid: &PodUid, now: Mono) -> bool {
        self.runs.values().filter(|run| run.uid.as_ref() == Some(uid) && !run.told_exit && !run.dead).any(
            |run| {
                let sleep =
                    self.spec(uid, &run.name).and_then(post_start).and_then(|hook| hook.sleep.as_ref());
                let until = sleep.and_then(|sleep| Some(run.told_start?.plus_s(sleep.seconds)));
                until.is_some_and(|until| now < until)
            },
        )
    }

    /// The core hears an answer, or that there is none.
    pub(super) fn hears_check(&mut self, flight: &InFlight, outcome: &Outcome, now: Mono) {
        let Doing::Check(id, purpose) = &flight.what else { return };
        let good = match outcome {
            Outcome::Checked(answer) => Some(answer.verdict != Verdict::Failure),
            Outcome::Failed(failure) if failure.reason == FailReason::Timeout => Some(false),
            _ => None,
        };
        let uid = &flight.uid;
        let Some(run) =
            self.runs.get(id).filter(|run| run.told_start.is_some() && !run.told_exit && !run.dead)
        else {
            return;
        };
        let Some(spec) = self.spec(uid, &run.name).cloned() else { return };
        let stops = self.stops(uid) || run.signalled.is_some() || run.health.pre_stop_at().is_some();
        let (name, pod_grace_s) = (run.name.clone(), self.grace_s(uid));
        let Some(run) = self.runs.get_mut(id) else { return };
        let mut doom = None;
        match (purpose, good) {
            (Purpose::PreStop, _) => {}
            (Purpose::PostStart, good) => {
                run.health.post_start_over = true;
                doom = (good != Some(true)).then_some(pod_grace_s);
            }
            (_, None) => {}
            (_, Some(good)) => {
                let row = run.health.rows.entry(*purpose).or_insert((good, 0));
                *row = if row.0 == good { (good, row.1 + 1) } else { (good, 1) };
                let Some(probe) = probe(&spec, *purpose) else { return };
                let needed = if good { probe.success_threshold } else { probe.failure_threshold };
                if row.1 < needed.unwrap_or(1) || *purpose == Purpose::Readiness {
                } else if !good {
                    doom = Some(probe.termination_grace_period_seconds.unwrap_or(pod_grace_s));
                } else if *purpose == Purpose::Startup {
                    run.health.started = true;
                    self.ups.insert((uid.clone(), name.clone()));
                }
            }
        }
        if let Some(grace_s) = doom.filter(|_| !stops && run.health.doomed.is_none()) {
            run.health.doomed = Some((now, grace_s));
            self.doomed_now.push(id.clone());
            self.ledgers.entry((uid.clone(), name)).or_default().doomed = true;
        }
    }

    /// The pod's grace, seconds.
    pub(super) fn grace_s(&self, uid: &PodUid) -> u64 {
        let spec = self.begun.get(uid).map(|pod| &pod.pod.spec);
        let own_s = spec.and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(0);
        own_s.min(self.grace_max_s(uid))
    }

    /// What has just been found unwell is being stopped with this plan.
    pub(super) fn check_doomed(&mut self, plan: &Plan) {
        for id in std::mem::take(&mut self.doomed_now) {
            let Some(run) = self.runs.get(&id).filter(|run| !run.told_exit && !run.dead) else { continue };
            let spec = run.uid.as_ref().and_then(|uid| self.spec(uid, &run.name));
            let sleeps = spec.and_then(pre_stop).is_some_and(|hook| hook.sleep.is_some());
            let planned = plan.actions.iter().any(|action| match &action.kind {
                ActionKind::Signal { id: other, .. } | ActionKind::Kill { id: other } => *other == id,
                ActionKind::Check { id: other, check } => *other == id && check.purpose == Purpose::PreStop,
                _ => false,
            });
            if !planned && !sleeps {
                self.broken(Rule::Probe, format!("{id} is unwell, and nothing is done about it"));
            }
        }
    }

    /// A container runs and has come up as far as that is known: what stands behind a sidecar waits for it.
    pub(super) fn is_up(&self, uid: &PodUid, container: &Container) -> bool {
        container.startup_probe.is_none() || self.ups.contains(&(uid.clone(), container.name.clone()))
    }
}
