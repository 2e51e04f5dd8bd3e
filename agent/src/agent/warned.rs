//! What could not be done as wished although the pod runs (a controller that the kernel lacks, say): told as
//! events of the pod, so that it is seen where one looks. Never fails anything.

use super::run::{Agent, Told};
use berth_core::{
    action::PodEvent,
    ids::{ContainerId, PodKey, PodUid},
};
use berth_oci::{
    bundle::WARNINGS,
    clock,
    sandbox::{NOT_ENFORCED, Warning},
};
use std::{fs::File, io::Read};

/// Bytes of a container's warnings that are read.
const WARNINGS_LEN_MAX_BYTES: u64 = 4096;

/// The event of one warning.
pub(crate) fn event(pod: &PodKey, uid: &PodUid, warning: Warning) -> PodEvent {
    let (at, Warning { reason, message }) = (clock::now(), warning);
    PodEvent { pod: pod.clone(), uid: uid.clone(), warning: true, reason, message, at }
}

impl Told {
    /// What is told of a sandbox that was made with less than was wished.
    pub(crate) fn warned(pod: &PodKey, uid: &PodUid, warning: Warning) -> Self {
        Self::Warned(Box::new(event(pod, uid, warning)))
    }
}

impl Agent {
    /// Logs and keeps an event.
    pub(super) fn record(&mut self, event: PodEvent) {
        match event.warning {
            true => tracing::warn!(pod = %event.pod, reason = event.reason, "{}", event.message),
            false => tracing::info!(pod = %event.pod, reason = event.reason, "{}", event.message),
        }
        self.events.push(event);
    }

    /// Reads what the worker noted beside the bundle.
    pub(super) fn read_warnings(&mut self, id: &ContainerId) {
        let Ok(file) = File::open(self.env.roots.bundle(id).join(WARNINGS)) else { return };
        let mut text = String::new();
        if file.take(WARNINGS_LEN_MAX_BYTES).read_to_string(&mut text).is_err() {
            return;
        }
        let of = self.world.pods().find(|pod| self.world.runs(&pod.uid).iter().any(|run| run.id == Some(id)));
        let Some((key, uid)) = of.map(|pod| (pod.key.clone(), pod.uid.clone())) else { return };
        for line in text.lines() {
            let warning = Warning { reason: NOT_ENFORCED.into(), message: line.to_owned() };
            self.record(event(&key, &uid, warning));
        }
    }
}
