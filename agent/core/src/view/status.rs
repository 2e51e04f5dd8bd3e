//! `v1.PodStatus`. Phases by kubelet's rules.

use super::{NodeView, conditions, container};
use crate::{
    manifest::{qos, types::RestartPolicy},
    time::Now,
    world::{
        World,
        parts::{Container, Pod, Run},
    },
};
use serde_json::{Value, json};

pub(super) fn show(world: &World, pod: &Pod, now: Now, node: &NodeView) -> Value {
    let specs = pod.desired.pod.spec.containers.iter();
    let containers: Vec<Value> = specs
        .zip(&pod.containers)
        .map(|(spec, container)| container::show(world, pod, spec, container, now))
        .collect();
    let mut status = json!({
        "phase": phase(pod),
        "conditions": conditions::show(pod),
        "startTime": pod.seen.wall.rfc3339(),
        "qosClass": qos::of(&pod.desired.pod).as_str(),
        "containerStatuses": containers,
    });
    let ips = |ips: &[String]| ips.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>();
    if let Some(first) = node.host_ips.first() {
        status["hostIP"] = json!(first);
        status["hostIPs"] = json!(ips(&node.host_ips));
        if pod.desired.pod.spec.host_network {
            status["podIP"] = json!(first);
            status["podIPs"] = json!(ips(&node.host_ips));
        }
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
        (Run::Running(_), _) => Standing::Running,
        (Run::Remains(left), _) if !left.recorded && container.memory.running.is_some() => Standing::Running,
        (_, Some(last)) if last.exit.code == 0 => Standing::Succeeded,
        (_, Some(_)) => Standing::Failed,
        (_, None) => Standing::Waiting,
    }
}

pub(super) fn phase(pod: &Pod) -> &'static str {
    let count = |wanted| pod.containers.iter().filter(|c| standing(c) == wanted).count();
    let (waiting, running, failed) =
        (count(Standing::Waiting), count(Standing::Running), count(Standing::Failed));
    match pod.policy() {
        _ if waiting > 0 => "Pending",
        _ if running > 0 => "Running",
        RestartPolicy::Always => "Running",
        _ if failed == 0 => "Succeeded",
        RestartPolicy::Never => "Failed",
        RestartPolicy::OnFailure => "Running",
    }
}
