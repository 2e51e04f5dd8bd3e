//! The agent's hands: carries out a plan operation by operation, tells the core what came of it. It may
//! die between any two steps of any operation.

use super::{
    Sim,
    keeper::{Input, Output, slot},
    manifests::LastGood,
    oracle::Rule,
    queue::{Happening, Life},
};
use berth_core::{
    action::{Action, ActionKind},
    event::{ContainerRecord, Event, Exit, FailReason, Failure, Inventory, Outcome, RecordState},
    ids::ContainerId,
    pressure::{Settings, Signal},
    time::{Mono, NS_PER_MS, NS_PER_S, Now},
    world::{World, WorldConfig, step},
};
use berth_keeper::protocol::{ExitStatus, FailClass, NOBODY, Notice, SlotState};
use std::collections::BTreeMap;

/// Number of an operation of one agent process; the keeper's `op`.
pub(crate) type OpId = u64;

/// An action being carried out.
#[derive(Debug)]
pub(crate) struct Op {
    pub(crate) action: Action,
    pub(crate) phase: u32,
}

/// One agent process.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) life: Life,
    pub(crate) world: World,
    pub(crate) inbox: Vec<Event>,
    pub(crate) ops: BTreeMap<OpId, Op>,
    pub(crate) last_op: OpId,
    last_good: LastGood,
    turn_at: Option<u64>,
    pub(crate) wake: Option<Mono>,
}

impl Sim {
    pub(crate) fn agent_up(&mut self) {
        if self.agent.is_some() {
            return;
        }
        self.lives += 1;
        let mut config = WorldConfig { boot_id: self.machine.boot_id(), ..WorldConfig::default() };
        // So that the loss of an answer is noticed well within the time that a world has to settle.
        config.deadlines.image_s = 900;
        config.crash_backoff_max_s = self.oracle.crash_wait_max_s;
        config.allocatable = self.allocatable.clone();
        config.pressure = settings();
        config.cpus.clone_from(&self.oracle.cpus);
        self.sabotage.config(&mut config);
        let inventory = self.inventory();
        self.say(|| {
            format!(
                "agent up: {} sandboxes, {} containers",
                inventory.sandboxes.len(),
                inventory.containers.len()
            )
        });
        self.oracle.agent_up(&inventory, self.clocks().mono, &self.machine);
        self.agent = Some(Agent {
            life: self.lives,
            world: World::new(config),
            inbox: vec![
                Event::Inventory(Box::new(inventory)),
                Event::Devices(self.machine.look_at_devices()),
            ],
            ops: BTreeMap::new(),
            last_op: NOBODY,
            last_good: LastGood::new(),
            turn_at: None,
            wake: None,
        });
        if self.chaos.has_pressure() {
            self.look_at_node();
        }
        self.turn_at(self.now);
        let delay = if self.rng.chance(800) { self.rng.range(0, 20) } else { self.rng.scale(20_000) };
        self.queue.push(self.now + delay * NS_PER_MS, Happening::ReadSources(self.lives));
    }

    /// Asks the keeper as every new agent does, and puts its list beside the records.
    fn inventory(&mut self) -> Inventory {
        let now_ns = self.clocks().mono.0;
        let told = self.machine.keeper.handle(now_ns, Input::AgentUp);
        let slots: BTreeMap<String, SlotState> = told.iter().filter_map(told_slot).collect();
        let at = |ns: u64| self.clocks_at(self.sim_time(Mono(ns)));
        let state = |record: &ContainerRecord| match slots.get(&*record.id.0) {
            None => RecordState::Unknown,
            Some(SlotState::Creating) => RecordState::Creating,
            Some(SlotState::Running { pid, started_ns }) => {
                RecordState::Running { pid: *pid as u32, at: at(*started_ns) }
            }
            Some(SlotState::Exited { started_ns, exit }) => RecordState::Exited {
                started: at(*started_ns),
                exit: shown(exit, at(exit.at_ns), self.machine.oom.contains(&record.id)),
                message: self.machine.last_words(&record.id),
            },
        };
        let containers = self.machine.containers.values();
        Inventory {
            boot_id: self.machine.boot_id(),
            sandboxes: self.machine.sandboxes.values().cloned().collect(),
            containers: containers.map(|r| ContainerRecord { state: state(r), ..r.clone() }).collect(),
            checkpoints: self.machine.disk.values().map(|disk| disk.current.clone()).collect(),
        }
    }

