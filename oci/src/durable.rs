//! Files that power loss leaves old or new, never half: write beside, fsync, rename, fsync the directory.
//! For tmpfs there is the same without fsync, which a crash of the process cannot halve either.

use crate::error::{Error, Result};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Behind the name of a file that is being written; a leftover of a crash is overwritten by the next write.
const BESIDE: &str = ".new";
/// Mode of everything written here: records name environment and paths, only root reads them.
const MODE: u32 = 0o600;

/// Replaces the file at `path` by one with `content`, so that after a power cut either is there.
///
/// # Errors
/// [`Error::Io`]; the old file is then untouched, unless the last step, making the directory durable,
/// failed: then either may be there after a power cut.
pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let beside = write_beside(path, |file| {
        write_all(file, content)?;
        file.sync_all()
    })?;
    fs::rename(&beside, path).map_err(Error::io("replace", path))?;
    sync_parent(path)
}

/// As [`replace`] for files on tmpfs: whole for every reader, gone with the boot.
///
/// # Errors
/// [`Error::Io`]; the old file is then untouched.
pub fn replace_volatile(path: &Path, content: &[u8]) -> Result<()> {
    let beside = write_beside(path, |file| write_all(file, content))?;
    fs::rename(&beside, path).map_err(Error::io("replace", path))
}

/// Removes the file durably. It is no error if it is not there.
///
/// # Errors
/// [`Error::Io`].
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("remove", path)(error)),
        Ok(()) => sync_parent(path),
    }
}

/// Makes the entries of the directory that holds `path` durable.
///
/// # Errors
/// [`Error::Io`].
pub fn sync_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(Error::io("sync the directory", parent))
}

/// Where a file is written before it gets its name.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(BESIDE);
    PathBuf::from(name)
}

fn write_beside(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<PathBuf> {
    let beside = beside(path);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(MODE)
        .open(&beside)
        .and_then(|mut file| fill(&mut file));
    written.map_err(|error| {
        // The first error is the one to tell; a leftover is overwritten next time.
        let _ = fs::remove_file(&beside);
        Error::io("write", &beside)(error)
    })?;
    Ok(beside)
}

/// Writes all of `content`, however little the kernel takes at a time. A write of nothing is an error
/// (the file system is full in a way that does not say so), not a loop.
fn write_all(to: &mut impl Write, mut content: &[u8]) -> io::Result<()> {
    while !content.is_empty() {
        match to.write(content) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => content = &content[taken..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `per_write` bytes a time and nothing more after `room`.
    struct Short {
        taken: Vec<u8>,
        per_write: usize,
        room: usize,
        interrupt: bool,
    }

    impl Write for Short {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.interrupt = !self.interrupt;
            if self.interrupt {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let n = bytes.len().min(self.per_write).min(self.room - self.taken.len());
            self.taken.extend_from_slice(&bytes[..n]);
            Ok(n)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn short_and_interrupted_writes_are_continued_and_a_full_disk_is_an_error() {
        let content = b"0123456789";
        for (per_write, room, whole) in
            [(1, 10, true), (3, 10, true), (64, 10, true), (3, 9, false), (1, 0, false)]
        {
            let mut to = Short { taken: Vec::new(), per_write, room, interrupt: false };
            let result = write_all(&mut to, content);
            assert_eq!(result.is_ok(), whole, "{per_write} {room}");
            assert_eq!(to.taken, &content[..room.min(10)]);
        }
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_no_leftover() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        replace(&path, b"old").unwrap();
        let failed = write_beside(&path, |file| {
            file.write_all(b"ne")?;
            Err(io::Error::from_raw_os_error(28))
        });
        assert!(failed.unwrap_err().to_string().contains("No space"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_leftover_of_a_crash_is_overwritten_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(dir.path().join("f.new"), "a long half-written leftover").unwrap();
        replace_volatile(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
