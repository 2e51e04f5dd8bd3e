//! Processes, and those who make and end them: the keeper, the zygote's workers, signals, chance.

use super::{
    Sim,
    actor::Actor,
    keeper::{Input, Output},
    machine::{Process, SIGKILL},
    oracle::Rule,
    queue::Happening,
    rng::Rng,
};
use berth_core::{
    event::ContainerRecord,
    ids::ContainerId,
    time::{Mono, NS_PER_MS, NS_PER_S},
};
use berth_keeper::protocol::FailClass;

/// What a container of an image does when nobody disturbs it: after how long, and with which code it ends.
fn fate(image: &str, rng: &mut Rng) -> Option<(u64, i32)> {
    match image {
        "crash" => Some((rng.range(1, 50) * NS_PER_MS, 3)),
        "ok" => Some((rng.range(1, 20_000) * NS_PER_MS, 0)),
        "fail" => Some((rng.range(1, 20_000) * NS_PER_MS, 1)),
        "flaky" => Some((rng.scale(900) * NS_PER_S, i32::from(rng.chance(500)))),
        "long" => Some((rng.range(580, 640) * NS_PER_S, 1)),
        _ => None,
    }
}

impl Sim {
    /// Hands something to the keeper and does what it says.
    pub(crate) fn keeper(&mut self, input: Input) {
        let now_ns = self.clocks().mono.0;
        for output in self.machine.keeper.handle(now_ns, input) {
            match output {
                Output::Notice(notice) => {
                    if let Some(life) = self.agent.as_ref().map(|agent| agent.life) {
                        let delay = self.rng.range(1, 500_000);
                        self.queue.push(self.now + delay, Happening::Notice(life, notice));
                    }
                }
                Output::Work { ticket, id } => {
                    self.machine.works.insert(ticket, ContainerId(id.as_str().into()));
                    let slow = self.rng.chance(self.machine.dials.slow_worker);
                    let delay = if slow { self.rng.scale(50_000) } else { self.rng.range(1, 20) };
                    self.queue.push(self.now + delay * NS_PER_MS, Happening::Worker(ticket));
                }
                Output::KillCgroup { id } => self.kill(&ContainerId(id.as_str().into())),
                Output::Signal { pid, signal } => self.signal(pid, signal),
                Output::KillZygote => self.zygote_dies(),
            }
        }
        self.keeper_tick();
    }

    /// Sees to it that the keeper is told of the time when it wants to be.
    fn keeper_tick(&mut self) {
        if self.machine.keeper.effects_lost() > 0 {
            self.oracle.broken(Rule::Limit, "the keeper had no room for an effect".to_owned());
        }
        let due = self.machine.keeper.deadline_ns().map(|at| self.sim_time(Mono(at)).max(self.now));
        if let Some(at) = due
            && self.machine.keeper_tick.is_none_or(|planned| at < planned)
        {
            self.machine.keeper_tick = Some(at);
            self.queue.push(at, Happening::KeeperTick(self.machine.boot));
        }
    }

    pub(crate) fn keeper_ticks(&mut self, boot: u32) {
        if boot == self.machine.boot {
            self.machine.keeper_tick = None;
            self.keeper(Input::Tick);
        }
    }

    /// A worker comes to its end, well or not.
    pub(crate) fn worker_ends(&mut self, ticket: u64) {
        let Some(id) = self.machine.works.remove(&ticket) else { return };
        let lost = self.rng.chance(self.machine.dials.worker_lost);
        let Some(record) = self.machine.containers.get(&id).cloned() else {
            return self.keeper(Input::Refused { ticket, class: FailClass::Runtime });
        };
        if self.rng.chance(self.machine.dials.machine_short) {
            return self.keeper(Input::Refused { ticket, class: FailClass::Machine });
        }
        if record.image.reference == "nostart" {
            return self.keeper(Input::Refused { ticket, class: FailClass::Runtime });
        }
        // A lost worker may have come as far as a running process.
        let begun = !lost || self.rng.chance(500);
        let pid = if begun { self.begin(&record) } else { 0 };
        self.keeper(if lost { Input::Lost { ticket } } else { Input::Started { ticket, pid } });
    }

    fn begin(&mut self, record: &ContainerRecord) -> i32 {
        self.machine.last_pid += 1;
        let pid = self.machine.last_pid;
        let sandbox = self.machine.sandboxes.get(&record.pod);
        let Some(desired) = sandbox.map(|sandbox| &sandbox.desired) else {
            self.oracle
                .broken(Rule::Order, format!("{} of {} starts without a sandbox", record.id, record.pod));
            return pid;
        };
        let (id, uid, name) = (record.id.clone(), record.pod.clone(), record.name.clone());
        let image = record.image.reference.clone();
        let actor = desired.pod.spec.container(&name).and_then(Actor::of);
        let key = desired.key.clone();
        let process = Process { id, uid, key, name, attempt: record.attempt, image, dying: false, actor };
        self.say(|| format!("process {pid}: {}/{} attempt {}", process.key, process.name, process.attempt));
        self.oracle.begins(&process, &self.machine);
        let own = process.actor.as_ref().and_then(|actor| actor.exits).map(|code| (NS_PER_MS, code));
        if let Some((after, code)) = own.or_else(|| fate(&process.image, &mut self.rng)) {
            self.queue.push(self.now + after, Happening::End { pid, code, signal: 0 });
        }
        self.machine.processes.insert(pid, process);
        self.oracle.check_cpus(&self.machine);
        pid
    }

    /// The zygote dies with all its workers; the keeper starts another.
    pub(crate) fn zygote_dies(&mut self) {
        let works = std::mem::take(&mut self.machine.works);
        for id in works.into_values() {
            if self.rng.chance(300)
                && let Some(record) = self.machine.containers.get(&id).cloned()
            {
                self.begin(&record);
            }
        }
        self.keeper(Input::ZygoteGone);
    }

    fn signal(&mut self, pid: i32, signal: i32) {
        let Some(process) = self.machine.processes.get_mut(&pid) else { return };
        if signal == SIGKILL {
            return self.queue.push(self.now + NS_PER_MS, Happening::End { pid, code: 0, signal });
        }
        if process.image == "stubborn" || process.dying || process.actor.as_ref().is_some_and(|a| a.stubborn)
        {
            return;
        }
        process.dying = true;
        if process.actor.is_some() {
            return self.queue.push(self.now + NS_PER_MS, Happening::End { pid, code: 0, signal: 0 });
        }
        let after = self.rng.scale(4000) * NS_PER_MS;
        let signal = if self.rng.chance(500) { 0 } else { signal };
        self.queue.push(self.now + after, Happening::End { pid, code: 0, signal });
    }

    /// `cgroup.kill`: all of the container's processes end soon.
    pub(crate) fn kill(&mut self, id: &ContainerId) {
        let pids: Vec<i32> =
            self.machine.processes.iter().filter(|(_, p)| p.id == *id).map(|(pid, _)| *pid).collect();
        for pid in pids {
            let stuck = self.rng.chance(self.machine.dials.unkillable);
            let after = if stuck { self.rng.range(1, 20_000) } else { self.rng.range(0, 5) };
            self.queue.push(self.now + after * NS_PER_MS, Happening::End { pid, code: 0, signal: SIGKILL });
        }
    }

    pub(crate) fn process_ends(&mut self, pid: i32, code: i32, signal: i32) {
        let Some(process) = self.machine.processes.remove(&pid) else { return };
        self.say(|| format!("process {pid} of {} ends: {code}", process.id));
        self.keeper(Input::Reaped { pid, code, signal });
    }
}
