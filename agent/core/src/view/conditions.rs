//! `v1.PodCondition`s, each with the time since when it is so.

use super::status;
use crate::{
    event::Cause,
    time::Wall,
    world::parts::{
        Condition, GONE, NOT_ENFORCED, Pod, Role, UNASKED, incomplete, resize_in_progress, unasked,
    },
};
use serde_json::{Value, json};

pub(super) fn show(pod: &Pod) -> Vec<Value> {
    let known = &pod.conditions;
    let always = Condition { holds: true, since: known.created };
    let phase = status::phase(pod);
    let why = not_ready(pod, phase);
    let initialised = if pod.has_init() { known.initialised } else { always };
    let mut initialised = condition("Initialized", initialised, not_initialised(pod));
    if phase == "Succeeded" {
        initialised["reason"] = json!(COMPLETED);
    }
    let mut shown = vec![
        condition("PodReadyToStartContainers", known.sandbox, None),
        initialised,
        condition("Ready", known.ready, why.clone()),
        condition("ContainersReady", known.ready, why),
        condition("PodScheduled", always, None),
    ];
    if let Some(problem) = &pod.problem {
        let why = ("ManifestInvalid", format!("the last good revision is kept: {problem}"));
        shown.push(condition("ManifestValid", known.valid, Some(why)));
    }
    if let Some(evicted) = pod.eviction() {
        let since = Condition { holds: true, since: evicted.at.wall };
        let reason = match evicted.cause {
            Cause::Evicted => "TerminationByKubelet",
            Cause::Preempting => "PreemptionByScheduler",
        };
        let mut target = condition("DisruptionTarget", since, None);
        (target["reason"], target["message"]) = (json!(reason), json!(evicted.message));
        shown.push(target);
    }
    if let Some((reason, message)) = pod.wants.as_ref().and_then(|wants| wants.refusal.as_ref()) {
        shown.push(resize("PodResizePending", known.pending, Some((reason, message.clone()))));
    }
    if let Some(error) = resize_in_progress(pod) {
        shown.push(resize("PodResizeInProgress", known.resizing, error.map(|error| ("Error", error))));
    }
    if pod.restarting {
        shown.push(condition("AllContainersRestarting", known.restarting, None));
    }
    let without: Vec<&str> = pod.not_enforced.iter().chain(&pod.unheld).map(String::as_str).collect();
    if !without.is_empty() {
        let why = (NOT_ENFORCED, without.join("; "));
        shown.push(condition("SpecEnforced", known.enforced, Some(why)));
    }
    let lost = pod.containers.iter().flat_map(|container| container.lost.values());
    let lost: Vec<&str> = lost.map(String::as_str).collect();
    if !lost.is_empty() {
        shown.push(condition("DevicesPresent", known.devices, Some((GONE, lost.join("; ")))));
    }
    let images = pod.images.iter().flat_map(|image| &image.facts);
    let unasked: Vec<String> =
        images.filter(|facts| !facts.unasked.is_empty()).map(|facts| self::unasked(facts)).collect();
    if !unasked.is_empty() {
        shown.push(condition("ImagesCurrent", known.images, Some((UNASKED, unasked.join("; ")))));
    }
    shown
}

/// Of a resize, which has a reason though it holds.
fn resize(kind: &str, condition: Condition, why: Option<(&'static str, String)>) -> Value {
    let mut shown = self::condition(kind, Condition { holds: true, ..condition }, None);
    if let Some((reason, message)) = why {
        (shown["reason"], shown["message"]) = (json!(reason), json!(message));
    }
    shown
}

/// The reason of conditions of a pod that has succeeded.
const COMPLETED: &str = "PodCompleted";

/// Why a pod is not ready, as kubelet says it: by its phase when it has come to its end.
fn not_ready(pod: &Pod, phase: &str) -> Option<(&'static str, String)> {
    match phase {
        "Succeeded" => return Some((COMPLETED, String::new())),
        "Failed" => return Some(("PodFailed", String::new())),
        _ => {}
    }
    let lasting = pod.containers.iter().filter(|container| container.terms.role != Role::Init);
    let not = lasting.filter(|container| !container.is_ready());
    let names: Vec<&str> = not.map(|container| container.name.as_str()).collect();
    let message = format!("containers with unready status: [{}]", names.join(" "));
    (!names.is_empty()).then_some(("ContainersNotReady", message))
}

/// Which init containers are still to do their part, as kubelet says it.
fn not_initialised(pod: &Pod) -> Option<(&'static str, String)> {
    let names = incomplete(pod);
    let message = format!("containers with incomplete status: [{}]", names.join(" "));
    (!names.is_empty()).then_some(("ContainersNotInitialized", message))
}

fn condition(kind: &str, condition: Condition, why: Option<(&'static str, String)>) -> Value {
    let Condition { holds, since } = condition;
    let mut shown = json!({
        "type": kind,
        "status": if holds { "True" } else { "False" },
        "lastProbeTime": null,
        "lastTransitionTime": time(since),
    });
    if let (false, Some((reason, message))) = (holds, why) {
        shown["reason"] = json!(reason);
        if !message.is_empty() {
            shown["message"] = json!(message);
        }
    }
    shown
}

fn time(wall: Wall) -> String {
    wall.rfc3339()
}
