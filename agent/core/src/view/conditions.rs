//! `v1.PodCondition`s, each with the time since when it is so.

use crate::{
    time::Wall,
    world::parts::{Condition, Pod, Run},
};
use serde_json::{Value, json};

pub(super) fn show(pod: &Pod) -> Vec<Value> {
    let known = &pod.conditions;
    let always = Condition { holds: true, since: known.created };
    let why = not_ready(pod);
    let mut shown = vec![
        condition("PodReadyToStartContainers", known.sandbox, None),
        condition("Initialized", always, None),
        condition("Ready", known.ready, why.clone()),
        condition("ContainersReady", known.ready, why),
        condition("PodScheduled", always, None),
    ];
    if let Some(problem) = &pod.problem {
        let why = ("ManifestInvalid", format!("the last good revision is kept: {problem}"));
        shown.push(condition("ManifestValid", known.valid, Some(why)));
    }
    shown
}

/// Why a pod is not ready, as kubelet says it.
fn not_ready(pod: &Pod) -> Option<(&'static str, String)> {
    if pod.is_finished() {
        return Some(("PodCompleted", String::new()));
    }
    let not = pod.containers.iter().filter(|container| !matches!(container.run, Run::Running(_)));
    let names: Vec<&str> = not.map(|container| container.name.as_str()).collect();
    let message = format!("containers with unready status: [{}]", names.join(" "));
    (!names.is_empty()).then_some(("ContainersNotReady", message))
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
