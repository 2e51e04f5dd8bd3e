//! The simulated machine as a stage for scenarios: nothing goes wrong but what the scenario says, time is virtual, and
//! after each happening the pods are looked at. The oracle's rules hold here too.

use super::{Sabotage, Sim, chaos::Chaos, files::Files, oracle::Oracle, queue::Happening, trace::Trace};
use crate::scenarios::{self, Host, NODE, Scenario, Told};
use berth_core::{
    action::PodEvent,
    time::{NS_PER_MS, NS_PER_S},
    view::{self, NodeView},
};
use berth_keeper::protocol::CONTAINERS_MAX;
use serde_json::Value;

/// The keeper starts a killed agent after this.
const AGENT_BACK_NS: u64 = 200 * NS_PER_MS;
/// A change of the directory is noticed after this.
const NOTICED_NS: u64 = NS_PER_MS;

/// What a scenario brings to the machine.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    pub(crate) files: Files,
    pub(crate) told: Vec<PodEvent>,
}

/// What the oracle's books know nothing of: it does not judge pods that have it.
const BEYOND_ORACLE: [&str; 1] = ["activeDeadlineSeconds:"];

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
        // There is room for whatever a scenario wants.
        sim.allocatable = Default::default();
        sim.oracle = Oracle::new(CONTAINERS_MAX, u64::MAX);
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
        }
        sim.queue.push(sim.now, Happening::End { pid, code: exit.code, signal: 0 });
        Ok(())
    }

    fn file(&mut self, file: &scenarios::InContainer) -> Result<(), String> {
        let pid = self.process(&file.pod, &file.container)?;
        let process = self.sim.machine.processes.get_mut(&pid);
        let actor = process.and_then(|process| process.actor.as_mut()).ok_or("it is no actor")?;
        if file.there {
            actor.files.insert(file.path.clone());
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
            scenarios::Happening::Exit(exit) => return self.exits(exit),
            scenarios::Happening::File(file) => return self.file(file),
            scenarios::Happening::KillAgent => {
                self.sim.agent_dies();
                // Events are lost with the agent.
                self.staged().told.clear();
                let back_at = self.sim.now + AGENT_BACK_NS;
                self.sim.queue.push(back_at, Happening::AgentUp);
                return Ok(());
            }
            scenarios::Happening::Plug(path) => self.device(path, true),
            scenarios::Happening::Unplug(path) => self.device(path, false),
            scenarios::Happening::Note(_) => return Ok(()),
        }
        let (at, life) = (self.sim.now + NOTICED_NS, self.sim.lives);
        self.sim.queue.push(at, Happening::ReadSources(life));
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

    fn clear(&mut self) -> Result<(), String> {
        self.staged().files.clear();
        self.sim.machine.devices.clear();
        self.sim.devices_changed();
        let (at, life) = (self.sim.now + NOTICED_NS, self.sim.lives);
        self.sim.queue.push(at, Happening::ReadSources(life));
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
