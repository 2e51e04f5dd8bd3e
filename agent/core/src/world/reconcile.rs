//! The pass: from what is known to what is to be done, over all pods, each time anew.
//!
//! Invariants: two revisions of a key are never both past `Queued`, whatever the sources say; a pod is
//! forgotten in the step that learns that nothing of it is left, and the next one begins in that step;
//! limits keep pods from beginning and never touch one that has begun.

use super::{
    World, conditions, desired, eligible, host_ports, lacking,
    planner::Planner,
    pod,
    state::{Pod, Refusal, Stage},
    teardown,
};
use crate::{ids::PodUid, manifest::objects::Objects};

/// Plans everything that can be done now.
pub(crate) fn pass(world: &mut World, planner: &mut Planner) {
    turn_unwanted(world, planner);
    clear_orphans(world, planner);
    host_ports::hold_back(world, planner);
    let mut gone = Vec::new();
    for (uid, pod) in &mut world.pods {
        let clear = world.orphans.clear_of(uid);
        match pod.stage {
            Stage::Queued => {}
            Stage::Active => pod::advance(pod, clear, &world.boot_id, planner),
            Stage::Terminating { .. } => {
                if teardown::advance(pod, clear, &world.boot_id, planner) {
                    gone.push(uid.clone());
                }
            }
        }
    }
    for uid in gone {
        forget(world, &uid);
    }
    for uid in host_ports::hold_back(world, planner) {
        let clear = world.orphans.clear_of(&uid);
        if let Some(pod) = world.pods.get_mut(&uid) {
            pod::advance(pod, clear, &world.boot_id, planner);
        }
    }
    desired::admit_new(world, planner);
    admit_queued(world, planner);
    for pod in world.pods.values_mut() {
        conditions::note(pod, planner.now.wall);
    }
}

fn forget(world: &mut World, uid: &PodUid) {
    world.pods.remove(uid);
    if let Some(desired) = &mut world.desired {
        desired.pending = true;
    }
}

/// Sends the pods that nobody wants any more on their way out.
fn turn_unwanted(world: &mut World, planner: &mut Planner) {
    let mut dropped = Vec::new();
    for (uid, pod) in world.pods.iter_mut().filter(|(_, pod)| !pod.wanted) {
        match pod.stage {
            Stage::Terminating { .. } => {}
            // Nothing was begun.
            Stage::Queued if !pod.memory.on_disk => dropped.push(uid.clone()),
            Stage::Queued | Stage::Active => {
                pod.stage = Stage::Terminating { since: planner.now };
                pod.refusal = None;
                pod.sandbox.retry.clear();
                pod.memory.retry.clear();
                planner.flights.forget_images(uid);
                for image in &mut pod.images {
                    image.busy = None;
                }
            }
        }
    }
    for uid in dropped {
        forget(world, &uid);
    }
}

/// Containers that no pod knows go at once. A checkpoint goes only when all manifests can be read: a
/// broken one may be what it is for.
fn clear_orphans(world: &mut World, planner: &mut Planner) {
    let (pods, desired) = (&world.pods, &world.desired);
    let sure = desired.as_ref().filter(|desired| desired.problems().is_empty());
    world.orphans.advance(planner, |uid| {
        sure.is_some_and(|desired| !desired.contains(uid)) && !pods.contains_key(uid)
    });
}

/// Lets queued pods begin, in the order of the sources, as far as their predecessors are gone and there
/// is room.
fn admit_queued(world: &mut World, planner: &mut Planner) {
    let Some(desired) = &world.desired else { return };
    if world.pods.values().all(|pod| pod.stage != Stage::Queued) {
        return;
    }
    for uid in desired.uids() {
        let Some(pod) = world.pods.get(&uid).filter(|pod| pod.stage == Stage::Queued) else { continue };
        let refusal = if waits_for_predecessor(world, pod) {
            None
        } else {
            Some(refusal(world, pod, &planner.objects))
        };
        let Some(pod) = world.pods.get_mut(&uid) else { continue };
        match refusal {
            // It waits for its predecessor, and is seen to.
            None => pod.refusal = None,
            Some(Some(refusal)) => {
                // The numbers in the messages of limits change all the time; what is lacking is news each time.
                let known = pod.refusal.as_ref();
                if known.is_none_or(|known| lacking::is_other(known, &refusal)) {
                    planner.warn(&pod.desired, refusal.event, refusal.message.clone());
                }
                pod.refusal = Some(refusal);
            }
            Some(None) => {
                pod.refusal = None;
                pod.stage = Stage::Active;
                let clear = world.orphans.clear_of(&uid);
                pod::advance(pod, clear, &world.boot_id, planner);
            }
        }
    }
}

fn waits_for_predecessor(world: &World, pod: &Pod) -> bool {
    let begun = world.pods.values().filter(|other| other.stage != Stage::Queued);
    begun.into_iter().any(|other| other.desired.key == pod.desired.key)
}

fn refusal(world: &World, pod: &Pod, objects: &Objects) -> Option<Refusal> {
    let slots = pod.slots();
    if slots == 0 {
        return None;
    }
    if let Some(refusal) = eligible::refusal(&pod.desired, &world.config) {
        return Some(refusal);
    }
    if let Some(refusal) = lacking::refusal(&pod.desired, objects) {
        return Some(refusal);
    }
    if let Some(refusal) = host_ports::taken(world, pod) {
        return Some(refusal);
    }
    let begun = || world.pods.values().filter(|other| other.stage != Stage::Queued);
    let (pods, pods_max) = (begun().filter(|other| !other.is_finished()).count(), world.config.pods_max);
    if pods >= pods_max {
        let message = format!("{pods} pods are active and {pods_max} is the limit (maxPods); the pod waits");
        return Some(Refusal::new("OutOfpods", message));
    }
    let max = world.config.containers_max;
    let used = begun().map(Pod::slots).sum::<usize>() + world.orphans.containers_len();
    if used + slots > max {
        let message =
            format!("{used} containers are active, the pod has {slots} and {max} is the limit; it waits");
        return Some(Refusal::new("OutOfcontainers", message));
    }
    None
}
