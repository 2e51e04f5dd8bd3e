//! Answers: what a finished action changes.
//!
//! Invariants: an answer acts only on the object whose `busy` it ends; an answer of the wrong kind is a
//! failure of the hand, not of the pod; no answer plans anything (the pass that follows does).

use super::{
    World,
    backoff::{PULL, RETRY},
    exits,
    health::{self, Asked},
    in_place,
    inflight::{Flight, Object, Verb},
    lacking,
    planner::Planner,
    pressure, remains, remember, resize, restart_all,
    state::{Birth, Live, Pod, Remains, Run, Stage},
    storage,
};
use crate::{
    action::ImageFacts,
    check::{Purpose, Standing},
    event::{FailReason, Failure, Outcome},
    ids::{ActionId, ContainerId},
    time::Now,
};
use std::sync::Arc;

/// An answer came.
pub(crate) fn answered(world: &mut World, action: ActionId, outcome: &Outcome, planner: &mut Planner) {
    match planner.flights.land(action) {
        Some(flight) => landed(world, &flight, outcome.clone(), planner),
        None => {
            if let Outcome::Started { .. } = outcome
                && let Some(late) = planner.flights.late_start(action)
            {
                let birth = Birth { id: late.id, attempt: 0, asked: planner.now };
                unexpected(world, birth, late.pod);
            }
        }
    }
}

/// No answer came in time.
pub(crate) fn expired(world: &mut World, flight: &Flight, planner: &mut Planner) {
    let message = "no answer within its deadline".to_owned();
    landed(world, flight, Outcome::Failed(Failure { reason: FailReason::Timeout, message }), planner);
}

fn landed(world: &mut World, flight: &Flight, outcome: Outcome, planner: &mut Planner) {
    match &flight.object {
        Object::Orphan(id) => {
            world.orphans.container_answered(id, flight.verb, &plain(outcome), planner);
        }
        Object::Stray => world.orphans.stray_answered(&flight.pod, &plain(outcome), planner),
        Object::Node => pressure::answered(world, flight.verb, outcome, planner),
        object => {
            let Some(pod) = world.pods.get_mut(&flight.pod) else { return };
            match object {
                Object::Image(i) => image(pod, *i, outcome, planner),
                Object::Sandbox => sandbox(pod, flight.verb, outcome, planner),
                Object::Container(i) if flight.verb == Verb::Start => start(pod, *i, outcome, planner),
                Object::Container(i) => container(pod, *i, flight.verb, &plain(outcome), planner),
                Object::Resources => resize::answered(pod, outcome, planner),
                Object::Storage => storage::answered(pod, outcome, planner),
                Object::Check(i, purpose, id) => checked(pod, *i, *purpose, id, outcome, planner),
                Object::Standing(i, id) => {
                    pod.containers.get_mut(*i).into_iter().for_each(|container| health::noted(container, id));
                }
                _ => remember::answered(pod, flight.verb, plain(outcome), planner),
            }
        }
    }
}

fn checked(
    pod: &mut Pod,
    i: usize,
    purpose: Purpose,
    id: &ContainerId,
    outcome: Outcome,
    planner: &mut Planner,
) {
    let goes = matches!(pod.stage, Stage::Terminating { .. }) || pod.is_finished();
    let (Some(container), Some(spec)) =
        (pod.containers.get_mut(i), pod.desired.pod.spec.all_containers().nth(i))
    else {
        return;
    };
    let asked = Asked { pod: &pod.desired, spec, i, purpose };
    if health::answered(asked, goes, container, id, outcome, planner) {
        pod.memory.touch();
    }
}

/// The answer to an action that only works or does not.
fn plain(outcome: Outcome) -> Result<(), Failure> {
    match outcome {
        Outcome::Ok => Ok(()),
        other => Err(failure(other)),
    }
}

fn failure(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        other => Failure { reason: FailReason::Internal, message: format!("unexpected answer {other:?}") },
    }
}

/// The reason of an image that may be older than its registry's.
pub(crate) const UNASKED: &str = "RegistryUnreachable";

/// What is told of such an image.
pub(crate) fn unasked(facts: &ImageFacts) -> String {
    format!("Container image \"{}\" is the one that is here: {}", facts.reference, facts.unasked)
}

fn image(pod: &mut Pod, i: usize, outcome: Outcome, planner: &mut Planner) {
    let Some(image) = pod.images.get_mut(i) else { return };
    image.busy = None;
    if let Outcome::Image(facts) = outcome {
        planner.tell(&pod.desired, "Pulled", format!("Container image \"{}\" is ready", image.reference));
        if !facts.unasked.is_empty() {
            planner.warn(&pod.desired, UNASKED, unasked(&facts));
        }
        image.facts = Some(Arc::new(*facts));
        image.retry.clear();
        image.failure = None;
        return;
    }
    let failure = failure(outcome);
    let message = format!("Failed to pull image \"{}\": {}", image.reference, failure.message);
    planner.warn(&pod.desired, "Failed", message);
    image.retry.failed(planner.now.mono, PULL);
    image.failure = Some(failure);
}

