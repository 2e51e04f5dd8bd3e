//! The keeper's tables: container slots and exec sessions, of fixed size, pure.
//!
//! An entry goes creating → running → exited → free, or creating → failed → free. A full table refuses;
//! nothing is ever evicted, least of all an exit that nobody has released. A step that an entry's state
//! does not allow changes nothing and says so. Entries keep their place, so that a place may be used as
//! the key of descriptors that somebody else holds.

mod entry;
#[cfg(test)]
mod tests;

use crate::protocol::{CONTAINERS_MAX, EXECS_MAX, FailClass, Id, Path};
pub use entry::{Entry, Life, Owed};

/// Place of an entry in its table.
pub type Place = u16;

/// Container slots.
pub type Containers = Table<ContainerWork, CONTAINERS_MAX>;
/// Exec sessions.
pub type Sessions = Table<SessionWork, EXECS_MAX>;

const _: () = assert!(CONTAINERS_MAX < Place::MAX as usize);
const _: () = assert!(EXECS_MAX < Place::MAX as usize);

/// What the zygote is to do for a container, and what is killed if it fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerWork {
    /// Bundle directory.
    pub bundle: Path,
    /// Leaf cgroup.
    pub cgroup: Path,
    /// Milliseconds for the worker.
    pub deadline_ms: u32,
}

/// What the zygote is to do for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionWork {
    /// The container to join.
    pub container: Id,
    /// Its bundle directory.
    pub bundle: Path,
    /// Milliseconds for the worker.
    pub deadline_ms: u32,
    /// A terminal is wanted.
    pub tty: bool,
    /// The agent that asked is dead; nobody wants the session any more.
    pub orphan: bool,
    /// When to SIGKILL an orphan that has not ended, `CLOCK_BOOTTIME` nanoseconds.
    pub kill_at_ns: Option<u64>,
}

/// A table of at most `N` entries. It grows by use, so memory that was never needed is never touched.
#[derive(Debug)]
pub struct Table<W, const N: usize> {
    entries: heapless::Vec<Entry<W>, N>,
}

impl<W, const N: usize> Table<W, N> {
    /// An empty table.
    pub const fn new() -> Self {
        Self { entries: heapless::Vec::new() }
    }

    /// Takes a place for an entry that is being created.
    ///
    /// # Errors
    /// `Exists` if the id has a place, `Full` if there is none left.
    pub fn insert(&mut self, entry: Entry<W>) -> Result<Place, FailClass> {
        if self.find(&entry.id).is_some() {
            return Err(FailClass::Exists);
        }
        let free = self.entries.iter().position(|old| old.is_free());
        let place = free.unwrap_or(self.entries.len());
        match self.entries.get_mut(place) {
            Some(old) => *old = entry,
            None => self.entries.push(entry).map_err(|_| FailClass::Full)?,
        }
        Place::try_from(place).map_err(|_| FailClass::Full)
    }

    /// Appends an entry as it was saved, free ones included, so that all keep their places.
    ///
    /// # Errors
    /// `Full`.
    pub fn restore(&mut self, entry: Entry<W>) -> Result<(), FailClass> {
        self.entries.push(entry).map_err(|_| FailClass::Full)
    }

    /// The entry at a place, if it is used.
    pub fn get(&self, place: Place) -> Option<&Entry<W>> {
        self.entries.get(usize::from(place)).filter(|entry| !entry.is_free())
    }

    /// The entry at a place, if it is used.
    pub fn get_mut(&mut self, place: Place) -> Option<&mut Entry<W>> {
        self.entries.get_mut(usize::from(place)).filter(|entry| !entry.is_free())
    }

    /// The entry at a place even when it is free now: what it was can be read until the place is taken.
    pub fn last(&self, place: Place) -> Option<&Entry<W>> {
        self.entries.get(usize::from(place))
    }

    /// Place of an id.
    pub fn find(&self, id: &str) -> Option<Place> {
        self.position(|entry| entry.id == id)
    }

    /// Place of the entry that is being created under a ticket.
    pub fn by_ticket(&self, ticket: u64) -> Option<Place> {
        self.position(|entry| matches!(entry.life, Life::Creating) && entry.ticket == ticket)
    }

    /// Place of the entry whose process runs with a pid.
    pub fn by_pid(&self, pid: i32) -> Option<Place> {
        self.position(|entry| matches!(entry.life, Life::Running { pid: p, .. } if p == pid))
    }

    /// The first used entry that fits.
    pub fn position(&self, fits: impl Fn(&Entry<W>) -> bool) -> Option<Place> {
        self.used().find(|(_, entry)| fits(entry)).map(|(place, _)| place)
    }

    /// All used entries.
    pub fn used(&self) -> impl Iterator<Item = (Place, &Entry<W>)> {
        (0..).zip(&self.entries).filter(|(_, entry)| !entry.is_free())
    }

    /// All used entries.
    pub fn used_mut(&mut self) -> impl Iterator<Item = (Place, &mut Entry<W>)> {
        (0..).zip(&mut self.entries).filter(|(_, entry)| !entry.is_free())
    }

    /// How many entries are used.
    pub fn len(&self) -> usize {
        self.used().count()
    }

    /// No entry is used.
    pub fn is_empty(&self) -> bool {
        self.used().next().is_none()
    }

    /// How many places were ever used: the length of a save.
    pub fn high_water(&self) -> usize {
        self.entries.len()
    }
}

impl<W, const N: usize> Default for Table<W, N> {
    fn default() -> Self {
        Self::new()
    }
}
