//! One container of a pod that is to run: clearing its last run, and deciding about the next.
//!
//! Invariants: a start is planned only when nothing of an earlier run is left, no earlier than its
//! back-off allows, and never for a container that has completed.

use super::{
    backoff, devices, health,
    inflight::{Object, Verb},
    order,
    planner::Planner,
    remains, resize,
    state::{Birth, Container, Pod, Remains, Run},
    stopping,
};
use crate::{action::ActionKind, ids::ContainerId};
use std::sync::Arc;

/// What can be said of a container's next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It is time.
    Now,
    /// Not now, and nobody need wait for it.
    Later,
    /// It is about to start: the containers behind it wait for it.
    First,
}

/// Looks after the run that there is, or clears what is left of the last one. `stops`: the pod is on its way out.
pub(crate) fn tend(pod: &mut Pod, i: usize, stops: bool, planner: &mut Planner) {
    let Some(container) = pod.containers.get_mut(i) else { return };
    give_up_adopting(container, planner);
    health::tend(&pod.desired, container, i, stops, planner);
    stopping::doomed(&pod.desired, container, i, planner);
    if let Run::Remains(left) = &container.run
        && pod.memory.has(left.gate)
    {
        let (uid, object) = (&pod.desired.uid, Object::Container(i));
        remains::clear(left, &mut container.busy, container.retry, uid, object, planner);
    }
}

/// A start of an earlier agent that nobody has spoken of for too long counts as lost.
pub(crate) fn give_up_adopting(container: &mut Container, planner: &mut Planner) {
    if let Run::Adopting { birth, until } = &container.run
        && planner.due(*until)
    {
        container.run = Run::Remains(Remains::doubtful(birth.clone()));
    }
}

/// It is idle and should not be, now or when its turn comes.
pub(crate) fn is_due(container: &Container) -> bool {
    matches!(container.run, Run::Idle) && !container.is_completed()
}

/// Whether the container may start, as far as it and its image decide. Tells of a back-off that begins.
pub(crate) fn readiness(pod: &mut Pod, i: usize, planner: &mut Planner) -> Readiness {
    let Some(container) = pod.containers.get(i) else { return Readiness::Later };
    if matches!(container.run, Run::Starting(_) | Run::Adopting { .. }) || container.is_hooked() {
        return Readiness::First;
    }
    if !is_due(container) || !order::is_turn_of(pod, i) {
        return Readiness::Later;
    }
    let restart_at = backoff::restart_at(&container.memory, planner.config.crash_backoff_max_s);
    if !planner.due(restart_at) {
        tell_backoff(pod, i, planner);
        return Readiness::Later;
    }
    if !planner.due(container.start.at) || container.crowded || !devices::are_there(pod, i, planner) {
        return Readiness::Later;
    }
    let Some(container) = pod.containers.get(i) else { return Readiness::Later };
    let mut missing = container.images().filter_map(|i| pod.images.get(i)).filter(|i| i.facts.is_none());
    match missing.next() {
        None => Readiness::Now,
        Some(image) if image.retry.failures == 0 => Readiness::First,
        Some(_) => Readiness::Later,
    }
}

fn tell_backoff(pod: &mut Pod, i: usize, planner: &mut Planner) {
    let Some(container) = pod.containers.get_mut(i) else { return };
    let attempt = container.memory.next_attempt;
    if container.backoff_told.replace(attempt) != Some(attempt) {
        let message =
            format!("Back-off restarting failed container {} in pod {}", container.name, pod.desired.key);
        planner.warn(&pod.desired, "BackOff", message);
    }
}

/// Plans the start.
pub(crate) fn start(pod: &mut Pod, i: usize, boot_id: &str, planner: &mut Planner) {
    let given = resize::wanted(pod, i);
    let Some(container) = pod.containers.get_mut(i) else { return };
    let Some(facts) = pod.images.get(container.image).and_then(|image| image.facts.as_ref()) else { return };
    let attempt = container.memory.next_attempt;
    // The moment makes it unlike the id of every other try, so that late news of one is never taken for
    // news of another.
    let salt = format!("{boot_id}/{}", planner.now.mono.0);
    let id = ContainerId::derive(&pod.desired.uid, &container.name, attempt, &salt);
    let kind = ActionKind::StartContainer {
        desired: Box::new(pod.desired.clone()),
        container: container.name.clone(),
        attempt,
        id: id.clone(),
        image: Box::new(crate::action::ImageFacts::clone(Arc::as_ref(facts))),
        volumes: container
            .volumes
            .iter()
            .filter_map(|(name, i)| Some((name.clone(), (**pod.images.get(*i)?.facts.as_ref()?).clone())))
            .collect(),
        objects: planner.objects_of(&pod.desired),
        devices: container.grants.clone(),
        place: container.place.clone(),
    };
    container.given = given;
    container.run = Run::Starting(Birth { id, attempt, asked: planner.now });
    container.retry.clear();
    container.busy = Some(planner.act(&pod.desired.uid, Object::Container(i), Verb::Start, kind));
}
