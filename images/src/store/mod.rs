//! The image store: images that are verified, unpacked and ready to be mounted. One process uses it at a
//! time; it may be killed, or lose its power, at any instruction. Nothing is an image before its record says
//! so, and the record is written last. See `disk` for the layout and `recover` for what opening does.

mod bake;
mod disk;
mod downloads;
mod export;
mod fault;
mod flush;
mod import;
mod index;
mod layer;
mod manage;
mod pins;
mod pull;
mod record;
mod recover;
mod tree;
mod unpackings;
mod vendor;
mod verify;
mod verity;

pub use bake::Baked;
pub use downloads::Download;
pub use export::Exported;
pub use manage::Imported;
pub use recover::RecoveryReport;
pub use unpackings::Unpacking;
pub use verify::{Damage, VerifyReport};

use crate::{
    digest::Digest,
    error::Error,
    image::{ConfigFile, Image},
    limits::Limits,
    platform::Platform,
    reference::Reference,
    signature::Gate,
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
use vendor::Vendor;

/// Where the store is and what it may use.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The store's own directory, made if missing. One process at a time.
    pub store_dir: PathBuf,
    /// Directories of layouts and archives; a later one wins over an earlier one. They need not exist.
    pub source_dirs: Vec<PathBuf>,
    /// Read-only stores that are used where they lie, see `berth image bake`. They need not exist.
    pub vendor_dirs: Vec<PathBuf>,
    /// Which images may run, as containers-policy.json(5) has it; a file that does not exist allows all.
    pub policy_file: Option<PathBuf>,
    /// Bounds on what an image may unpack to.
    pub limits: Limits,
    /// Files are sealed by fs-verity when they are unpacked, if the file system has it.
    pub fs_verity: bool,
}

impl StoreConfig {
    /// With the default limits, no vendor's store and no policy.
    pub fn new(store_dir: impl Into<PathBuf>, source_dirs: Vec<PathBuf>) -> Self {
        Self {
            store_dir: store_dir.into(),
            source_dirs,
            vendor_dirs: Vec::new(),
            policy_file: None,
            limits: Limits::default(),
            fs_verity: false,
        }
    }
}

/// A source as it was scanned, and the image that came from it.
type Fresh = (Arc<Scanned>, Digest);

