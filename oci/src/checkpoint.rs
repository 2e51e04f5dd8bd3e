//! What is remembered of a pod over reboots: one small checksummed file each, replaced durably.
//!
//! `/var/lib/berth/pods/<uid>/checkpoint` is one line of hex (SHA-256 of all that follows it) and then
//! JSON. A file that does not hold to that is told and treated as not there: the pod starts over with
//! restart count 0 rather than not at all. The file before the last is kept as `checkpoint.old`, so that a
//! bad sector costs one step of back-off and not the memory.

use crate::{
    durable,
    error::{Error, Result},
    paths::{Roots, is_file_name},
    records,
};
use berth_core::{
    event::Checkpoint,
    ids::{PodUid, hex},
};
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Bytes in a checkpoint; a longer file is not one of ours.
pub const CHECKPOINT_LEN_MAX_BYTES: u64 = 256 * 1024;

/// Writes the pod's checkpoint; it is on disk when this returns. Makes the pod's directory if need be.
///
/// # Errors
/// [`Error::Io`]: nothing is lost, the previous checkpoint still counts.
pub fn save(roots: &Roots, checkpoint: &Checkpoint) -> Result<()> {
    if !is_file_name(&checkpoint.uid) {
        return Err(Error::Config(format!("pod uid {:?} cannot name a directory", checkpoint.uid.0)));
    }
    let path = roots.checkpoint(&checkpoint.uid);
    let dir = roots.pod_state(&checkpoint.uid);
    if !dir.is_dir() {
        fs::create_dir_all(&dir).map_err(Error::io("create the directory", &dir))?;
        durable::sync_parent(&dir)?;
    }
    keep_previous(&path)?;
    durable::replace(&path, encode(checkpoint, &path)?.as_bytes())
}

/// Removes the pod's checkpoint durably; no error if there is none.
///
/// # Errors
/// [`Error::Io`].
pub fn drop(roots: &Roots, uid: &PodUid) -> Result<()> {
    if !is_file_name(uid) {
        return Ok(());
    }
    let path = roots.checkpoint(uid);
    // The older one first: otherwise a cut between the two would bring it back to life.
    durable::remove(&previous(&path))?;
    durable::remove(&path)?;
    remove_dir_if_empty(roots, uid)
}

/// The pod's directory on disk goes with whichever was last in it: the volumes or the checkpoint.
pub(crate) fn remove_dir_if_empty(roots: &Roots, uid: &PodUid) -> Result<()> {
    let dir = roots.pod_state(uid);
    // What a power cut left of a checkpoint being written.
    crate::fsys::remove_file(&durable::beside(&roots.checkpoint(uid)))?;
    match fs::remove_dir(&dir) {
        Ok(()) => durable::sync_parent(&dir),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTEMPTY)) => Ok(()),
        Err(error) => Err(Error::io("remove the directory", &dir)(error)),
    }
}

/// All checkpoints that can be read, and what is wrong with the others.
///
/// # Errors
/// [`Error::Io`]: the directory itself cannot be read. One that does not exist is empty.
pub fn load_all(roots: &Roots) -> Result<(Vec<Checkpoint>, Vec<Error>)> {
    let (mut checkpoints, mut problems) = (Vec::new(), Vec::new());
    for uid in crate::records::names(&roots.pods_state())? {
        let (checkpoint, mut wrong) = load(roots, &PodUid(uid.into()));
        checkpoints.extend(checkpoint);
        problems.append(&mut wrong);
    }
    Ok((checkpoints, problems))
}

/// The pod's checkpoint, or the one before it, or none; and what was wrong on the way.
pub fn load(roots: &Roots, uid: &PodUid) -> (Option<Checkpoint>, Vec<Error>) {
    let path = roots.checkpoint(uid);
    let mut problems = Vec::new();
    for path in [path.clone(), previous(&path)] {
        match read(&path) {
            Ok(None) => {}
            Ok(Some(checkpoint)) if checkpoint.uid == *uid => return (Some(checkpoint), problems),
            Ok(Some(other)) => problems.push(Error::Malformed {
                path,
                message: format!("checkpoint of another pod ({}), ignored", other.uid),
            }),
            Err(error) => problems.push(error),
        }
    }
    (None, problems)
}

fn previous(path: &Path) -> PathBuf {
    path.with_extension("old")
}

/// A link to the current file under the older name: the rename that follows leaves it that name only.
fn keep_previous(path: &Path) -> Result<()> {
    let old = previous(path);
    match fs::remove_file(&old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io("remove", &old)(error));
        }
        _ => {}
    }
    match fs::hard_link(path, &old) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A file system without links (FAT) keeps none; the replace is as durable without.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EOPNOTSUPP)) => Ok(()),
        other => other.map_err(Error::io("keep the previous", path)),
    }
}

fn encode(checkpoint: &Checkpoint, path: &Path) -> Result<String> {
    let json = serde_json::to_string(checkpoint)
        .map_err(|error| Error::Malformed { path: path.to_owned(), message: error.to_string() })?;
    Ok(format!("{}\n{json}\n", sum(&format!("{json}\n"))))
}

fn sum(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn read(path: &Path) -> Result<Option<Checkpoint>> {
    let malformed =
        |message: String| Error::Malformed { path: path.to_owned(), message: message + ", ignored" };
    let text = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path)(error)),
        Ok(meta) if meta.len() > CHECKPOINT_LEN_MAX_BYTES => {
            return Err(malformed(format!("{} bytes, longer than any checkpoint", meta.len())));
        }
        Ok(_) => fs::read(path).map_err(Error::io("read", path))?,
    };
    let text = String::from_utf8(text).map_err(|_| malformed("checkpoint is not text".into()))?;
    let (claimed, json) = text.split_once('\n').unwrap_or((&text, ""));
    if claimed != sum(json) {
        return Err(malformed("checkpoint fails its checksum".into()));
    }
    records::parse(json.as_bytes()).map(Some).map_err(|error| malformed(format!("checkpoint: {error}")))
}

#[cfg(test)]
mod tests;
