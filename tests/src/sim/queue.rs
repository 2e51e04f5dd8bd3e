//! What will happen, in order of time; what happens at the same moment, in order of its announcement.

use super::shell::OpId;
use berth_core::event::Event;
use berth_keeper::protocol::Notice;
use std::{cmp::Ordering, collections::BinaryHeap};

/// Number of an agent process; what is meant for another one is lost.
pub(crate) type Life = u32;

/// Something that happens at its moment.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// The keeper starts the agent.
    AgentUp,
    /// The agent reads the manifests.
    ReadSources(Life),
    /// News reaches the agent's core.
    Tell(Life, Box<Event>),
    /// The agent's core takes its turn.
    Turn(Life),
    /// An operation of the agent goes on.
    Op(Life, OpId),
    /// A datagram of the keeper reaches the agent.
    Notice(Life, Box<Notice>),
    /// A worker of the zygote comes to its end.
    Worker(u64),
    /// A process ends by itself (or by what was done to it).
    End { pid: i32, code: i32, signal: i32 },
    /// The agent is killed.
    Kill(Life),
    /// The keeper of this boot is told that time has passed.
    KeeperTick(u32),
    /// The world changes, or breaks.
    Chaos,
}

#[derive(Debug)]
struct Entry {
    at: u64,
    order: u64,
    what: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    /// The earliest is the greatest: the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// The future.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Entry>,
    order: u64,
}

impl Queue {
    /// `at`: nanoseconds of the simulation's own clock, which no reboot resets.
    pub(crate) fn push(&mut self, at: u64, what: Happening) {
        self.order += 1;
        self.heap.push(Entry { at, order: self.order, what });
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Happening)> {
        self.heap.pop().map(|entry| (entry.at, entry.what))
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// Forgets what does not survive a power cut.
    pub(crate) fn power_cut(&mut self) {
        let kept = |what: &Happening| matches!(what, Happening::Chaos | Happening::AgentUp);
        self.heap.retain(|entry| kept(&entry.what));
    }
}
