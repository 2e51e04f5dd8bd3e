//! The first news: what is there already. Running containers are taken over untouched.
//!
//! Invariants: every record becomes a pod's container or an orphan, none is dropped; of several records
//! of one container the one most alive is the container, the others are orphans; an exit that memory has
//! already is not counted again.

use super::{
    World, desired, exits, order,
    planner::Planner,
    resize, restart_all,
    state::{Birth, Live, Pod, Remains, Run, Stage, Stop},
    terms::Role,
};
use crate::{
    event::{Checkpoint, ContainerRecord, EndReason, Inventory, LastRun, RecordState},
    ids::ContainerId,
    resize::Given,
    time::{Mono, Now},
};
use std::sync::Arc;

/// Takes in the inventory; a second one is ignored.
pub(crate) fn inventory(world: &mut World, inventory: &Inventory, planner: &mut Planner) {
    if std::mem::replace(&mut world.inventoried, true) {
        return;
    }
    if !inventory.boot_id.is_empty() {
        world.boot_id.clone_from(&inventory.boot_id);
    }
    for checkpoint in &inventory.checkpoints {
        world.orphans.add_checkpoint(checkpoint.clone());
    }
    for record in &inventory.sandboxes {
        let mut pod = Pod::new(record.desired.clone(), planner.now);
        pod.stage = Stage::Active;
        pod.found = true;
        pod.sandbox.made = record.ready;
        pod.sandbox.ips.clone_from(&record.ips);
        pod.sandbox.recorded = Some(record.desired.clone());
        resize::found(&mut pod, record);
        if record.ready {
            pod.sandbox_begins(record.begun);
        }
        // Unless its checkpoint knows better. Records of older versions do not have it.
        if record.begun != Mono(0) {
            pod.active_since = record.begun;
        }
        if let Some(stray) = world.orphans.strays.remove(&record.desired.uid) {
            recall(&mut pod, &stray.checkpoint, &world.boot_id);
            recall_stop(&mut pod, &stray.checkpoint, &world.boot_id);
        }
        world.pods.insert(record.desired.uid.clone(), pod);
    }
    let mut records: Vec<&ContainerRecord> = inventory.containers.iter().collect();
    records.sort_by_key(|record| (liveliness(&record.state), record.attempt));
    for record in records {
        place(world, record, planner);
    }
    for pod in world.pods.values_mut() {
        settle(pod, &world.boot_id);
        restart_all::found(pod);
        order::note_initialised(pod);
        let lasting = pod.containers.iter().filter(|container| container.terms.role != Role::Init);
        let since = lasting.map(|container| match &container.run {
            Run::Running(live) if live.health.is_ready() => Some(live.at.wall),
            _ => None,
        });
        let ready =
            since.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max_by_key(|wall| wall.0));
        pod.conditions.adopted(pod.sandbox.made, ready);
    }
    // What was desired before this was known may be a revision of what is there.
    desired::again(world, planner);
}

fn liveliness(state: &RecordState) -> u8 {
    match state {
        RecordState::Unknown => 0,
        RecordState::Exited { .. } => 1,
        RecordState::Creating => 2,
        RecordState::Running { .. } => 3,
    }
}

/// Gives a pod what was remembered of it. Moments of an earlier boot mean nothing any more.
pub(crate) fn recall(pod: &mut Pod, checkpoint: &Checkpoint, boot_id: &str) {
    let same_boot = checkpoint.boot_id == boot_id;
    pod.seen = checkpoint.started;
    pod.conditions.created = checkpoint.started.wall;
    pod.memory.on_disk = true;
    pod.expired = checkpoint.expired;
    pod.evicted.clone_from(&checkpoint.evicted);
    if let Some(evicted) = pod.evicted.as_mut().filter(|_| !same_boot) {
        evicted.at.mono = Mono(0);
    }
    if same_boot {
        pod.active_since = checkpoint.active.unwrap_or(checkpoint.started.mono);
    }
    for container in &mut pod.containers {
        let Some(memory) = checkpoint.containers.get(&container.name) else { continue };
        container.memory = memory.clone();
        if same_boot {
            continue;
        }
        let forget = |moment: &mut Now| moment.mono = Mono(0);
        if let Some(last) = &mut container.memory.last {
            forget(&mut last.started);
            forget(&mut last.exit.at);
        }
        container.memory.running.iter_mut().for_each(forget);
        (container.memory.stop, container.memory.doomed) = (None, None);
    }
}

