//! The image store: images that are verified, unpacked and ready to be mounted. One process uses it at a
//! time; it may be killed, or lose its power, at any instruction. Nothing is an image before its record says
//! so, and the record is written last. See `disk` for the layout and `recover` for what opening does.

mod disk;
mod fault;
mod import;
mod index;
mod record;
mod recover;

pub use recover::RecoveryReport;

use crate::{
    digest::Digest,
    error::Error,
    image::{ConfigFile, Image, ImageSummary},
    limits::Limits,
    platform::Platform,
    reference::Reference,
    source::{Scanned, Sources},
};
use disk::Disk;
use index::{Entry, Index};
use record::ImageRecord;
use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak},
};

/// Where the store is and what it may use.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The store's own directory, made if missing. One process at a time.
    pub store_dir: PathBuf,
    /// Directories of layouts and archives; a later one wins over an earlier one. They need not exist.
    pub source_dirs: Vec<PathBuf>,
    /// Bounds on what an image may unpack to.
    pub limits: Limits,
}

impl StoreConfig {
    /// With the default limits.
    pub fn new(store_dir: impl Into<PathBuf>, source_dirs: Vec<PathBuf>) -> Self {
        Self { store_dir: store_dir.into(), source_dirs, limits: Limits::default() }
    }
}

/// A source as it was scanned, and the image that came from it.
type Fresh = (Arc<Scanned>, Digest);

/// The store. All methods block; share it by reference between threads.
#[derive(Debug)]
pub struct Store {
    config: StoreConfig,
    disk: Disk,
    sources: Sources,
    index: RwLock<Index>,
    /// One at a time writes records.
    commits: Mutex<()>,
    /// One at a time unpacks a chain. Locks nobody holds are forgotten.
    chains: Mutex<HashMap<Digest, Weak<Mutex<()>>>>,
    /// Which source an image was last found to be the newest in. The same `Scanned` means an unchanged source.
    fresh: Mutex<HashMap<(Reference, Platform), Fresh>>,
    /// What was in staging at the start and is not removed yet.
    leftovers: Mutex<Vec<PathBuf>>,
}

impl Store {
    /// Opens or makes the store, and puts right what an interruption left.
    ///
    /// # Errors
    /// `Io` or `NoSpace` when its directory cannot be made, read or locked (waits up to 10 s for another
    /// process to let it go); never for what is in it.
    pub fn open(config: StoreConfig) -> Result<(Self, RecoveryReport), Error> {
        let disk = Disk::open(&config.store_dir)?;
        let sources = Sources::new(config.source_dirs.clone());
        let store = Self {
            config,
            disk,
            sources,
            index: RwLock::default(),
            commits: Mutex::default(),
            chains: Mutex::default(),
            fresh: Mutex::default(),
            leftovers: Mutex::default(),
        };
        let report = store.recover()?;
        Ok((store, report))
    }

    /// The image, from the store if it is there, else imported from the sources. Of a store's image only the
    /// presence of its layers is looked at: a few system calls. An import takes as long as it takes to read
    /// and unpack; two threads that want the same image share the work.
    ///
    /// # Errors
    /// Every kind.
    pub fn ensure(&self, reference: &str, platform: &Platform) -> Result<Image, Error> {
        let wanted = Reference::parse(reference)?;
        match self.find(&wanted, platform) {
            Some(entry) => Ok(entry.image(&wanted)),
            None => self.import(&wanted, platform).map(|entry| entry.image(&wanted)),
        }
    }

    /// As [`Store::ensure`], but the sources are asked first: an archive that was replaced since the import
    /// wins over the store. When no source has the image, or none is readable, the store's is as good as ever.
    /// While the sources do not change, asking again costs a look at their directories (a `stat` for each
    /// entry), not an import.
    ///
    /// # Errors
    /// Every kind; those of the sources only when the store does not have the image.
    pub fn ensure_newest(&self, reference: &str, platform: &Platform) -> Result<Image, Error> {
        let wanted = Reference::parse(reference)?;
        let imported = self.import(&wanted, platform);
        match (imported, self.find(&wanted, platform)) {
            (Ok(entry), _) | (Err(_), Some(entry)) => Ok(entry.image(&wanted)),
            (Err(error), None) => Err(error),
        }
    }

    /// The image if the store has it; nothing is imported.
    ///
    /// # Errors
    /// `InvalidName`.
    pub fn get(&self, reference: &str, platform: &Platform) -> Result<Option<Image>, Error> {
        let wanted = Reference::parse(reference)?;
        Ok(self.find(&wanted, platform).map(|entry| entry.image(&wanted)))
    }

