//! A pod as a user sees it, computed from its `v1.Pod` as kubectl does: the STATUS that no field holds. Pure.

use super::{age, json, table::Tone};
use berth_core::time::Wall;
use serde_json::Value;

/// What the columns READY, STATUS and RESTARTS are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Containers that are ready.
    pub(crate) ready: usize,
    /// Containers that should be.
    pub(crate) total: usize,
    /// `Running`, `CrashLoopBackOff`, `Init:0/2`…
    pub(crate) status: String,
    /// Restarts of all containers that matter at this stage.
    pub(crate) restarts: i64,
    /// RFC 3339 time of the last end of a container that was restarted; empty for none.
    pub(crate) last_restart: String,
}

impl Summary {
    /// `3`, or `3 (5m2s ago)`.
    pub(crate) fn restarts_text(&self, now: Wall) -> String {
        match self.last_restart.as_str() {
            "" => self.restarts.to_string(),
            _ if self.restarts == 0 => "0".into(),
            at => format!("{} ({} ago)", self.restarts, age::since(at, now)),
        }
    }

    /// How alarming the status is.
    pub(crate) fn tone(&self) -> Tone {
        match self.status.as_str() {
            "Running" if self.ready == self.total => Tone::Good,
            "Completed" | "Succeeded" => Tone::Past,
            "Running" | "Pending" | "ContainerCreating" | "PodInitializing" | "Terminating" | "NotReady" => {
                Tone::Wait
            }
            status if status.starts_with("Init:") && status.contains('/') => Tone::Wait,
            _ => Tone::Bad,
        }
    }
}

/// Summarises a pod.
pub(crate) fn summarise(pod: &Value) -> Summary {
    let reason = json::text(pod, "/status/reason");
    let mut summary = Summary {
        ready: 0,
        total: json::list(pod, "/spec/containers").len(),
        status: if reason.is_empty() { json::text(pod, "/status/phase") } else { reason }.to_owned(),
        restarts: 0,
        last_restart: String::new(),
    };
    let sidecar_restarts = initialise(pod, &mut summary);
    if let Some(sidecars) = sidecar_restarts {
        (summary.restarts, summary.last_restart) = sidecars;
        let running = run(pod, &mut summary);
        if summary.status == "Completed" && running {
            summary.status = if condition(pod, "Ready") { "Running" } else { "NotReady" }.into();
        }
    }
    let ended = matches!(json::text(pod, "/status/phase"), "Succeeded" | "Failed");
    if !json::text(pod, "/metadata/deletionTimestamp").is_empty() && !ended {
        summary.status = "Terminating".into();
    }
    if summary.status.is_empty() {
        summary.status = "Pending".into();
    }
    summary
}

/// Takes the init containers in. None while they are at work, else the sidecars' restarts, which go on
/// counting when the others' no longer do.
fn initialise(pod: &Value, summary: &mut Summary) -> Option<(i64, String)> {
    let specs = json::list(pod, "/spec/initContainers");
    let is_sidecar = |name: &str| {
        specs.iter().any(|c| json::text(c, "/name") == name && json::text(c, "/restartPolicy") == "Always")
    };
    summary.total += specs.iter().filter(|c| json::text(c, "/restartPolicy") == "Always").count();
    let mut sidecars = (0, String::new());
    for (i, container) in json::list(pod, "/status/initContainerStatuses").iter().enumerate() {
        let sidecar = is_sidecar(json::text(container, "/name"));
        count_restarts(container, &mut summary.restarts, &mut summary.last_restart);
        if sidecar {
            count_restarts(container, &mut sidecars.0, &mut sidecars.1);
        }
        let ended = container.pointer("/state/terminated");
        if ended.is_some() && json::number(container, "/state/terminated/exitCode") == 0 && !sidecar {
            continue;
        }
        if sidecar && json::flag(container, "/started") {
            summary.ready += usize::from(json::flag(container, "/ready"));
            continue;
        }
        let waiting = json::text(container, "/state/waiting/reason");
        summary.status = match ended {
            Some(ended) => format!("Init:{}", ending(ended)),
            None if !matches!(waiting, "" | "PodInitializing") => format!("Init:{waiting}"),
            None => format!("Init:{i}/{}", specs.len()),
        };
        return condition(pod, "Initialized").then_some(sidecars);
    }
    Some(sidecars)
}

/// Takes the containers in; true when one of them runs and is ready.
fn run(pod: &Value, summary: &mut Summary) -> bool {
    let mut running = false;
    // From the last to the first, so that the first container's trouble is what is shown.
    for container in json::list(pod, "/status/containerStatuses").iter().rev() {
        count_restarts(container, &mut summary.restarts, &mut summary.last_restart);
        let waiting = json::text(container, "/state/waiting/reason");
        if !waiting.is_empty() {
            waiting.clone_into(&mut summary.status);
        } else if let Some(ended) = container.pointer("/state/terminated") {
            summary.status = ending(ended);
        } else if json::flag(container, "/ready") && container.pointer("/state/running").is_some() {
            running = true;
            summary.ready += 1;
        }
    }
    running
}

fn count_restarts(container: &Value, restarts: &mut i64, last: &mut String) {
    *restarts += json::number(container, "/restartCount");
    let ended = json::text(container, "/lastState/terminated/finishedAt");
    let later = age::parse_rfc3339(ended).map(|w| w.0) > age::parse_rfc3339(last).map(|w| w.0);
    if later {
        ended.clone_into(last);
    }
}

/// `Completed`, `OOMKilled`, `Error`, and where no reason is given `Signal:9` or `ExitCode:3`.
fn ending(ended: &Value) -> String {
    match (json::text(ended, "/reason"), json::number(ended, "/signal")) {
        ("", 0) => format!("ExitCode:{}", json::number(ended, "/exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

/// Whether a condition of the pod is true.
pub(crate) fn condition(pod: &Value, kind: &str) -> bool {
    condition_status(pod, kind) == "True"
}

/// `True`, `False`, `Unknown`; empty when the pod has no such condition.
pub(crate) fn condition_status<'a>(pod: &'a Value, kind: &str) -> &'a str {
    let conditions = json::list(pod, "/status/conditions").iter();
    let mut of_kind = conditions.filter(|c| json::text(c, "/type").eq_ignore_ascii_case(kind));
    of_kind.next().map_or("", |c| json::text(c, "/status"))
}

#[cfg(test)]
mod tests;
