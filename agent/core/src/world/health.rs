//! How a container that runs is: its hook after the start, its probes, and what they have found. Kubelet's rules:
//! a number of equal answers in a row count; nothing is probed before the hook is over, and nothing but the
//! startup probe before that has succeeded.
//!
//! Invariants: all of it belongs to one run and ends with it, so that no answer about an earlier run counts; at most
//! one question of a kind is open; a probe that could not be made has found nothing; each found failure or success
//! takes effect once.

use super::{
    inflight::{Object, Verb},
    planner::Planner,
    state::{Container, Live, Run},
};
use crate::{
    action::ActionKind,
    check::{Answer, Check, Handler, Purpose, Standing, Verdict},
    event::{FailReason, Outcome},
    ids::{ActionId, ContainerId},
    manifest::{
        DesiredPod,
        types::{self, LifecycleHandler, Probe},
    },
    time::Mono,
};
use std::collections::BTreeMap;

/// Longest time that a hook after the start may take, seconds. Kubelet has no such bound.
pub(crate) const POST_START_MAX_S: u64 = 3600;

/// What is known of a run.
#[derive(Debug, Default)]
pub(crate) struct Health {
    pub(crate) post_start: Hook,
    startup: Option<Probing>,
    liveness: Option<Probing>,
    readiness: Option<Probing>,
    /// Questions of probes as they were before: no answer counts, and none is asked beside them.
    stale: BTreeMap<Purpose, ActionId>,
    /// What the next agent would find.
    noted: Standing,
    noting: Option<ActionId>,
}

/// How far a lifecycle hook is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Hook {
    /// Its time has come.
    Due,
    /// It runs.
    Busy(ActionId),
    /// It does nothing until then.
    Asleep(Mono),
    /// It is over, or there is none.
    #[default]
    Over,
    /// It was for nothing, and the run with it: that does not come to be used any more.
    Failed,
}

/// One probe of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Probing {
    purpose: Purpose,
    /// Not before.
    due: Mono,
    busy: Option<ActionId>,
    /// The last answer, and how often in a row it was given.
    last: Option<bool>,
    row: u32,
    /// What was found: the last answer that was given often enough.
    found: Option<bool>,
}

/// What an answer leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Nothing that is not seen in the state.
    None,
    /// The container is to be restarted.
    Restart,
}

impl Probing {
    fn new(purpose: Purpose, due: Mono) -> Self {
        Self { purpose, due, busy: None, last: None, row: 0, found: None }
    }

    /// Takes in an answer.
    fn hear(&mut self, good: bool, probe: &Probe) -> Effect {
        self.row = if self.last == Some(good) { self.row.saturating_add(1) } else { 1 };
        self.last = Some(good);
        let needed = if good { probe.success_threshold } else { probe.failure_threshold };
        if self.row < needed.unwrap_or(1) {
            return Effect::None;
        }
        self.found = Some(good);
        let fatal = !good && self.purpose != Purpose::Readiness;
        if fatal { Effect::Restart } else { Effect::None }
    }
}

impl Health {
    /// Of a run that begins at this moment, or of which an earlier agent had noted so much.
    pub(crate) fn new(spec: &types::Container, at: Mono, noted: Standing) -> Self {
        let probing = |probe: &Option<Probe>, purpose| {
            let probe = probe.as_ref()?;
            Some(Probing::new(purpose, at.plus_s(u64::from(probe.initial_delay_seconds))))
        };
        let mut health = Self {
            post_start: if post_start(spec).is_some() && !noted.post_start { Hook::Due } else { Hook::Over },
            startup: probing(&spec.startup_probe, Purpose::Startup),
            liveness: probing(&spec.liveness_probe, Purpose::Liveness),
            readiness: probing(&spec.readiness_probe, Purpose::Readiness),
            noted,
            noting: None,
            stale: BTreeMap::new(),
        };
        if let Some(startup) = health.startup.as_mut().filter(|_| noted.started) {
            startup.found = Some(true);
        }
        if let Some(readiness) = health.readiness.as_mut().filter(|_| noted.ready) {
            readiness.found = Some(true);
        }
        health
    }

    /// Its hook is over, and its startup probe has succeeded.
    pub(crate) fn is_started(&self) -> bool {
        let up = self.startup.as_ref().is_none_or(|startup| startup.found == Some(true));
        self.post_start == Hook::Over && up
    }

