//! Brings an image from a source into the store: layers from the bottom up, each verified while it is
//! unpacked, in one pass; then manifest and config; then the record, which makes it an image. A cut at any
//! moment leaves whole snapshots, which the next attempt finds and keeps, and leftovers in staging.
//! Memory: see `layer`; nothing grows with the size of a layer's files.

use super::{
    Store, disk,
    index::Entry,
    record::{self, ImageRecord, VERSION},
};
use crate::{
    digest::{self, Digest},
    error::Error,
    limits::RECORDS_MAX_COUNT,
    platform::Platform,
    reference::Reference,
    source::{self, Layer, Offer, Opened, Resolved, Scanned},
};
use std::{
    io,
    path::Path,
    sync::{Arc, PoisonError},
};

/// An image whose layers and blobs are in the store and whose record is not.
pub(super) struct Prepared {
    resolved: Resolved,
    chain: Vec<Digest>,
    bytes: u64,
}

impl Prepared {
    pub(super) fn is_same(&self, other: &Resolved) -> bool {
        self.resolved.config_digest == other.config_digest
    }
}

impl Store {
    /// Imports from the best source that has the image; the next one is tried when one fails.
    pub(super) fn import(&self, wanted: &Reference, platform: &Platform) -> Result<Arc<Entry>, Error> {
        let _importing = self.importing.read().unwrap_or_else(PoisonError::into_inner);
        self.sweep();
        let listing = self.sources.list();
        let mut first_error = None;
        let key = (wanted.clone(), platform.clone());
        for (source, offers) in listing.find(wanted) {
            if let Some(entry) = self.is_fresh(&key, &source) {
                return Ok(entry);
            }
            let offers: Vec<&Offer> = offers.iter().filter_map(|at| source.images.get(*at)).collect();
            match self.import_from(&source, &offers, wanted, platform) {
                Ok(entry) => {
                    self.remember_fresh(key, source, entry.record.id);
                    return Ok(entry);
                }
                Err(error @ (Error::NoSpace { .. } | Error::Refused { .. })) => return Err(error),
                Err(error) => drop(first_error.get_or_insert(error)),
            }
        }
        Err(first_error.unwrap_or_else(|| Error::NotFound {
            reference: wanted.to_string(),
            looked: self.sources.dirs().collect(),
            near: listing.near(wanted, self.names()),
            problems: listing.problems,
        }))
    }

    /// All names of the store.
    fn names(&self) -> Vec<Reference> {
        let index = self.read_index();
        index
            .all()
            .flat_map(|entry| &entry.record.names)
            .filter_map(|name| Reference::parse(name).ok())
            .collect()
    }

