//! What must hold always, checked against what the core was told, what it plans, and what the machine
//! really has. The oracle has its own books and none of the core's code.

mod anew;
mod cpus;
mod devices;
mod health;
mod hears;
mod in_place;
mod ledger;
mod plans;
mod pressure;
mod room;
mod storage;
mod together;
mod turns;

use super::machine::{Machine, Process};
use berth_core::{
    action::Plan,
    check::Purpose,
    cpus::Policy,
    devices::Seen,
    event::{DesiredSet, SandboxRecord},
    ids::{ActionId, ContainerId, PodKey, PodUid},
    manifest::{DesiredPod, Problem},
    pressure::Signal,
    time::{Mono, Now},
    world::World,
};
pub(crate) use cpus::wholes;
use ledger::Ledger;
pub(crate) use room::{milli, priority};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
pub(crate) use storage::LIMIT_BYTES;
pub(crate) use together::{after, in_circle, leans_on};

/// What can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// One live container per pod and name.
    OneContainer,
    /// One revision of a key.
    OneRevision,
    /// Nothing is begun for what is not desired, or not any more, or has completed.
    Desired,
    /// No exit is lost: recorded before it is acknowledged.
    ExitLost,
    /// No run is counted twice or not at all.
    Count,
    /// No restart, pull or retry before its time.
    Backoff,
    /// No kill before the grace is over.
    Grace,
    /// Without news there is nothing to plan.
    Idle,
    /// A removed pod leaves nothing.
    Leftover,
    /// At most one action in flight per object.
    OneAction,
    /// Things are done in their order.
    Order,
    /// Probes are asked at their times of runs that there are, and have their consequences and no others.
    Probe,
    /// Hooks are begun once, each at its time.
    Hook,
    /// Limits hold.
    Limit,
    /// Nothing begins for a pod that lacks an object, and none runs with another one than there is.
    Objects,
    /// Of an address counts what it said last that means anything, and nothing else.
    Source,
    /// Pods are measured, and those that write too much are ended, and no others.
    Storage,
    /// Nobody goes for a shortage but one that should, one at a time, and nobody begins in it that must not.
    Pressure,
    /// A pod that is started anew as a whole has ended as a whole before.
    Anew,
    /// Nothing begins without its devices.
    Devices,
    /// What can be applied to a pod that runs is, and nothing else.
    InPlace,
    /// A processor that a container has to itself has nobody else.
    Cpus,
    /// A port of the node has one pod.
    Ports,
    /// What is desired comes to be.
    Liveness,
}

/// An action in flight, as the oracle sees it.
#[derive(Debug, Clone)]
struct InFlight {
    uid: PodUid,
    object: String,
    deadline: Mono,
    what: Doing,
}

/// What of it matters later.
#[derive(Debug, Clone)]
enum Doing {
    Start { name: String, id: ContainerId, asked: Mono },
    Remove(ContainerId),
    Check(ContainerId, Purpose),
    Pull(String),
    Measure,
    Weigh(Signal),
    Save,
    Drop,
    Other,
}

/// One run of a container.
#[derive(Debug, Clone, Default)]
struct Run {
    uid: Option<PodUid>,
    name: String,
    attempt: u32,
    /// The core knows that it runs.
    told_start: Option<Mono>,
    /// The core knows that it ended.
    told_exit: bool,
    /// It came to know so too late: it had waited long enough after a kill.
    told_late: bool,
    killed: Option<Mono>,
    killed_again: Option<Mono>,
    /// When the core asked it to stop.
    signalled: Option<Mono>,
    /// The agent knows from the disk that an earlier one did.
    signal_kept: bool,
    /// The core has killed it, or was told that there is nothing to kill.
    dead: bool,
    /// The core was told that nothing is left of it.
    removed: bool,
    /// Found by an agent as being created.
    creating_until: Option<Mono>,
    /// Its probes and hooks.
    health: health::Health,
}

