//! The state as bytes, for the program that we become. Saved only when nothing is under way, so there
//! is nothing in it but what runs, what has ended, and the children.
//!
//! Layout: head, then each container place, then each session place; descriptors are the shell's and go
//! beside. Free places are saved too, so that all keep theirs. A change of the layout raises
//! [`STATE_VERSION`], and the new program goes on to read the old one.

use super::{Child, Greeting, Phase, Supervisor};
use crate::{
    codec::{DecodeError, Message, Reader, Writer},
    protocol::{ExitStatus, Id, Path},
    tables::{ContainerWork, Entry, Life, Owed, Place, SessionWork},
};

/// Version of the layout.
pub const STATE_VERSION: u32 = 1;

const FREE: u8 = 0;
const RUNNING: u8 = 1;
const EXITED: u8 = 2;

impl Supervisor {
    /// All but the tables; says how many places follow.
    pub fn save_head(&self, to: &mut Writer<'_>) {
        to.u64(self.ticket);
        to.bool(self.greeting == Greeting::Greeted);
        save_child(&self.agent, to);
        save_child(&self.zygote, to);
        to.u16(u16::try_from(self.containers.high_water()).unwrap_or(u16::MAX));
        to.u16(u16::try_from(self.sessions.high_water()).unwrap_or(u16::MAX));
    }

    /// One container place.
    pub fn save_container(&self, place: Place, to: &mut Writer<'_>) {
        let entry = self.containers.get(place);
        if save_life(entry, to)
            && let Some(entry) = entry
        {
            to.str(&entry.work.cgroup);
        }
    }

    /// One session place.
    pub fn save_session(&self, place: Place, to: &mut Writer<'_>) {
        let entry = self.sessions.get(place);
        if save_life(entry, to)
            && let Some(entry) = entry
        {
            to.str(&entry.work.container);
            to.bool(entry.work.orphan);
            to.u64(entry.work.kill_at_ns.unwrap_or(0));
        }
    }

    /// Into a new supervisor; gives how many container and session places follow.
    ///
    /// # Errors
    /// The bytes are no head.
    pub fn restore_head(&mut self, from: &mut Reader<'_>) -> Result<(Place, Place), DecodeError> {
        self.ticket = from.u64()?;
        self.greeting = if from.bool()? { Greeting::Greeted } else { Greeting::None };
        self.agent = restore_child(from)?;
        self.zygote = restore_child(from)?;
        self.renew();
        Ok((from.u16()?, from.u16()?))
    }

    /// The next container place.
    ///
    /// # Errors
    /// The bytes are no container place, or there is no room for it.
    pub fn restore_container(&mut self, from: &mut Reader<'_>) -> Result<(), DecodeError> {
        let mut work = ContainerWork { bundle: Path::new(), cgroup: Path::new(), deadline_ms: 0 };
        let (id, life, owed) = restore_life(from)?;
        if life != Life::Free {
            work.cgroup = from.str()?;
        }
        self.containers.restore(Entry::saved(id, work, life, owed)).map_err(|_| DecodeError::TooLong)
    }

    /// The next session place.
    ///
    /// # Errors
    /// The bytes are no session place, or there is no room for it.
    pub fn restore_session(&mut self, from: &mut Reader<'_>) -> Result<(), DecodeError> {
        let mut work = SessionWork {
            container: Id::new(),
            bundle: Path::new(),
            deadline_ms: 0,
            tty: false,
            orphan: false,
            kill_at_ns: None,
        };
        let (id, life, owed) = restore_life(from)?;
        if life != Life::Free {
            work.container = from.str()?;
            work.orphan = from.bool()?;
            work.kill_at_ns = Some(from.u64()?).filter(|at| *at != 0);
        }
        self.sessions.restore(Entry::saved(id, work, life, owed)).map_err(|_| DecodeError::TooLong)
    }
}

fn save_child(child: &Child, to: &mut Writer<'_>) {
    let (pid, since_ns) = match child.phase {
        Phase::Alive { pid, since_ns } => (pid, since_ns),
        _ => (0, 0),
    };
    to.i32(pid);
    to.u64(since_ns);
    to.u64(child.delay_ns);
    to.u32(child.restarts);
}

fn restore_child(from: &mut Reader<'_>) -> Result<Child, DecodeError> {
    let (pid, since_ns) = (from.i32()?, from.u64()?);
    let phase = if pid > 0 { Phase::Alive { pid, since_ns } } else { Phase::Absent };
    Ok(Child { phase, delay_ns: from.u64()?, restarts: from.u32()?, ..Child::ABSENT })
}

/// False for a free place, of which nothing follows.
fn save_life<W>(entry: Option<&Entry<W>>, to: &mut Writer<'_>) -> bool {
    let Some(entry) = entry else {
        to.u8(FREE);
        return false;
    };
    let (tag, pid, started_ns) = match *entry.life() {
        Life::Running { pid, started_ns } => (RUNNING, pid, started_ns),
        Life::Exited { pid, started_ns, .. } => (EXITED, pid, started_ns),
        Life::Free | Life::Creating | Life::Failed { .. } => {
            // Saved only when quiet, so there is none of these; a place without an entry is the truth.
            to.u8(FREE);
            return false;
        }
    };
    to.u8(tag);
    to.str(&entry.id);
    to.i32(pid);
    to.u64(started_ns);
    if let Life::Exited { exit, .. } = entry.life() {
        exit.write(to);
        to.bool(entry.owed.exit);
    }
    true
}

fn restore_life(from: &mut Reader<'_>) -> Result<(Id, Life, Owed), DecodeError> {
    let tag = from.u8()?;
    if tag == FREE {
        return Ok((Id::new(), Life::Free, Owed::default()));
    }
    let (id, pid, started_ns) = (from.str()?, from.i32()?, from.u64()?);
    match tag {
        RUNNING => Ok((id, Life::Running { pid, started_ns }, Owed::default())),
        EXITED => {
            let life = Life::Exited { pid, started_ns, exit: ExitStatus::read(from)? };
            Ok((id, life, Owed { answer: false, exit: from.bool()? }))
        }
        other => Err(DecodeError::Tag(other)),
    }
}
