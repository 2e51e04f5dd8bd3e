//! Which processors containers run on under kubelet's static policy: those of Guaranteed pods that ask for whole ones have
//! them to themselves, all others share the rest. Kubelet keeps what it has given away in a file; here a run's record says
//! where it runs, and what no run has yet is found anew by the next agent.
//!
//! Invariants: a processor is one container's at a time, but for what init containers leave to those after them; one that
//! is reserved is nobody's own; what a pod has it has until nothing of it runs; a container does not begin on processors of
//! its own while another one may still run there; who runs is moved, and never stopped or held up.

use super::{
    World, grow,
    planner::Planner,
    resize,
    state::{Container, Pod, Run, Stage},
    terms::Role,
};
use crate::{
    cpus::{CpuSet, Place, Policy, Short, Wish, assign, most, whole},
    event::{FailReason, Failure},
    ids::PodUid,
    node::{Amounts, CPU},
};
use std::sync::Arc;

/// Why a pod waits for processors of its own; the event's reason too. Kubelet's.
const UNEXPECTED: FailReason = FailReason::UnexpectedAdmissionError;
/// The event of processors that a container had to itself and can have no more.
const GONE: &str = "CPUsGone";

/// Brings it up to date: who has processors to itself and which, and what is left for the others.
pub(super) fn settle(world: &mut World, planner: &mut Planner) {
    let config = Arc::clone(&world.config);
    let Some(policy) = &config.cpus else { return };
    for pod in world.pods.values_mut() {
        release(pod, policy, planner);
    }
    // Only an earlier agent can have begun pods that lack some: those that begin do with all.
    let lasting = world.pods.iter().filter(|(_, pod)| pod.found && lasts(pod));
    let lasting: Vec<PodUid> = lasting.map(|(uid, _)| uid.clone()).collect();
    for uid in lasting {
        let Some(pod) = world.pods.get(&uid) else { continue };
        let chosen = choose(world, policy, pod);
        let Some(pod) = world.pods.get_mut(&uid) else { continue };
        match chosen {
            Ok(sets) => give(pod, &sets),
            Err(short) => lack(pod, short, planner),
        }
    }
    share(world, policy);
}

/// Processors that the pod has to itself, or is to have at one time: as many of the node's are others' no more.
pub(super) fn needs(world: &World, pod: &Pod) -> u64 {
    if world.config.cpus.is_none() {
        return 0;
    }
    let has = taken([pod].into_iter()).len();
    let wants = if pod.is_finished() { 0 } else { most(&wishes(pod)) };
    u64::try_from(has.max(wants)).unwrap_or(u64::MAX)
}

/// The pod begins: what it asks for is its own from now on. There is enough, by what all others need.
pub(super) fn hold(world: &mut World, uid: &PodUid) {
    let chosen = match (&world.config.cpus, world.pods.get(uid)) {
        (Some(policy), Some(pod)) if !pod.is_finished() => choose(world, policy, pod),
        _ => return,
    };
    if let (Ok(sets), Some(pod)) = (chosen, world.pods.get_mut(uid)) {
        give(pod, &sets);
    }
}

/// Why a pod that runs cannot have other CPU time, if that would be other processors.
pub(super) fn cannot_resize(world: &World, pod: &Pod, wants: &grow::Wants) -> Option<String> {
    world.config.cpus.as_ref()?;
    let (has, wants) = (&pod.desired.pod, &wants.pod);
    let cpu = |pod: &crate::manifest::types::Pod| -> Vec<Option<u64>> {
        let containers = pod.spec.all_containers();
        containers.map(|container| Amounts::read(&container.resources.requests).get(CPU)).collect()
    };
    let own = |pod| whole(pod).into_iter().any(|count| count > 0);
    (cpu(has) != cpu(wants) && (own(has) || own(wants))).then(|| {
        "Resize is infeasible for Guaranteed Pods alongside CPU Manager policy \"static\"".to_owned()
    })
}

fn unexpected(short: Short) -> String {
    format!("Allocate failed due to {short}, which is unexpected; it waits until there are enough")
}

fn lasts(pod: &Pod) -> bool {
    pod.stage == Stage::Active && !pod.is_finished()
}

/// What it has to itself is its own still.
fn keeps(pod: &Pod) -> bool {
    match pod.stage {
        Stage::Queued => false,
        Stage::Active => !pod.is_finished() || pod.containers.iter().any(|c| !matches!(c.run, Run::Idle)),
        Stage::Terminating { .. } => true,
    }
}