    /// The image, if it was imported from this very source and that has not changed.
    pub(super) fn is_fresh(&self, key: &(Reference, Platform), source: &Arc<Scanned>) -> Option<Arc<Entry>> {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, id) = fresh.get(key)?;
        let entry = self.find(&key.0, &key.1)?;
        (Arc::ptr_eq(known, source) && entry.record.id == *id).then_some(entry)
    }

    fn remember_fresh(&self, key: (Reference, Platform), source: Arc<Scanned>, id: Digest) {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        // To forget costs a look into the source.
        if fresh.len() >= RECORDS_MAX_COUNT {
            fresh.clear();
        }
        fresh.insert(key, (source, id));
    }

    fn import_from(
        &self,
        source: &Scanned,
        offers: &[&Offer],
        wanted: &Reference,
        platform: &Platform,
    ) -> Result<Arc<Entry>, Error> {
        let opened = Opened::open(&source.path, &self.disk.staging())?;
        let resolved = source::resolve(&opened, offers, platform, wanted.digest())?;
        if let Some(digest) = wanted.digest()
            && !resolved.digests.contains(digest)
        {
            return Err(Error::corrupt(
                source.path.display().to_string(),
                digest.to_string(),
                "another digest",
            ));
        }
        let prepared = self.prepare(&opened, source, resolved, Some(wanted))?;
        self.put_image(source, Some(wanted), prepared)
    }

    /// Everything of an image but its record: whether the policy lets it run, its layers, manifest and config.
    pub(super) fn prepare(
        &self,
        opened: &Opened,
        scanned: &Scanned,
        resolved: Resolved,
        wanted: Option<&Reference>,
    ) -> Result<Prepared, Error> {
        let what = || wanted.map_or_else(|| scanned.path.display().to_string(), ToString::to_string);
        let signatures = source::signatures(opened, scanned, &resolved.digests)?;
        if let Some(wanted) = wanted {
            // Before a byte of a layer is looked at.
            self.gate.check(wanted, &resolved.digests, &signatures)?;
        }
        let sizes: Vec<u64> = resolved.layers.iter().map(|layer| stored_bytes(opened, layer)).collect();
        let metered = self.metered(what(), sizes.iter().fold(0, |sum, size| sum.saturating_add(*size)));
        let mut done = 0_u64;
        let mut chain: Vec<Digest> = Vec::new();
        let mut bytes = 0_u64;
        for (layer, size) in resolved.layers.iter().zip(sizes) {
            let id = digest::chain(chain.last(), &layer.diff_id);
            bytes = bytes.saturating_add(self.snapshot(opened, layer, &chain, id, &metered.meter)?);
            if bytes > self.config.limits.image_max_bytes {
                return Err(Error::limit(what(), "image_max_bytes", self.config.limits.image_max_bytes));
            }
            chain.push(id);
            done = done.saturating_add(size);
            metered.meter.reach(done);
        }
        self.put_blob(&resolved.config_digest, &resolved.config)?;
        self.put_blob(&resolved.manifest_digest, &resolved.manifest)?;
        if !signatures.is_empty() {
            let file = self.disk.signatures(&resolved.manifest_digest);
            self.disk.put_file(&file, &record::seal(&signatures)?)?;
        }
        Ok(Prepared { resolved, chain, bytes })
    }

    fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        let path = self.disk.blob(digest);
        match disk::read_blob(&self.disk, digest) {
            Ok(known) if known == bytes => Ok(()),
            _ => self.disk.put_file(&path, bytes),
        }
    }

    pub(super) fn put_image(
        &self,
        source: &Scanned,
        wanted: Option<&Reference>,
        prepared: Prepared,
    ) -> Result<Arc<Entry>, Error> {
        let Prepared { resolved, chain, bytes } = prepared;
        let _commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, serial) = {
            let index = self.read_index();
            (index.get(&resolved.config_digest), index.next_serial())
        };
        let mut record = ImageRecord {
            version: VERSION,
            id: resolved.config_digest,
            manifest: resolved.manifest_digest,
            digests: resolved.digests.clone(),
            platform: resolved.platform.clone(),
            names: source.names_of(&resolved).filter_map(Reference::tagged).collect(),
            repositories: wanted.filter(|w| w.digest().is_some()).map(Reference::name).into_iter().collect(),
            chain,
            bytes,
            serial,
            source: self.told_source(&source.path),
        };
        if let Some(wanted) = wanted.filter(|wanted| wanted.digest().is_none()) {
            record.names.extend(wanted.tagged());
        }
        if let Some(known) = &known {
            record.digests.extend(&known.record.digests);
            record.names.extend(known.record.names.iter().cloned());
            record.repositories.extend(known.record.repositories.iter().cloned());
        }
        sort(&mut record.digests);
        sort(&mut record.names);
        sort(&mut record.repositories);
        if let Some(gone) = record.chain.iter().find(|chain| !self.layer_dir(chain).is_dir()) {
            let error = io::Error::other("it was removed while its image was being imported; try again");
            return Err(Error::io(format!("use snapshot {gone}"), error));
        }
        if let Some(known) = known.filter(|known| self.says_the_same(&known.record, &record)) {
            return Ok(known);
        }
        self.disk.put_file(&self.disk.image(&record.id), &record::seal(&record)?)?;
        let entry = self.entry(record, &resolved.config_file);
        self.write_index().insert(Arc::clone(&entry));
        // The new record is there and the later one counts: a cut before this leaves two records with one
        // name, which the next start tells apart by their serials.
        for name in &entry.record.names {
            let others = self.read_index().others(name, &entry.record);
            others.iter().try_for_each(|other| self.take_name(other, name))?;
        }
        Ok(entry)
    }

    /// A source as records name it. A store that is baked goes to other machines, where the place means nothing,
    /// and must not depend on where it was made.
    pub(super) fn told_source(&self, path: &Path) -> std::path::PathBuf {
        match path.file_name() {
            Some(name) if self.baking => name.into(),
            Some(_) if path.starts_with(self.downloads()) => "registry".into(),
            _ => path.to_owned(),
        }
    }

    /// Whether a new record would be a write for nothing.
    fn says_the_same(&self, known: &ImageRecord, new: &ImageRecord) -> bool {
        let serial = known.serial;
        // A vendor's record was made elsewhere: what it says of its source means nothing here.
        let source = if serial == 0 { known.source.clone() } else { new.source.clone() };
        let same = ImageRecord { serial, source, ..new.clone() } == *known;
        let index = self.read_index();
        same && new.names.iter().all(|name| index.others(name, new).is_empty())
    }
}

/// Of a docker archive only the archive knows it; a layer that cannot be read will say so in its turn.
fn stored_bytes(opened: &Opened, layer: &Layer) -> u64 {
    layer.size.unwrap_or_else(|| opened.stream(&layer.member).map_or(0, |(_, size)| size))
}

fn sort<T: Ord>(list: &mut Vec<T>) {
    list.sort();
    list.dedup();
}
