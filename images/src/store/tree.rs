//! A digest of an unpacked tree: names, types, modes, owners, times, links, attributes and content. Made when a
//! layer has been unpacked, of content as it was written and of all else as the file system gives it back, and made
//! again when the store is verified: a file that a bad flash cell or a torn write has changed is found so. Content goes into it as a CRC-32 with its
//! length: this is against damage, not against somebody with root's rights. Memory: the names of one directory
//! for each level of depth.

use super::record::{self, VERSION};
use crate::{
    digest::{Digest, Hasher},
    error::{Doing as _, Error},
    limits::COPY_BUFFER_BYTES,
    sys::{self, FileType, Stat},
    unpack::Sums,
};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::Path,
};

/// `snapshots/<chain>/check.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Check {
    pub(super) version: u32,
    pub(super) tree: Digest,
}

/// Its name in the snapshot's directory.
pub(super) const CHECK: &str = "check.json";
/// Attributes that a running system may put on or take off.
const NOT_CONTENT: [&[u8]; 4] = [b"security.selinux", b"security.ima", b"security.evm", b"user.overlay."];
/// Of overlayfs' own attributes only this one is an image's: the others are notes to itself.
const OVERLAY: &[u8] = b"trusted.overlay.";
const OPAQUE: &[u8] = b"trusted.overlay.opaque";

/// What is known of a snapshot's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// As they were unpacked.
    Whole,
    /// Unpacked by a version of Berth that kept no digest.
    Unknown,
}

/// Writes the digest of `fs` in the snapshot's directory beside it.
pub(super) fn seal(snapshot: &Path, sums: &Sums) -> Result<(), Error> {
    let check = Check { version: VERSION, tree: digest(&snapshot.join("fs"), sums)? };
    let file = snapshot.join(CHECK);
    fs::write(&file, record::seal(&check)?).doing(|| format!("write {}", file.display()))
}

/// Holds a snapshot's files against their digest. As much is read as the layer holds.
///
/// # Errors
/// `Corrupt` if they differ or the record of the digest is damaged, `Io`.
pub(super) fn verify(snapshot: &Path) -> Result<State, Error> {
    let file = snapshot.join(CHECK);
    if !file.exists() {
        return Ok(State::Unknown);
    }
    let check: Check = record::read(&file)?;
    let files = snapshot.join("fs");
    check.tree.expect(&files.display().to_string(), &digest(&files, &Sums::default())?)?;
    Ok(State::Whole)
}

/// What is not in `sums` is read.
fn digest(dir: &Path, sums: &Sums) -> Result<Digest, Error> {
    let doing = || format!("read {}", dir.display());
    let mut walk = Walk { hash: Hasher::default(), sums, buffer: vec![0; COPY_BUFFER_BYTES] };
    let root = OwnedFd::from(File::open(dir).doing(doing)?);
    let stat = sys::fstat(&root).doing(doing)?;
    walk.meta(b"", &stat);
    walk.xattrs(&root, b".").doing(doing)?;
    walk.dir(&root).doing(doing)?;
    Ok(walk.hash.finish())
}

struct Walk<'a> {
    hash: Hasher,
    sums: &'a Sums,
    buffer: Vec<u8>,
}

impl Walk<'_> {
    /// All entries of a directory, by name. The depth is that of a layer: `PATH_MAX_COMPONENTS`.
    fn dir(&mut self, dir: &OwnedFd) -> io::Result<()> {
        let mut names: Vec<Vec<u8>> = fs::read_dir(sys::proc_path(dir.as_fd()))?
            .map(|entry| entry.map(|entry| entry.file_name().into_vec()))
            .collect::<io::Result<_>>()?;
        names.sort_unstable();
        for name in names {
            self.entry(dir, &name).map_err(|error| named(&name, error))?;
        }
        self.text(b"/");
        Ok(())
    }

    fn entry(&mut self, dir: &OwnedFd, name: &[u8]) -> io::Result<()> {
        let stat = sys::stat(dir, name)?.ok_or(io::ErrorKind::NotFound)?;
        self.meta(name, &stat);
        self.xattrs(dir, name)?;
        match stat.file_type() {
            FileType::Dir => self.dir(&sys::open_dir(dir, name)?),
            FileType::Regular => {
                let sum = match self.sums.of(stat.inode) {
                    Some(sum) => sum,
                    None => self.read(File::from(sys::open_beneath(dir, name, libc::O_RDONLY, 0)?))?,
                };
                self.hash.update(&sum.to_le_bytes());
                Ok(())
            }
            FileType::Symlink => {
                let target = sys::readlink(dir, name)?;
                self.text(&target);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whole seconds only: a read-only file system that a store is baked into keeps no finer ones.
    fn meta(&mut self, name: &[u8], stat: &Stat) {
        self.text(name);
        let size = if stat.file_type() == FileType::Regular { stat.size } else { 0 };
        for number in [stat.mode.into(), stat.uid.into(), stat.gid.into(), stat.rdev, size] {
            self.hash.update(&u64::to_le_bytes(number));
        }
        self.hash.update(&stat.mtime.seconds.to_le_bytes());
    }

    fn xattrs(&mut self, dir: &OwnedFd, name: &[u8]) -> io::Result<()> {
        let mut keys = sys::list_xattrs(dir, name)?;
        keys.retain(|key| {
            let noise = NOT_CONTENT.iter().any(|prefix| key.starts_with(prefix));
            !noise && (!key.starts_with(OVERLAY) || key == OPAQUE)
        });
        keys.sort_unstable();
        for key in &keys {
            let value = sys::get_xattr(dir, name, key)?.unwrap_or_default();
            self.text(key);
            self.text(&value);
        }
        self.text(b"");
        Ok(())
    }

    fn read(&mut self, mut file: File) -> io::Result<u32> {
        let mut crc = flate2::Crc::new();
        loop {
            match file.read(&mut self.buffer)? {
                0 => return Ok(crc.sum()),
                count => crc.update(&self.buffer[..count]),
            }
        }
    }

    /// With its length before it, so that no two lists of texts are one.
    fn text(&mut self, text: &[u8]) {
        self.hash.update(&(text.len() as u64).to_le_bytes());
        self.hash.update(text);
    }
}

/// The error with the file's name. The kernel's number stays, by which a full disk is known.
fn named(name: &[u8], error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() {
        return error;
    }
    io::Error::new(error.kind(), format!("{}: {error}", Path::new(OsStr::from_bytes(name)).display()))
}
