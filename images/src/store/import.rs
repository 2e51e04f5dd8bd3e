//! Brings an image from a source into the store: layers from the bottom up, each verified while it is
//! unpacked, in one pass; then manifest and config; then the record, which makes it an image. A cut at any
//! moment leaves whole snapshots, which the next attempt finds and keeps, and leftovers in staging.
//! Memory: see `unpack` and `compress`; nothing grows with the size of a layer's files.

use super::{
    Store,
    disk::{self, Staged},
    fault,
    index::Entry,
    record::{self, ImageRecord, Origin, SnapshotRecord, VERSION},
    tree,
};
use crate::{
    bounded::Bounded,
    compress::Decoder,
    digest::{self, Digest, HashReader},
    error::{Doing as _, Error},
    limits::RECORDS_MAX_COUNT,
    platform::Platform,
    reference::Reference,
    source::{self, Layer, Offer, Opened, Resolved, Scanned},
    tarstream::{Input, TarReader, reading},
    unpack::{Stats, Unpacker},
};
use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    path::Path,
    rc::Rc,
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
        let mut chain: Vec<Digest> = Vec::new();
        let mut bytes = 0_u64;
        for layer in &resolved.layers {
            let id = digest::chain(chain.last(), &layer.diff_id);
            bytes = bytes.saturating_add(self.snapshot(opened, layer, &chain, id)?);
            if bytes > self.config.limits.image_max_bytes {
                return Err(Error::limit(what(), "image_max_bytes", self.config.limits.image_max_bytes));
            }
            chain.push(id);
        }
        self.put_blob(&resolved.config_digest, &resolved.config)?;
        self.put_blob(&resolved.manifest_digest, &resolved.manifest)?;
        if !signatures.is_empty() {
            let file = self.disk.signatures(&resolved.manifest_digest);
            self.disk.put_file(&file, &record::seal(&signatures)?)?;
        }
        Ok(Prepared { resolved, chain, bytes })
    }

    /// The layer is unpacked, and nobody has found it damaged.
    pub(super) fn has_layer(&self, id: &Digest) -> bool {
        let whole = || check_snapshot(&self.disk.snapshot(id), id).is_ok() && !self.is_suspect(id);
        self.vendor.snapshot(id).is_some() || whole()
    }

    /// Sees to it that the layer is unpacked; returns its bytes of file content. Two threads that want the
    /// same one do it once.
    fn snapshot(&self, opened: &Opened, layer: &Layer, below: &[Digest], id: Digest) -> Result<u64, Error> {
        if let Some((_, bytes)) = self.vendor.snapshot(&id) {
            return Ok(*bytes);
        }
        let lock = self.chain_lock(id);
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let target = self.disk.snapshot(&id);
        if let Ok(found) = check_snapshot(&target, &id)
            && !self.is_suspect(&id)
        {
            return Ok(found.bytes);
        }
        let lowers = below.iter().rev().map(|chain| {
            let path = self.layer_dir(chain);
            File::open(&path)
                .map(|dir| Rc::new(OwnedFd::from(dir)))
                .doing(|| format!("open {}", path.display()))
        });
        let lowers = lowers.collect::<Result<Vec<_>, Error>>()?;
        let staged = self.disk.stage()?;
        fault::point("unpack").doing(|| "unpack".into())?;
        let stats = self.unpack(opened, layer, &staged, &lowers)?;
        let record = SnapshotRecord {
            version: VERSION,
            chain: id,
            parent: below.last().copied(),
            diff_id: layer.diff_id,
            blob: layer.digest,
            media_type: layer.kind.0.clone(),
            origin: Origin { source: self.told_source(opened.path()), member: layer.member.clone() },
            entries: stats.entries,
            bytes: stats.bytes,
        };
        fault::point("write the record").doing(|| "write the record".into())?;
        let file = staged.path.join("complete.json");
        std::fs::write(&file, record::seal(&record)?).doing(|| format!("write {}", file.display()))?;
        tree::seal(&staged.path)?;
        self.disk.commit(staged, &target)?;
        self.note_size(id, stats.bytes);
        self.clear_suspect(&id);
        Ok(stats.bytes)
    }

    /// One pass: stored bytes are hashed, decompressed, hashed again and unpacked as they come.
    fn unpack(
        &self,
        opened: &Opened,
        layer: &Layer,
        staged: &Staged,
        lowers: &[Rc<OwnedFd>],
    ) -> Result<Stats, Error> {
        let what = opened.what(&format!("layer {}", layer.digest.unwrap_or(layer.diff_id)));
        let (stream, size) = opened.stream(&layer.member)?;
        if let Some(stated) = layer.size.filter(|stated| *stated != size) {
            return Err(Error::corrupt(what, format!("{stated} bytes"), format!("{size} bytes")));
        }
        let mut stored = HashReader::new(stream);
        let decoder = Decoder::new(&mut stored).map_err(|error| reading(&what, error))?;
        let limits = &self.config.limits;
        // Whatever is in the stream, a bomb of headers too.
        let decoder = Bounded::new(decoder, "a layer", "layer_max_bytes", limits.layer_max_bytes);
        let mut plain = HashReader::new(decoder);
        let mut tar = TarReader::new(&mut plain, what.clone(), limits.layer_max_entries);
        let stats = Unpacker::new(staged.dir("fs")?, lowers, limits).run(&mut tar)?;
        // What follows the end mark counts for the digests.
        io::copy(&mut plain, &mut io::sink()).map_err(|error| reading(&what, error))?;
        layer.diff_id.expect(&format!("{what}, uncompressed"), &plain.finish().0)?;
        drop(plain);
        io::copy(&mut stored, &mut io::sink()).map_err(|error| reading(&what, error))?;
        if let Some(digest) = &layer.digest {
            digest.expect(&what, &stored.finish().0)?;
        }
        Ok(stats)
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
    fn told_source(&self, path: &Path) -> std::path::PathBuf {
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

fn sort<T: Ord>(list: &mut Vec<T>) {
    list.sort();
    list.dedup();
}

/// A snapshot's record, if the snapshot can be used.
pub(super) fn check_snapshot(dir: &Path, chain: &Digest) -> Result<SnapshotRecord, Error> {
    let record: SnapshotRecord = record::read(&dir.join("complete.json"))?;
    let what = || dir.display().to_string();
    if record.version != VERSION || record.chain != *chain {
        let got = format!("version {}, chain {}", record.version, record.chain);
        return Err(Error::corrupt(what(), format!("version {VERSION}, chain {chain}"), got));
    }
    match dir.join("fs").symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(record),
        _ => Err(Error::corrupt(what(), "a directory fs", "none")),
    }
}

impl<R: Read> Input for &mut HashReader<R> {}