    /// All images, by id.
    pub fn list(&self) -> Vec<ImageSummary> {
        let summary = |entry: &Arc<Entry>| ImageSummary {
            id: entry.id_text.clone(),
            digest: entry.digest_text.clone(),
            names: entry.record.names.clone(),
            platform: entry.record.platform.to_string(),
            layers: entry.layers.len(),
            size_bytes: entry.record.bytes,
        };
        self.read_index().all().map(summary).collect()
    }

    /// What in the source directories cannot be read, one sentence each.
    pub fn source_problems(&self) -> Vec<String> {
        self.sources.list().problems
    }

    /// Removes a name (or, by digest, an image with all its names). With its last name an image goes, and with
    /// it what no other image shares. It does not ask who uses it: that is the caller's knowledge.
    ///
    /// # Errors
    /// `InvalidName`, `NotFound`, `Io`, `NoSpace`.
    pub fn remove(&self, reference: &str, platform: &Platform) -> Result<(), Error> {
        let wanted = Reference::parse(reference)?;
        let _commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.read_index().find(&wanted, platform);
        let Some(entry) = found else {
            let (reference, looked) = (wanted.to_string(), vec![self.config.store_dir.display().to_string()]);
            return Err(Error::NotFound { reference, looked, near: Vec::new(), problems: Vec::new() });
        };
        match wanted.tagged().filter(|_| wanted.digest().is_none()) {
            Some(name) if entry.record.names.len() > 1 => self.take_name(&entry, &name),
            _ => self.remove_image(&entry),
        }
    }

    /// Rewrites a record without one of its names. An image may be left without any: it goes.
    fn take_name(&self, entry: &Arc<Entry>, name: &str) -> Result<(), Error> {
        let mut record = entry.record.clone();
        record.names.retain(|known| known != name);
        if record.names.is_empty() && record.repositories.is_empty() {
            // Containers may still run on its layers: they stay until somebody removes the image by digest.
            record.repositories.push(name.rsplit_once(':').map_or(name, |(name, _)| name).to_owned());
        }
        self.disk.put_file(&self.disk.image(&record.id), &record::seal(&record)?)?;
        let renamed = Entry {
            record,
            config: entry.config.clone(),
            layers: entry.layers.clone(),
            id_text: entry.id_text.clone(),
            digest_text: entry.digest_text.clone(),
        };
        self.write_index().insert(Arc::new(renamed));
        Ok(())
    }

    /// The record first: then it is no image any more, whatever else remains.
    fn remove_image(&self, entry: &Arc<Entry>) -> Result<(), Error> {
        self.disk.discard(&self.disk.image(&entry.record.id))?;
        let kept: HashSet<Digest> = {
            let mut index = self.write_index();
            index.remove(&entry.record.id);
            let all = index.all().map(|e| &e.record);
            all.flat_map(|r| r.chain.iter().chain([&r.id, &r.manifest])).copied().collect()
        };
        for blob in [&entry.record.id, &entry.record.manifest] {
            if !kept.contains(blob) {
                self.disk.discard(&self.disk.blob(blob))?;
            }
        }
        for chain in entry.record.chain.iter().rev().filter(|chain| !kept.contains(chain)) {
            let lock = self.chain_lock(*chain);
            let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.disk.discard(&self.disk.snapshot(chain))?;
        }
        Ok(())
    }

    /// An image of the index whose layers are where they should be.
    fn find(&self, wanted: &Reference, platform: &Platform) -> Option<Arc<Entry>> {
        let entry = self.read_index().find(wanted, platform)?;
        // A layer that somebody has removed by hand: the import makes it again.
        entry.layers.iter().all(|layer| layer.is_dir()).then_some(entry)
    }

    fn entry(&self, record: ImageRecord, config: &ConfigFile) -> Arc<Entry> {
        Arc::new(Entry {
            layers: record.chain.iter().rev().map(|chain| self.disk.snapshot(chain).join("fs")).collect(),
            config: config.image_config(),
            id_text: record.id.to_string(),
            digest_text: record.manifest.to_string(),
            record,
        })
    }

    fn chain_lock(&self, chain: Digest) -> Arc<Mutex<()>> {
        let mut locks = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(&chain).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(Mutex::new(()));
        locks.insert(chain, Arc::downgrade(&lock));
        lock
    }

    // A thread that panicked held these only around changes that leave the index whole.
    fn read_index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_index(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn image(&self, wanted: &Reference) -> Image {
        Image {
            reference: wanted.to_string(),
            id: self.id_text.clone(),
            digest: self.digest_text.clone(),
            config: self.config.clone(),
            layers: self.layers.clone(),
            size_bytes: self.record.bytes,
        }
    }
}

#[cfg(test)]
mod tests;
