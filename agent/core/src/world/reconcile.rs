//! The pass: from what is known to what is to be done, over all pods, each time anew.
//!
//! Invariants: two revisions of a key are never both past `Queued`, whatever the sources say; a pod is
//! forgotten in the step that learns that nothing of it is left, and the next one begins in that step;
//! who may begin is decided in `admission`.

use super::{
    World, admission, conditions, cpus, desired, evict, grow, host_ports,
    planner::Planner,
    pod, pressure, resize, start_after,
    state::{Pod, Stage},
    teardown, unheld,
};
use crate::ids::PodUid;

/// Plans everything that can be done now.
pub(crate) fn pass(world: &mut World, planner: &mut Planner) {
    pressure::note(world, planner);
    turn_unwanted(world, planner);
    clear_orphans(world, planner);
    host_ports::hold_back(world, planner);
    cpus::settle(world, planner);
    // Each further round ends pods of lower priority than one that waits, so there is an end to it.
    while advance(world, planner) {}
    pressure::tend(world, planner);
    // Others share what those have not that have begun now.
    cpus::settle(world, planner);
    for pod in world.pods.values_mut() {
        resize::tend(pod, planner);
        unheld::note(pod, world.config.policies, &world.unheld, planner);
        conditions::note(pod, planner.now.wall);
    }
}

/// Brings every pod one step on, then lets those begin that may. True: some were ended for that.
fn advance(world: &mut World, planner: &mut Planner) -> bool {
    let mut gone = Vec::new();
    let halt = world.desired.as_ref().is_some_and(desired::Desired::is_halt);
    for (uid, pod) in world.pods.iter_mut().filter(|(_, pod)| matches!(pod.stage, Stage::Terminating { .. }))
    {
        let clear = world.orphans.clear_of(uid);
        if teardown::advance(pod, clear, &world.boot_id, planner, halt) {
            gone.push(uid.clone());
        }
    }
    for uid in gone {
        if !evict::begin_anew(world, &uid, planner) {
            forget(world, &uid);
        }
    }
    // With the room that they left, and before anything is begun with what pods had.
    grow::settle(world, planner);
    for (uid, pod) in world.pods.iter_mut().filter(|(_, pod)| pod.stage == Stage::Active) {
        let clear = world.orphans.clear_of(uid);
        pod::advance(pod, clear, &world.boot_id, planner);
    }
    for uid in host_ports::hold_back(world, planner) {
        let clear = world.orphans.clear_of(&uid);
        if let Some(pod) = world.pods.get_mut(&uid) {
            pod::advance(pod, clear, &world.boot_id, planner);
        }
    }
    desired::admit_new(world, planner);
    let ended = admission::queued(world, planner);
    for pod in world.pods.values_mut().filter(|pod| pod.stage == Stage::Queued) {
        evict::keep(pod, &world.boot_id, planner);
    }
    ended
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
    let going = start_after::going(world, planner);
    for (uid, pod) in world.pods.iter_mut().filter(|(_, pod)| !pod.wanted) {
        match pod.stage {
            Stage::Terminating { .. } => {}
            Stage::Active if going.held.contains(uid) => {}
            // Nothing was begun.
            Stage::Queued if !pod.memory.on_disk => dropped.push(uid.clone()),
            Stage::Queued | Stage::Active => terminate(uid, pod, planner),
        }
    }
    for (uid, grace_s) in going.graces {
        if let Some(pod) = world.pods.get_mut(&uid) {
            pod.halt_grace_s = Some(grace_s);
        }
    }
    for uid in dropped {
        forget(world, &uid);
    }
}

/// Sends the pod on its way out.
pub(crate) fn terminate(uid: &PodUid, pod: &mut Pod, planner: &mut Planner) {
    pod.stage = Stage::Terminating { since: planner.now };
    pod.refusal = None;
    pod.sandbox.retry.clear();
    pod.memory.retry.clear();
    planner.flights.forget_answers(uid);
    pod.storage.busy = None;
    for image in &mut pod.images {
        image.busy = None;
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