    /// It can be used.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_started() && self.readiness.as_ref().is_none_or(|readiness| readiness.found == Some(true))
    }

    /// What the next agent would find is being written.
    pub(crate) fn is_being_noted(&self) -> bool {
        self.noting.is_some()
    }

    fn probing(&mut self, purpose: Purpose) -> Option<&mut Probing> {
        self.slot(purpose)?.as_mut()
    }

    fn slot(&mut self, purpose: Purpose) -> Option<&mut Option<Probing>> {
        match purpose {
            Purpose::Startup => Some(&mut self.startup),
            Purpose::Liveness => Some(&mut self.liveness),
            Purpose::Readiness => Some(&mut self.readiness),
            Purpose::PostStart | Purpose::PreStop => None,
        }
    }
}

fn post_start(spec: &types::Container) -> Option<&LifecycleHandler> {
    spec.lifecycle.as_ref()?.post_start.as_ref()
}

fn probe(spec: &types::Container, purpose: Purpose) -> Option<&Probe> {
    match purpose {
        Purpose::Startup => spec.startup_probe.as_ref(),
        Purpose::Liveness => spec.liveness_probe.as_ref(),
        Purpose::Readiness => spec.readiness_probe.as_ref(),
        Purpose::PostStart | Purpose::PreStop => None,
    }
}

/// The container's probes are others from now on, and it runs on: what was found stays until they have said otherwise,
/// and one that there was not stands for what the container was without it.
pub(super) fn revise(live: &mut Live, before: &types::Container, now: &types::Container, at: Mono) {
    wake(live, before, at);
    let (started, ready) = (live.health.is_started(), live.health.is_ready());
    for purpose in [Purpose::Startup, Purpose::Liveness, Purpose::Readiness] {
        let new = probe(now, purpose);
        if probe(before, purpose) == new {
            continue;
        }
        let Some(slot) = live.health.slot(purpose) else { continue };
        let old = slot.take();
        let found = match (&old, purpose) {
            (Some(old), _) => old.found,
            (None, Purpose::Startup) => Some(started).filter(|started| *started),
            (None, Purpose::Readiness) => Some(ready).filter(|ready| *ready),
            (None, _) => None,
        };
        *slot = new.map(|probe| {
            let due = live.at.mono.plus_s(u64::from(probe.initial_delay_seconds)).max(at);
            Probing { found, ..Probing::new(purpose, due) }
        });
        if let Some(asked) = old.and_then(|old| old.busy) {
            live.health.stale.insert(purpose, asked);
        }
    }
}

/// A hook that does nothing but sleep is over by the clock, also one that an earlier agent had begun.
fn wake(live: &mut Live, spec: &types::Container, at: Mono) {
    let Some(sleep) = post_start(spec).and_then(|hook| hook.sleep.as_ref()) else { return };
    let until = live.at.mono.plus_s(sleep.seconds.min(POST_START_MAX_S));
    if at >= until && matches!(live.health.post_start, Hook::Due | Hook::Asleep(_)) {
        live.health.post_start = Hook::Over;
    }
}

/// Asks the container what is to be asked now. `stops`: its pod is on its way out, so only whether it can be used
/// is of interest.
pub(crate) fn tend(
    pod: &DesiredPod,
    container: &mut Container,
    i: usize,
    stops: bool,
    planner: &mut Planner,
) {
    let Some(spec) = pod.pod.spec.all_containers().nth(i) else { return };
    let stops = stops || container.memory.doomed.is_some();
    let Run::Running(live) = &mut container.run else { return };
    let stops = stops || live.stop.is_some();
    if !stops && let Some(hook) = post_start(spec) {
        let asked = Asked { pod, spec, i, purpose: Purpose::PostStart };
        let (since, until) = (live.at.mono, planner.now.mono.plus_s(POST_START_MAX_S));
        asked.hook(&live.id, &mut live.health.post_start, hook, since, until, planner);
    }
    if live.health.post_start != Hook::Over {
        return;
    }
    let started = live.health.is_started();
    for purpose in [Purpose::Startup, Purpose::Liveness, Purpose::Readiness] {
        let wanted = match purpose {
            Purpose::Startup => !started && !stops,
            Purpose::Liveness => started && !stops,
            _ => started,
        };
        if wanted {
            let asked = Asked { pod, spec, i, purpose };
            asked.probe(live, planner);
        }
    }
    note(pod, live, i, planner);
}

