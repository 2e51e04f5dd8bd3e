//! `v1.ContainerStatus`: state, last state, and why a container waits, in kubelet's words.

use crate::{
    event::{EndReason, FailReason, LastRun},
    manifest::types,
    time::{Mono, Now},
    world::{
        World,
        parts::{Container, Image, Pod, Role, Run, Stage, crash_delay_s, is_forgotten, restart_at},
    },
};
use serde_json::{Value, json};

/// Of an init container that had succeeded before what is remembered of it.
const FORGOTTEN: &str = "its end is not remembered; what came after it shows that it succeeded";

pub(super) fn show(
    world: &World,
    pod: &Pod,
    spec: &types::Container,
    container: &Container,
    now: Now,
) -> Value {
    let image = pod.images.get(container.image);
    let facts = match &container.run {
        Run::Running(live) => Some(&live.image),
        _ => image.and_then(|image| image.facts.as_ref()),
    };
    let forgotten = is_forgotten(pod, container);
    let ready = match container.terms.role {
        Role::Init => container.is_completed() && container.last_code() == Some(0) || forgotten,
        Role::Sidecar | Role::Main => container.is_ready(),
    };
    let ended = has_ended(pod, container);
    let last = container.memory.last.as_ref();
    let state = match &container.run {
        Run::Running(live) if !container.is_hooked() => running_since(live.at),
        // Its kill is on the way; its end is not known yet.
        Run::Remains(left) if !left.recorded && container.memory.running.is_some() => {
            running_since(left.birth.asked)
        }
        _ if forgotten => json!({"terminated": {"exitCode": 0, "reason": "Completed", "message": FORGOTTEN}}),
        _ => match last {
            Some(last) if ended => json!({"terminated": terminated(last)}),
            _ => json!({"waiting": waiting(world, pod, missing_image(pod, container), container, now)}),
        },
    };
    let id = container.current_id().or(last.map(|last| &last.id));
    let mut shown = json!({
        "name": container.name,
        "image": spec.image,
        "imageID": facts.map(|facts| facts.id.as_str()).unwrap_or_default(),
        "ready": ready,
        "started": container.is_started(),
        "restartCount": container.restarts(),
        "state": state,
        "lastState": {},
    });
    let of_spec = &spec.resources;
    let given = container.given.as_ref().map_or(of_spec, |given| &given.resources);
    if *given != types::Resources::default() {
        shown["resources"] = json!(given);
    }
    if !of_spec.requests.is_empty() {
        shown["allocatedResources"] = json!(of_spec.requests);
    }
    if container.place.exclusive {
        let own = container.place.cpus.iter();
        let own: Vec<Value> =
            own.map(|cpu| json!({"resourceID": cpu.to_string(), "health": "Healthy"})).collect();
        shown["allocatedResourcesStatus"] = json!([{"name": "cpu", "resources": own}]);
    }
    if let Some(id) = id {
        shown["containerID"] = json!(container_id(&id.0));
    }
    if let Some(last) = last.filter(|_| !ended) {
        shown["lastState"] = json!({"terminated": terminated(last)});
    }
    shown
}

/// The first of the images it needs that could not be had.
fn missing_image<'a>(pod: &'a Pod, container: &Container) -> Option<&'a Image> {
    container.images().filter_map(|i| pod.images.get(i)).find(|image| image.failure.is_some())
}

fn running_since(at: Now) -> Value {
    json!({"running": {"startedAt": at.wall.rfc3339()}})
}

fn container_id(id: &str) -> String {
    format!("berth://{id}")
}

/// Its last end is its present state: it stays so, or what is left of the run is just being cleared.
fn has_ended(pod: &Pod, container: &Container) -> bool {
    match &container.run {
        Run::Remains(left) if left.recorded => true,
        Run::Idle if matches!(pod.stage, Stage::Terminating { .. }) || pod.is_finished() => true,
        _ => container.is_completed(),
    }
}

fn terminated(last: &LastRun) -> Value {
    let exit = &last.exit;
    let reason = match last.reason {
        EndReason::StartError => "StartError",
        EndReason::Unknown => "ContainerStatusUnknown",
        EndReason::Exited if exit.oom => "OOMKilled",
        EndReason::Exited if exit.code == 0 => "Completed",
        EndReason::Exited => "Error",
    };
    let mut shown = json!({
        "exitCode": exit.code,
        "reason": reason,
        "startedAt": last.started.wall.rfc3339(),
        "finishedAt": exit.at.wall.rfc3339(),
        "containerID": container_id(&last.id.0),
    });
    if exit.signal != 0 {
        shown["signal"] = json!(exit.signal);
    }
    if !last.message.is_empty() {
        shown["message"] = json!(last.message);
    }
    shown
}

fn waiting(world: &World, pod: &Pod, image: Option<&Image>, container: &Container, now: Now) -> Value {
    let (reason, message) = why_waiting(world, pod, image, container, now);
    let mut shown = json!({"reason": reason});
    if !message.is_empty() {
        shown["message"] = json!(message);
    }
    shown
}

fn why_waiting(
    world: &World,
    pod: &Pod,
    image: Option<&Image>,
    container: &Container,
    now: Now,
) -> (&'static str, String) {
    if let Some(evicted) = pod.eviction().filter(|_| pod.refusal.is_none()) {
        return (evicted.cause.as_str(), evicted.message.clone());
    }
    if let Some(refusal) = &pod.refusal {
        return (refusal.reason, refusal.message.clone());
    }
    if pod.stage == Stage::Queued {
        let message = "waits until the older revision of the pod is gone";
        return (nothing_yet(pod), message.to_owned());
    }
    let max_s = world.crash_backoff_max_s();
    let restart_at = restart_at(&container.memory, max_s);
    if matches!(container.run, Run::Idle) && restart_at > now.mono && restart_at != Mono(0) {
        let wait_s = crash_delay_s(&container.memory, max_s);
        let (name, key) = (&container.name, &pod.desired.key);
        let message = format!("back-off {wait_s}s restarting failed container={name} pod={key}");
        return ("CrashLoopBackOff", message);
    }
    if let Some((image, failure)) = image.and_then(|image| Some((image, image.failure.as_ref()?))) {
        let pausing = image.busy.is_none() && failure.reason == FailReason::ErrImagePull;
        return if pausing {
            let message = format!("Back-off pulling image \"{}\": {}", image.reference, failure.message);
            ("ImagePullBackOff", message)
        } else {
            (failure.reason.as_str(), failure.message.clone())
        };
    }
    if let Some(failure) = &container.failure {
        return (failure.reason.as_str(), failure.message.clone());
    }
    if let Some(failure) = &pod.sandbox.failure {
        return (nothing_yet(pod), failure.message.clone());
    }
    (nothing_yet(pod), String::new())
}

/// How kubelet calls the state of a container of which there is nothing to tell.
fn nothing_yet(pod: &Pod) -> &'static str {
    if pod.has_init() { "PodInitializing" } else { "ContainerCreating" }
}
