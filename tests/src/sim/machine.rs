//! The machine under the agent: run-time records on tmpfs, checkpoints on disk, the keeper, the zygote's
//! workers, processes. It does what it is told, slowly, and sometimes not; it decides nothing.

use super::{
    Sim,
    actor::Actor,
    keeper::{Input, Keeper, Output, name},
    manifests::IMAGES,
    queue::Happening,
    rng::Rng,
};
use berth_core::{
    devices::Seen,
    event::{Checkpoint, ContainerRecord, SandboxRecord},
    ids::{ContainerId, PodKey, PodUid},
    manifest::objects::Objects,
    pressure::{Level, Observation, Signal},
    time::{Mono, NS_PER_S, Now, Wall},
};
use berth_keeper::protocol::{CONTAINERS_MAX, Request};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The signal that nobody can ignore.
pub(crate) const SIGKILL: i32 = 9;

/// How likely things go wrong, each in one case of a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dials {
    pub(crate) answer_lost: u64,
    pub(crate) answer_late: u64,
    pub(crate) answer_twice: u64,
    pub(crate) worker_lost: u64,
    /// A worker is refused because of the machine.
    pub(crate) machine_short: u64,
    pub(crate) image_fails: u64,
    pub(crate) sandbox_fails: u64,
    pub(crate) remove_fails: u64,
    pub(crate) unkillable: u64,
    pub(crate) older_checkpoint: u64,
    /// A worker takes seconds.
    pub(crate) slow_worker: u64,
    /// What an earlier agent had asked for is not told to the next one.
    pub(crate) adoption_lost: u64,
    /// A container is not well when it is asked.
    pub(crate) check_fails: u64,
    /// A pod has written more than it may when it is measured.
    pub(crate) grows: u64,
}

impl Dials {
    /// Each seed has its own weather; many kinds of fault are absent in it.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let mut dial = |high| if rng.chance(500) { 0 } else { rng.scale(high) };
        Self {
            answer_lost: dial(60),
            answer_late: dial(60),
            answer_twice: dial(200),
            worker_lost: dial(300),
            machine_short: dial(300),
            image_fails: dial(300),
            sandbox_fails: dial(300),
            remove_fails: dial(300),
            unkillable: dial(200),
            older_checkpoint: dial(300),
            slow_worker: dial(400),
            adoption_lost: dial(500),
            check_fails: dial(600),
            grows: dial(300),
        }
    }
}

/// A process of a container.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) id: ContainerId,
    pub(crate) uid: PodUid,
    pub(crate) key: PodKey,
    pub(crate) name: String,
    pub(crate) attempt: u32,
    pub(crate) image: String,
    pub(crate) dying: bool,
    /// What it does in a scenario.
    pub(crate) actor: Option<Actor>,
}

/// A pod's checkpoint file and the one before it.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) current: Checkpoint,
    pub(crate) previous: Option<Checkpoint>,
}

/// Everything below the agent.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) dials: Dials,
    pub(crate) boot: u32,
    booted_at: u64,
    pub(crate) wall_offset: u64,
    pub(crate) keeper: Keeper,
    /// The keeper is to be told of the time then.
    pub(crate) keeper_tick: Option<u64>,
    pub(crate) keeper_capacity: usize,
    pub(crate) sandboxes: BTreeMap<PodUid, SandboxRecord>,
    /// What the files of pods' volumes are made from.
    pub(crate) files: BTreeMap<PodUid, Objects>,
    pub(crate) containers: BTreeMap<ContainerId, ContainerRecord>,
    pub(crate) processes: BTreeMap<i32, Process>,
    pub(crate) works: BTreeMap<u64, ContainerId>,
    pub(crate) disk: BTreeMap<PodUid, Disk>,
    pub(crate) disk_full: bool,
    pub(crate) missing: BTreeSet<&'static str>,
    /// What the node is short of.
    pub(crate) low: BTreeSet<Signal>,
    /// Device nodes that are there.
    pub(crate) devices: BTreeSet<String>,
    /// What runs of scenarios say at their ends.
    pub(crate) words: BTreeMap<ContainerId, String>,
    /// Runs of scenarios that have taken more memory than they may.
    pub(crate) oom: BTreeSet<ContainerId>,
    pub(crate) last_pid: i32,
}

/// What the node has of everything.
pub(crate) const CAPACITY: u64 = 1 << 30;
/// What it has when it is short.
pub(crate) const LOW: u64 = 1 << 20;

/// Prefix of the ids of slots that are taken by nobody's containers.
pub(crate) const FOREIGN: &str = "foreign-";

/// A keeper with so many free slots.
fn keeper(free: usize) -> Keeper {
    let mut keeper = Keeper::new(0);
    for n in free..CONTAINERS_MAX {
        let create = create(u64::MAX, &format!("{FOREIGN}{n}"), 60_000);
        for output in keeper.handle(0, Input::Request(Box::new(create))) {
            if let Output::Work { ticket, .. } = output {
                keeper.handle(0, Input::Started { ticket, pid: foreign_pid(n) });
            }
        }
    }
    keeper
}

