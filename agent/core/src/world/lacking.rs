//! What pods need of the objects beside them, what happens while it is not there, and when it changes.
//!
//! Invariants: a pod does not begin before every object and key is there that it cannot do without; one
//! that has begun is never stopped because one of them has gone; files follow their objects, and the pod
//! does not notice.

use super::{
    backoff::RETRY,
    inflight::{Object, Verb},
    planner::Planner,
    state::{Pod, Refusal, Sources},
};
use crate::{
    action::ActionKind,
    event::{FailReason, Failure},
    manifest::{
        DesiredPod,
        objects::{Missing, Objects, env, files},
        types::Volume,
    },
    time::Mono,
};
use std::sync::Arc;

/// The event of a container that cannot be made.
const FAILED: &str = "Failed";
/// The event of a volume that cannot be made, or not be brought up to date.
const FAILED_MOUNT: &str = "FailedMount";

/// What the pod's variables lack.
pub(super) fn variables(pod: &DesiredPod, objects: &Objects) -> Option<Missing> {
    env::complete(&pod.key.namespace, &pod.pod.spec, objects).err()
}

/// What the pod's volumes lack.
fn volumes(pod: &DesiredPod, objects: &Objects) -> Option<String> {
    let lacking = files::complete(&pod.key.namespace, &pod.pod.spec, objects).err();
    lacking.map(|(volume, missing)| format!("MountVolume.SetUp failed for volume {volume:?}: {missing}"))
}

/// Why the pod may not begin, in kubelet's words.
pub(super) fn refusal(pod: &DesiredPod, objects: &Objects) -> Option<Refusal> {
    let variables = || {
        let reason = FailReason::CreateContainerConfigError.as_str();
        variables(pod, objects).map(|missing| Refusal { reason, event: FAILED, message: missing.0 })
    };
    let init = !pod.pod.spec.init_containers.is_empty();
    let reason = if init { "PodInitializing" } else { "ContainerCreating" };
    let volumes = volumes(pod, objects).map(|message| Refusal { reason, event: FAILED_MOUNT, message });
    volumes.or_else(variables)
}

/// Brings the files of the pod's volumes up to pod and objects as they are now. While one is not there that is
/// needed, they stay as they were.
pub(super) fn refresh(pod: &mut Pod, planner: &mut Planner) {
    let sandbox = &mut pod.sandbox;
    let written = pod.desired.pod.spec.volumes.iter().any(Volume::is_written);
    if !written || !sandbox.made || sandbox.busy.is_some() {
        return;
    }
    let objects = planner.objects_of_volumes(&pod.desired);
    let sources = Sources { objects: objects.clone(), pod: Arc::clone(&pod.desired.pod) };
    let behind = sandbox.files.written.as_ref().is_none_or(|written| !written.are_as(&sources));
    let due = behind && volumes(&pod.desired, &objects).is_none();
    if due && planner.due(sandbox.files.retry.at) {
        sandbox.files.asked = Some(sources);
        let kind = ActionKind::RefreshFiles { desired: Box::new(pod.desired.clone()), objects };
        sandbox.busy = Some(planner.act(&pod.desired.uid, Object::Sandbox, Verb::Refresh, kind));
    }
}

/// The files are refreshed, or not.
pub(super) fn refreshed(
    pod: &mut Pod,
    asked: Option<Sources>,
    result: Result<(), Failure>,
    planner: &mut Planner,
) {
    let files = &mut pod.sandbox.files;
    match result {
        Ok(()) => {
            files.written = asked;
            files.retry.clear();
        }
        Err(failure) => {
            // They may be the old ones or the new ones.
            files.written = None;
            files.retry.failed(planner.now.mono, RETRY);
            planner.warn(&pod.desired, FAILED_MOUNT, format!("files stay as they were: {}", failure.message));
        }
    }
}

/// It is lacking something else than before, or waits for another reason.
pub(super) fn is_other(before: &Refusal, now: &Refusal) -> bool {
    let of_order = now.event.starts_with("StartAfter") && before.event != now.event;
    before.event.is_empty()
        || of_order
        || matches!(now.event, FAILED | FAILED_MOUNT) && before.message != now.message
}

/// Objects have changed: a start that failed for want of one need not wait any longer.
pub(super) fn try_again(pod: &mut Pod) {
    for container in &mut pod.containers {
        let failure = container.failure.as_ref();
        if failure.is_some_and(|failure| failure.reason == FailReason::CreateContainerConfigError) {
            container.start.at = Mono(0);
        }
    }
}
