//! The image store.

use crate::{Error, Image, ImageSummary, Limits, Platform};
use std::path::PathBuf;

/// Where the store is and what it may use.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The store's own directory, made if missing. One process at a time.
    pub store_dir: PathBuf,
    /// Directories of layouts and archives; a later one wins over an earlier one.
    pub source_dirs: Vec<PathBuf>,
    /// Bounds on what an image may unpack to.
    pub limits: Limits,
}

/// What opening the store found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Usable images.
    pub images: usize,
    /// Usable snapshots.
    pub snapshots: usize,
    /// What an interrupted import left behind and was removed.
    pub leftovers_removed: Vec<String>,
    /// There was more of it than is removed on one occasion.
    pub leftovers_remain: bool,
    /// Records that could not be used, and why; each moved to `quarantine/`.
    pub quarantined: Vec<String>,
}

/// The store. All methods block; share it by reference between threads.
#[derive(Debug)]
pub struct Store {
    config: StoreConfig,
}

impl Store {
    /// Opens or makes the store.
    ///
    /// # Errors
    /// `Io` or `NoSpace` when its directory cannot be made, read or locked; never for what is in it.
    pub fn open(config: StoreConfig) -> Result<(Self, RecoveryReport), Error> {
        Ok((Self { config }, RecoveryReport::default()))
    }

    /// The image, from the store or else imported from a source.
    ///
    /// # Errors
    /// Every kind.
    pub fn ensure(&self, reference: &str, _platform: &Platform) -> Result<Image, Error> {
        Err(Error::unsupported(reference, format!("not built yet ({})", self.config.store_dir.display())))
    }

    /// All images, by id.
    pub fn list(&self) -> Vec<ImageSummary> {
        Vec::new()
    }

    /// Removes a name, and with its last name the image.
    ///
    /// # Errors
    /// `NotFound`, `Io`.
    pub fn remove(&self, _reference: &str) -> Result<(), Error> {
        Ok(())
    }
}