/// Takes back what has served its time, or can serve no more.
fn release(pod: &mut Pod, policy: &Policy, planner: &mut Planner) {
    let keeps = keeps(pod);
    for container in pod.containers.iter_mut().filter(|container| container.place.exclusive) {
        let gone = container.place.cpus.without(&policy.allocatable());
        if !gone.is_empty() && keeps {
            let name = &container.name;
            let message = format!(
                "CPU {gone}, which container {name} had to itself, is offline, or reserved: it gets another one if there \
                 is one"
            );
            planner.warn(&pod.desired, GONE, message);
        }
        if !gone.is_empty() || !keeps {
            container.place = Place::default();
        }
    }
}

/// What the containers of the pod have to themselves, or would have.
fn choose(world: &World, policy: &Policy, pod: &Pod) -> Result<Vec<CpuSet>, Short> {
    let others = world.pods.values().filter(|other| other.desired.uid != pod.desired.uid);
    assign(policy, &taken(others), &wishes(pod))
}

fn wishes(pod: &Pod) -> Vec<Wish> {
    let wish = |(container, count): (&Container, usize)| Wish {
        count,
        passes: container.terms.role == Role::Init,
        has: if container.place.exclusive { container.place.cpus.clone() } else { CpuSet::default() },
    };
    pod.containers.iter().zip(whole(&pod.desired.pod)).map(wish).collect()
}

fn taken<'a>(pods: impl Iterator<Item = &'a Pod>) -> CpuSet {
    let containers = pods.filter(|pod| keeps(pod)).flat_map(|pod| &pod.containers);
    let containers = containers.filter(|container| container.place.exclusive);
    containers.flat_map(|container| container.place.cpus.iter()).collect()
}

fn give(pod: &mut Pod, sets: &[CpuSet]) {
    for (container, cpus) in pod.containers.iter_mut().zip(sets).filter(|(_, cpus)| !cpus.is_empty()) {
        container.place = Place { cpus: cpus.clone(), exclusive: true };
        if container.failure.as_ref().is_some_and(|failure| failure.reason == UNEXPECTED) {
            container.failure = None;
        }
    }
}

/// There are too few for a pod that has begun: what runs of it runs on with the others, nothing more of it begins.
fn lack(pod: &mut Pod, short: Short, planner: &mut Planner) {
    let counts = whole(&pod.desired.pod);
    for (container, count) in pod.containers.iter_mut().zip(counts) {
        if count == 0 || container.place.exclusive {
            continue;
        }
        if container.failure.as_ref().is_none_or(|known| known.reason != UNEXPECTED) {
            planner.warn(&pod.desired, UNEXPECTED.as_str(), unexpected(short));
        }
        container.failure = Some(Failure { reason: UNEXPECTED, message: unexpected(short) });
    }
}

/// A container of which something may run, and where.
struct Runs {
    uid: PodUid,
    exclusive: bool,
    /// None: that is not known, or it is everywhere.
    cpus: Option<CpuSet>,
}

/// Something of it may still run: what is killed takes a moment to end.
fn is_there(container: &Container) -> bool {
    match &container.run {
        Run::Idle => false,
        Run::Remains(left) => !left.recorded,
        Run::Starting(_) | Run::Adopting { .. } | Run::Running(_) => true,
    }
}

/// Where the run of a container may be, or is just being sent to.
fn whereabouts(pod: &Pod, i: usize, container: &Container) -> Option<CpuSet> {
    let given = &container.given.as_ref()?.place;
    let mut cpus = CpuSet::default();
    for place in [Some(given), resize::on_its_way(pod, i)].into_iter().flatten() {
        if place.cpus.is_empty() {
            return None;
        }
        cpus.add(&place.cpus);
    }
    Some(cpus)
}

/// All that is nobody's own is everybody else's. Finds out who has to wait for others to go there.
fn share(world: &mut World, policy: &Policy) {
    let pool = Place { cpus: policy.online().without(&taken(world.pods.values())), exclusive: false };
    let runs = |pod: &Pod| -> Vec<Runs> {
        let running = pod.containers.iter().enumerate().filter(|(_, container)| is_there(container));
        let run = |(i, container): (usize, &Container)| Runs {
            uid: pod.desired.uid.clone(),
            exclusive: container.given.as_ref().is_some_and(|given| given.place.exclusive),
            cpus: whereabouts(pod, i, container),
        };
        running.map(run).collect()
    };
    let runs: Vec<Runs> = world.pods.values().flat_map(runs).collect();
    for (uid, pod) in &mut world.pods {
        for container in &mut pod.containers {
            if !container.place.exclusive {
                container.place.clone_from(&pool);
                container.crowded =
                    container.failure.as_ref().is_some_and(|known| known.reason == UNEXPECTED);
                continue;
            }
            let own = &container.place.cpus;
            container.crowded = runs.iter().any(|run| {
                // Those of its own pod with processors to themselves have others, or have left them to it.
                let beside = run.uid != *uid || !run.exclusive;
                beside && run.cpus.as_ref().is_none_or(|cpus| !cpus.is_disjoint(own))
            });
        }
    }
}