/// The books.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    verdict: Option<(Rule, String)>,
    desired: Option<Arc<DesiredSet>>,
    /// By uid: what was begun, as it was begun.
    begun: BTreeMap<PodUid, DesiredPod>,
    /// All that was ever begun, as it was then.
    known: BTreeMap<PodUid, DesiredPod>,
    terminating: BTreeSet<PodUid>,
    /// Begun by this agent: the limits hold for them.
    made: BTreeSet<PodUid>,
    /// Desired at some time in this agent's life.
    seen: BTreeSet<PodUid>,
    in_flight: BTreeMap<ActionId, InFlight>,
    runs: BTreeMap<ContainerId, Run>,
    ledgers: BTreeMap<(PodUid, String), Ledger>,
    pulls: BTreeMap<(PodUid, String), (u32, Mono)>,
    failed_saves: BTreeMap<PodUid, u32>,
    failed_drops: BTreeMap<PodUid, u32>,
    /// Containers that there may be.
    containers_max: usize,
    /// Thousandths of a CPU that there are.
    cpu_milli: u64,
    /// Containers may have processors to themselves.
    pub(crate) cpus: Option<Policy>,
    /// The longest wait between restarts, seconds.
    pub(crate) crash_wait_max_s: u64,
    /// Attempts that came as far as a process (or a refusal to be one), since the pod was last removed.
    reached: BTreeMap<(PodUid, String), u32>,
    /// When the pod's present sandbox was begun.
    sandboxes: BTreeMap<PodUid, Mono>,
    /// Containers that the core has known to exist in the pod's present sandbox.
    present: BTreeSet<(PodUid, String)>,
    /// Of all pods that were ever begun.
    keys: BTreeMap<PodUid, PodKey>,
    /// When the pod was first asked to stop, or any container of it.
    stops: BTreeMap<PodUid, Mono>,
    /// Containers that have come up in the pod's present sandbox.
    ups: BTreeSet<(PodUid, String)>,
    /// Runs that were found unwell since the last plan.
    doomed_now: Vec<ContainerId>,
    evictions: storage::Evictions,
    pressure: pressure::Books,
    /// Pods that end to be started anew as a whole.
    anew: BTreeSet<PodUid>,
    /// Devices that there are, as the core was told.
    devices: Arc<Seen>,
    /// Ended with this plan for others.
    preempted: BTreeSet<PodUid>,
    /// Wanted no more since the last news: what came before that news counts of them.
    unwanted_now: BTreeSet<PodUid>,
    /// On their way out for others, to begin anew when there is room.
    giving_way: BTreeSet<PodUid>,
    /// Wanted no more, and perhaps waiting for others to go first.
    held: BTreeSet<PodUid>,
    /// All that was desired in this agent's life.
    ever: BTreeMap<PodUid, DesiredPod>,
}

/// Exit code of a program that could not be started.
const START_ERROR: i32 = 128;
/// The longest wait between restarts unless something else is configured, seconds.
const CRASH_WAIT_MAX_S: u64 = 300;
/// After a kill an exit is waited for so long, seconds.
const EXIT_WAIT_S: u64 = 5;
/// Failures in a row after which the core may go on without the disk.
const DISK_TRIES: u32 = 3;

impl Oracle {
    pub(crate) fn new(containers_max: usize, cpu_milli: u64) -> Self {
        Self { containers_max, cpu_milli, crash_wait_max_s: CRASH_WAIT_MAX_S, ..Self::default() }
    }

    /// The first broken rule counts.
    pub(crate) fn broken(&mut self, rule: Rule, message: String) {
        self.verdict.get_or_insert((rule, message));
    }

    pub(crate) fn verdict(&mut self) -> Option<(Rule, String)> {
        self.verdict.take()
    }

    /// The machine: a process is about to begin.
    pub(crate) fn begins(&mut self, process: &Process, machine: &Machine) {
        for other in machine.processes.values() {
            if other.key == process.key && other.uid != process.uid {
                let message = format!("{}: {} begins while {} lives", other.key, process.uid, other.uid);
                self.broken(Rule::OneRevision, message);
            } else if other.uid == process.uid && other.name == process.name {
                let message =
                    format!("{}/{}: {} begins while {} lives", other.key, other.name, process.id, other.id);
                self.broken(Rule::OneContainer, message);
            }
        }
        self.reach(&process.uid, &process.name, process.attempt);
    }

