//! The simulator: the real core and the keeper's real tables on a machine that is all pretence, in one
//! thread, on virtual clocks, from a seed.
//!
//! A run has three parts. In the first the world changes and breaks at random, and after each turn of the
//! core the [`oracle`] checks what must hold always. In the second nothing breaks any more, and the machine
//! must come to what the manifests say. In the third all manifests go, and nothing may be left.

mod actor;
mod address;
#[cfg(test)]
mod address_tests;
mod chaos;
mod converge;
mod files;
mod hands;
mod keeper;
mod machine;
mod manifests;
mod oracle;
mod processes;
mod queue;
mod rng;
mod sabotage;
mod shell;
mod stage;
#[cfg(test)]
mod tests;
mod trace;

pub use oracle::Rule;
pub use sabotage::Sabotage;
pub use stage::Stage;

use berth_core::{
    cpus::Policy,
    node::{Amounts, CONTAINERS, CPU, PODS},
    time::NS_PER_S,
};
use berth_keeper::protocol::CONTAINERS_MAX;
use chaos::Chaos;
use machine::Machine;
use manifests::Manifests;
use oracle::Oracle;
use queue::{Happening, Life, Queue};
use rng::Rng;
use shell::Agent;
use std::fmt;
use trace::Trace;

/// Thousandths of a CPU on a node that is short of it.
const MILLI_CRAMPED: u64 = 1000;
/// Happenings in one run; more means that something turns in a circle.
const HAPPENINGS_MAX: u64 = 400_000;

/// A machine on which containers may have processors to themselves: two cores of two threads each, one thread reserved.
fn processors() -> Policy {
    Policy {
        cores: [[0, 2], [1, 3]].map(|core| core.into_iter().collect()).into(),
        reserved: [0].into_iter().collect(),
    }
}

/// What a clean run amounts to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Turns of the core.
    pub steps: u64,
    /// Agents that lived.
    pub lives: u64,
    /// Virtual seconds.
    pub seconds: u64,
}

/// A rule was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The seed that does it again.
    pub seed: u64,
    /// Which rule.
    pub rule: Rule,
    /// How.
    pub message: String,
    /// The last happenings, oldest first; empty if they were not kept.
    pub trace: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "seed {}: {:?}: {}", self.seed, self.rule, self.message)?;
        write!(f, "replay: cargo xtask sim --seed {}", self.seed)
    }
}

/// Runs one seed. A failing one is run again with its happenings kept.
///
/// # Errors
/// The first rule that was broken.
pub fn run(seed: u64) -> Result<Summary, Broken> {
    run_with(seed, Sabotage::None)
}

/// As [`run`], with a core that is broken on purpose.
///
/// # Errors
/// As [`run`]: if the oracle is worth anything.
pub fn run_with(seed: u64, sabotage: Sabotage) -> Result<Summary, Broken> {
    Sim::new(seed, sabotage, Trace::default())
        .live()
        .or_else(|broken| Sim::new(seed, sabotage, Trace::on()).live().map_or_else(Err, |_| Err(broken)))
}

/// As [`run`], with all that is known of its last happenings even if it goes well.
pub fn replay(seed: u64) -> (Result<Summary, Broken>, Vec<String>) {
    let mut sim = Sim::new(seed, Sabotage::None, Trace::on());
    let result = sim.live();
    (result, sim.trace.lines())
}

/// One run.
#[derive(Debug)]
pub(crate) struct Sim {
    seed: u64,
    rng: Rng,
    /// Nanoseconds since the run began; no reboot resets it.
    now: u64,
    queue: Queue,
    manifests: Manifests,
    machine: Machine,
    agent: Option<Agent>,
    lives: Life,
    oracle: Oracle,
    sabotage: sabotage::State,
    chaos: Chaos,
    trace: Trace,
    steps: u64,
    /// What there is for pods.
    allocatable: Amounts,
    /// Only CPU time is short.
    cramped: bool,
    /// A scenario is played.
    staged: Option<stage::Staged>,
}

impl Sim {
    fn new(seed: u64, sabotage: Sabotage, trace: Trace) -> Self {
        let mut rng = Rng::new(seed);
        let mut manifests = Manifests::new(&mut rng);
        manifests.address.empty_counts = sabotage == Sabotage::EmptyCounts;
        let machine = Machine::new(&mut rng);
        let tight = rng.chance(150);
        let containers_max = if tight { rng.range(3, 6) as usize } else { CONTAINERS_MAX };
        let pods_max = if tight { rng.range(1, 3) } else { 110 };
        let cramped = !tight && rng.chance(300);
        let cpu = if cramped { MILLI_CRAMPED } else { 1_000_000 };
        let mut oracle = Oracle::new(containers_max, cpu);
        oracle.cpus = rng.chance(300).then(processors);
        let allocatable =
            Amounts::default().with(PODS, pods_max).with(CONTAINERS, containers_max as u64).with(CPU, cpu);
        Self {
            seed,
            now: 0,
            queue: Queue::default(),
            manifests,
            agent: None,
            lives: 0,
            oracle,
            sabotage: sabotage::State::new(sabotage),
            chaos: Chaos::draw(&mut rng),
            trace,
            steps: 0,
            allocatable,
            cramped,
            staged: None,
            machine,
            rng,
        }
    }

    fn live(&mut self) -> Result<Summary, Broken> {
        self.queue.push(0, Happening::AgentUp);
        self.queue.push(self.chaos.pause(&mut self.rng), Happening::Chaos);
        let mut happenings = 0;
        while let Some((at, what)) = self.queue.pop() {
            self.now = at;
            happenings += 1;
            if happenings > HAPPENINGS_MAX {
                self.oracle.broken(Rule::Liveness, "the run does not come to an end".to_owned());
            }
            self.happen(what);
            if let Some((rule, message)) = self.oracle.verdict() {
                let trace = self.trace.lines();
                return Err(Broken { seed: self.seed, rule, message, trace });
            }
            if self.chaos.over {
                break;
            }
        }
        Ok(Summary { steps: self.steps, lives: u64::from(self.lives), seconds: self.now / NS_PER_S })
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::AgentUp => self.agent_up(),
            Happening::ReadSources(life) => self.read_sources(life),
            Happening::Tell(life, event) => self.tell(life, *event),
            Happening::Turn(life) => self.turn(life),
            Happening::Op(life, op) => self.op(life, op),
            Happening::Notice(life, notice) => self.notice(life, &notice),
            Happening::Worker(ticket) => self.worker_ends(ticket),
            Happening::End { pid, code, signal } => self.process_ends(pid, code, signal),
            Happening::Kill(life) => self.kill_agent(life),
            Happening::KeeperTick(boot) => self.keeper_ticks(boot),
            Happening::Chaos => self.chaos(),
        }
    }

    fn say(&mut self, line: impl FnOnce() -> String) {
        if self.trace.is_on() {
            self.trace.say(self.now, line());
        }
    }
}
