//! Pods that begin after others, and go before them when they go together; and on the way down of the whole node those of
//! lower priority before those of higher.
//!
//! Invariants: who has begun is never stopped because of another one; a pod that is to go waits for others no longer
//! than their grace and a little; pods in a circle do not begin, and when they are there all the same they do not wait
//! for each other.

use super::{
    World,
    halt::{Budget, Going},
    planner::Planner,
    state::{Container, Pod, Refusal, Stage},
    terms::Role,
};
use crate::{
    ids::PodUid,
    manifest::{DesiredPod, start_after, types::RestartPolicy},
    node::priority,
};

/// What a pod that goes has beyond its grace before those that wait for it go too, seconds.
const SLACK_S: u64 = 10;

/// Why the pod does not begin yet.
pub(super) fn refusal(world: &World, pod: &Pod) -> Option<Refusal> {
    let named = start_after::of(&pod.desired);
    if named.is_empty() {
        return None;
    }
    let all: Vec<&DesiredPod> =
        world.desired.as_ref().map(|desired| desired.pods().collect()).unwrap_or_default();
    if let Some(circle) = start_after::circle(&pod.desired, &all) {
        let circle: Vec<String> = circle.into_iter().map(ToString::to_string).collect();
        let message = format!(
            "berth/start-after makes a circle: {}; none of these begins until it is broken",
            circle.join(" after ")
        );
        return Some(Refusal::new("StartAfterCircle", message));
    }
    let missing = named.iter().find_map(|named| {
        let mut meant =
            world.pods.values().filter(|other| start_after::means(named, &other.desired)).peekable();
        let Some(first) = meant.peek() else {
            return Some(format!("it begins after pod {named}, which no manifest has"));
        };
        let key = &first.desired.key;
        let why = match first.is_finished() {
            true => format!("it begins after pod {key}, which has failed"),
            false if is_to_end(first) => format!("it begins when pod {key} has succeeded"),
            false => format!("it begins when pod {key} is Ready"),
        };
        (!meant.any(|other| has_succeeded(other) || !is_to_end(other) && is_ready(other))).then_some(why)
    });
    missing.map(|message| Refusal::new("StartAfter", message))
}

/// Its end is what it is there for.
fn is_to_end(pod: &Pod) -> bool {
    pod.desired.pod.spec.restart_policy != RestartPolicy::Always
}

fn is_ready(pod: &Pod) -> bool {
    let mut lasting = pod.containers.iter().filter(|container| container.terms.role != Role::Init);
    pod.stage == Stage::Active && !pod.is_finished() && lasting.all(Container::is_ready)
}

fn has_succeeded(pod: &Pod) -> bool {
    let mut mains = pod.containers.iter().filter(|container| container.terms.role == Role::Main);
    pod.is_finished()
        && !pod.expired
        && !pod.is_evicted_for_good()
        && !pod.has_failed_init()
        && mains.all(|container| container.last_code() == Some(0))
}

/// The pods after which this one begins, and those after which they do: it never takes their room, because then it would
/// have to wait for them again.
pub(super) fn leans_on(world: &World, pod: &Pod) -> Vec<PodUid> {
    let mut found: Vec<PodUid> = Vec::new();
    let mut todo = start_after::of(&pod.desired);
    while let Some(named) = todo.pop() {
        let meant =
            |other: &&Pod| start_after::means(&named, &other.desired) && !found.contains(&other.desired.uid);
        let meant: Vec<&Pod> = world.pods.values().filter(meant).collect();
        for other in meant {
            found.push(other.desired.uid.clone());
            todo.extend(start_after::of(&other.desired));
        }
    }
    found
}

/// What is decided of the pods that are wanted no more.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Those that let others go first that are wanted no more either.
    pub(super) held: Vec<PodUid>,
    /// Seconds that those have whose turn it is, if the machine goes down.
    pub(super) graces: Vec<(PodUid, u64)>,
}