/// Who is asked, and what for.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(super) pod: &'a DesiredPod,
    pub(super) spec: &'a types::Container,
    pub(super) i: usize,
    pub(super) purpose: Purpose,
}

impl Asked<'_> {
    fn probe(self, live: &mut Live, planner: &mut Planner) {
        let Some(probe) = probe(self.spec, self.purpose) else { return };
        if live.health.stale.contains_key(&self.purpose) {
            return;
        }
        let Some(probing) = live.health.probing(self.purpose) else { return };
        if probing.busy.is_some() || !planner.due(probing.due) {
            return;
        }
        let Some(handler) = Handler::of_probe(probe, self.spec) else { return };
        let timeout_s = u64::from(probe.timeout_seconds.unwrap_or(1));
        probing.due = planner.now.mono.plus_s(u64::from(probe.period_seconds.unwrap_or(10)).max(1));
        probing.busy = Some(self.ask(&live.id, handler, timeout_s, planner));
    }

    /// Brings a hook one step on. It sleeps from `since` on, and is given up at `until`.
    pub(super) fn hook(
        self,
        id: &ContainerId,
        state: &mut Hook,
        hook: &LifecycleHandler,
        since: Mono,
        until: Mono,
        planner: &mut Planner,
    ) {
        if *state == Hook::Due {
            let left_s = (until.since(planner.now.mono) / crate::time::NS_PER_S).max(1);
            *state = match (&hook.sleep, Handler::of_hook(hook, self.spec)) {
                (Some(sleep), _) => Hook::Asleep(since.plus_s(sleep.seconds).min(until)),
                (None, Some(handler)) => Hook::Busy(self.ask(id, handler, left_s, planner)),
                (None, None) => Hook::Over,
            };
        }
        if let Hook::Asleep(until) = state
            && planner.due(*until)
        {
            *state = Hook::Over;
        }
    }

    fn ask(self, id: &ContainerId, handler: Handler, timeout_s: u64, planner: &mut Planner) -> ActionId {
        let host_network = self.pod.pod.spec.host_network;
        let check = Check { purpose: self.purpose, handler, host_network, timeout_s };
        let kind = ActionKind::Check { id: id.clone(), check: Box::new(check) };
        let object = Object::Check(self.i, self.purpose, id.clone());
        planner.act(&self.pod.uid, object, Verb::Check, kind)
    }
}

/// Has noted what has changed of its standing, so that a new agent need not find it out.
fn note(pod: &DesiredPod, live: &mut Live, i: usize, planner: &mut Planner) {
    let health = &mut live.health;
    if health.startup.is_none() && health.readiness.is_none() || health.noting.is_some() {
        return;
    }
    let standing = Standing {
        started: health.startup.is_some() && health.is_started(),
        ready: health.readiness.is_some() && health.is_ready(),
        ..health.noted
    };
    if standing != health.noted {
        health.noted = standing;
        let kind = ActionKind::Note { id: live.id.clone(), started: standing.started, ready: standing.ready };
        let object = Object::Standing(i, live.id.clone());
        health.noting = Some(planner.act(&pod.uid, object, Verb::Note, kind));
    }
}

/// The standing is noted, or not: what the next agent does not find there it finds out.
pub(crate) fn noted(container: &mut Container, id: &ContainerId) {
    if let Run::Running(live) = &mut container.run
        && live.id == *id
    {
        live.health.noting = None;
    }
}

/// Takes in what came of a question to this run. `goes`: its pod is on its way out by now. True: something worth
/// remembering has changed.
pub(crate) fn answered(
    asked: Asked<'_>,
    goes: bool,
    container: &mut Container,
    id: &ContainerId,
    outcome: Outcome,
    planner: &mut Planner,
) -> bool {
    let Asked { pod, purpose, .. } = asked;
    let Run::Running(live) = &mut container.run else { return false };
    if live.id != *id {
        return false;
    }
    let answer = match outcome {
        Outcome::Checked(answer) => Ok(answer),
        Outcome::Failed(failure) if failure.reason == FailReason::Timeout => {
            Ok(Answer { verdict: Verdict::Failure, output: failure.message })
        }
        Outcome::Failed(failure) => Err(failure.message),
        other => Err(format!("unexpected answer {other:?}")),
    };
    match purpose {
        Purpose::PreStop => {
            if let Some(stop) = &mut live.stop {
                stop.hook = Hook::Over;
            }
            if !is_well(&answer) {
                planner.warn(pod, "FailedPreStopHook", "PreStopHook failed".to_owned());
            }
            false
        }
        Purpose::PostStart => {
            let well = is_well(&answer);
            live.health.post_start = if well { Hook::Over } else { Hook::Failed };
            if well || live.stop.is_some() {
                return false;
            }
            // What a hook says may be secret: it is not told.
            planner.warn(pod, "FailedPostStartHook", "PostStartHook failed".to_owned());
            planner.tell(pod, "Killing", "FailedPostStartHook".to_owned());
            container.memory.doomed = pod.pod.spec.termination_grace_period_seconds.or(Some(0));
            true
        }
        Purpose::Startup | Purpose::Liveness | Purpose::Readiness => {
            heard(asked, goes, container, answer, planner)
        }
    }
}