    pub(crate) fn agent_dies(&mut self) {
        if self.agent.take().is_some() {
            self.say(|| "agent dies".to_owned());
            self.keeper(Input::AgentGone);
        }
    }

    pub(crate) fn alive(&mut self, life: Life) -> Option<&mut Agent> {
        self.agent.as_mut().filter(|agent| agent.life == life)
    }

    pub(crate) fn read_sources(&mut self, life: Life) {
        let Some(agent) = self.agent.as_mut().filter(|agent| agent.life == life) else { return };
        let set = match &mut self.staged {
            Some(staged) => staged.files.read(),
            None => self.manifests.read(&mut agent.last_good),
        };
        if let Some(why) = self.manifests.address.misunderstood.take() {
            self.oracle.broken(Rule::Source, why);
        }
        agent.inbox.push(Event::Desired(set.into()));
        self.turn_at(self.now);
    }

    pub(crate) fn tell(&mut self, life: Life, event: Event) {
        let Some(agent) = self.alive(life) else { return };
        agent.inbox.push(event);
        let delay = self.rng.scale(2 * NS_PER_MS);
        self.turn_at(self.now + delay);
    }

    /// The core gets a turn no later than `at`.
    pub(crate) fn turn_at(&mut self, at: u64) {
        let Some(agent) = self.agent.as_mut() else { return };
        if agent.turn_at.is_none_or(|planned| at < planned) {
            agent.turn_at = Some(at);
            self.queue.push(at, Happening::Turn(agent.life));
        }
    }

    /// The core's turn: news in, plan out, the oracle looks on.
    pub(crate) fn turn(&mut self, life: Life) {
        let (now, at) = (self.clocks(), self.now);
        let Some(agent) = self.agent.as_mut().filter(|agent| agent.life == life) else { return };
        if agent.turn_at != Some(at) {
            return;
        }
        agent.turn_at = None;
        let mut events = std::mem::take(&mut agent.inbox);
        self.sabotage.news(&mut events);
        let lies = self.sabotage.lies(&events);
        let mut plan = step(&mut agent.world, now, lies.as_deref().unwrap_or(&events));
        let again = step(&mut agent.world, now, &[]);
        self.sabotage.plan(&mut plan);
        // What the core knows of it the oracle only asks for the names that it has for pods.
        self.oracle.hears(&events, &agent.world, now, &self.machine);
        self.oracle.checks(&plan, &again, &agent.world, now, &self.machine);
        agent.wake = plan.wake;
        if let Some(staged) = &mut self.staged {
            staged.told.append(&mut plan.events);
        }
        self.steps += 1;
        if self.trace.is_on() {
            events.iter().for_each(|event| self.trace.say(at, brief(event)));
            plan.actions.iter().for_each(|action| self.trace.say(at, super::trace::action(action)));
        }
        for action in plan.actions {
            self.begin_op(action);
        }
        if let Some(wake) = plan.wake {
            let at = self.sim_time(wake).max(self.now + 1);
            self.turn_at(at);
        }
    }

    /// The keeper says something.
    pub(crate) fn notice(&mut self, life: Life, notice: &Notice) {
        if self.alive(life).is_none() {
            return;
        }
        // Nobody waits for this answer by its number, and nobody asks again.
        let unasked =
            matches!(notice, Notice::Started { op: NOBODY, .. } | Notice::Failed { op: NOBODY, .. });
        if unasked && self.rng.chance(self.machine.dials.adoption_lost) {
            return;
        }
        match notice {
            Notice::Started { op, id, pid, at_ns } => {
                let (pid, at) = (*pid as u32, self.clocks_at(self.sim_time(Mono(*at_ns))));
                if *op == NOBODY {
                    let id = ContainerId(id.as_str().into());
                    return self.tell(life, Event::Started { id, pid, at });
                }
                self.answer(life, *op, Outcome::Started { pid, at });
            }
            Notice::Failed { op, class: FailClass::Busy, .. } => {
                self.queue.push(self.now + 5 * NS_PER_MS, Happening::Op(life, *op));
            }
            Notice::Failed { op, class: FailClass::NotFound, .. } => self.answer(life, *op, Outcome::Ok),
            Notice::Failed { op, id, class, .. } => {
                let outcome = failed(reason(*class));
                if let (NOBODY, Outcome::Failed(failure)) = (*op, &outcome) {
                    let (id, failure) = (ContainerId(id.as_str().into()), failure.clone());
                    return self.tell(life, Event::StartFailed { id, failure });
                }
                self.answer(life, *op, outcome);
            }
            Notice::Done { op } => self.done(life, *op),
            Notice::Exited { id, exit } => self.exited(life, id, exit),
            _ => {}
        }
    }

