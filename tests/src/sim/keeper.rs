//! The keeper as the simulator sees it: what goes in, what comes out. Behind it stands the real one.

use berth_keeper::protocol::{ExitStatus, FailClass, Id, NOBODY, Notice, Request, SlotState};
use std::collections::BTreeMap;

/// What reaches a keeper.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// From the agent.
    Request(Box<Request>),
    /// A worker says that its container runs.
    Started { ticket: u64, pid: i32 },
    /// A worker says that the runtime refused.
    Refused { ticket: u64 },
    /// The zygote says that a worker died without a word.
    Lost { ticket: u64 },
    /// The zygote is dead, and all its workers with it.
    ZygoteGone,
    /// The agent is dead.
    AgentGone,
    /// A child was reaped.
    Reaped { pid: i32, code: i32, signal: i32 },
}

/// What a keeper does.
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
}

/// A keeper.
pub(crate) trait Keeper {
    fn handle(&mut self, now_ns: u64, input: Input) -> Vec<Output>;
    fn slots(&self) -> Vec<(String, SlotState)>;
}

/// A keeper in few lines, to compare with.
#[derive(Debug)]
pub(crate) struct StandIn {
    capacity: usize,
    tickets: u64,
    slots: BTreeMap<String, Slot>,
}

#[derive(Debug)]
struct Slot {
    op: u64,
    ticket: u64,
    pid: i32,
    state: SlotState,
}

impl StandIn {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, tickets: 0, slots: BTreeMap::new() }
    }

    fn request(&mut self, request: Request) -> Vec<Output> {
        match request {
            Request::Create { op, id, .. } => self.create(op, id),
            Request::Signal { op, id, signal } => match self.slots.get(id.as_str()) {
                Some(Slot { pid, state: SlotState::Running { .. }, .. }) => {
                    vec![Output::Signal { pid: *pid, signal }, notice(Notice::Done { op })]
                }
                _ => vec![failed(op, id, FailClass::NotFound)],
            },
            Request::Release { op, id } => match self.slots.get(id.as_str()).map(|slot| slot.state) {
                Some(SlotState::Running { .. } | SlotState::Creating) => {
                    vec![failed(op, id, FailClass::Busy)]
                }
                _ => {
                    self.slots.remove(id.as_str());
                    vec![notice(Notice::Done { op })]
                }
            },
            _ => Vec::new(),
        }
    }

    fn create(&mut self, op: u64, id: Id) -> Vec<Output> {
        if self.slots.contains_key(id.as_str()) {
            return vec![failed(op, id, FailClass::Exists)];
        }
        if self.slots.len() >= self.capacity {
            return vec![failed(op, id, FailClass::Full)];
        }
        self.tickets += 1;
        let slot = Slot { op, ticket: self.tickets, pid: 0, state: SlotState::Creating };
        self.slots.insert(id.to_string(), slot);
        vec![Output::Work { ticket: self.tickets, id: id.to_string() }]
    }

    fn by_ticket(&mut self, ticket: u64) -> Option<(String, &mut Slot)> {
        let found = self.slots.iter_mut().find(|(_, slot)| slot.ticket == ticket)?;
        Some((found.0.clone(), found.1))
    }

    fn fail(&mut self, ticket: u64, class: FailClass) -> Vec<Output> {
        let Some((id, slot)) = self.by_ticket(ticket) else { return Vec::new() };
        let op = slot.op;
        self.slots.remove(&id);
        vec![Output::KillCgroup { id: id.clone() }, failed(op, name(&id), class)]
    }
}

impl Keeper for StandIn {
    fn handle(&mut self, now_ns: u64, input: Input) -> Vec<Output> {
        match input {
            Input::Request(request) => self.request(*request),
            Input::Started { ticket, pid } => {
                let Some((id, slot)) = self.by_ticket(ticket) else { return Vec::new() };
                slot.pid = pid;
                slot.state = SlotState::Running { pid, started_ns: now_ns };
                let op = slot.op;
                vec![notice(Notice::Started { op, id: name(&id), pid, at_ns: now_ns })]
            }
            Input::Refused { ticket } => self.fail(ticket, FailClass::Runtime),
            Input::Lost { ticket } => self.fail(ticket, FailClass::Lost),
            Input::ZygoteGone => {
                let creating = self.slots.values().filter(|slot| slot.state == SlotState::Creating);
                let tickets: Vec<u64> = creating.map(|slot| slot.ticket).collect();
                tickets.into_iter().flat_map(|ticket| self.fail(ticket, FailClass::Lost)).collect()
            }
            Input::AgentGone => {
                self.slots.values_mut().for_each(|slot| slot.op = NOBODY);
                Vec::new()
            }
            Input::Reaped { pid, code, signal } => {
                let found = self.slots.iter_mut().find(|(_, slot)| slot.pid == pid);
                let Some((id, slot)) = found else { return Vec::new() };
                let SlotState::Running { started_ns, .. } = slot.state else { return Vec::new() };
                let exit = ExitStatus { code, signal, at_ns: now_ns };
                slot.state = SlotState::Exited { started_ns, exit };
                vec![notice(Notice::Exited { id: name(id), exit })]
            }
        }
    }

    fn slots(&self) -> Vec<(String, SlotState)> {
        self.slots.iter().map(|(id, slot)| (id.clone(), slot.state)).collect()
    }
}

fn notice(notice: Notice) -> Output {
    Output::Notice(Box::new(notice))
}

fn failed(op: u64, id: Id, class: FailClass) -> Output {
    notice(Notice::Failed { op, id, class, text: class_text(class) })
}

fn class_text(class: FailClass) -> berth_keeper::protocol::Text {
    format!("{class:?}").parse().unwrap_or_default()
}

/// `id` in the protocol's type.
pub(crate) fn name(id: &str) -> Id {
    id.parse().unwrap_or_default()
}
