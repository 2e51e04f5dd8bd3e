//! Reads the files of a run line by line, over rotations, from where it stopped the last time.

use super::{
    super::failure::Failure,
    files::{Files, Place},
    run::Run,
};
use std::{io, os::unix::fs::FileExt};

/// Bytes read in one system call.
const READ_LEN_BYTES: usize = 64 << 10;
/// Bytes of a line; what is longer is no log of ours and is passed on in pieces.
const LINE_LEN_MAX_BYTES: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Reader {
    files: Files,
    tail: Option<u64>,
    /// Where it stopped; None before there is a file.
    place: Option<Place>,
    /// A line of which the end is not written yet.
    rest: Vec<u8>,
}

/// Why reading stopped.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The log.
    Input(io::Error),
    /// What was to be done with a line.
    Output(Failure),
}

impl ReadError {
    /// As the verb's failure.
    pub(super) fn told_of(self, run: &Run) -> Failure {
        match self {
            Self::Input(error) => run.unreadable(&error),
            Self::Output(failure) => failure,
        }
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Input(error)
    }
}

impl Reader {
    /// Begins at the start, or `tail` lines from the end.
    ///
    /// # Errors
    /// Of reading directory or files.
    pub(super) fn open(files: Files, tail: Option<u64>) -> io::Result<Self> {
        let place = files.begin(tail)?;
        Ok(Self { files, tail, place, rest: Vec::new() })
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// Hands each complete line (without its end) to `take` until there is none; `take` says false to stop.
    ///
    /// # Errors
    /// Of reading, and whatever `take` fails with.
    pub(super) fn read_on(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<bool, Failure>,
    ) -> Result<(), ReadError> {
        if self.place.is_none() {
            self.place = self.files.begin(self.tail)?;
        }
        loop {
            if !self.read_file(&mut take)? {
                return Ok(());
            }
            let Some(place) = &self.place else { return Ok(()) };
            let Some(next) = self.files.after(&place.file)? else { return Ok(()) };
            // Only now, with the next file there, is nothing more written to this one.
            if !self.read_file(&mut take)? {
                return Ok(());
            }
            self.rest.clear();
            self.place = Some(Place { file: next, offset: 0 });
        }
    }

    /// Reads the present file to its end. Its offset never goes back: an agent that was killed in the midst of
    /// an append cuts it off and writes the very same again.
    fn read_file(
        &mut self,
        take: &mut impl FnMut(&[u8]) -> Result<bool, Failure>,
    ) -> Result<bool, ReadError> {
        let Some(place) = &mut self.place else { return Ok(true) };
        let mut chunk = vec![0; READ_LEN_BYTES];
        loop {
            let read = match place.file.read_at(&mut chunk, place.offset) {
                Ok(0) => return Ok(true),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            place.offset += read as u64;
            self.rest.extend_from_slice(&chunk[..read]);
            let mut start = 0;
            while let Some(len) = self.rest[start..].iter().position(|byte| *byte == b'\n') {
                if !take(&self.rest[start..start + len]).map_err(ReadError::Output)? {
                    return Ok(false);
                }
                start += len + 1;
            }
            self.rest.drain(..start);
            if self.rest.len() > LINE_LEN_MAX_BYTES
                && !take(&std::mem::take(&mut self.rest)).map_err(ReadError::Output)?
            {
                return Ok(false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::{self, File},
        io::Write as _,
        sync::atomic::{AtomicU32, Ordering},
        thread,
    };

    const LINES: u32 = 30_000;
    /// Lines of a file.
    const OF_FILE: u32 = 5;
    /// Files that are kept: enough for a reader that is no more than `AHEAD` behind.
    const KEPT: u32 = 8;
    const AHEAD: u32 = 20;

    /// Writes the numbers, rotating as fast as the reader can follow.
    fn write(dir: &std::path::Path, seen: &AtomicU32) {
        let current = dir.join("0.log");
        let rotated = |n: u32| dir.join(format!("0.log.{n:08}"));
        let mut file = File::create(&current).unwrap();
        for n in 1..=LINES {
            while n > seen.load(Ordering::Relaxed) + AHEAD {
                thread::yield_now();
            }
            writeln!(file, "{n}").unwrap();
            if n % OF_FILE == 0 {
                fs::rename(&current, rotated(n)).unwrap();
                file = File::create(&current).unwrap();
                let _ = fs::remove_file(rotated(n.saturating_sub(KEPT * OF_FILE)));
            }
        }
    }

    #[test]
    fn lines_come_once_and_in_order_however_files_are_renamed_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let seen = AtomicU32::new(0);
        let mut reader = Reader::open(Files::new(dir.path().to_owned(), 0), None).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| write(dir.path(), &seen));
            while seen.load(Ordering::Relaxed) < LINES {
                let check = |line: &[u8]| {
                    let n = seen.fetch_add(1, Ordering::Relaxed) + 1;
                    if std::str::from_utf8(line).unwrap() != n.to_string() {
                        // The writer waits for this, and the test for the writer.
                        seen.store(LINES, Ordering::Relaxed);
                        panic!("line {n} is {}", String::from_utf8_lossy(line));
                    }
                    Ok(true)
                };
                reader.read_on(check).unwrap();
            }
        });
    }
}
