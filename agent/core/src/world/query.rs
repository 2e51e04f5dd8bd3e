//! Questions that the shell asks of a world. Nothing here changes it.

use super::{
    World, WorldConfig,
    pressure::Standing,
    state::{Pod, Run, Stage},
    terms::Role,
};
use crate::{
    ids::{ContainerId, PodUid},
    manifest::{DesiredPod, keepsake::Images},
    pressure::{Condition, Weighing},
    time::Mono,
};

/// A container as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunView<'a> {
    /// Its name in the pod.
    pub container: &'a str,
    /// Its restart count, which is also the number of its newest log file.
    pub attempt: u32,
    /// The present run, or the last one; none before the first.
    pub id: Option<&'a ContainerId>,
    /// Its pid on the host while it runs.
    pub pid: Option<u32>,
    /// Since when it runs.
    pub since: Option<Mono>,
}

/// An image that a pod needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageUse<'a> {
    /// As the pod's spec names it.
    pub reference: &'a str,
    /// `sha256:…` of its config, once it is known.
    pub id: Option<&'a str>,
}

impl World {
    /// All pods that are known, by uid: active ones, terminating ones, and those that wait.
    pub fn pods(&self) -> impl Iterator<Item = &DesiredPod> {
        self.pods.values().map(|pod| &pod.desired)
    }

    /// All pods that are known, with the present runs of their containers.
    pub fn weighings(&self) -> Vec<Weighing> {
        self.pods.values().map(super::pressure::weighing).collect()
    }

    /// The containers of the pod with this uid, in the order of its spec; none if it is not known.
    pub fn runs(&self, uid: &PodUid) -> Vec<RunView<'_>> {
        self.pods.get(uid).map(|pod| pod.containers.iter().map(run_view).collect()).unwrap_or_default()
    }

    /// The uid under which the pod with this revision in the manifests stands, where that is another one: it was applied
    /// to a pod that ran.
    pub fn standing<'a>(&'a self, revision: &'a PodUid) -> &'a PodUid {
        self.desired.as_ref().map_or(revision, |desired| desired.standing(revision))
    }

    /// The revision, by its uid in the manifests, of the pod that stands under this one.
    pub fn revision<'a>(&'a self, uid: &'a PodUid) -> &'a PodUid {
        self.desired.as_ref().map_or(uid, |desired| desired.revision(uid))
    }

    /// The images that pods have, or have had started containers of: references that specs name, and ids.
    pub fn images(&self) -> impl Iterator<Item = ImageUse<'_>> {
        self.pods.values().flat_map(|pod| {
            let ensured = pod.images.iter().map(|image| ImageUse {
                reference: &image.reference,
                id: image.facts.as_ref().map(|facts| &*facts.id),
            });
            let running = pod.containers.iter().filter_map(|container| match &container.run {
                Run::Running(live) => {
                    Some(ImageUse { reference: &live.image.reference, id: Some(&live.image.id) })
                }
                _ => None,
            });
            ensured.chain(running)
        })
    }

    /// The digests of the images that the pod with this revision has, by its references; none before all are known.
    pub fn digests(&self, uid: &PodUid) -> Option<Images> {
        let images = &self.pods.get(self.standing(uid))?.images;
        let known = |image: &super::state::Image| {
            Some((image.reference.clone(), image.facts.as_ref()?.digest.clone()))
        };
        images.iter().map(known).collect()
    }

    /// The pod with this revision is ready, or it has succeeded: what it was meant to come to.
    pub fn has_come_up(&self, uid: &PodUid) -> bool {
        let succeeded = |pod: &Pod| {
            let mut mains = pod.containers.iter().filter(|container| container.terms.role == Role::Main);
            !pod.expired && pod.is_finished() && mains.all(|container| container.last_code() == Some(0))
        };
        self.pods.get(self.standing(uid)).is_some_and(|pod| pod.conditions.ready.holds || succeeded(pod))
    }

    /// The pod with this uid is on its way out.
    pub fn is_stopping(&self, uid: &crate::ids::PodUid) -> bool {
        self.pods.get(uid).is_some_and(|pod| matches!(pod.stage, Stage::Terminating { .. }))
    }

    /// What this world was told at its start.
    pub(crate) fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// Nothing is in flight but probes.
    pub fn is_quiet(&self) -> bool {
        self.flights.is_quiet()
    }

    /// How it is with a condition of the node; none before it was looked at.
    pub(crate) fn condition(&self, condition: Condition) -> Option<&Standing> {
        self.pressure.condition(condition)
    }

    pub(crate) fn crash_backoff_max_s(&self) -> u64 {
        self.config.crash_backoff_max_s
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = &Pod> {
        self.pods.values()
    }
}

fn run_view(container: &super::state::Container) -> RunView<'_> {
    let live = match &container.run {
        Run::Running(live) => Some(live),
        _ => None,
    };
    let last = || container.memory.last.as_ref().map(|last| &last.id);
    RunView {
        container: &container.name,
        attempt: container.restarts(),
        id: container.current_id().or_else(last),
        pid: live.map(|live| live.pid),
        since: live.map(|live| live.at.mono),
    }
}
