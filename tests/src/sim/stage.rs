//! The simulated machine as a stage for scenarios: nothing goes wrong but what the scenario says, time is virtual, and
//! after each happening the pods are looked at. The oracle's rules hold here too.

use super::{
    Sabotage, Sim, chaos::Chaos, files::Files, machine::SIGKILL, oracle::Oracle, queue::Happening,
    trace::Trace,
};
use crate::scenarios::{self, Ask, Host, NODE, Printed, Scenario, Told};
use berth_core::{
    action::PodEvent,
    cpus::{CpuSet, Policy},
    node::{Amounts, CPU},
    pressure::Signal,
    time::{NS_PER_MS, NS_PER_S},
    view::{self, NodeView},
};
use berth_keeper::protocol::CONTAINERS_MAX;
use serde_json::Value;

/// The keeper starts a killed agent after this.
const AGENT_BACK_NS: u64 = 200 * NS_PER_MS;
/// An agent is away for so long while something happens.
const AGENT_AWAY_NS: u64 = 2 * NS_PER_S;
/// The longest wait of a container that crashes again and again, seconds; in guests it is as short.
const CRASH_BACKOFF_MAX_S: u64 = 10;
/// A change of the directory is noticed after this.
const NOTICED_NS: u64 = NS_PER_MS;

/// What a scenario brings to the machine.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    pub(crate) files: Files,
    pub(crate) told: Vec<PodEvent>,
}

/// What the oracle's books know nothing of: it does not judge pods that have it.
const BEYOND_ORACLE: [&str; 3] = ["activeDeadlineSeconds:", "resizePolicy:", "sizeLimit:"];

/// One machine, for one scenario.
#[derive(Debug)]
pub struct Stage {
    sim: Sim,
    judged: bool,
}

impl Stage {
    /// Seeds differ in how long things take.
    pub fn new(seed: u64) -> Self {
        let mut sim = Sim::new(seed, Sabotage::None, Trace::default());
        sim.machine.calm();
        // There is room for whatever a scenario wants, but for CPU time.
        sim.allocatable = Amounts::default().with(CPU, 1000);
        sim.oracle = Oracle::new(CONTAINERS_MAX, u64::MAX);
        sim.oracle.crash_wait_max_s = CRASH_BACKOFF_MAX_S;
        // As in the guest in which they are played: of two processors the first is reserved.
        let cores = [[0], [1]].map(CpuSet::from_iter).into();
        sim.oracle.cpus = Some(Policy { cores, reserved: [0].into_iter().collect() });
        sim.chaos = Chaos::none();
        sim.staged = Some(Staged::default());
        sim.queue.push(0, Happening::AgentUp);
        Self { sim, judged: true }
    }

    /// With what happens kept, for whoever wants to know.
    pub fn traced(seed: u64) -> Self {
        let mut stage = Self::new(seed);
        stage.sim.trace = Trace::on();
        stage
    }

    /// The last of what happened, oldest first; empty if it was not kept.
    pub fn trace(&self) -> Vec<String> {
        self.sim.trace.lines()
    }

    fn write(&mut self, file: &str, text: &str) {
        self.judged &= !BEYOND_ORACLE.iter().any(|words| text.contains(words));
        self.staged().files.write(file, text);
    }

    fn staged(&mut self) -> &mut Staged {
        self.sim.staged.get_or_insert_default()
    }

    /// The pid of the container's process.
    fn process(&self, pod: &str, container: &str) -> Result<i32, String> {
        let name = format!("{pod}-{NODE}");
        let mut all = self.sim.machine.processes.iter();
        let found = all.find(|(_, process)| *process.key.name == name && process.name == container);
        found.map(|(pid, _)| *pid).ok_or_else(|| format!("no process of {pod}/{container} is there"))
    }

    fn exits(&mut self, exit: &scenarios::Exit) -> Result<(), String> {
        let pid = self.process(&exit.pod, &exit.container)?;
        let sim = &mut self.sim;
        if let Some(process) = sim.machine.processes.get(&pid) {
            sim.machine.words.insert(process.id.clone(), exit.message.clone());
            if exit.oom {
                sim.machine.oom.insert(process.id.clone());
            }
        }
        let signal = if exit.oom { SIGKILL } else { 0 };
        sim.queue.push(sim.now, Happening::End { pid, code: exit.code, signal });
        Ok(())
    }

    fn file(&mut self, file: &scenarios::InContainer) -> Result<(), String> {
        let pid = self.process(&file.pod, &file.container)?;
        let process = self.sim.machine.processes.get_mut(&pid);
        let actor = process.and_then(|process| process.actor.as_mut()).ok_or("it is no actor")?;
        if file.there {
            actor.files.insert(file.path.clone(), file.bytes as u64);
        } else {
            actor.files.remove(&file.path);
        }
        Ok(())
    }

    fn device(&mut self, path: &str, there: bool) {
        if there {
            self.sim.machine.devices.insert(path.to_owned());
        } else {
            self.sim.machine.devices.remove(path);
        }
        self.sim.devices_changed();
    }

    /// There is no agent for so long. Events are lost with it.
    fn agent_goes(&mut self, for_ns: u64) {
        self.sim.agent_dies();
        self.staged().told.clear();
        self.sim.queue.push(self.sim.now + for_ns, Happening::AgentUp);
    }