/// The store. All methods block; share it by reference between threads.
#[derive(Debug)]
pub struct Store {
    config: StoreConfig,
    disk: Disk,
    vendor: Vendor,
    gate: Gate,
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
    /// Bytes of file content of each layer.
    sizes: RwLock<HashMap<Digest, u64>>,
    /// Images that are pinned.
    pinned: RwLock<HashSet<Digest>>,
    /// Layers that were found damaged and are to be unpacked again.
    suspects: Mutex<HashSet<Digest>>,
    /// One at a time downloads: two would write to the same files.
    pulling: Mutex<()>,
    /// What it downloads.
    flight: Mutex<Option<downloads::Flight>>,
    /// Imports that go on, each counting.
    unpacking: Mutex<Vec<Arc<unpackings::Meter>>>,
    /// Held for reading by imports, whose layers no record names yet; for writing by who removes such layers.
    importing: RwLock<()>,
    /// It is made for other machines.
    baking: bool,
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
        let vendor = Vendor::open(&config.vendor_dirs);
        let store = Self {
            gate: Gate::new(config.policy_file.clone()),
            config,
            disk,
            vendor,
            sources,
            index: RwLock::default(),
            commits: Mutex::default(),
            chains: Mutex::default(),
            fresh: Mutex::default(),
            leftovers: Mutex::default(),
            sizes: RwLock::default(),
            pinned: RwLock::default(),
            suspects: Mutex::default(),
            pulling: Mutex::default(),
            flight: Mutex::default(),
            unpacking: Mutex::default(),
            importing: RwLock::default(),
            baking: false,
        };
        let report = store.recover()?;
        Ok((store, report))
    }

    /// How full the store's file system is.
    ///
    /// # Errors
    /// `Io`.
    pub fn disk_use(&self) -> Result<crate::gc::DiskUse, Error> {
        let dir = &self.config.store_dir;
        let (capacity_bytes, available_bytes) = std::fs::File::open(dir)
            .and_then(crate::sys::disk_use)
            .map_err(|error| Error::io(format!("ask how full {} is", dir.display()), error))?;
        Ok(crate::gc::DiskUse { capacity_bytes, available_bytes })
    }

    /// The image, from the store if it is there, else imported from the sources. Of a store's image only the
    /// presence of its layers is looked at: a few system calls. An import takes as long as it takes to read
    /// and unpack; two threads that want the same image share the work.
    ///
    /// # Errors
    /// Every kind.
    pub fn ensure(&self, reference: &str, platform: &Platform) -> Result<Image, Error> {
        let wanted = Reference::parse(reference)?;
        let entry = match self.find(&wanted, platform) {
            Some(entry) => entry,
            None => self.import(&wanted, platform)?,
        };
        self.admit(&wanted, &entry)?;
        Ok(entry.image(&wanted))
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
        let entry = match (imported, self.find(&wanted, platform)) {
            (Ok(entry), _) | (Err(_), Some(entry)) => entry,
            (Err(error), None) => return Err(error),
        };
        self.admit(&wanted, &entry)?;
        Ok(entry.image(&wanted))
    }

    /// The image if the store has it; nothing is imported.
    ///
    /// # Errors
    /// `InvalidName`; `Refused` when the policy does not let the store's image run.
    pub fn get(&self, reference: &str, platform: &Platform) -> Result<Option<Image>, Error> {
        let wanted = Reference::parse(reference)?;
        let Some(entry) = self.find(&wanted, platform) else { return Ok(None) };
        self.admit(&wanted, &entry)?;
        Ok(Some(entry.image(&wanted)))
    }

    /// One of the source directories, or the vendor, has the image: there is nobody else to be asked for it.
    pub fn is_local(&self, reference: &str, platform: &Platform) -> bool {
        let Ok(wanted) = Reference::parse(reference) else { return false };
        let offered = || !self.sources.list().find(&wanted).is_empty();
        self.find(&wanted, platform).is_some_and(|entry| entry.vendor) || offered()
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
        let entry = self.known(&wanted, platform)?;
        if entry.vendor {
            let why = "it is in the vendor's read-only store, which only the system's image changes";
            return Err(Error::unsupported(format!("image {wanted}"), why));
        }
        match wanted.tagged().filter(|_| wanted.digest().is_none()) {
            Some(name) if entry.record.names.len() > 1 => self.take_name(&entry, &name),
            _ => self.remove_image(&entry),
        }
    }

    /// The image of the store, its layers looked at or not.
    fn known(&self, wanted: &Reference, platform: &Platform) -> Result<Arc<Entry>, Error> {
        self.read_index().find(wanted, platform).ok_or_else(|| {
            let looked = vec![self.config.store_dir.display().to_string()];
            let reference = wanted.to_string();
            Error::NotFound { reference, looked, near: Vec::new(), problems: Vec::new() }
        })
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
            vendor: false,
        };
        self.write_index().insert(Arc::new(renamed));
        Ok(())
    }

    /// The record first: then it is no image any more, whatever else remains.
    fn remove_image(&self, entry: &Arc<Entry>) -> Result<(), Error> {
        let alone = self.forget_image(entry)?;
        for chain in alone {
            let lock = self.chain_lock(chain);
            let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.disk.discard(&self.disk.snapshot(&chain))?;
        }
        Ok(())
    }

    /// Removes all of an image but its layers; returns those that no other image has, top first.
    fn forget_image(&self, entry: &Arc<Entry>) -> Result<Vec<Digest>, Error> {
        self.disk.discard(&self.disk.image(&entry.record.id))?;
        self.forget_pin(&entry.record.id)?;
        let kept: HashSet<Digest> = {
            let mut index = self.write_index();
            index.remove(&entry.record.id);
            // The vendor's image that this one had stood before is seen again.
            self.vendor.image(&entry.record.id).into_iter().for_each(|known| index.insert(Arc::clone(known)));
            let all = index.all().map(|e| &e.record);
            all.flat_map(|r| r.chain.iter().chain([&r.id, &r.manifest])).copied().collect()
        };
        if !kept.contains(&entry.record.manifest) {
            self.disk.discard(&self.disk.signatures(&entry.record.manifest))?;
        }
        for blob in [&entry.record.id, &entry.record.manifest] {
            if !kept.contains(blob) {
                self.disk.discard(&self.disk.blob(blob))?;
            }
        }
        Ok(entry.record.chain.iter().rev().filter(|chain| !kept.contains(chain)).copied().collect())
    }

    /// An image of the index whose layers are where they should be.
    fn find(&self, wanted: &Reference, platform: &Platform) -> Option<Arc<Entry>> {
        let entry = self.read_index().find(wanted, platform)?;
        // A layer that somebody has removed by hand, or that was found damaged: the import makes it again.
        let whole = entry.layers.iter().all(|layer| layer.is_dir())
            && !entry.record.chain.iter().any(|chain| self.is_suspect(chain));
        whole.then_some(entry)
    }

    fn entry(&self, record: ImageRecord, config: &ConfigFile) -> Arc<Entry> {
        Arc::new(Entry {
            layers: record.chain.iter().rev().map(|chain| self.layer_dir(chain)).collect(),
            config: config.image_config(),
            id_text: record.id.to_string(),
            digest_text: record.manifest.to_string(),
            vendor: false,
            record,
        })
    }

    /// The unpacked files of a layer: the vendor's if it has them.
    fn layer_dir(&self, chain: &Digest) -> PathBuf {
        let vendor = self.vendor.snapshot(chain).map(|(dir, _)| dir.join("fs"));
        vendor.unwrap_or_else(|| self.disk.snapshot(chain).join("fs"))
    }

    /// Whether the policy lets an image of the store run under this name. Signatures are kept with it, so that a
    /// policy that has changed since the import holds too.
    fn admit(&self, wanted: &Reference, entry: &Entry) -> Result<(), Error> {
        let manifest = &entry.record.manifest;
        let kept = || {
            let own = std::iter::once::<&disk::Layout>(&self.disk);
            let mut files = own.chain(self.vendor.layouts()).map(|layout| layout.signatures(manifest));
            files.find_map(|file| record::read(&file).ok()).unwrap_or_default()
        };
        self.gate.check_known(wanted, &entry.record.id, &entry.record.digests, kept)
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