    fn reach(&mut self, uid: &PodUid, name: &str, attempt: u32) {
        let reached = self.reached.entry((uid.clone(), name.to_owned())).or_default();
        *reached = (*reached).max(attempt + 1);
    }

    /// The machine: a sandbox is about to be made.
    pub(crate) fn sandbox_begins(&mut self, record: &SandboxRecord, machine: &Machine) {
        let (key, uid) = (&record.desired.key, &record.desired.uid);
        self.keys.insert(uid.clone(), key.clone());
        if let Some(other) =
            machine.sandboxes.values().find(|o| o.desired.key == *key && o.desired.uid != *uid)
        {
            let message = format!("{key}: sandbox of {uid} begins beside that of {}", other.desired.uid);
            self.broken(Rule::OneRevision, message);
        }
    }

    pub(crate) fn power_cut(&mut self) {
        self.runs.clear();
        self.begun.clear();
        self.sandboxes.clear();
        self.present.clear();
        self.ups.clear();
        self.anew.clear();
    }

    /// The last thing of a pod is said to be gone: nothing of it may be there.
    fn removed(&mut self, uid: &PodUid, machine: &Machine, checkpoint: bool) {
        let left = [
            ("sandbox", machine.sandboxes.contains_key(uid)),
            ("container", machine.containers.values().any(|record| record.pod == *uid)),
            ("process", machine.processes.values().any(|process| process.uid == *uid)),
            ("checkpoint", checkpoint && machine.disk.contains_key(uid)),
        ];
        for (what, _) in left.into_iter().filter(|(_, there)| *there) {
            self.broken(Rule::Leftover, format!("pod {uid} is gone and left a {what}"));
        }
        self.forget(uid);
    }

    fn forget(&mut self, uid: &PodUid) {
        self.terminating.remove(uid);
        self.begun.remove(uid);
        self.failed_saves.remove(uid);
        self.failed_drops.remove(uid);
        self.sandboxes.remove(uid);
        self.stops.remove(uid);
        self.evictions.going.remove(uid);
        self.giving_way.remove(uid);
        self.held.remove(uid);
        self.anew.remove(uid);
        self.forget_measurements(uid);
        self.present.retain(|(pod, _)| pod != uid);
        self.ups.retain(|(pod, _)| pod != uid);
        self.ledgers.retain(|(pod, _), _| pod != uid);
        self.reached.retain(|(pod, _), _| pod != uid);
        self.pulls.retain(|(pod, _), _| pod != uid);
        // Pulls are not waited for: a pod that comes back pulls anew.
        self.in_flight.retain(|_, flight| flight.uid != *uid || !matches!(flight.what, Doing::Pull(_)));
    }

    /// The keeper has forgotten this run: its exit must be on disk, if the core could know of it.
    pub(crate) fn released(&mut self, id: &ContainerId, machine: &Machine) {
        let Some(run) = self.runs.get(id).filter(|run| run.told_exit && !run.removed && !run.told_late)
        else {
            return;
        };
        let Some(uid) = run.uid.clone() else { return };
        if !self.is_safe(&uid, id, run, machine) {
            self.broken(Rule::ExitLost, format!("the end of {id} of {uid} is released and not recorded"));
        }
    }

    /// The end of this run is on disk, or need not be: the pod goes, or the disk has refused it often.
    fn is_safe(&self, uid: &PodUid, id: &ContainerId, run: &Run, machine: &Machine) -> bool {
        let memory = machine.disk.get(uid).and_then(|disk| disk.current.containers.get(&run.name));
        let on_disk = memory.is_some_and(|memory| {
            memory.last.as_ref().is_some_and(|last| last.id == *id) || memory.next_attempt > run.attempt + 1
        });
        let refused = self.failed_saves.get(uid).is_some_and(|failures| *failures >= DISK_TRIES);
        on_disk || refused || self.terminating.contains(uid) || self.preempted.contains(uid)
    }

