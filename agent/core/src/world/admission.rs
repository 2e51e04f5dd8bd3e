//! Which of the pods that wait may begin, and which go to make room for them. In the order of priority, and of the
//! sources among equals.
//!
//! Invariants: limits keep pods from beginning and never touch one that has begun, unless one of a higher priority
//! needs its room and that is enough for it; room that is being made for a pod, and its ports, are given to nobody who
//! comes after it; who is refused is looked at again in every pass, so whoever fits begins in the step in which room
//! appears.

use super::{
    World, cpus, devices, eligible, evict, host_ports, lacking,
    planner::Planner,
    pod, pressure, start_after,
    state::{Pod, Refusal, Stage},
};
use crate::{
    event::{Cause, FailReason},
    ids::PodUid,
    manifest::qos::{self, QosClass},
    node::{Amounts, CONTAINERS, EXCLUSIVE, PODS, Shortage, priority},
};
use std::cmp::Reverse;

/// Lets queued pods begin, as far as their predecessors are gone and there is room; ends those of lower priority for
/// those that have none. True: some were ended, which may be gone already.
pub(super) fn queued(world: &mut World, planner: &mut Planner) -> bool {
    let (mut promised, mut to, mut ended) = (Amounts::default(), Vec::new(), false);
    for uid in in_order(world) {
        let Some(pod) = world.pods.get(&uid) else { continue };
        if waits_for_predecessor(world, pod) {
            // And is seen to.
            if let Some(pod) = world.pods.get_mut(&uid) {
                pod.refusal = None;
            }
            continue;
        }
        let mut refusal = None;
        if pod.slots() > 0 {
            refusal = self::refusal(world, pod, &to, planner);
            if refusal.is_none()
                && let Some((short, room)) = lack_of_room(world, pod, &promised)
            {
                refusal = Some(out_of(&short));
                if let Room::Made(victims) = room {
                    promised.add(&needs(world, pod));
                    to.push(uid.clone());
                    let cause = preempted_for(pod);
                    ended |= !victims.is_empty();
                    for victim in victims {
                        let Some(victim) = world.pods.get_mut(&victim) else { continue };
                        evict::end(victim, Cause::Preempting, cause.clone(), planner);
                    }
                }
            }
        }
        decide(world, &uid, refusal, planner);
    }
    ended
}

/// The pod begins, or is refused and seen to be.
fn decide(world: &mut World, uid: &PodUid, refusal: Option<Refusal>, planner: &mut Planner) {
    if refusal.is_none() {
        cpus::hold(world, uid);
    }
    let Some(pod) = world.pods.get_mut(uid) else { return };
    let Some(refusal) = refusal else {
        pod.refusal = None;
        pod.stage = Stage::Active;
        pod.active_since = planner.now.mono;
        devices::hold(pod, planner);
        let clear = world.orphans.clear_of(uid);
        pod::advance(pod, clear, &world.boot_id, planner);
        return;
    };
    // The numbers in the messages of limits change all the time; what is lacking is news each time.
    let known = pod.refusal.as_ref();
    let is_news = known.is_none_or(|known| lacking::is_other(known, &refusal));
    if is_news && !refusal.event.is_empty() {
        planner.warn(&pod.desired, refusal.event, refusal.message.clone());
    }
    pod.refusal = Some(refusal);
}

fn in_order(world: &World) -> Vec<PodUid> {
    let Some(desired) = world.desired.as_ref().filter(|desired| !desired.is_halt()) else {
        return Vec::new();
    };
    if world.pods.values().all(|pod| pod.stage != Stage::Queued) {
        return Vec::new();
    }
    let rank = |uid: &PodUid| {
        let pod = world.pods.get(uid).filter(|pod| pod.stage == Stage::Queued)?;
        Some(Reverse(priority(&pod.desired.pod.spec)))
    };
    // Beside those of the sources there may be some whose manifests cannot be read now, and that were evicted.
    let others = world.pods.iter().filter(|(uid, pod)| pod.wanted && !desired.contains(uid));
    let others: Vec<PodUid> = others.map(|(uid, _)| uid.clone()).collect();
    let mut uids = desired.uids();
    uids.extend(others);
    uids.retain(|uid| rank(uid).is_some());
    uids.sort_by_key(rank);
    uids
}

fn waits_for_predecessor(world: &World, pod: &Pod) -> bool {
    let begun = world.pods.values().filter(|other| other.stage != Stage::Queued);
    begun.into_iter().any(|other| other.desired.key == pod.desired.key)
}

/// Why the pod may not begin, whatever room there is. `before`: those for whom room is being made.
fn refusal(world: &World, pod: &Pod, before: &[PodUid], planner: &mut Planner) -> Option<Refusal> {
    evict::refusal(world, pod, planner)
        .or_else(|| eligible::refusal(&pod.desired, &world.config))
        .or_else(|| pressure::refusal(&world.pressure, &pod.desired))
        .or_else(|| start_after::refusal(world, pod))
        .or_else(|| lacking::refusal(&pod.desired, &planner.objects))
        .or_else(|| host_ports::taken(world, pod, before))
        .or_else(|| devices::refusal(pod, planner))
}

/// Whether there will be room for a pod for which there is none.
enum Room {
    /// When these have gone, beside others that are on their way out.
    Made(Vec<PodUid>),
    /// When others end by themselves.
    Perhaps,
}

