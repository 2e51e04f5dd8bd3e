//! `berth image bake`: makes a vendor's store (see `vendor`) when a system's image is built. The store in the
//! making is an ordinary one; what only a store that is written to needs is taken off in the end. Root's rights
//! are needed, or something that stands for them (pseudo, fakeroot): owners, devices and overlayfs' marks are
//! part of a layer, and of the file system that the store is put into.

use super::{Imported, Store, StoreConfig};
use crate::{
    error::{Doing as _, Error},
    image::ImageSummary,
    platform::Platform,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What a read-only store has no use for.
const WORKING_PARTS: [&str; 4] = ["downloads", "staging", "quarantine", "pins"];

/// What [`Store::bake`] made.
#[derive(Debug, Default)]
pub struct Baked {
    /// What was imported, and what was left out.
    pub imported: Imported,
    /// All images that are in the store now, those of earlier bakings too.
    pub images: Vec<ImageSummary>,
}

impl Store {
    /// Unpacks all images for the platform of the archives, layouts or directories of these in `sources` into a
    /// new store at `out`, or adds them to one made before. Gives the same store wherever the sources lie.
    ///
    /// # Errors
    /// Every kind.
    pub fn bake(out: &Path, sources: &[PathBuf], platform: &Platform) -> Result<Baked, Error> {
        // A plain name has no parent that could be synced.
        let out = &std::path::absolute(out).doing(|| format!("find {}", out.display()))?;
        let (mut store, _) = Self::open(StoreConfig::new(out, Vec::new()))?;
        store.baking = true;
        let mut baked = Baked::default();
        for source in sources {
            let Imported { names, skipped } = store.import_path(source, platform)?;
            baked.imported.names.extend(names);
            baked.imported.skipped.extend(skipped);
        }
        baked.images = store.list();
        drop(store);
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        for part in WORKING_PARTS.map(|part| out.join(part)) {
            match fs::remove_dir_all(&part) {
                Err(error) if !missing(&error) => {
                    return Err(Error::io(format!("remove {}", part.display()), error));
                }
                _ => {}
            }
        }
        let lock = out.join("lock");
        fs::remove_file(&lock).doing(|| format!("remove {}", lock.display()))?;
        Ok(baked)
    }
}