/// Who of the pods, wanted no more, goes now.
pub(super) fn going(world: &World, planner: &mut Planner) -> Leaving {
    let going: Vec<&Pod> =
        world.pods.values().filter(|pod| !pod.wanted && pod.stage != Stage::Queued).collect();
    let shutdown = world.desired.as_ref().is_some_and(super::desired::Desired::is_shutdown);
    let all: Vec<&DesiredPod> = going.iter().map(|pod| &pod.desired).collect();
    let names: Vec<Vec<usize>> = all.iter().map(|pod| named_by(pod, &all)).collect();
    let ranks = if shutdown { ranks(&all, &names) } else { vec![0; all.len()] };
    let rank = |i: usize| ranks.get(i).copied().unwrap_or_default();
    let before =
        |j: usize, i: usize| names.get(j).is_some_and(|names| names.contains(&i)) || rank(j) < rank(i);
    let budget = Budget::of(world);
    let mut leaving = Leaving::default();
    for (i, pod) in going.iter().enumerate().filter(|(_, pod)| pod.stage == Stage::Active) {
        let mut waits = false;
        for (j, other) in going.iter().enumerate() {
            let is_over = |planner: &mut Planner| {
                budget.is_some_and(|budget| budget.is_turn_of(rank(i), rank(j), planner))
            };
            if before(j, i) && other.containers.iter().any(Container::may_run) && !is_over(planner) {
                waits |= match other.stage {
                    Stage::Terminating { since } => {
                        !planner.due(since.mono.plus_s(other.grace_s().saturating_add(SLACK_S)))
                    }
                    Stage::Queued | Stage::Active => true,
                };
            }
        }
        if waits {
            leaving.held.push(pod.desired.uid.clone());
        }
    }
    if let Some(budget) = budget {
        let turns = turns(going.len(), before);
        let going: Vec<Going<'_>> = going
            .iter()
            .zip(turns)
            .enumerate()
            .map(|(i, (pod, turn))| Going {
                pod,
                rank: rank(i),
                turn,
                held: leaving.held.contains(&pod.desired.uid),
            })
            .collect();
        leaving.graces = budget.graces(&going, planner.now.mono);
    }
    leaving
}

/// A number for each of `count`, higher than those of all that go before it.
fn turns(count: usize, before: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut turns = vec![0; count];
    // No chain is longer than all of them; most are very short.
    for _ in 0..count {
        let next: Vec<usize> = (0..count)
            .map(|i| {
                let first = (0..count).filter(|j| before(*j, i));
                first.filter_map(|j| turns.get(j)).max().map_or(0, |last| last + 1)
            })
            .collect();
        if next == turns {
            break;
        }
        turns = next;
    }
    turns
}

/// Which of these the pod begins after; none if it stands in a circle.
fn named_by(pod: &DesiredPod, all: &[&DesiredPod]) -> Vec<usize> {
    let named = start_after::of(pod);
    if named.is_empty() || start_after::circle(pod, all).is_some() {
        return Vec::new();
    }
    let meant = |other: &DesiredPod| named.iter().any(|named| start_after::means(named, other));
    all.iter().enumerate().filter(|(_, other)| meant(other)).map(|(i, _)| i).collect()
}

/// The priorities by which they go: of a pod no less than of those that begin after it, so that the two orders never
/// contradict each other.
fn ranks(all: &[&DesiredPod], names: &[Vec<usize>]) -> Vec<i32> {
    let mut ranks: Vec<i32> = all.iter().map(|pod| priority(&pod.pod.spec)).collect();
    for _ in 0..all.len() {
        for (i, named) in names.iter().enumerate() {
            let own = ranks.get(i).copied().unwrap_or_default();
            for other in named {
                if let Some(rank) = ranks.get_mut(*other) {
                    *rank = own.max(*rank);
                }
            }
        }
    }
    ranks
}
