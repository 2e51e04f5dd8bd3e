//! Which run of a container is meant, and what the agent says of it. Pure but for the list of its files.

use super::{
    super::{container, failure::Failure, json},
    files::Files,
};
use serde_json::Value;
use std::{io, path::PathBuf};

/// One run of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) pod: String,
    pub(super) uid: String,
    pub(super) container: String,
    /// Where its files are.
    directory: PathBuf,
    /// Number of the run: the restart count that it began with.
    number: i64,
}

impl Run {
    /// The present (or last) run, or the one before it.
    ///
    /// # Errors
    /// There was none before it.
    pub(super) fn wanted(pod: &Value, name: &str, location: &Value, previous: bool) -> Result<Self, String> {
        let status = container::status(pod, name);
        let number = json::number(location, "/restartCount");
        let pod_name = json::text(pod, "/metadata/name");
        let number = match previous {
            false => number,
            // While it waits to be started again, the run before is the one that ended last.
            true if status.pointer("/state/waiting").is_some() && has_ended_once(status) => number,
            true if number > 0 => number - 1,
            true => {
                return Err(format!(
                    "container {name:?} of pod {pod_name:?} was never restarted: there is no run before"
                ));
            }
        };
        Ok(Self {
            pod: pod_name.to_owned(),
            uid: json::text(pod, "/metadata/uid").to_owned(),
            container: name.to_owned(),
            directory: json::text(location, "/directory").into(),
            number,
        })
    }

    /// Its log files.
    pub(super) fn files(&self) -> Files {
        Files::new(self.directory.clone(), self.number)
    }

    /// Whether there can be output.
    pub(super) fn begun(&self, pod: &Value) -> bool {
        let status = container::status(pod, &self.container);
        let waits = status.is_null() || status.pointer("/state/waiting").is_some();
        !waits || has_ended_once(status) || json::number(status, "/restartCount") > self.number
    }

    /// That there is no output yet, and why.
    pub(super) fn waiting(&self, pod: &Value) -> String {
        let status = container::status(pod, &self.container);
        let reason = json::text(status, "/state/waiting/reason");
        let message = json::text(status, "/state/waiting/message");
        let why = match (reason, message) {
            ("", "") => "ContainerCreating".to_owned(),
            (reason, "") => reason.to_owned(),
            (reason, message) => format!("{reason}: {message}"),
        };
        format!("container {:?} of pod {:?} is waiting to start: {why}", self.container, self.pod)
    }

    /// Whether, by a list of pods, nothing more can come of this run.
    pub(super) fn is_over(&self, pods: &[Value]) -> bool {
        let Some(pod) = pods.iter().find(|pod| json::text(pod, "/metadata/uid") == self.uid) else {
            return true;
        };
        let status = container::status(pod, &self.container);
        let restarts = json::number(status, "/restartCount");
        restarts > self.number
            || status.pointer("/state/terminated").is_some()
            || status.pointer("/state/waiting").is_some() && has_ended_once(status)
    }

    /// That its log cannot be read.
    pub(super) fn unreadable(&self, error: &io::Error) -> Failure {
        Failure::error(format!(
            "the log of container {:?} of pod {:?} in {} cannot be read: {error}",
            self.container,
            self.pod,
            self.directory.display()
        ))
    }
}

fn has_ended_once(status: &Value) -> bool {
    status.pointer("/lastState/terminated").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(state: Value, restarts: i64, ended: bool) -> Value {
        let last = if ended { json!({"terminated": {"exitCode": 1}}) } else { json!({}) };
        json!({
            "metadata": {"name": "p", "uid": "u"},
            "status": {"containerStatuses": [{"name": "c", "state": state, "lastState": last, "restartCount": restarts}]},
        })
    }

    #[test]
    fn the_run_before_is_the_last_that_ended() {
        let waiting = || json!({"waiting": {"reason": "CrashLoopBackOff"}});
        for (state, restarts, ended, previous, number) in [
            (json!({"running": {}}), 3, true, false, Some(3)),
            (json!({"running": {}}), 3, true, true, Some(2)),
            (json!({"running": {}}), 0, false, true, None),
            (waiting(), 3, true, false, Some(3)),
            (waiting(), 3, true, true, Some(3)),
            (waiting(), 0, false, true, None),
            (json!({"terminated": {}}), 1, true, true, Some(0)),
        ] {
            let location = json!({"directory": "/d", "restartCount": restarts});
            let run = Run::wanted(&pod(state.clone(), restarts, ended), "c", &location, previous);
            assert_eq!(run.ok().map(|run| run.number), number, "{state} {restarts} {previous}");
        }
    }

    #[test]
    fn a_run_begins_and_ends() {
        let run = Run::wanted(&pod(json!({}), 0, false), "c", &json!({"restartCount": 1}), false).unwrap();
        for (state, restarts, ended, begun, over) in [
            (json!({"waiting": {"reason": "ContainerCreating"}}), 1, false, false, false),
            (json!({"waiting": {"reason": "CrashLoopBackOff"}}), 1, true, true, true),
            (json!({"running": {}}), 1, true, true, false),
            (json!({"running": {}}), 2, true, true, true),
            (json!({"terminated": {}}), 1, false, true, true),
        ] {
            let pod = pod(state.clone(), restarts, ended);
            assert_eq!((run.begun(&pod), run.is_over(&[pod])), (begun, over), "{state} {restarts}");
        }
        assert!(run.is_over(&[]), "a pod that is gone");
    }

    #[test]
    fn it_is_said_why_there_is_nothing_yet() {
        let pod = pod(json!({"waiting": {"reason": "ErrImagePull", "message": "no such image"}}), 0, false);
        let run = Run::wanted(&pod, "c", &json!({}), false).unwrap();
        assert_eq!(
            run.waiting(&pod),
            "container \"c\" of pod \"p\" is waiting to start: ErrImagePull: no such image"
        );
    }
}
