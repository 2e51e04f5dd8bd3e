//! Writes and removes files in the order in which that was asked for, on a thread of the pool: a slow disk holds up
//! no pod. Never leaves a half.

use super::super::sealed;
use berth_oci::durable;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Makes a file's content, on the thread that writes it; or says why there can be none.
#[derive(Clone)]
pub(in super::super) struct Content(Arc<dyn Fn() -> Result<Vec<u8>, String> + Send + Sync>);

impl Content {
    pub(in super::super) fn new(make: impl Fn() -> Result<Vec<u8>, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content")
    }
}

/// The writer.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Writer {
    state: Arc<Mutex<State>>,
    /// Held over the writing, so that what is asked for later comes later.
    writing: Arc<Mutex<()>>,
}

#[derive(Debug, Default)]
struct State {
    /// By path the content to come; none for a file that is to go.
    pending: BTreeMap<PathBuf, Option<Content>>,
    /// Files that are there as they should be.
    there: BTreeSet<PathBuf>,
    /// What went wrong since that was asked last, by path.
    failed: Vec<(PathBuf, String)>,
}

impl Writer {
    /// These files are there, as far as is known.
    pub(in super::super) fn with(there: BTreeSet<PathBuf>) -> Self {
        Self { state: Arc::new(Mutex::new(State { there, ..State::default() })), ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a file written, or with no content removed; soon. Within the runtime.
    pub(in super::super) fn put(&self, path: PathBuf, content: Option<Content>) {
        {
            let mut state = self.state();
            state.there.remove(&path);
            state.pending.insert(path, content);
        }
        self.go_on();
    }

    /// Tries again what went wrong. Within the runtime.
    pub(in super::super) fn go_on(&self) {
        if !self.state().pending.is_empty() {
            let this = self.clone();
            tokio::task::spawn_blocking(move || this.work());
        }
    }

    /// Whether the file should be there; one that is not, all the same, was removed by somebody else.
    pub(in super::super) fn is_there(&self, path: &Path) -> bool {
        self.state().there.contains(path)
    }

    /// What went wrong since the last time this was asked.
    pub(in super::super) fn take_failed(&self) -> Vec<(PathBuf, String)> {
        std::mem::take(&mut self.state().failed)
    }

    fn work(&self) {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = std::mem::take(&mut self.state().pending);
        for (path, content) in pending {
            let made = content.as_ref().map(|content| content.0()).transpose();
            let lasting = made.is_err();
            let done = made.and_then(|made| {
                let done = match made {
                    Some(made) => sealed::write(&path, &made),
                    None => durable::remove(&path),
                };
                done.map_err(|error| error.to_string())
            });
            let mut state = self.state();
            match done {
                // Asked for anew meanwhile: that is still to come.
                _ if state.pending.contains_key(&path) => {}
                Ok(()) => {
                    if content.is_some() {
                        state.there.insert(path);
                    }
                }
                Err(why) => {
                    tracing::warn!(file = %path.display(), why, "a checkpoint is not as it should be");
                    state.failed.push((path.clone(), why));
                    if !lasting {
                        state.pending.insert(path, content);
                    }
                }
            }
        }
    }

    /// Waits until all is written, on this thread.
    #[cfg(test)]
    pub(in super::super) fn finish(&self) {
        self.work();
    }
}
