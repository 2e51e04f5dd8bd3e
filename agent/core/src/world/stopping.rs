//! How processes are stopped. Of a pod: first all hooks before the stop, side by side, then stop signals to all but
//! the sidecars, to the sidecars from the last to the first, each when nothing is left that it may serve; kills
//! when the grace is over. Of a single container that is unwell: the same, for itself alone.
//!
//! Invariants: a process that runs is not killed before its grace is over, counted from its hook or, without one, from
//! its stop signal (a sidecar's from the moment at which the pod began to stop), and where that came late
//! [`GRACE_MIN_S`] from its signal; a hook is begun once; a sidecar is not signalled while a container that it serves
//! may run, unless the pod's grace is over.

use super::{
    container,
    health::{Asked, Hook},
    inflight::{Object, Verb},
    planner::Planner,
    state::{Birth, Container, Pod, Remains, Run, Stop},
    terms::Role,
};
use crate::{
    action::ActionKind,
    check::Purpose,
    manifest::{DesiredPod, types},
    signal,
    time::Mono,
};

/// What a process has at least between its stop signal and the kill if its turn came late, seconds; kubelet's.
pub(super) const GRACE_MIN_S: u64 = 2;
/// A stop that takes longer than this, in seconds, is remembered, so that an agent that is killed meanwhile does
/// not count the grace anew; most are over before, and cost no write.
const KEPT_AFTER_S: u64 = 1;

/// How a container is to be stopped.
#[derive(Debug, Clone, Copy)]
struct Order {
    grace_s: u64,
    /// Since when its pod stops, or it alone.
    since: Mono,
    /// It may be signalled.
    turn: bool,
    /// Its grace ends no earlier than then: a sidecar's.
    not_before: Option<Mono>,
}

/// Stops all that runs of a pod that is to stop since `since`.
pub(crate) fn all(pod: &mut Pod, since: Mono, planner: &mut Planner) {
    let grace_s = pod.grace_s();
    let over = since.plus_s(grace_s);
    // Whether anything of what is looked at later in the order of stopping may run: from the last to the first.
    let mut served = pod.containers.iter().any(|c| c.terms.role != Role::Sidecar && c.may_run());
    for (i, container) in pod.containers.iter_mut().enumerate().rev() {
        container::give_up_adopting(container, planner);
        let sidecar = container.terms.role == Role::Sidecar;
        let doomed = container.memory.doomed;
        let turn = !sidecar || !served || doomed.is_some() || planner.now.mono >= over;
        let order = Order {
            // What it was given as unwell counts from an earlier moment, and can only shrink.
            grace_s: doomed.map_or(grace_s, |doomed_s| doomed_s.min(grace_s)),
            since,
            turn,
            not_before: (sidecar && doomed.is_none()).then_some(over),
        };
        stop(&pod.desired, container, i, order, planner);
        if sidecar {
            if !turn && matches!(container.run, Run::Running(_)) {
                planner.wake_at(over);
            }
            served |= container.may_run();
        }
    }
    let lasts = || pod.containers.iter().any(Container::may_run);
    if !pod.stop_kept && lasts() && planner.due(since.plus_s(KEPT_AFTER_S)) {
        pod.stop_kept = true;
        pod.memory.touch();
    }
}

/// Stops a container that is unwell, of a pod that is to go on.
pub(crate) fn doomed(pod: &DesiredPod, container: &mut Container, i: usize, planner: &mut Planner) {
    let Some(grace_s) = container.memory.doomed else { return };
    let since = planner.now.mono;
    let order = Order { grace_s, since, turn: true, not_before: None };
    stop(pod, container, i, order, planner);
}

/// Brings the stopping of a running process one step on; when its grace is over it becomes remains, to be killed.
fn stop(pod: &DesiredPod, container: &mut Container, i: usize, order: Order, planner: &mut Planner) {
    let Some(spec) = pod.pod.spec.all_containers().nth(i) else { return };
    let Run::Running(live) = &mut container.run else { return };
    let hook = spec.lifecycle.as_ref().and_then(|hooks| hooks.pre_stop.as_ref());
    let hook = hook.filter(|_| order.grace_s > 0);
    if live.stop.is_none() {
        if !order.turn && hook.is_none() {
            return;
        }
        if container.memory.doomed.is_none() {
            planner.tell(pod, "Killing", format!("Stopping container {}", container.name));
        }
        container.retry.clear();
        // A sleep is told nobody, so it may be begun again. Of another one that an earlier agent has begun nobody hears
        // any more when it is over: it has all of the grace, which began with the stop if the container ran already.
        let begun = hook.is_some_and(|hook| hook.sleep.is_none()) && live.pre_stop;
        let since = if begun && live.at.mono < order.since { order.since } else { planner.now.mono };
        let hook = match hook {
            None => Hook::Over,
            Some(_) if begun => Hook::Asleep(since.plus_s(order.grace_s)),
            Some(_) => Hook::Due,
        };
        live.stop = Some(Stop { since, hook, signalled: None, delivered: false });
    }
    let Some(stop) = &mut live.stop else { return };
    let mut over = stop.since.plus_s(order.grace_s);
    if let Some(hook) = hook {
        let asked = Asked { pod, spec, i, purpose: Purpose::PreStop };
        asked.hook(&live.id, &mut stop.hook, hook, order.since, over, planner);
    }
    if stop.hook != Hook::Over {
        if !planner.due(over) {
            return;
        }
        stop.hook = Hook::Over;
    }
    if !order.turn {
        return;
    }
    let signalled = *stop.signalled.get_or_insert(planner.now.mono);
    over = order.not_before.unwrap_or(over);
    if order.grace_s > 0 && (hook.is_some() || order.not_before.is_some()) {
        over = over.max(signalled.plus_s(GRACE_MIN_S));
    }
    let delivered = stop.delivered;
    if container.busy.is_some() {
        // The signal's deadline is no later than the end of the grace.
    } else if planner.due(over) {
        let birth = Birth { id: live.id.clone(), attempt: live.attempt, asked: live.at };
        container.retry.clear();
        container.run = Run::Remains(Remains::doubtful(birth));
    } else if !delivered && planner.due(container.retry.at) {
        let signal = signal::number(stop_signal(spec, &live.image.stop_signal));
        let kind = ActionKind::Signal { id: live.id.clone(), signal };
        let deadline = planner.now.mono.plus_s(planner.config.deadlines.signal_s).min(over);
        container.busy =
            Some(planner.act_until(&pod.uid, Object::Container(i), Verb::Signal, kind, deadline));
    }
}

/// The manifest's, else the image's.
fn stop_signal<'a>(spec: &'a types::Container, of_image: &'a str) -> &'a str {
    spec.lifecycle.as_ref().and_then(|hooks| hooks.stop_signal.as_deref()).unwrap_or(of_image)
}

impl Container {
    /// A process of it may be alive.
    pub(super) fn may_run(&self) -> bool {
        match &self.run {
            Run::Idle => false,
            Run::Remains(left) => !left.killed && !left.recorded,
            Run::Starting(_) | Run::Adopting { .. } | Run::Running(_) => true,
        }
    }
}
