//! One layer on its way into the store. What goes on at a time: a thread reads, hashes and decompresses; this one hashes
//! again and makes the files; and of a large layer a third has what is made written to the disk. Memory, beside what
//! `unpack` and `compress` say: `AHEAD_MAX_BYTES`. Nothing is a snapshot before all of it is on the disk.

use super::{
    Store,
    disk::Staged,
    fault,
    flush::{Flusher, Flushing},
    record::{self, Origin, SnapshotRecord, VERSION},
    tree,
    unpackings::{Counted, Meter},
    verity,
};
use crate::{
    ahead::Ahead,
    bounded::Bounded,
    compress::Decoder,
    digest::{Digest, HashReader},
    error::{Doing as _, Error},
    source::{Layer, Opened},
    tarstream::{Input, TarReader, reading},
    unpack::{Stats, Sums, Unpacker},
};
use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    path::Path,
    rc::Rc,
    sync::PoisonError,
    thread,
};

impl Store {
    /// The layer is unpacked, and nobody has found it damaged.
    pub(super) fn has_layer(&self, id: &Digest) -> bool {
        let whole = || check_snapshot(&self.disk.snapshot(id), id).is_ok() && !self.is_suspect(id);
        self.vendor.snapshot(id).is_some() || whole()
    }

    /// Sees to it that the layer is unpacked; returns its bytes of file content. Two threads that want the
    /// same one do it once.
    pub(super) fn snapshot(
        &self,
        opened: &Opened,
        layer: &Layer,
        below: &[Digest],
        id: Digest,
        meter: &Meter,
    ) -> Result<u64, Error> {
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
        let staged = self.disk.stage()?;
        fault::point("unpack").doing(|| "unpack".into())?;
        let stats = self.unpack_sealed(opened, layer, &staged, &self.open_layers(below)?, meter)?;
        let verity = self.config.fs_verity && verity::seal(&staged.path.join("fs"))?;
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
            verity,
        };
        fault::point("write the record").doing(|| "write the record".into())?;
        let file = staged.path.join("complete.json");
        std::fs::write(&file, record::seal(&record)?).doing(|| format!("write {}", file.display()))?;
        self.disk.commit(staged, &target)?;
        self.note_size(id, stats.bytes);
        self.clear_suspect(&id);
        Ok(stats.bytes)
    }

    /// The layers' directories, top first.
    fn open_layers(&self, chain: &[Digest]) -> Result<Vec<Rc<OwnedFd>>, Error> {
        let open = |id| {
            let path = self.layer_dir(id);
            let dir = File::open(&path).map(|dir| Rc::new(OwnedFd::from(dir)));
            dir.doing(|| format!("open {}", path.display()))
        };
        chain.iter().rev().map(open).collect()
    }

    /// The layer's files and the digest of their tree, in staging.
    fn unpack_sealed(
        &self,
        opened: &Opened,
        layer: &Layer,
        staged: &Staged,
        lowers: &[Rc<OwnedFd>],
        meter: &Meter,
    ) -> Result<Stats, Error> {
        let flush = || format!("write {}", staged.path.display());
        thread::scope(|scope| {
            let mut flusher = Flusher::new(scope, &staged.path).doing(flush)?;
            let (stats, sums) = self.unpack(opened, layer, staged, lowers, &mut flusher, meter)?;
            flusher.rest().doing(flush)?;
            tree::seal(&staged.path, &sums)?;
            flusher.finish().doing(flush)?;
            Ok(stats)
        })
    }

    /// One pass: stored bytes are hashed and decompressed by a thread of their own, hashed again and unpacked as they
    /// come.
    fn unpack(
        &self,
        opened: &Opened,
        layer: &Layer,
        staged: &Staged,
        lowers: &[Rc<OwnedFd>],
        flusher: &mut Flusher<'_, '_>,
        meter: &Meter,
    ) -> Result<(Stats, Sums), Error> {
        let what = opened.what(&format!("layer {}", layer.digest.unwrap_or(layer.diff_id)));
        let (stream, size) = opened.stream(&layer.member)?;
        if let Some(stated) = layer.size.filter(|stated| *stated != size) {
            return Err(Error::corrupt(what, format!("{stated} bytes"), format!("{size} bytes")));
        }
        let mut stored = HashReader::new(Counted::new(stream, meter));
        let limits = &self.config.limits;
        let unpacked = thread::scope(|scope| {
            let decoder = Decoder::new(&mut stored).map_err(|error| reading(&what, error))?;
            // Whatever is in the stream, a bomb of headers too.
            let decoder = Bounded::new(decoder, "a layer", "layer_max_bytes", limits.layer_max_bytes);
            let ahead = Ahead::new(scope, decoder).doing(|| format!("make a thread for {what}"))?;
            let mut plain = HashReader::new(Flushing::new(ahead, flusher));
            let mut tar = TarReader::new(&mut plain, what.clone(), limits.layer_max_entries);
            let unpacked = Unpacker::new(staged.dir("fs")?, lowers, limits).run(&mut tar)?;
            // What follows the end mark counts for the digests.
            io::copy(&mut plain, &mut io::sink()).map_err(|error| reading(&what, error))?;
            layer.diff_id.expect(&format!("{what}, uncompressed"), &plain.finish().0)?;
            Ok::<_, Error>(unpacked)
        })?;
        io::copy(&mut stored, &mut io::sink()).map_err(|error| reading(&what, error))?;
        if let Some(digest) = &layer.digest {
            digest.expect(&what, &stored.finish().0)?;
        }
        Ok(unpacked)
    }
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
