//! The keeper: the real [`Supervisor`], and around it what its shell would do at once. Time, sockets and
//! children are the simulator's.

use berth_keeper::{
    codec::{Reader, Writer},
    protocol::{FailClass, Id, Notice, Request, SlotState, VERSION, Work, WorkReport},
    supervise::{Effect, Supervisor, Who},
};

/// Pid of the keeper itself.
const OWN_PID: i32 = 2;
/// Pids of agents and zygotes count on from here; containers have smaller ones.
const CHILD_PIDS: i32 = 10_000_000;
/// Bytes that a saved state may have.
const STATE_LEN_MAX: usize = 128 * 1024;

/// What reaches the keeper.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// From the agent.
    Request(Box<Request>),
    /// A worker says that its container runs.
    Started { ticket: u64, pid: i32 },
    /// A worker says that the runtime refused.
    Refused { ticket: u64, class: FailClass },
    /// The zygote says that a worker died without a word.
    Lost { ticket: u64 },
    /// The zygote is dead, and all its workers with it.
    ZygoteGone,
    /// An agent was started and says Hello.
    AgentUp,
    /// The agent is dead.
    AgentGone,
    /// A child was reaped.
    Reaped { pid: i32, code: i32, signal: i32 },
    /// Time has passed.
    Tick,
    /// The keeper becomes its own next version, if it can just now.
    Upgrade,
}

/// What the keeper does.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// Tells the agent.
    Notice(Box<Notice>),
    /// Gives work to the zygote.
    Work { ticket: u64, id: String },
    /// Kills all that is in the container's cgroup.
    KillCgroup { id: String },
    /// Signals a process.
    Signal { pid: i32, signal: i32 },
    /// Kills the zygote.
    KillZygote,
}

/// The keeper of one boot.
#[derive(Debug)]
pub(crate) struct Keeper {
    supervisor: Box<Supervisor>,
    last_child: i32,
}

impl Keeper {
    pub(crate) fn new(now_ns: u64) -> Self {
        let mut keeper = Self { supervisor: Box::default(), last_child: CHILD_PIDS };
        keeper.supervisor.start(now_ns, OWN_PID);
        keeper.settle(now_ns);
        keeper
    }

    /// Takes something in; says what follows at once.
    pub(crate) fn handle(&mut self, now_ns: u64, input: Input) -> Vec<Output> {
        let supervisor = &mut self.supervisor;
        match input {
            Input::Request(request) => supervisor.request(now_ns, &request, 0),
            Input::Started { ticket, pid } => supervisor.report(now_ns, &WorkReport::Started { ticket, pid }),
            Input::Refused { ticket, class } => {
                let text = "refused".parse().unwrap_or_default();
                supervisor.report(now_ns, &WorkReport::Failed { ticket, class, text });
            }
            Input::Lost { ticket } => {
                supervisor.report(now_ns, &WorkReport::Lost { ticket, class: FailClass::Lost });
            }
            Input::ZygoteGone => self.dies(now_ns, Who::Zygote),
            Input::AgentGone => self.dies(now_ns, Who::Agent),
            Input::AgentUp => {
                self.last_child += 1;
                supervisor.spawned(now_ns, Who::Agent, self.last_child);
                supervisor.request(now_ns, &Request::Hello { version: VERSION }, 0);
            }
            Input::Reaped { pid, code, signal } => supervisor.reaped(now_ns, pid, code, signal),
            Input::Tick => supervisor.tick(now_ns),
            Input::Upgrade => self.upgrade(now_ns),
        }
        self.settle(now_ns)
    }

    /// When it wants to be told that time has passed.
    pub(crate) fn deadline_ns(&self) -> Option<u64> {
        self.supervisor.deadline_ns()
    }

