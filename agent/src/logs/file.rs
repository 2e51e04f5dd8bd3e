//! A container's current log file: opened, measured, appended to, cut back, rotated by renaming.

use super::rotation;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The current log file of one run of a container.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
}

/// What a look at the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Which file.
    pub(super) inode: u64,
    /// Its size, bytes.
    pub(super) size: u64,
}

impl LogFile {
    /// Opens `path` for appending; makes it and its directories if need be.
    ///
    /// # Errors
    /// Of the system calls.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let open = || OpenOptions::new().append(true).create(true).mode(0o640).open(path);
        let file = match (open(), path.parent()) {
            (Err(e), Some(dir)) if e.kind() == io::ErrorKind::NotFound => {
                fs::DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
                open()?
            }
            (opened, _) => opened?,
        };
        Ok(Self { path: path.into(), file })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the file; if somebody has removed it, begins a new one first.
    ///
    /// # Errors
    /// Of the system calls.
    pub(super) fn extent(&mut self) -> io::Result<Extent> {
        let mut meta = self.file.metadata()?;
        if meta.nlink() == 0 {
            *self = Self::open(&self.path)?;
            meta = self.file.metadata()?;
        }
        Ok(Extent { inode: meta.ino(), size: meta.len() })
    }

    /// Appends everything.
    ///
    /// # Errors
    /// Of `write`; part of the bytes may be in the file then.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// What is in the file behind `extent`; nothing of another file than that, nor of more than `most` bytes.
    ///
    /// # Errors
    /// Of the system calls.
    pub(super) fn behind(&self, extent: Extent, most: u64) -> io::Result<Vec<u8>> {
        let file = File::open(&self.path)?;
        let meta = file.metadata()?;
        let len = meta.len().saturating_sub(extent.size);
        if meta.ino() != extent.inode || len > most {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        file.read_exact_at(&mut bytes, extent.size)?;
        Ok(bytes)
    }

    /// Cuts the file back to what it was at `extent`; another file than that is left alone.
    ///
    /// # Errors
    /// Of the system calls.
    pub(super) fn cut_back(&mut self, extent: Extent) -> io::Result<()> {
        let meta = self.file.metadata()?;
        if meta.ino() == extent.inode && meta.len() > extent.size {
            self.file.set_len(extent.size)?;
        }
        Ok(())
    }

    /// Renames the file to `<n>.log.<stamp>`, removes what is then too many, begins a new one.
    ///
    /// # Errors
    /// Of the renaming and the opening; the current file goes on being used then.
    pub(super) fn rotate(&mut self, stamp_s: u64, files_max: u32) -> io::Result<()> {
        let rotated = rotation::rotated_of(&self.path)?;
        let name = rotation::next_name(&self.path, &rotated, stamp_s);
        fs::rename(&self.path, &name)?;
        *self = Self::open(&self.path)?;
        // The current file and the one just renamed count too.
        let keep = (files_max as usize).saturating_sub(2);
        for old in rotated.iter().rev().skip(keep) {
            // A file that cannot be removed now is tried again at the next rotation.
            let _ = fs::remove_file(old);
        }
        Ok(())
    }
}