    /// The directory has changed.
    fn notices(&mut self) {
        let (at, life) = (self.sim.now + NOTICED_NS, self.sim.lives);
        self.sim.queue.push(at, Happening::ReadSources(life));
    }

    /// What is shown; nothing while the agent is away, or has not heard yet what there is.
    fn list(&self) -> Option<Value> {
        let agent = self.sim.agent.as_ref().filter(|agent| agent.inbox.is_empty())?;
        let node = NodeView { name: NODE.to_owned(), host_ips: Vec::new() };
        Some(view::pod_list(&agent.world, self.sim.clocks(), &node))
    }
}

impl Host for Stage {
    fn now_ns(&self) -> u64 {
        self.sim.now
    }

    fn happens(&mut self, what: &scenarios::Happening, scenario: &Scenario) -> Result<(), String> {
        match what {
            scenarios::Happening::Drop(name) => self.write(name, scenario.text(name)?),
            scenarios::Happening::Replace { file, with } => self.write(file, scenario.text(with)?),
            scenarios::Happening::Remove(name) => {
                let there = self.staged().files.remove(name);
                there.then_some(()).ok_or_else(|| format!("there is no file {name}"))?;
            }
            scenarios::Happening::Move { file, to } => {
                let there = self.staged().files.rename(file, to);
                there.then_some(()).ok_or_else(|| format!("there is no file {file}"))?;
            }
            scenarios::Happening::Link { file, with } => self.write(file, scenario.text(with)?),
            scenarios::Happening::AddressSays(name) => {
                self.staged().files.says(Some(scenario.text(name)?));
            }
            scenarios::Happening::AddressFails => self.staged().files.says(None),
            scenarios::Happening::Exit(exit) => return self.exits(exit),
            scenarios::Happening::File(file) => return self.file(file),
            scenarios::Happening::KillAgent => {
                self.agent_goes(AGENT_BACK_NS);
                return Ok(());
            }
            scenarios::Happening::AgentAway(all) => {
                self.agent_goes(AGENT_AWAY_NS);
                return all.iter().try_for_each(|what| self.happens(what, scenario));
            }
            scenarios::Happening::ShortOf(signal) => {
                let known = Signal::ALL.into_iter().find(|known| known.as_str() == signal);
                let signal = known.ok_or_else(|| format!("nobody knows {signal}"))?;
                self.sim.machine.low.insert(signal);
                self.sim.look_at_node();
                return Ok(());
            }
            scenarios::Happening::Enough => {
                self.sim.machine.low.clear();
                self.sim.look_at_node();
                return Ok(());
            }
            // Of a machine that goes down it knows nothing either: ends are not recorded any more.
            scenarios::Happening::Halt => {
                self.judged = false;
                self.staged().files.halting = true;
            }
            scenarios::Happening::Plug(path) => self.device(path, true),
            scenarios::Happening::Unplug(path) => self.device(path, false),
            scenarios::Happening::KillRuntime => {
                self.sim.zygote_dies();
                return Ok(());
            }
            // Those are the interpreter's affair.
            scenarios::Happening::Note(_) | scenarios::Happening::Reboot(_) => return Ok(()),
        }
        self.notices();
        Ok(())
    }

    fn next(&mut self, until_ns: u64) -> Result<Option<Value>, String> {
        loop {
            if self.sim.queue.next_at().is_none_or(|at| at > until_ns) {
                self.sim.now = self.sim.now.max(until_ns);
                return Ok(None);
            }
            let Some((at, what)) = self.sim.queue.pop() else { return Ok(None) };
            self.sim.now = at;
            self.sim.happen(what);
            if let Some((rule, message)) = self.sim.oracle.verdict().filter(|_| self.judged) {
                return Err(format!("after {} s: {rule:?}: {message}", at / NS_PER_S));
            }
            if let Some(list) = self.list() {
                return Ok(Some(list));
            }
        }
    }

    fn told(&mut self) -> Result<Vec<Told>, String> {
        let told = |event: &PodEvent| Told {
            uid: event.uid.0.to_string(),
            reason: event.reason.clone(),
            message: event.message.clone(),
        };
        Ok(self.staged().told.iter().map(told).collect())
    }

    fn prints(&mut self, ask: &Ask) -> Result<Option<Printed>, String> {
        self.sim.say(|| format!("not asked, as this is no real machine: {ask:?}"));
        Ok(None)
    }

    /// Events are lost with the agent.
    fn reboots(&mut self, all: &[scenarios::Happening], scenario: &Scenario) -> Result<bool, String> {
        self.sim.power_cut();
        self.staged().files.halting = false;
        self.staged().told.clear();
        all.iter().try_for_each(|what| self.happens(what, scenario))?;
        Ok(true)
    }

    fn clear(&mut self) -> Result<(), String> {
        self.staged().files.clear();
        self.sim.machine.devices.clear();
        self.sim.machine.low.clear();
        self.sim.devices_changed();
        self.notices();
        Ok(())
    }

    fn left(&self) -> Vec<String> {
        let machine = &self.sim.machine;
        let left = [
            ("sandboxes", machine.sandboxes.len()),
            ("containers", machine.containers.len()),
            ("processes", machine.processes.len()),
            ("slots", machine.slots()),
            ("checkpoints", machine.disk.len()),
        ];
        let left = left.into_iter().filter(|(_, count)| *count > 0);
        left.map(|(what, count)| format!("{count} {what}")).collect()
    }
}