fn is_well(answer: &Result<Answer, String>) -> bool {
    answer.as_ref().is_ok_and(|answer| answer.verdict != Verdict::Failure)
}

fn heard(
    Asked { pod, spec, purpose, .. }: Asked<'_>,
    goes: bool,
    container: &mut Container,
    answer: Result<Answer, String>,
    planner: &mut Planner,
) -> bool {
    let Run::Running(live) = &mut container.run else { return false };
    if live.health.stale.remove(&purpose).is_some() {
        return false;
    }
    // A question may have been out when that began: a sidecar that is still to serve the others is not ended for it.
    let stops = goes || live.stop.is_some() || container.memory.doomed.is_some();
    let (Some(probe), Some(probing)) = (probe(spec, purpose), live.health.probing(purpose)) else {
        return false;
    };
    probing.busy = None;
    let kind = purpose.as_str();
    let good = match &answer {
        Err(why) => {
            planner.warn(
                pod,
                "Unhealthy",
                format!("{kind} probe errored and resulted in unknown state: {why}"),
            );
            return false;
        }
        Ok(Answer { verdict: Verdict::Success, .. }) => true,
        Ok(Answer { verdict: Verdict::Warning, output }) => {
            planner.warn(pod, "ProbeWarning", format!("{kind} probe warning: {output}"));
            true
        }
        Ok(Answer { verdict: Verdict::Failure, output }) => {
            planner.warn(pod, "Unhealthy", format!("{kind} probe failed: {output}"));
            false
        }
    };
    if probing.hear(good, probe) == Effect::None || stops {
        return false;
    }
    let again = if container.terms.restarts_unwell() { ", will be restarted" } else { "" };
    let what = kind.to_lowercase();
    planner.tell(pod, "Killing", format!("Container {} failed {what} probe{again}", container.name));
    let grace_s = pod.pod.spec.termination_grace_period_seconds.unwrap_or(0);
    container.memory.doomed = Some(probe.termination_grace_period_seconds.unwrap_or(grace_s));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_count_when_they_come_often_enough_in_a_row() {
        for (purpose, success, failure, answers, found, restarts) in [
            (Purpose::Readiness, 1, 3, "+", Some(true), 0),
            (Purpose::Readiness, 2, 3, "+", None, 0),
            (Purpose::Readiness, 2, 3, "+-+", None, 0),
            (Purpose::Readiness, 2, 3, "++", Some(true), 0),
            (Purpose::Readiness, 1, 3, "+--", Some(true), 0),
            (Purpose::Readiness, 1, 3, "+---", Some(false), 0),
            (Purpose::Readiness, 1, 1, "-+", Some(true), 0),
            (Purpose::Liveness, 1, 3, "--+--", Some(true), 0),
            (Purpose::Liveness, 1, 3, "---", Some(false), 1),
            (Purpose::Liveness, 1, 1, "-", Some(false), 1),
            (Purpose::Startup, 1, 2, "-+", Some(true), 0),
            (Purpose::Startup, 1, 2, "--", Some(false), 1),
        ] {
            let probe = Probe {
                success_threshold: Some(success),
                failure_threshold: Some(failure),
                ..Probe::default()
            };
            let mut probing = Probing::new(purpose, Mono(0));
            let effects = answers.chars().map(|answer| probing.hear(answer == '+', &probe));
            let effects = effects.filter(|effect| *effect == Effect::Restart).count();
            assert_eq!((probing.found, effects), (found, restarts), "{purpose:?} {answers}");
        }
    }
}