/// The request for a container; its id stands for its cgroup.
pub(crate) fn create(op: u64, id: &str, deadline_ms: u32) -> Request {
    let cgroup = id.parse().unwrap_or_default();
    let bundle = "bundle".parse().unwrap_or_default();
    Request::Create { op, id: name(id), bundle, cgroup, deadline_ms, log_uid: 0, log_gid: 0 }
}

fn foreign_pid(n: usize) -> i32 {
    1_000_000 + n as i32
}

impl Machine {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let keeper_capacity = if rng.chance(100) { rng.range(1, 4) as usize } else { CONTAINERS_MAX };
        let missing = IMAGES.into_iter().filter(|_| rng.chance(100)).collect();
        Self {
            dials: Dials::draw(rng),
            boot: 1,
            booted_at: 0,
            wall_offset: rng.range(0, 2_000_000_000) * NS_PER_S,
            keeper: keeper(keeper_capacity),
            keeper_tick: None,
            keeper_capacity,
            sandboxes: BTreeMap::new(),
            files: BTreeMap::new(),
            containers: BTreeMap::new(),
            processes: BTreeMap::new(),
            works: BTreeMap::new(),
            disk: BTreeMap::new(),
            disk_full: false,
            missing,
            low: BTreeSet::new(),
            devices: BTreeSet::new(),
            words: BTreeMap::new(),
            oom: BTreeSet::new(),
            last_pid: 100,
        }
    }

    /// The slots that hold this machine's containers.
    pub(crate) fn slots(&self) -> usize {
        self.keeper.slots().filter(|id| !id.starts_with(FOREIGN)).count()
    }

    /// What a run says at its end: it names itself, so that no message can be taken for another's.
    pub(crate) fn last_words(&self, id: &ContainerId) -> String {
        self.words.get(id).cloned().unwrap_or_else(|| format!("farewell from {id}"))
    }

    /// Nothing goes wrong.
    pub(crate) fn calm(&mut self) {
        self.dials = Dials::default();
        self.disk_full = false;
        self.missing.clear();
        self.low.clear();
        self.free_slots();
    }

    /// The slots that were taken become free.
    pub(crate) fn free_slots(&mut self) {
        for n in self.keeper_capacity..CONTAINERS_MAX {
            self.keeper.handle(1, Input::Reaped { pid: foreign_pid(n), code: 0, signal: 0 });
            let request = Request::Release { op: u64::MAX, id: name(&format!("{FOREIGN}{n}")) };
            self.keeper.handle(1, Input::Request(Box::new(request)));
        }
        self.keeper_capacity = CONTAINERS_MAX;
    }

    /// What somebody sees who looks at device nodes.
    pub(crate) fn look_at_devices(&self) -> Arc<Seen> {
        let there = self.devices.iter().map(|path| (path.clone(), "c 1:3".to_owned()));
        Arc::new(Seen { there: there.collect(), ..Seen::default() })
    }

    pub(crate) fn boot_id(&self) -> String {
        format!("boot-{}", self.boot)
    }

    /// What somebody sees who looks at the node.
    pub(crate) fn look(&self, at: Mono) -> Observation {
        let level = |signal: Signal| {
            let available = if self.low.contains(&signal) { LOW } else { CAPACITY };
            (signal, Level { available, capacity: CAPACITY })
        };
        Observation { at, levels: Signal::ALL.map(level).into(), images_apart: false }
    }

    /// The scenario's container that lives.
    pub(crate) fn actor(&self, id: &ContainerId) -> Option<&Actor> {
        self.processes.values().find(|process| process.id == *id)?.actor.as_ref()
    }

    pub(crate) fn alive(&self, id: &ContainerId) -> bool {
        self.processes.values().any(|process| process.id == *id)
    }
}

impl Sim {
    /// Both clocks of the machine. The boot clock begins with every boot, a second late.
    pub(crate) fn clocks(&self) -> Now {
        self.clocks_at(self.now)
    }

    pub(crate) fn clocks_at(&self, at: u64) -> Now {
        let mono = Mono(at - self.machine.booted_at + NS_PER_S);
        Now { mono, wall: Wall(at + self.machine.wall_offset) }
    }

    /// The simulation's own time of a moment of the present boot.
    pub(crate) fn sim_time(&self, mono: Mono) -> u64 {
        (mono.0 + self.machine.booted_at).saturating_sub(NS_PER_S)
    }

    /// Power is cut and comes back: what was on tmpfs and in memory is gone, the disk stays, perhaps with
    /// a pod's older checkpoint where the newer is unreadable.
    pub(crate) fn power_cut(&mut self) {
        self.say(|| "power cut".to_owned());
        self.agent_dies();
        self.queue.power_cut();
        let machine = &mut self.machine;
        machine.boot += 1;
        machine.booted_at = self.now;
        machine.sandboxes.clear();
        machine.files.clear();
        machine.containers.clear();
        machine.processes.clear();
        machine.works.clear();
        machine.keeper_tick = None;
        machine.keeper = keeper(machine.keeper_capacity);
        for disk in machine.disk.values_mut() {
            if self.rng.chance(machine.dials.older_checkpoint)
                && let Some(previous) = disk.previous.take()
            {
                disk.current = previous;
            }
        }
        self.oracle.power_cut();
        let delay = self.rng.range(1, 30);
        self.queue.push(self.now + delay * NS_PER_S, Happening::AgentUp);
    }
}
