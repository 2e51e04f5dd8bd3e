//! The files of one run: `<n>.log` is what is written to, `<n>.log.<stamp>` what was rotated away.

use super::record::{HEAD_LEN_MAX_BYTES, Record};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

/// Bytes read in one system call when lines are counted from the end.
const CHUNK_LEN_BYTES: u64 = 64 << 10;

/// Looks at a directory that changes while its files are opened. A rotation comes once a second at most for long.
const LOOKS_MAX: usize = 100;

/// Where the files of a run are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files {
    directory: PathBuf,
    name: String,
}

/// A place in one of the files.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) file: File,
    pub(super) offset: u64,
}

impl Files {
    pub(super) fn new(directory: PathBuf, number: i64) -> Self {
        Self { directory, name: format!("{number}.log") }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// All files, oldest first. None is no error: they come and go.
    ///
    /// # Errors
    /// The directory is there and cannot be read.
    fn all(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut rotated = Vec::new();
        let mut current = None;
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(self.name.as_str())) else {
                continue;
            };
            match rest.strip_prefix('.') {
                Some(_) => rotated.push(entry.path()),
                None if rest.is_empty() => current = Some(entry.path()),
                None => {}
            }
        }
        rotated.sort_unstable();
        rotated.extend(current);
        Ok(rotated)
    }

    /// Opened, oldest first, none left out: names are another file's after a rotation, so they must be the same
    /// before and after.
    fn open_all(&self) -> io::Result<Vec<File>> {
        let mut names = self.all()?;
        for _ in 0..LOOKS_MAX {
            let files = opened(&names)?;
            let now = self.all()?;
            if now == names {
                return Ok(files);
            }
            names = now;
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "it is rotated faster than it can be opened"))
    }

    /// Where to begin: at the oldest file's start, or `tail` lines from the end of all. None when there is no
    /// file yet.
    ///
    /// # Errors
    /// Of reading directory or files.
    pub(super) fn begin(&self, tail: Option<u64>) -> io::Result<Option<Place>> {
        let mut files = self.open_all()?;
        let Some(tail) = tail else {
            return Ok(files.into_iter().next().map(|file| Place { file, offset: 0 }));
        };
        let mut counter = Counter { left: tail };
        while let Some(file) = files.pop() {
            if let Some(offset) = counter.search(&file)? {
                return Ok(Some(Place { file, offset }));
            }
            if files.is_empty() {
                return Ok(Some(Place { file, offset: 0 }));
            }
        }
        Ok(None)
    }

    /// The file behind `current`; None when that is the newest.
    ///
    /// # Errors
    /// Of reading the directory.
    pub(super) fn after(&self, current: &File) -> io::Result<Option<File>> {
        let inode = |file: &File| file.metadata().map(|meta| (meta.dev(), meta.ino()));
        let current = inode(current)?;
        let mut files = self.open_all()?;
        let at = files.iter().position(|file| inode(file).is_ok_and(|inode| inode == current));
        // Deleted already: all that are left are younger.
        let next = at.map_or(0, |at| at + 1);
        Ok(if next < files.len() { Some(files.swap_remove(next)) } else { None })
    }
}

/// What is deleted in between is left out.
fn opened(paths: &[PathBuf]) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for path in paths {
        match File::open(path) {
            Ok(file) => files.push(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// Counts lines from the end of the newest file backwards.
struct Counter {
    /// Lines that are wanted still.
    left: u64,
}

impl Counter {
    /// The offset behind the last line that is not wanted; None when all of the file is wanted.
    fn search(&mut self, file: &File) -> io::Result<Option<u64>> {
        let mut end = file.metadata()?.len();
        // The beginning of the record that the last chunk began in the midst of.
        let mut carry: Vec<u8> = Vec::new();
        // Where that record ends; None before the first line feed from behind is found.
        let mut record_end = None;
        while end > 0 {
            let start = end.saturating_sub(CHUNK_LEN_BYTES);
            let mut data = vec![0; usize::try_from(end - start).unwrap_or(0)];
            file.read_exact_at(&mut data, start)?;
            let chunk_len = data.len();
            data.extend_from_slice(&carry);
            for at in (0..chunk_len).rev() {
                if data[at] != b'\n' {
                    continue;
                }
                let line_end = start + at as u64 + 1;
                if let Some(found) = self.count(&data[at + 1..], record_end) {
                    return Ok(Some(found));
                }
                record_end = Some(line_end);
                data.truncate(at);
            }
            data.truncate(HEAD_LEN_MAX_BYTES);
            carry = data;
            end = start;
        }
        Ok(self.count(&carry, record_end))
    }

    /// Counts the record that begins with `head` and ends at `end`; tells `end` if it is one too many.
    fn count(&mut self, head: &[u8], end: Option<u64>) -> Option<u64> {
        let end = end?;
        let head = &head[..head.len().min(HEAD_LEN_MAX_BYTES)];
        // A line that is no record counts as one.
        if !Record::parse(head).is_none_or(|record| record.is_full) {
            return None;
        }
        if self.left == 0 {
            return Some(end);
        }
        self.left -= 1;
        None
    }
}