/// It does not go by itself soon: also a pod that lets others go first is on its way out.
fn stays(pod: &Pod) -> bool {
    pod.stage == Stage::Active && pod.wanted
}

/// What there is too little of for the pod; none if there is room.
fn lack_of_room(world: &World, pod: &Pod, promised: &Amounts) -> Option<(Shortage, Room)> {
    let (node, wanted) = (&world.config.allocatable, needs(world, pod));
    let mut staying = used(world, stays);
    staying.add(promised);
    let Some(short) = node.shortage(&wanted, &staying) else {
        let short = node.shortage(&wanted, &used(world, |other| other.stage != Stage::Queued))?;
        return Some((short, Room::Made(Vec::new())));
    };
    let victims = victims(world, pod, &wanted, &staying);
    Some((short, if victims.is_empty() { Room::Perhaps } else { Room::Made(victims) }))
}

fn preempted_for(pod: &Pod) -> String {
    let rank = priority(&pod.desired.pod.spec);
    format!("Preempted in order to admit pod {} of priority {rank}.", pod.desired.key)
}

fn out_of(short: &Shortage) -> Refusal {
    let Shortage { resource, requested, used, capacity } = short;
    let message = match resource.as_str() {
        PODS => format!("{used} pods are active and {capacity} is the limit (maxPods); the pod waits"),
        CONTAINERS => format!(
            "{used} containers are active, the pod has {requested} and {capacity} is the limit; it waits"
        ),
        EXCLUSIVE => format!(
            "Allocate failed due to not enough cpus available to satisfy request: requested={requested}, \
             available={}, which is unexpected; the pod waits until there are enough",
            capacity.saturating_sub(*used)
        ),
        _ => format!(
            "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, \
             capacity: {capacity}; the pod waits until there is room"
        ),
    };
    let reason = match resource.as_str() {
        "cpu" => "OutOfcpu",
        "memory" => "OutOfmemory",
        "ephemeral-storage" => "OutOfephemeral-storage",
        "hugepages-64Ki" => "OutOfhugepages-64Ki",
        "hugepages-2Mi" => "OutOfhugepages-2Mi",
        "hugepages-32Mi" => "OutOfhugepages-32Mi",
        "hugepages-1Gi" => "OutOfhugepages-1Gi",
        PODS => "OutOfpods",
        CONTAINERS => "OutOfcontainers",
        EXCLUSIVE => FailReason::UnexpectedAdmissionError.as_str(),
        _ => "OutOfresources",
    };
    Refusal::new(reason, message)
}

/// What the pod takes of the node.
fn needs(world: &World, pod: &Pod) -> Amounts {
    let slots = u64::try_from(pod.slots()).unwrap_or(u64::MAX);
    let needs = match pod.is_finished() {
        true => Amounts::default(),
        false => Amounts::requests(&pod.desired.pod.spec).with(PODS, 1),
    };
    let needs = needs.with(CONTAINERS, slots);
    match cpus::needs(world, pod) {
        0 => needs,
        own => needs.with(EXCLUSIVE, own),
    }
}

/// What the pods take of which `counts` holds, and containers that no pod knows.
pub(super) fn used(world: &World, counts: impl Fn(&Pod) -> bool) -> Amounts {
    let orphans = u64::try_from(world.orphans.containers_len()).unwrap_or(u64::MAX);
    let mut used = Amounts::default().with(CONTAINERS, orphans);
    for pod in world.pods.values().filter(|pod| counts(pod)) {
        used.add(&needs(world, pod));
    }
    used
}

/// The pods of lower priority that have to go so that there is room: those of the lowest, and as few as that takes,
/// as Kubernetes' scheduler chooses them; never one after which it is to begin. None if all of them would not be enough.
fn victims(world: &World, pod: &Pod, wanted: &Amounts, staying: &Amounts) -> Vec<PodUid> {
    let spec = &pod.desired.pod.spec;
    if spec.preemption_policy.as_deref() == Some("Never") {
        return Vec::new();
    }
    let (rank, needed) = (priority(spec), start_after::leans_on(world, pod));
    let lower = |other: &&Pod| {
        stays(other)
            && !other.is_finished()
            && priority(&other.desired.pod.spec) < rank
            && !needed.contains(&other.desired.uid)
    };
    let mut candidates: Vec<&Pod> = world.pods.values().filter(lower).collect();
    let node = &world.config.allocatable;
    let mut kept = staying.clone();
    candidates.iter().for_each(|candidate| kept.take(&needs(world, candidate)));
    if node.shortage(wanted, &kept).is_some() {
        return Vec::new();
    }
    candidates.sort_by_key(|candidate| {
        let class = match qos::of(&candidate.desired.pod) {
            QosClass::Guaranteed => 0,
            QosClass::Burstable => 1,
            QosClass::BestEffort => 2,
        };
        let other = &candidate.desired;
        (Reverse(priority(&other.pod.spec)), class, candidate.seen.mono, other.uid.clone())
    });
    let goes = |candidate: &&Pod| {
        let mut with = kept.clone();
        with.add(&needs(world, candidate));
        let goes = node.shortage(wanted, &with).is_some();
        if !goes {
            kept = with;
        }
        goes
    };
    candidates.into_iter().filter(goes).map(|victim| victim.desired.uid.clone()).collect()
}
