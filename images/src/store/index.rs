//! The images of the store, in memory: `ensure` of an image that is there touches no record. Filled at start
//! and by each import. Pure.

use super::record::ImageRecord;
use crate::{digest::Digest, image::ImageConfig, platform::Platform, reference::Reference};
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
};

/// A usable image.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) record: ImageRecord,
    pub(super) config: ImageConfig,
    /// Top first.
    pub(super) layers: Vec<PathBuf>,
    pub(super) id_text: String,
    pub(super) digest_text: String,
    /// In a read-only store: its record cannot change.
    pub(super) vendor: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Index {
    images: BTreeMap<Digest, Arc<Entry>>,
    names: HashMap<String, Vec<Digest>>,
    digests: HashMap<Digest, Vec<Digest>>,
}

impl Index {
    pub(super) fn insert(&mut self, entry: Arc<Entry>) {
        let id = entry.record.id;
        self.remove(&id);
        for name in &entry.record.names {
            self.names.entry(name.clone()).or_default().push(id);
        }
        for digest in &entry.record.digests {
            self.digests.entry(*digest).or_default().push(id);
        }
        self.images.insert(id, entry);
    }

    pub(super) fn remove(&mut self, id: &Digest) -> Option<Arc<Entry>> {
        let entry = self.images.remove(id)?;
        for ids in self.names.values_mut().chain(self.digests.values_mut()) {
            ids.retain(|known| known != id);
        }
        self.names.retain(|_, ids| !ids.is_empty());
        self.digests.retain(|_, ids| !ids.is_empty());
        Some(entry)
    }

    /// The image that fits the reference and, of several, the platform best.
    pub(super) fn find(&self, wanted: &Reference, platform: &Platform) -> Option<Arc<Entry>> {
        let ids = match wanted.digest() {
            Some(digest) => self.digests.get(digest)?,
            None => self.names.get(&wanted.tagged()?)?,
        };
        let ranked = ids.iter().filter_map(|id| {
            let entry = self.images.get(id)?;
            Some((platform.rank(&entry.record.platform)?, std::cmp::Reverse(entry.record.serial), entry))
        });
        ranked.min_by_key(|(rank, serial, _)| (*rank, *serial)).map(|(_, _, entry)| Arc::clone(entry))
    }

    /// All images under a reference, whatever they are for.
    pub(super) fn all_of(&self, wanted: &Reference) -> Vec<Arc<Entry>> {
        let ids = match wanted.digest() {
            Some(digest) => self.digests.get(digest),
            None => wanted.tagged().and_then(|name| self.names.get(&name)),
        };
        ids.into_iter().flatten().filter_map(|id| self.get(id)).collect()
    }

    pub(super) fn get(&self, id: &Digest) -> Option<Arc<Entry>> {
        self.images.get(id).cloned()
    }

    /// All images, by id.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.images.values()
    }

    pub(super) fn next_serial(&self) -> u64 {
        self.all().map(|entry| entry.record.serial).max().unwrap_or(0) + 1
    }

    /// Other images for the same platform under the same name: after an import they have lost it. A vendor's
    /// image keeps its record and is only later in the order.
    pub(super) fn others(&self, name: &str, record: &ImageRecord) -> Vec<Arc<Entry>> {
        let ids = self.names.get(name).map(Vec::as_slice).unwrap_or_default();
        let entries = ids.iter().filter_map(|id| self.images.get(id));
        entries
            .filter(|e| !e.vendor && e.record.id != record.id && e.record.platform == record.platform)
            .cloned()
            .collect()
    }
}
