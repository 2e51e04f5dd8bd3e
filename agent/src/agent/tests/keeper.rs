//! A keeper that only pretends: it starts nothing, but has slots, pipes and opinions.

use berth_keeper::{
    link,
    protocol::{ExitStatus, FailClass, Id, NOBODY, Notice, Request, SlotState, Text, VERSION},
};
use nix::{fcntl::OFlag, unistd::pipe2};
use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io::Write,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    sync::{Arc, Mutex},
};

/// A container that is only said to run.
pub(super) struct Pretended {
    pub(super) state: SlotState,
    fds: Vec<OwnedFd>,
    pub(super) writers: Vec<File>,
}

/// What becomes of a create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// The runtime refuses.
    Refuse,
    /// Started, but only told to the next agent, as an answer to nobody.
    TellTheNext,
}

/// What a keeper remembers while agents come and go.
#[derive(Default)]
pub(super) struct Table {
    pub(super) slots: BTreeMap<String, Pretended>,
    /// For the next creates; then all is well.
    pub(super) moods: VecDeque<Mood>,
    /// Creates so far.
    pub(super) creates: usize,
}

pub(super) type Shared = Arc<Mutex<Table>>;

fn boot_ns() -> u64 {
    berth_oci::clock::now().mono.0
}

fn pretend() -> Pretended {
    let mut fds = Vec::new();
    let mut writers: Vec<File> = Vec::new();
    for _ in 0..2 {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
        fds.push(read);
        writers.push(write.into());
    }
    for _ in 0..2 {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
        fds.extend([read, write]);
    }
    writers[0].write_all(b"hello\n").unwrap();
    Pretended { state: SlotState::Running { pid: 4242, started_ns: boot_ns() }, fds, writers }
}

fn say(socket: &OwnedFd, notice: &Notice, fds: &[OwnedFd]) {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    // Fails when the agent is gone; the next one hears the table.
    let _ = link::send(socket, notice, &raw);
}

/// Answers one agent until that is gone.
pub(super) fn keep(socket: &OwnedFd, table: &Shared) {
    while let Ok((request, fds)) = link::recv::<Request>(socket) {
        answer(socket, &mut table.lock().unwrap(), request, &fds);
    }
}

fn answer(socket: &OwnedFd, table: &mut Table, request: Request, fds: &[OwnedFd]) {
    match request {
        Request::Hello { .. } => hello(socket, table),
        Request::Ready | Request::Alive => {}
        Request::Create { op, id, .. } => create(socket, table, op, id),
        Request::Signal { op, id, signal } => {
            let Some(slot) = table.slots.get_mut(id.as_str()) else {
                let (class, text) = (FailClass::NotFound, Text::new());
                return say(socket, &Notice::Failed { op, id, class, text }, &[]);
            };
            let exit = ExitStatus { code: 0, signal, at_ns: boot_ns() };
            slot.state = SlotState::Exited { started_ns: 1, exit };
            slot.writers.clear();
            say(socket, &Notice::Done { op }, &[]);
            say(socket, &Notice::Exited { id, exit }, &[]);
        }
        Request::Release { op, id } => {
            table.slots.remove(id.as_str());
            say(socket, &Notice::Done { op }, &[]);
        }
        Request::Exec { op, session, .. } => {
            assert_eq!(fds.len(), 3);
            say(socket, &Notice::Started { op, id: session.clone(), pid: 4243, at_ns: boot_ns() }, &[]);
            File::from(fds[1].try_clone().unwrap()).write_all(b"executed\n").unwrap();
            let exit = ExitStatus { code: 0, signal: 9, at_ns: boot_ns() };
            say(socket, &Notice::Exited { id: session, exit }, &[]);
        }
        Request::Upgrade { op, .. } => {
            let text = Text::try_from("no such program").unwrap();
            say(socket, &Notice::Failed { op, id: Id::new(), class: FailClass::Runtime, text }, &[]);
        }
    }
}

fn hello(socket: &OwnedFd, table: &mut Table) {
    let slots = u16::try_from(table.slots.len()).unwrap();
    say(socket, &Notice::Welcome { version: VERSION, pid: 1, slots }, &[]);
    let mut late = Vec::new();
    for (id, slot) in &mut table.slots {
        let id = Id::try_from(id.as_str()).unwrap();
        let creating = slot.state == SlotState::Creating;
        say(
            socket,
            &Notice::Slot { id: id.clone(), state: slot.state },
            if creating { &[] } else { &slot.fds },
        );
        if creating {
            slot.state = SlotState::Running { pid: 4242, started_ns: boot_ns() };
            late.push(id);
        }
    }
    say(socket, &Notice::ListEnd, &[]);
    for id in late {
        let fds = &table.slots[id.as_str()].fds;
        say(socket, &Notice::Started { op: NOBODY, id, pid: 4242, at_ns: boot_ns() }, fds);
    }
}

fn create(socket: &OwnedFd, table: &mut Table, op: u64, id: Id) {
    table.creates += 1;
    let mood = table.moods.pop_front();
    if mood == Some(Mood::Refuse) {
        let text = Text::try_from("exec: no such file").unwrap();
        return say(socket, &Notice::Failed { op, id, class: FailClass::Runtime, text }, &[]);
    }
    assert!(!table.slots.contains_key(id.as_str()), "{id} is created twice");
    let mut slot = pretend();
    if mood == Some(Mood::TellTheNext) {
        slot.state = SlotState::Creating;
    } else {
        say(socket, &Notice::Started { op, id: id.clone(), pid: 4242, at_ns: boot_ns() }, &slot.fds);
    }
    table.slots.insert(id.as_str().to_owned(), slot);
}
