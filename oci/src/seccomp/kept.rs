//! Filters on the disk, so that a boot does not compile what the one before it has: each with its digest behind it, for a
//! filter that is not whole would confine by something else. It is a cache: what cannot be read is not there.

use super::sys::{INSTRUCTION_LEN, INSTRUCTIONS_MAX};
use crate::{
    durable,
    error::{Error, Result},
    fsys,
};
use sha2::{Digest, Sha256};
use std::{fs, path::Path};

/// Bytes of the digest.
const DIGEST_LEN: usize = 32;
/// Bytes of a file: the longest program that a kernel takes, and its digest.
const FILE_LEN_MAX_BYTES: u64 = (INSTRUCTIONS_MAX * INSTRUCTION_LEN + DIGEST_LEN) as u64;

/// The filter, if it is there and whole.
pub(super) fn read(path: &Path) -> Option<Vec<u8>> {
    if fs::metadata(path).ok()?.len() > FILE_LEN_MAX_BYTES {
        return None;
    }
    let mut bytes = fs::read(path).ok()?;
    let digest = bytes.split_off(bytes.len().checked_sub(DIGEST_LEN)?);
    (Sha256::digest(&bytes)[..] == digest[..]).then_some(bytes)
}

/// Writes it, unless it is there: flash is not worn by what it has.
pub(super) fn write(path: &Path, filter: &[u8]) -> Result<()> {
    if read(path).is_some_and(|known| known == filter) {
        return Ok(());
    }
    if let Some(dir) = path.parent() {
        fsys::make_dirs(dir, 0o700)?;
    }
    durable::replace(path, &[filter, &Sha256::digest(filter)].concat())
}

/// Removes all but these.
pub(super) fn remove_others(dir: &Path, names: &[String]) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let entry = entry.map_err(Error::io("list", dir))?;
        if names.iter().any(|name| entry.file_name() == name.as_str()) {
            continue;
        }
        fsys::remove_file(&entry.path())?;
    }
    Ok(())
}