    /// The slots in use.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &str> {
        self.supervisor.containers().used().map(|(_, entry)| entry.id.as_str())
    }

    /// What must never be counted.
    pub(crate) fn effects_lost(&self) -> u32 {
        self.supervisor.counters().effects_lost
    }

    fn dies(&mut self, now_ns: u64, who: Who) {
        if let Some(pid) = self.supervisor.child(who).pid() {
            self.supervisor.closed(now_ns, who);
            self.supervisor.reaped(now_ns, pid, 0, 9);
        }
    }

    /// Does what the supervisor wants done until it wants nothing more: sockets have room here always.
    fn settle(&mut self, now_ns: u64) -> Vec<Output> {
        let mut outputs = Vec::new();
        loop {
            if let Some(effect) = self.supervisor.next_effect() {
                outputs.extend(self.effect(now_ns, &effect));
            } else if let Some((due, work)) = self.supervisor.next_work() {
                self.supervisor.work_sent(due);
                if let Work::Create { ticket, id, .. } = work {
                    outputs.push(Output::Work { ticket, id: id.to_string() });
                }
            } else if let Some((due, notice)) = self.supervisor.next_notice() {
                self.supervisor.notice_sent(due);
                // What an agent that lives says to that, at once.
                match notice {
                    Notice::ListEnd => self.supervisor.request(now_ns, &Request::Ready, 0),
                    Notice::Ping => self.supervisor.request(now_ns, &Request::Alive, 0),
                    _ => {}
                }
                outputs.push(Output::Notice(Box::new(notice)));
            } else {
                return outputs;
            }
        }
    }

    fn effect(&mut self, now_ns: u64, effect: &Effect) -> Option<Output> {
        match effect {
            Effect::KillCgroup { slot } => {
                let id = self.supervisor.cgroup(*slot)?.to_owned();
                Some(Output::KillCgroup { id })
            }
            Effect::Signal { pid, .. } if Some(*pid) == self.supervisor.child(Who::Zygote).pid() => {
                Some(Output::KillZygote)
            }
            Effect::Signal { pid, signal } => Some(Output::Signal { pid: *pid, signal: *signal }),
            Effect::Spawn(Who::Zygote) => {
                self.last_child += 1;
                self.supervisor.spawned(now_ns, Who::Zygote, self.last_child);
                self.supervisor.report(now_ns, &WorkReport::Ready);
                None
            }
            // When an agent comes up is the simulator's choice; pipes have no simulation.
            _ => None,
        }
    }

    /// Through bytes into a new supervisor, as a program that replaces itself does it.
    fn upgrade(&mut self, now_ns: u64) {
        if self.supervisor.in_flight() {
            return;
        }
        if let Some(next) = reborn(&self.supervisor) {
            self.supervisor = next;
            self.supervisor.start(now_ns, OWN_PID);
        }
    }
}

fn reborn(old: &Supervisor) -> Option<Box<Supervisor>> {
    let mut bytes = vec![0; STATE_LEN_MAX];
    let mut writer = Writer::new(&mut bytes);
    old.save_head(&mut writer);
    let (containers, sessions) = (old.containers().high_water(), old.sessions().high_water());
    (0..u16::try_from(containers).ok()?).for_each(|place| old.save_container(place, &mut writer));
    (0..u16::try_from(sessions).ok()?).for_each(|place| old.save_session(place, &mut writer));
    let saved = writer.written()?;
    let mut reader = Reader::new(saved);
    let mut new = Box::<Supervisor>::default();
    let (containers, sessions) = new.restore_head(&mut reader).ok()?;
    (0..containers).try_for_each(|_| new.restore_container(&mut reader)).ok()?;
    (0..sessions).try_for_each(|_| new.restore_session(&mut reader)).ok()?;
    Some(new)
}

/// A slot as the list told it.
pub(crate) fn slot(notice: &Notice) -> Option<(String, SlotState)> {
    match notice {
        Notice::Slot { id, state } => Some((id.to_string(), *state)),
        _ => None,
    }
}

/// `id` in the protocol's type.
pub(crate) fn name(id: &str) -> Id {
    id.parse().unwrap_or_default()
}
