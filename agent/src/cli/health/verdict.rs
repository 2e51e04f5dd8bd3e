//! Who is required, who is well, and what follows. Pure.

use super::super::{
    json,
    pod::{condition_status, summarise},
    select::is_going,
};
use berth_core::manifest::{Problem, identity::ANNOTATION_REQUIRED};
use serde::Serialize;
use serde_json::Value;

/// One pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodHealth {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) well: bool,
    /// Why it is not; empty when it is.
    pub(super) why: String,
    /// The revision and the sum of its restarts: what changes when something happened in between.
    #[serde(skip)]
    run: (String, i64),
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    pub(super) healthy: bool,
    /// The pods that are to be there; those that make way for others are not among them.
    pub(super) pods: Vec<PodHealth>,
    /// Problems of manifests, except of pods that are not required.
    pub(super) problems: Vec<String>,
    /// Why it is not healthy although every required pod is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Verdict {
    /// From a `v1.PodList` and the answer to `Request::Problems`.
    pub(super) fn of(list: &Value, problems: &Value, at_least: usize) -> Self {
        let coming = json::list(list, "/items").iter().filter(|pod| !is_going(pod));
        let pods: Vec<_> = coming.map(pod_health).collect();
        let problems = problems_that_count(problems, &pods);
        let required = pods.iter().filter(|pod| pod.required).count();
        let reason = (required < at_least)
            .then(|| format!("{required} required pods are there, and {at_least} must be"));
        let all_well = pods.iter().all(|pod| pod.well || !pod.required);
        Self { healthy: all_well && problems.is_empty() && reason.is_none(), pods, problems, reason }
    }

    pub(super) fn is_well(&self) -> bool {
        self.healthy
    }

    /// The same pods in the same runs: no revision and no restart between the two.
    pub(super) fn is_same_run(&self, other: &Self) -> bool {
        let required = |verdict: &Self| -> Vec<_> {
            let pods = verdict.pods.iter().filter(|pod| pod.required);
            pods.map(|pod| pod.run.clone()).collect()
        };
        required(self) == required(other)
    }

    /// As it is, but it has not been so for long enough.
    pub(super) fn unsettled(self) -> Self {
        let reason = Some("all are well, but were not for as long as --stable asks".to_owned());
        Self { healthy: false, reason, ..self }
    }

    /// In one sentence.
    pub(super) fn sentence(&self) -> String {
        let required = self.pods.iter().filter(|pod| pod.required);
        let unwell = required.clone().filter(|pod| !pod.well).count();
        let required = required.count();
        match &self.reason {
            Some(reason) => format!("Not healthy: {reason}."),
            None if self.healthy => format!("Healthy: {required} of {required} required pods are well."),
            None if unwell > 0 => format!("Not healthy: {unwell} of {required} required pods are not well."),
            None => "Not healthy: manifests are refused.".to_owned(),
        }
    }
}

fn pod_health(pod: &Value) -> PodHealth {
    let mut annotations = json::pairs(pod, "/metadata/annotations").into_iter();
    let optional = annotations.any(|(key, value)| key == ANNOTATION_REQUIRED && value == "false");
    let why = why_unwell(pod).unwrap_or_default();
    let restarts = |kind: &str| -> i64 {
        json::list(pod, kind).iter().map(|status| json::number(status, "/restartCount")).sum()
    };
    let restarts = restarts("/status/containerStatuses") + restarts("/status/initContainerStatuses");
    PodHealth {
        namespace: json::text(pod, "/metadata/namespace").to_owned(),
        name: json::text(pod, "/metadata/name").to_owned(),
        required: !optional,
        well: why.is_empty(),
        why,
        run: (json::text(pod, "/metadata/uid").to_owned(), restarts),
    }
}

/// None for a pod that is ready or has succeeded; else its status, and what is said about it.
fn why_unwell(pod: &Value) -> Option<String> {
    if condition_status(pod, "Ready") == "True" || json::text(pod, "/status/phase") == "Succeeded" {
        return None;
    }
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let statuses = statuses.into_iter().flat_map(|kind| json::list(pod, kind));
    let waiting = statuses.map(|status| json::text(status, "/state/waiting/message"));
    let messages = [json::text(pod, "/status/message")].into_iter().chain(waiting);
    let message = messages.into_iter().find(|message| !message.is_empty());
    let status = summarise(pod).status;
    Some(message.map_or_else(|| status.clone(), |message| format!("{status}: {message}")))
}

/// Problems as lines, without those of pods that are known not to be required.
fn problems_that_count(problems: &Value, pods: &[PodHealth]) -> Vec<String> {
    let optional = |problem: &Problem| {
        let pod = problem.pod.as_ref();
        pod.is_some_and(|key| {
            let known = pods.iter().find(|pod| pod.namespace == *key.namespace && pod.name == *key.name);
            known.is_some_and(|pod| !pod.required)
        })
    };
    let read = |item: &Value| match serde_json::from_value::<Problem>(item.clone()) {
        Ok(problem) => (!optional(&problem)).then(|| problem.to_string()),
        // Of an agent that says more than this program understands.
        Err(_) => Some(item.to_string()),
    };
    json::list(problems, "/items").iter().filter_map(read).collect()
}
