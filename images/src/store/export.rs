//! `berth image export`: writes an image as an OCI archive, byte for byte as it came. The store keeps layers
//! unpacked only, and a layer packed anew would have another digest: so layers are read from the source that the
//! image came from, and verified on the way. Memory: a copy buffer.

use super::{Store, disk, layer::check_snapshot};
use crate::{
    digest::{Digest, HashReader},
    error::{Doing as _, Error},
    platform::Platform,
    reference::Reference,
    source::Opened,
};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufWriter, Read, Write as _},
};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The image, in full form.
    pub reference: String,
    /// `sha256:…` of its manifest.
    pub digest: String,
}

#[derive(Deserialize)]
struct Manifest {
    config: Blob,
    layers: Vec<Blob>,
}

#[derive(Deserialize)]
struct Blob {
    digest: String,
    size: u64,
}

impl Store {
    /// Writes the image to `file` as an OCI archive that every tool reads, and syncs it.
    ///
    /// # Errors
    /// `InvalidName`, `NotFound`; `Unsupported` when the source of one of its layers is gone; `Corrupt` when the
    /// source is another one by now; `Io`, `NoSpace`.
    pub fn export(&self, reference: &str, platform: &Platform, file: File) -> Result<Exported, Error> {
        let wanted = Reference::parse(reference)?;
        let entry = self.known(&wanted, platform)?;
        let own = std::iter::once::<&disk::Layout>(&self.disk);
        let mut layouts = own.chain(self.vendor.layouts());
        let layout = layouts.find(|l| l.blob(&entry.record.manifest).exists()).unwrap_or(&self.disk);
        let bytes = disk::read_blob(layout, &entry.record.manifest)?;
        let config = disk::read_blob(layout, &entry.record.id)?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| Error::corrupt(wanted.to_string(), "a manifest in JSON", error.to_string()))?;
        let mut out = Archive { tar: tar::Builder::new(BufWriter::new(file)), written: BTreeSet::new() };
        out.member("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        out.member("index.json", &index(&wanted, &entry.digest_text, bytes.len()))?;
        out.member(&blob_path(&entry.record.manifest), &bytes)?;
        out.member(&blob_path(&Digest::parse(&manifest.config.digest)?), &config)?;
        let mut opened: Option<Opened> = None;
        for (blob, chain) in manifest.layers.iter().zip(&entry.record.chain) {
            let digest = Digest::parse(&blob.digest)?;
            if out.written.contains(&digest) {
                continue;
            }
            let files = self.layer_dir(chain);
            let record = check_snapshot(files.parent().unwrap_or(&files), chain)?;
            let source = &record.origin.source;
            if opened.as_ref().is_none_or(|opened| opened.path() != source) {
                opened =
                    Some(Opened::open(source, &self.disk.staging()).map_err(|error| gone(&wanted, &error))?);
            }
            let Some(opened) = &opened else { continue };
            let (stream, size) =
                opened.stream(&record.origin.member).map_err(|error| gone(&wanted, &error))?;
            let what = opened.what(&record.origin.member);
            if size != blob.size {
                return Err(Error::corrupt(what, format!("{} bytes", blob.size), format!("{size} bytes")));
            }
            out.layer(&digest, &what, stream, size)?;
        }
        out.finish()?;
        Ok(Exported { reference: wanted.to_string(), digest: entry.digest_text.clone() })
    }
}

fn gone(wanted: &Reference, error: &Error) -> Error {
    let why = format!(
        "the source of its layers is not there any more ({error}), and the store keeps layers unpacked only"
    );
    Error::unsupported(format!("export of {wanted}"), why)
}

fn index(wanted: &Reference, digest: &str, size: usize) -> Vec<u8> {
    let name = wanted.tagged().unwrap_or_else(|| wanted.name());
    json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": size,
            "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name},
        }],
    })
    .to_string()
    .into_bytes()
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

struct Archive {
    tar: tar::Builder<BufWriter<File>>,
    written: BTreeSet<Digest>,
}

impl Archive {
    fn member(&mut self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        self.append(path, bytes.len() as u64, bytes)
    }

    fn layer(&mut self, digest: &Digest, what: &str, stream: impl Read, size: u64) -> Result<(), Error> {
        let mut stream = HashReader::new(stream);
        self.append(&blob_path(digest), size, &mut stream)?;
        digest.expect(what, &stream.finish().0)?;
        self.written.insert(*digest);
        Ok(())
    }

    fn append(&mut self, path: &str, size: u64, content: impl Read) -> Result<(), Error> {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::Regular);
        self.tar.append_data(&mut header, path, content).doing(|| format!("write {path} of the archive"))
    }

    fn finish(self) -> Result<(), Error> {
        let finish = || {
            let mut out = self.tar.into_inner()?;
            out.flush()?;
            // A pipe cannot be synced, and need not be.
            match out.get_ref().sync_all() {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
                other => other,
            }
        };
        finish().doing(|| "write the archive".into())
    }
}
