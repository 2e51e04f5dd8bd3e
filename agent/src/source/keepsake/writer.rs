//! Writes and removes files in the order in which that was asked for, on a thread of the pool: a slow disk holds up
//! no pod. Never leaves a half.

use super::super::sealed;
use berth_oci::durable;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

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
    pending: BTreeMap<PathBuf, Option<Vec<u8>>>,
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
    pub(in super::super) fn put(&self, path: PathBuf, content: Option<Vec<u8>>) {
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
            let done = match &content {
                Some(content) => sealed::write(&path, content),
                None => durable::remove(&path),
            };
            let mut state = self.state();
            match done {
                // Asked for anew meanwhile: that is still to come.
                _ if state.pending.contains_key(&path) => {}
                Ok(()) => {
                    if content.is_some() {
                        state.there.insert(path);
                    }
                }
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "a checkpoint is not as it should be");
                    state.failed.push((path.clone(), error.to_string()));
                    state.pending.insert(path, content);
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
