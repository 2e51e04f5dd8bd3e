//! `v1.PodStatus`. Phases by kubelet's rules.

use super::{NodeView, conditions, container};
use crate::{
    manifest::qos,
    time::Now,
    world::{
        World,
        parts::{Container, EXPIRED, Pod, Role, Run},
    },
};
use serde_json::{Value, json};

pub(super) fn show(world: &World, pod: &Pod, now: Now, node: &NodeView) -> Value {
    let specs = pod.desired.pod.spec.all_containers();
    let mut inits: Vec<Value> = specs
        .zip(&pod.containers)
        .map(|(spec, container)| container::show(world, pod, spec, container, now))
        .collect();
    let containers = inits.split_off(pod.desired.pod.spec.init_containers.len());
    let mut status = json!({
        "phase": phase(pod),
        "conditions": conditions::show(pod),
        "startTime": pod.seen.wall.rfc3339(),
        "qosClass": qos::of(&pod.desired.pod).as_str(),
        "containerStatuses": containers,
    });
    if !inits.is_empty() {
        status["initContainerStatuses"] = json!(inits);
    }
    let ips = |ips: &[String]| ips.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>();
    if let Some(first) = node.host_ips.first() {
        status["hostIP"] = json!(first);
        status["hostIPs"] = json!(ips(&node.host_ips));
    }
    let own = if pod.desired.pod.spec.host_network { &node.host_ips } else { &pod.sandbox.ips };
    if let Some(first) = own.first().filter(|_| !pod.sandbox.removed) {
        status["podIP"] = json!(first);
        status["podIPs"] = json!(ips(own));
    }
    if pod.expired {
        (status["reason"], status["message"]) = (json!(EXPIRED.0), json!(EXPIRED.1));
    }
    if let Some(evicted) = pod.eviction() {
        (status["reason"], status["message"]) = (json!(evicted.cause.as_str()), json!(evicted.message));
    }
    if let Some(refusal) = &pod.refusal {
        status["reason"] = json!(refusal.reason);
        status["message"] = json!(refusal.message);
    }
    status
}

/// What a container counts as for the phase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Waiting,
    Running,
    Succeeded,
    Failed,
}

fn standing(container: &Container) -> Standing {
    match (&container.run, &container.memory.last) {
        (Run::Running(_), _) if !container.is_hooked() => Standing::Running,
        (Run::Remains(left), _) if !left.recorded && container.memory.running.is_some() => Standing::Running,
        (_, Some(last)) if last.exit.code == 0 => Standing::Succeeded,
        (_, Some(_)) => Standing::Failed,
        (_, None) => Standing::Waiting,
    }
}

pub(super) fn phase(pod: &Pod) -> &'static str {
    let mains = || pod.containers.iter().filter(|container| container.terms.role == Role::Main);
    let any = |wanted| mains().any(|container| standing(container) == wanted);
    let sidecars_run = pod.containers.iter().any(|container| standing(container) == Standing::Running);
    let runs = pod.containers.iter().any(|container| standing(container) == Standing::Running);
    if pod.has_failed_evicted() {
        "Failed"
    } else if pod.expired {
        if runs { "Running" } else { "Failed" }
    } else if pod.has_failed_init() {
        // As with other ends: the last word is spoken when nothing runs any more.
        if sidecars_run { "Pending" } else { "Failed" }
    } else if !pod.initialised && !pod.is_finished() || any(Standing::Waiting) {
        "Pending"
    } else if !pod.is_finished() || sidecars_run {
        "Running"
    } else if any(Standing::Failed) {
        "Failed"
    } else {
        "Succeeded"
    }
}
