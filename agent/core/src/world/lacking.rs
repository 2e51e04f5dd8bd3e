//! What pods need of the objects beside them, and what happens while it is not there.
//!
//! Invariants: a pod does not begin before every object and key is there that it cannot do without; one
//! that has begun is never stopped because one of them has gone.

use super::state::{Pod, Refusal};
use crate::{
    event::FailReason,
    manifest::{
        DesiredPod,
        objects::{Missing, Objects, env},
    },
    time::Mono,
};

/// The event of a container that cannot be made.
const FAILED: &str = "Failed";

/// What the pod's variables lack.
pub(super) fn variables(pod: &DesiredPod, objects: &Objects) -> Option<Missing> {
    env::complete(&pod.key.namespace, &pod.pod.spec, objects).err()
}

/// Why the pod may not begin, in kubelet's words.
pub(super) fn refusal(pod: &DesiredPod, objects: &Objects) -> Option<Refusal> {
    let reason = FailReason::CreateContainerConfigError.as_str();
    variables(pod, objects).map(|missing| Refusal { reason, event: FAILED, message: missing.0 })
}

/// It is lacking something else than before.
pub(super) fn is_other(before: &Refusal, now: &Refusal) -> bool {
    now.event == FAILED && before.message != now.message
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
