//! What has arrived of images from registries: where it lies, how far the download is that goes on, and when what is
//! left of the others goes. The figures are read off the files, so that nobody counts on the way. It fetches nothing.

use super::Store;
use crate::digest::Digest;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// How far a download is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// The image, as it was asked for.
    pub reference: String,
    /// Bytes of layers that have arrived, those of earlier attempts too.
    pub bytes: u64,
    /// Bytes of all layers that the store did not have; 0 before that is known.
    pub of_bytes: u64,
}

/// The download that goes on.
#[derive(Debug)]
pub(super) struct Flight {
    reference: String,
    dir: PathBuf,
    blobs: Vec<(Digest, u64)>,
}

/// Ends the flight when it goes.
pub(super) struct Landing<'a>(&'a Store);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        *self.0.flight() = None;
    }
}

impl Store {
    /// The download that goes on, if one does: there is one at a time.
    pub fn downloading(&self) -> Option<Download> {
        let flight = self.flight();
        let flight = flight.as_ref()?;
        let blobs = flight.dir.join("blobs/sha256");
        let arrived = |(digest, size): &(Digest, u64)| {
            let whole = blobs.join(digest.hex());
            let length = |path: &Path| path.metadata().ok().map(|metadata| metadata.len());
            // While it is on its way it has another name.
            length(&whole).or_else(|| length(&whole.with_extension("part"))).unwrap_or(0).min(*size)
        };
        Some(Download {
            reference: flight.reference.clone(),
            bytes: flight.blobs.iter().map(arrived).sum(),
            of_bytes: flight.blobs.iter().map(|(_, size)| size).sum(),
        })
    }

    /// Removes what is left of downloads with which nobody has gone on for so long. What cannot be removed stays
    /// for the next time.
    pub fn forget_downloads(&self, untouched: Duration) {
        let flight = self.flight();
        let Ok(entries) = fs::read_dir(self.downloads()) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let goes_on = flight.as_ref().is_some_and(|flight| flight.dir == path);
            let touched = path.join("index.json").metadata().and_then(|metadata| metadata.modified());
            let age = touched.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
            if !goes_on && age.is_ok_and(|age| age >= untouched) {
                let _ = self.disk.discard(&path);
            }
        }
    }

    pub(super) fn downloads(&self) -> PathBuf {
        self.disk.part("downloads")
    }

    /// A download begins, into `dir`.
    pub(super) fn take_off(&self, reference: String, dir: &Path) -> Landing<'_> {
        *self.flight() = Some(Flight { reference, dir: dir.to_owned(), blobs: Vec::new() });
        Landing(self)
    }

    /// What it is going to fetch.
    pub(super) fn manifest_known(&self, blobs: &[(Digest, u64)]) {
        if let Some(flight) = self.flight().as_mut() {
            flight.blobs = blobs.to_vec();
        }
    }

    fn flight(&self) -> MutexGuard<'_, Option<Flight>> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
