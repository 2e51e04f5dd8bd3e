//! The store's own records, JSON with a checksum over their content: a file that a power cut or a bad flash
//! cell has changed is never taken for a record.

use crate::{
    digest::Digest,
    error::{Doing as _, Error},
    limits::RECORD_MAX_BYTES,
    platform::Platform,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

/// The form of all records; another one is not understood.
pub(super) const VERSION: u32 = 1;

/// `snapshots/<chain>/complete.json`: written last, so that its presence says that the snapshot is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SnapshotRecord {
    pub(super) version: u32,
    pub(super) chain: Digest,
    /// The chain below; none for the bottom layer.
    pub(super) parent: Option<Digest>,
    pub(super) diff_id: Digest,
    /// Of the layer as stored in its source.
    pub(super) blob: Option<Digest>,
    pub(super) media_type: String,
    /// Where it was unpacked from and can be again.
    pub(super) origin: Origin,
    pub(super) entries: u64,
    /// Bytes of file content.
    pub(super) bytes: u64,
    /// Its files are sealed by fs-verity.
    #[serde(default)]
    pub(super) verity: bool,
}

/// A place in a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub(super) source: PathBuf,
    pub(super) member: String,
}

/// `images/<config>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImageRecord {
    pub(super) version: u32,
    /// Digest of the config.
    pub(super) id: Digest,
    pub(super) manifest: Digest,
    /// Of the manifest, and of the indexes by which it was found.
    pub(super) digests: Vec<Digest>,
    pub(super) platform: Platform,
    /// Full names with tag.
    pub(super) names: Vec<String>,
    /// Full names without tag, of references by digest: `docker.io/library/busybox`.
    pub(super) repositories: Vec<String>,
    /// Chain IDs of its layers, bottom first.
    pub(super) chain: Vec<Digest>,
    /// Bytes of file content.
    pub(super) bytes: u64,
    /// Counts up with each import: of two images with one name, the later has it.
    pub(super) serial: u64,
    pub(super) source: PathBuf,
}

/// The file's content for a record.
pub(super) fn seal<T: Serialize>(record: &T) -> Result<Vec<u8>, Error> {
    let json = |error: serde_json::Error| Error::io("write a record", error.into());
    let body = serde_json::to_vec(record).map_err(json)?;
    let digest = Digest::of(&body).hex();
    let mut bytes = format!("{{\"sha256\":\"{digest}\",\"record\":").into_bytes();
    bytes.extend_from_slice(&body);
    bytes.extend_from_slice(b"}\n");
    Ok(bytes)
}

/// Reads a record and checks it. The checksum is over the bytes as they stand, so that a record of another
/// version of Berth, with fields that this one does not know, is whole too.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let what = path.display().to_string();
    let mut bytes = Vec::new();
    let file = File::open(path).doing(|| format!("open {what}"))?;
    file.take(RECORD_MAX_BYTES + 1).read_to_end(&mut bytes).doing(|| format!("read {what}"))?;
    if bytes.len() as u64 > RECORD_MAX_BYTES {
        return Err(Error::limit(what, "RECORD_MAX_BYTES", RECORD_MAX_BYTES));
    }
    let (stated, body) = unseal(&bytes)
        .ok_or_else(|| Error::corrupt(&what, "a sealed record", format!("{} bytes of else", bytes.len())))?;
    let digest = Digest::of(body).hex();
    if digest.as_bytes() != stated {
        let stated = String::from_utf8_lossy(stated);
        return Err(Error::corrupt(what, format!("content with checksum {stated}"), digest));
    }
    serde_json::from_slice(body).map_err(|error| Error::corrupt(&what, "a record in JSON", error.to_string()))
}

/// The stated checksum and the record's bytes, as [`seal`] puts them together.
fn unseal(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (stated, rest) = bytes.strip_prefix(b"{\"sha256\":\"")?.split_at_checked(64)?;
    Some((stated, rest.strip_prefix(b"\",\"record\":")?.strip_suffix(b"}\n")?))
}