/// A pod that was being stopped goes on with that, from where it was.
fn recall_stop(pod: &mut Pod, checkpoint: &Checkpoint, boot_id: &str) {
    if checkpoint.boot_id != boot_id {
        return;
    }
    pod.ending = checkpoint.ending;
    if let Some(since) = checkpoint.terminating {
        pod.stage = Stage::Terminating { since };
    }
    pod.stop_kept = checkpoint.terminating.or(checkpoint.ending).is_some();
}

/// Notes the ends that nobody saw.
pub(crate) fn settle(pod: &mut Pod, boot_id: &str) {
    for container in &mut pod.containers {
        let alive = match &container.run {
            Run::Running(_) | Run::Adopting { .. } | Run::Starting(_) => true,
            Run::Remains(left) => left.recorded,
            Run::Idle => false,
        };
        if alive {
            continue;
        }
        let id = container.current_id().cloned().unwrap_or_else(|| {
            ContainerId::derive(&pod.desired.uid, &container.name, container.restarts(), boot_id)
        });
        exits::unseen(container, &mut pod.memory, id);
        if let Run::Remains(left) = &mut container.run {
            left.recorded = container.memory.last.as_ref().is_some_and(|last| last.id == left.birth.id);
        }
    }
}

fn place(world: &mut World, record: &ContainerRecord, planner: &mut Planner) {
    let birth = Birth { id: record.id.clone(), attempt: record.attempt, asked: planner.now };
    let known = world.pods.get_mut(&record.pod).and_then(|pod| {
        let i = pod.containers.iter().position(|container| container.name == record.name)?;
        Some((pod, i))
    });
    let Some((pod, i)) = known else {
        world.orphans.add(record.pod.clone(), birth, true);
        return;
    };
    let (containers, restarting) = (pod.containers.len(), pod.restarting);
    let spec = pod.desired.pod.spec.all_containers().nth(i);
    let Some(container) = pod.containers.get_mut(i) else { return };
    if let Some(image) = pod.images.get_mut(container.image)
        && image.reference == record.image.reference
    {
        image.facts = Some(Arc::new(record.image.clone()));
    }
    // Records come from the least to the most alive: what stood here is the lesser one.
    if let Some(lesser) = container.current_id() {
        let lesser = Birth { id: lesser.clone(), ..birth.clone() };
        world.orphans.add(record.pod.clone(), lesser, true);
    }
    container.grants.clone_from(&record.devices);
    let of_pod = || Some(Given { resources: spec?.resources.clone(), ..Given::default() });
    container.given = record.given.clone().or_else(of_pod).filter(|_| pod.resizing.is_settled());
    let own = record.given.as_ref().map(|given| &given.place).filter(|place| place.exclusive);
    container.place = own.filter(|_| planner.config.cpus.is_some()).cloned().unwrap_or_default();
    let memory = &mut container.memory;
    container.run = match &record.state {
        RecordState::Unknown => Run::Remains(Remains::unknown(birth)),
        RecordState::Creating => {
            let until = planner.now.mono.plus_s(planner.config.deadlines.start_s);
            Run::Adopting { birth, until }
        }
        &RecordState::Running { pid, at } => {
            let next = record.attempt.saturating_add(1);
            if memory.next_attempt < next || memory.running.is_none() {
                memory.next_attempt = memory.next_attempt.max(next);
                memory.running = Some(at);
                (memory.stop, memory.doomed) = (None, None);
                // An end that is only told now may have been one after which all begin anew.
                memory.again |= restarting;
                pod.memory.touch();
            }
            let image = Arc::new(record.image.clone());
            let Some(spec) = spec else { return };
            let mut live = Live::new(birth.id, birth.attempt, pid, at, image, spec, record.standing);
            live.stop = memory.stop.map(Stop::signalled);
            Run::Running(live)
        }
        RecordState::Exited { started, exit, message } => {
            if memory.last.as_ref().is_none_or(|last| last.id != record.id) {
                let (id, reason) = (record.id.clone(), EndReason::Exited);
                let message = exits::share(message, containers);
                let last = LastRun { id, started: *started, exit: *exit, reason, message };
                let birth = Birth { asked: *started, ..birth };
                // It was to end, so that all begin anew: such an end has no consequence.
                let again = memory.again && memory.next_attempt > record.attempt;
                exits::record(container, &mut pod.memory, &birth, last);
                if !again {
                    restart_all::ended(pod, i);
                }
                return;
            }
            Run::Remains(Remains { recorded: true, ..Remains::dead(birth) })
        }
    };
}
