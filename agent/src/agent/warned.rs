//! What could not be done as wished although the pod runs (a controller that the kernel lacks, say): told as
//! events of the pod, and what is not enforced to the core as well, which keeps it in the pod's status. Never
//! fails anything.

use super::run::{Agent, Told};
use berth_core::{
    action::PodEvent,
    event::{Event, Inventory},
    ids::{ContainerId, PodKey, PodUid},
};
use berth_oci::{
    bundle::WARNINGS,
    clock,
    paths::Roots,
    sandbox::{self, NOT_ENFORCED, Warning},
};
use std::{fs::File, io::Read};

/// Bytes of a container's warnings that are read.
const WARNINGS_LEN_MAX_BYTES: u64 = 4096;

impl Told {
    /// What is told of a sandbox that was made with less than was wished.
    pub(crate) fn warned(pod: &PodKey, uid: &PodUid, warning: Warning) -> Self {
        Self::Warned(Box::new((pod.clone(), uid.clone(), warning)))
    }
}

impl Agent {
    /// Logs and keeps an event.
    pub(crate) fn record(&mut self, event: PodEvent) {
        // A probe that fails for days is to be read in the events, not to fill the journal.
        if !self.events.push(event.clone()) {
            return tracing::debug!(pod = %event.pod, reason = event.reason, "again: {}", event.message);
        }
        match event.warning {
            true => tracing::warn!(pod = %event.pod, reason = event.reason, "{}", event.message),
            false => tracing::info!(pod = %event.pod, reason = event.reason, "{}", event.message),
        }
    }

    /// A sandbox was made with less than was wished.
    pub(super) fn warned(&mut self, pod: PodKey, uid: PodUid, warning: Warning) {
        let Warning { reason, message } = warning;
        if reason == NOT_ENFORCED {
            self.news.push(Event::NotEnforced { pod: uid, message });
        } else {
            self.record(PodEvent { pod, uid, warning: true, reason, message, at: clock::now() });
        }
    }

    /// Reads what the worker noted beside the bundle.
    pub(super) fn read_warnings(&mut self, id: &ContainerId) {
        let runs = |uid| self.world.runs(uid).into_iter();
        let found = self.world.pods().find_map(|pod| {
            let name = runs(&pod.uid).find(|run| run.id == Some(id))?.container;
            Some((&pod.uid, name))
        });
        let Some((uid, name)) = found else { return };
        let news = of_container(&self.env.roots, id, uid, name);
        self.news.extend(news);
    }
}

/// What pods that run already go without, as an earlier agent or its workers noted it.
pub(super) fn noted(roots: &Roots, inventory: &Inventory) -> Vec<Event> {
    let sandboxes = inventory.sandboxes.iter().flat_map(|record| {
        let uid = &record.desired.uid;
        let of_pod =
            sandbox::warnings(roots, uid).into_iter().filter(|warning| warning.reason == NOT_ENFORCED);
        of_pod.map(|warning| Event::NotEnforced { pod: uid.clone(), message: warning.message })
    });
    let containers = inventory
        .containers
        .iter()
        .flat_map(|record| of_container(roots, &record.id, &record.pod, &record.name));
    sandboxes.chain(containers).collect()
}

fn of_container(roots: &Roots, id: &ContainerId, pod: &PodUid, name: &str) -> Vec<Event> {
    let Ok(file) = File::open(roots.bundle(id).join(WARNINGS)) else { return Vec::new() };
    let mut text = String::new();
    if file.take(WARNINGS_LEN_MAX_BYTES).read_to_string(&mut text).is_err() {
        return Vec::new();
    }
    let event = |line| Event::NotEnforced { pod: pod.clone(), message: format!("container {name}: {line}") };
    text.lines().map(event).collect()
}