    /// A signal was sent or a slot is free.
    fn done(&mut self, life: Life, op: OpId) {
        let action = self.alive(life).and_then(|agent| agent.ops.get(&op)).map(|op| op.action.kind.clone());
        if let Some(ActionKind::RemoveContainer { id }) = action {
            self.oracle.released(&id, &self.machine);
            self.machine.containers.remove(&id);
        }
        self.answer(life, op, Outcome::Ok);
    }

    fn exited(&mut self, life: Life, id: &str, exit: &ExitStatus) {
        let id = ContainerId(id.into());
        let oom = self.machine.oom.contains(&id);
        let exit = shown(exit, self.clocks_at(self.sim_time(Mono(exit.at_ns))), oom);
        let message = self.machine.last_words(&id);
        let event = Box::new(Event::Exited { id, exit, message });
        let late = self.rng.chance(self.machine.dials.answer_late);
        let delay = if late { self.rng.scale(NS_PER_S) } else { self.rng.scale(NS_PER_MS) };
        self.queue.push(self.now + delay, Happening::Tell(life, event.clone()));
        if self.rng.chance(self.machine.dials.answer_twice) {
            let delay = delay + self.rng.scale(100 * NS_PER_S);
            self.queue.push(self.now + delay, Happening::Tell(life, event));
        }
    }
}

/// Seconds that process numbers may be short of before somebody goes, and the grace of who goes then.
pub(crate) const SOFT_GRACE_S: u64 = 30;
/// See [`SOFT_GRACE_S`].
pub(crate) const SOFT_POD_GRACE_S: u64 = 5;

/// Thresholds that a low node is below.
fn settings() -> Settings {
    let tenth = || "10%".parse().ok();
    let limits = |signals: &[Signal]| signals.iter().filter_map(|signal| Some((*signal, tenth()?))).collect();
    let soft = [Signal::PidAvailable];
    let hard: Vec<Signal> = Signal::ALL.into_iter().filter(|signal| !soft.contains(signal)).collect();
    Settings {
        hard: limits(&hard),
        soft: limits(&soft),
        soft_grace_s: soft.map(|signal| (signal, SOFT_GRACE_S)).into(),
        max_pod_grace_s: SOFT_POD_GRACE_S,
        ..Settings::default()
    }
}

fn told_slot(output: &Output) -> Option<(String, SlotState)> {
    match output {
        Output::Notice(notice) => slot(notice),
        _ => None,
    }
}

fn shown(exit: &ExitStatus, at: Now, oom: bool) -> Exit {
    let code = if exit.signal == 0 { exit.code } else { 128 + exit.signal };
    Exit { code, signal: exit.signal, oom, at }
}

pub(crate) fn failed(reason: FailReason) -> Outcome {
    Outcome::Failed(Failure { reason, message: "simulated".to_owned() })
}

fn reason(class: FailClass) -> FailReason {
    match class {
        FailClass::Runtime => FailReason::RunContainerError,
        FailClass::Timeout => FailReason::Timeout,
        FailClass::Lost => FailReason::Lost,
        FailClass::Internal => FailReason::Internal,
        _ => FailReason::CreateContainerError,
    }
}

fn brief(event: &Event) -> String {
    match event {
        Event::Desired(set) => {
            let pods: Vec<_> = set.pods.iter().map(|pod| format!("{}@{}", pod.key, pod.uid)).collect();
            format!("news: desired {pods:?}, {} problems", set.problems.len())
        }
        Event::Inventory(_) => "news: inventory".to_owned(),
        Event::Done { action, outcome: Outcome::Image(_) } => format!("news: image for {}", action.0),
        other => format!("news: {other:?}"),
    }
}
