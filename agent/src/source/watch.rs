//! inotify, told what is wanted after each look at the directories, and asked whether anything of it changed.

use super::trace::{Interest, Wanted};
use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use std::{collections::HashMap, io, os::fd::AsFd, sync::Arc};
use tokio::io::{Interest as Readiness, unix::AsyncFd};

/// Directories watched at one time. What is beyond is seen by the slow rescan.
pub(super) const WATCHES_MAX: usize = 512;
/// Bytes of events read at one time.
const EVENTS_LEN_BYTES: usize = 4096;

/// What happens to a directory itself.
fn own() -> WatchMask {
    WatchMask::DELETE_SELF | WatchMask::MOVE_SELF
}

/// What happens to its entries. CREATE is for links, which are never closed after writing.
fn entries() -> WatchMask {
    WatchMask::CREATE
        | WatchMask::CLOSE_WRITE
        | WatchMask::MOVED_TO
        | WatchMask::MOVED_FROM
        | WatchMask::DELETE
        | WatchMask::ATTRIB
}

/// The watcher.
#[derive(Debug)]
pub(super) struct Watcher {
    inotify: Inotify,
    ready: AsyncFd<Arc<std::os::fd::OwnedFd>>,
    watched: HashMap<WatchDescriptor, Interest>,
    buffer: Vec<u8>,
}

/// What [`Watcher::set`] came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    /// A directory was not watched before: what happened in it meanwhile is not known.
    pub(super) news: bool,
    /// Directories that the kernel would not watch, or too many; the words say why.
    pub(super) unwatched: Option<String>,
}

impl Watcher {
    /// Must be called within the runtime.
    ///
    /// # Errors
    /// When the user's inotify instances are used up.
    pub(super) fn new() -> io::Result<Self> {
        let inotify = Inotify::init()?;
        let fd = Arc::new(inotify.as_fd().try_clone_to_owned()?);
        let ready = crate::agent::sys::watched(fd, Readiness::READABLE)?;
        Ok(Self { inotify, ready, watched: HashMap::new(), buffer: vec![0; EVENTS_LEN_BYTES] })
    }

    /// Watches exactly these directories from now on.
    pub(super) fn set(&mut self, wanted: Wanted) -> Set {
        let mut result = Set::default();
        let mut watched: HashMap<WatchDescriptor, Interest> = HashMap::with_capacity(wanted.len());
        let mut watches = self.inotify.watches();
        let left_out = wanted.len().saturating_sub(WATCHES_MAX);
        for (dir, interest) in wanted.into_iter().take(WATCHES_MAX) {
            let mask = if interest.in_entries() { own() | entries() } else { own() };
            match watches.add(&dir, mask | WatchMask::ONLYDIR | WatchMask::DONT_FOLLOW) {
                Ok(descriptor) => {
                    let before = self.watched.get(&descriptor);
                    result.news |= before.is_none_or(|before| interest.in_entries() && !before.in_entries());
                    watched.entry(descriptor).or_default().join(interest);
                }
                // It went in this moment; the directory above tells.
                Err(e) if e.kind() == io::ErrorKind::NotFound => result.news = true,
                Err(e) => result.unwatched = Some(format!("{} cannot be watched: {e}", dir.display())),
            }
        }
        if left_out > 0 {
            result.unwatched = Some(format!("{left_out} directories beyond {WATCHES_MAX} are not watched"));
        }
        for (descriptor, _) in self.watched.drain().filter(|(old, _)| !watched.contains_key(old)) {
            // Fails for a directory that is gone, and then there is nothing to remove.
            let _ = watches.remove(descriptor);
        }
        self.watched = watched;
        result
    }

    /// Waits until something wanted has changed, or may have.
    ///
    /// # Errors
    /// When events cannot be read.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.ready.readable().await?;
            match read(&mut self.inotify, &mut self.buffer, &self.watched)? {
                Some(true) => return Ok(()),
                Some(false) => {}
                None => ready.clear_ready(),
            }
        }
    }

    /// Takes all events that are there, without waiting: the directories are about to be read anyway.
    ///
    /// # Errors
    /// When events cannot be read.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        while read(&mut self.inotify, &mut self.buffer, &self.watched)?.is_some() {}
        Ok(())
    }
}

/// Reads a buffer of events; whether any of them matters, or None if there are none.
fn read(
    inotify: &mut Inotify,
    buffer: &mut [u8],
    watched: &HashMap<WatchDescriptor, Interest>,
) -> io::Result<Option<bool>> {
    let mut matters = false;
    match inotify.read_events(buffer) {
        Ok(events) => {
            for event in events {
                let interest = watched.get(&event.wd);
                matters |= event.mask.contains(EventMask::Q_OVERFLOW)
                    || interest.is_some_and(|interest| event.name.is_none_or(|name| interest.in_entry(name)));
            }
            Ok(Some(matters))
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(e) => Err(e),
    }
}