fn sandbox(pod: &mut Pod, verb: Verb, outcome: Outcome, planner: &mut Planner) {
    let sandbox = &mut pod.sandbox;
    sandbox.busy = None;
    let (asked, asked_pod) = (sandbox.files.asked.take(), sandbox.asked.take());
    let result = match outcome {
        Outcome::Sandbox { ips } if verb == Verb::Create => {
            sandbox.ips = ips;
            Ok(())
        }
        other => plain(other),
    };
    match verb {
        Verb::Refresh => return lacking::refreshed(pod, asked, result, planner),
        Verb::Update => return in_place::recorded(pod, asked_pod, result, planner),
        _ => {}
    }
    match result {
        Ok(()) => {
            sandbox.files.written = asked;
            sandbox.recorded = asked_pod;
            sandbox.retry.clear();
            sandbox.failure = None;
            sandbox.made |= verb == Verb::Create;
            sandbox.removed |= verb == Verb::Remove;
        }
        Err(failure) => {
            let (reason, what) = match verb {
                Verb::Create => ("FailedCreatePodSandBox", "Failed to create pod sandbox"),
                _ => ("FailedKillPod", "Failed to remove pod sandbox"),
            };
            planner.warn(&pod.desired, reason, format!("{what}: {}", failure.message));
            sandbox.retry.failed(planner.now.mono, RETRY);
            sandbox.failure = Some(failure);
        }
    }
}

fn start(pod: &mut Pod, i: usize, outcome: Outcome, planner: &mut Planner) {
    let Some(container) = pod.containers.get_mut(i) else { return };
    container.busy = None;
    match outcome {
        Outcome::Started { pid, at } => started(pod, i, pid, at, planner),
        other => start_failed(pod, i, failure(other), planner),
    }
}

/// The container's process runs: by an answer, or told by the keeper for a start of an earlier agent.
pub(crate) fn started(pod: &mut Pod, i: usize, pid: u32, at: Now, planner: &mut Planner) {
    let Some(container) = pod.containers.get_mut(i) else { return };
    let birth = match &mut container.run {
        Run::Starting(birth) | Run::Adopting { birth, .. } => birth.clone(),
        Run::Remains(left) if left.recorded => {
            // The exit was told first; now it is known since when it had run.
            if let Some(last) = container.memory.last.as_mut().filter(|last| last.id == left.birth.id) {
                last.started = at;
            }
            return;
        }
        _ => return,
    };
    let kept = &mut container.memory;
    kept.next_attempt = kept.next_attempt.max(birth.attempt.saturating_add(1));
    kept.running = Some(at);
    kept.doomed = None;
    pod.memory.touch();
    container.start.clear();
    container.failure = None;
    planner.tell(&pod.desired, "Created", format!("Created container {}", container.name));
    planner.tell(&pod.desired, "Started", format!("Started container {}", container.name));
    let image = pod.images.get(container.image).and_then(|image| image.facts.clone()).unwrap_or_default();
    let Some(spec) = pod.desired.pod.spec.all_containers().nth(i) else { return };
    let live = Live::new(birth.id, birth.attempt, pid, at, image, spec, Standing::default());
    container.run = Run::Running(live);
    restart_all::started(pod, i);
}

/// The start did not work: by an answer or for want of one, or told by the keeper.
pub(crate) fn start_failed(pod: &mut Pod, i: usize, failure: Failure, planner: &mut Planner) {
    let Some(container) = pod.containers.get_mut(i) else { return };
    let birth = match &container.run {
        Run::Starting(birth) | Run::Adopting { birth, .. } => birth.clone(),
        _ => return,
    };
    planner.warn(&pod.desired, "Failed", format!("Error: {}", failure.message));
    let (schedule, left) = match failure.reason {
        FailReason::RunContainerError => {
            let now = planner.now;
            exits::start_error(container, &mut pod.memory, &birth, &failure.message, now);
            container.memory.again &= pod.restarting;
            return;
        }
        FailReason::Timeout => (RETRY, Remains::doubtful(birth)),
        FailReason::Lost | FailReason::Internal => (RETRY, Remains::unknown(birth)),
        _ => (PULL, Remains::dead(birth)),
    };
    container.start.failed(planner.now.mono, schedule);
    container.failure = Some(failure);
    container.retry.clear();
    container.run = Run::Remains(left);
}

fn container(pod: &mut Pod, i: usize, verb: Verb, result: &Result<(), Failure>, planner: &mut Planner) {
    let Some(container) = pod.containers.get_mut(i) else { return };
    container.busy = None;
    match &mut container.run {
        Run::Running(live) => match (verb, result, &mut live.stop) {
            (Verb::Signal, Ok(()), Some(stop)) => {
                stop.delivered = true;
                container.memory.stop = Some(stop.since);
                if pod.stop_kept || container.memory.doomed.is_some() {
                    pod.memory.touch();
                }
            }
            (Verb::Signal, Err(_), _) => container.retry.failed(planner.now.mono, RETRY),
            _ => {}
        },
        Run::Remains(left) => {
            if remains::cleared(left, &mut container.retry, verb, result, planner.now) {
                container.retry.clear();
                container.run = Run::Idle;
            } else if let (Verb::Remove, Err(failure)) = (verb, result) {
                let message = format!("Failed to remove container {}: {}", container.name, failure.message);
                planner.warn(&pod.desired, "FailedKillPod", message);
            }
        }
        Run::Idle | Run::Starting(_) | Run::Adopting { .. } => {}
    }
}

/// A process runs that nobody waits for: a start that was taken for lost, or of an agent before this one.
pub(crate) fn unexpected(world: &mut World, birth: Birth, pod: crate::ids::PodUid) {
    for container in world.pods.values_mut().flat_map(|pod| &mut pod.containers) {
        if container.current_id() == Some(&birth.id) {
            if let Run::Remains(left) = &mut container.run
                && !left.recorded
            {
                left.killed = false;
                left.may_tell = true;
            }
            return;
        }
    }
    if !world.orphans.has(&birth.id) {
        world.orphans.add(pod, birth, true);
    }
}

/// Where a container is: its pod and its place in it.
pub(crate) fn find<'a>(world: &'a mut World, id: &ContainerId) -> Option<(&'a mut Pod, usize)> {
    world.pods.values_mut().find_map(|pod| {
        let i = pod.containers.iter().position(|container| container.current_id() == Some(id))?;
        Some((pod, i))
    })
}