    /// Whether the container need not run yet.
    pub(crate) fn may_wait(&self, uid: &str, name: &str, now: Mono) -> bool {
        let place = (PodUid(uid.into()), name.to_owned());
        self.ledgers.get(&place).is_some_and(|ledger| now < ledger.not_before(self.crash_wait_max_s))
    }

    /// What was begun and is not wanted any more has to go, and never comes back as it was.
    fn mark_terminating(&mut self, now: Mono) {
        let (mut unwanted, mut over) = (Vec::new(), Vec::new());
        for (uid, pod) in &self.begun {
            if self.desired.is_some() && !self.wanted(uid, pod) {
                unwanted.push(uid.clone());
            } else if self.desired.is_some() && self.is_over(uid) {
                over.push(uid.clone());
            }
        }
        for uid in unwanted {
            let may_be_held = self.begun.get(&uid).is_some_and(|pod| self.may_be_held(&uid, pod));
            if may_be_held && !self.terminating.contains(&uid) {
                self.held.insert(uid);
                continue;
            }
            self.held.remove(&uid);
            self.forget_measurements(&uid);
            if self.terminating.insert(uid.clone()) {
                self.unwanted_now.insert(uid.clone());
                self.stops.insert(uid, now);
            }
        }
        for uid in over {
            self.stops.entry(uid).or_insert(now);
        }
    }

    /// It is in the desired set with this content, or with the same but for what its variables lack; or its
    /// file is broken, and no other file has its key.
    fn wanted(&self, uid: &PodUid, pod: &DesiredPod) -> bool {
        let Some(set) = &self.desired else { return false };
        let same = |new: &&DesiredPod| new.uid == *uid && self.is_revision(pod, new);
        let lacks = |new: &&DesiredPod| {
            (&new.key, &new.base) == (&pod.key, &pod.base)
                && new.base.is_some()
                && self.lacks(new)
                && self.begun.contains_key(uid)
        };
        if set.pods.iter().any(|new| same(&new) || lacks(&new)) {
            return true;
        }
        // Of what says which pod is wrong the others of the file are no part.
        let concerns = |problem: &Problem| {
            problem.file == pod.origin && problem.pod.as_ref().is_none_or(|key| *key == pod.key)
        };
        set.problems.iter().any(concerns) && set.pods.iter().all(|new| new.key != pod.key)
    }

    /// Its variables or files come from the ConfigMap, and there is none.
    fn lacks(&self, pod: &DesiredPod) -> bool {
        let there = self.desired.as_ref().is_some_and(|set| set.objects.iter().next().is_some());
        let files = pod.pod.spec.volumes.iter().any(|volume| volume.config_map.is_some());
        (pod.base.is_some() || files) && !there
    }

    /// The core has spoken.
    pub(crate) fn checks(&mut self, plan: &Plan, again: &Plan, world: &World, now: Now, machine: &Machine) {
        if !again.actions.is_empty() || !again.events.is_empty() {
            self.broken(Rule::Idle, format!("without news it plans {again:?}"));
        }
        if plan.wake.is_some_and(|wake| wake <= now.mono) {
            self.broken(
                Rule::Idle,
                format!("it wants to wake at {:?}, and now is {:?}", plan.wake, now.mono),
            );
        }
        if self.desired.is_none() && !plan.actions.is_empty() {
            self.broken(Rule::Desired, "it acts before the sources have spoken".to_owned());
        }
        self.check_resized(world);
        self.check_held(world, now.mono);
        self.check_evictions(plan, now.mono);
        self.check_preemptions(plan, world);
        for action in &plan.actions {
            self.check_end_of_preempted(action, now.mono);
            self.check_action(action, now.mono, machine);
        }
        self.end_preempted(now.mono);
        self.end_weighing();
        self.check_doomed(plan);
        self.check_wakes(plan, world, now.mono, machine);
        let known: BTreeSet<&PodUid> = world.pods().map(|pod| &pod.uid).collect();
        let lost: Vec<PodUid> = self.begun.keys().filter(|uid| !known.contains(uid)).cloned().collect();
        for uid in lost {
            self.removed(&uid, machine, false);
        }
    }
}
