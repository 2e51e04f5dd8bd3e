//! One pass over a pod that is to run: images and sandbox side by side, then its containers, one start at
//! a time in the order of the spec; when it has finished, the end of its sidecars; then its memory.
//!
//! Invariants: nothing is made for a pod whose containers have all completed; at most one start of a pod
//! is in flight; a container that waits for a failed image or a back-off holds up nobody
//! but those for whom it initialises the pod.

use super::{
    container::{self, Readiness},
    devices, grow, in_place,
    inflight::{Object, Verb},
    lacking, order,
    planner::Planner,
    remember, resize, restart_all,
    state::{Pod, Run, Sources},
    stopping, storage,
};
use crate::action::ActionKind;
use std::sync::Arc;

/// Does what can be done now. `clear`: no container of this pod's uid is left of which only its id is known.
pub(crate) fn advance(pod: &mut Pod, clear: bool, boot_id: &str, planner: &mut Planner) {
    order::note_initialised(pod);
    expire(pod, planner);
    let finished = pod.is_finished();
    if finished {
        end(pod, planner);
    }
    if !finished && pod.wanted {
        grow::restart(pod, planner);
    }
    for i in 0..pod.containers.len() {
        if let Some(container) = pod.containers.get_mut(i).filter(|_| !finished) {
            devices::note(&pod.desired, container, &mut pod.memory, planner);
        }
        container::tend(pod, i, finished, planner);
    }
    // A sidecar may have come up just now, without any news: its hook was to sleep until then.
    order::note_initialised(pod);
    // One that is not wanted lets others go first.
    if !finished && pod.refusal.is_none() && pod.wanted {
        begin(pod, clear, boot_id, planner);
    }
    in_place::record(pod, planner);
    storage::tend(pod, planner);
    remember::save(pod, boot_id, planner);
}

/// A pod whose time is over has failed; what runs of it is stopped.
fn expire(pod: &mut Pod, planner: &mut Planner) {
    let Some(seconds) = pod.desired.pod.spec.active_deadline_seconds else { return };
    if !pod.is_finished() && planner.due(pod.active_since.plus_s(seconds)) {
        pod.expired = true;
        pod.memory.touch();
        planner.tell(&pod.desired, EXPIRED.0, EXPIRED.1.to_owned());
    }
}

/// Reason and message of a pod whose `activeDeadlineSeconds` are over; kubelet's.
pub(crate) const EXPIRED: (&str, &str) =
    ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline");

fn begin(pod: &mut Pod, clear: bool, boot_id: &str, planner: &mut Planner) {
    lacking::refresh(pod, planner);
    let due = pod.containers.iter().filter(|container| container::is_due(container));
    let wanting: Vec<usize> = due.flat_map(|container| container.images()).collect();
    if !wanting.is_empty() {
        ensure_images(pod, &wanting, planner);
        make_sandbox(pod, planner);
    }
    if restart_all::may_start(pod, planner) && clear {
        start_next(pod, boot_id, planner);
    }
}

/// Stops what has nothing left to serve.
fn end(pod: &mut Pod, planner: &mut Planner) {
    if pod.containers.iter().any(|container| !matches!(container.run, Run::Idle)) {
        let since = *pod.ending.get_or_insert(planner.now);
        stopping::all(pod, since.mono, planner);
    }
}

fn ensure_images(pod: &mut Pod, wanted: &[usize], planner: &mut Planner) {
    for (i, image) in pod.images.iter_mut().enumerate() {
        let needed = image.facts.is_none() && wanted.contains(&i);
        if needed && image.busy.is_none() && planner.due(image.retry.at) {
            let kind = ActionKind::EnsureImage { image: image.reference.clone(), policy: image.policy };
            image.busy = Some(planner.act(&pod.desired.uid, Object::Image(i), Verb::Ensure, kind));
        }
    }
}

fn make_sandbox(pod: &mut Pod, planner: &mut Planner) {
    let sandbox = &mut pod.sandbox;
    if !sandbox.made && sandbox.busy.is_none() && planner.due(sandbox.retry.at) {
        let begun = planner.now.mono;
        let objects = planner.objects_of_volumes(&pod.desired);
        sandbox.files.asked = Some(Sources { objects: objects.clone(), pod: Arc::clone(&pod.desired.pod) });
        sandbox.asked = Some(pod.desired.clone());
        let kind = ActionKind::CreateSandbox { desired: Box::new(pod.desired.clone()), begun, objects };
        sandbox.busy = Some(planner.act(&pod.desired.uid, Object::Sandbox, Verb::Create, kind));
        pod.sandbox_begins(begun);
        resize::made(pod);
    }
}

fn start_next(pod: &mut Pod, boot_id: &str, planner: &mut Planner) {
    for i in 0..pod.containers.len() {
        match container::readiness(pod, i, planner) {
            Readiness::Later => {}
            Readiness::First => return,
            Readiness::Now => {
                if pod.sandbox.made {
                    container::start(pod, i, boot_id, planner);
                }
                return;
            }
        }
    }
}
