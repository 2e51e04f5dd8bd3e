//! One batch of a container's output at a time, from its pipe into its log file: each byte into the file
//! exactly once, whenever the agent is killed. The order of the steps is the whole point; see `journal`.
//! Never waits: what is not there yet is for the next turn.

use super::{
    file::{Extent, LogFile},
    format::{StreamKind, Tail, records},
    half,
    journal::{Journal, Note},
    rotation, sys,
};
use berth_core::time::NS_PER_S;
use berth_oci::clock;
use nix::{
    errno::Errno,
    fcntl::{OFlag, SpliceFFlags, splice, tee},
    unistd::{pipe2, read},
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes in one batch.
const BATCH_LEN_MAX_BYTES: usize = 64 * 1024;
/// Bytes of formatted records kept allocated between batches.
const RECORDS_KEPT_MAX_BYTES: usize = 128 * 1024;

/// Bytes of records that one batch can make: each byte of it a line of its own.
const RECORDS_MAX_BYTES: u64 = 64 * BATCH_LEN_MAX_BYTES as u64;

/// How large logs may become.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Size at which a file is rotated, bytes.
    pub(super) size_max_bytes: u64,
    /// Files of one run, the current one included.
    pub(super) files_max: u32,
    /// All rotated files together, bytes.
    pub(super) total_max_bytes: u64,
    /// The directory below which all pods' logs are.
    pub(super) pods_dir: PathBuf,
}

/// One output of a container: its pipe, and the staging pipe that outlives this process.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) source: Arc<OwnedFd>,
    pub(super) stage_read: OwnedFd,
    pub(super) stage_write: OwnedFd,
}

/// Buffers that all pumps of a process share; empty between turns.
#[derive(Debug)]
pub(super) struct Scratch {
    read: OwnedFd,
    write: OwnedFd,
    bytes: Vec<u8>,
    records: Vec<u8>,
}

impl Scratch {
    /// # Errors
    /// Of `pipe2`.
    pub(super) fn new() -> io::Result<Self> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        Ok(Self { read, write, bytes: vec![0; BATCH_LEN_MAX_BYTES], records: Vec::new() })
    }

    /// Copies what waits in `pipe`, up to a batch, without taking it; says how much.
    fn peek(&mut self, pipe: &OwnedFd) -> io::Result<usize> {
        let seen = tee(pipe, &self.write, BATCH_LEN_MAX_BYTES, SpliceFFlags::SPLICE_F_NONBLOCK)?;
        take(&self.read, &mut self.bytes[..seen])?;
        Ok(seen)
    }
}

/// Reads exactly `into.len()` bytes that are known to wait in `pipe`.
fn take(pipe: &OwnedFd, into: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < into.len() {
        match read(pipe.as_raw_fd(), &mut into[done..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => done += n,
        }
    }
    Ok(())
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// So many bytes went into the file; there may be more.
    Moved(usize),
    /// Nothing can be done until the container writes.
    Idle,
    /// All write ends are closed and everything is in the file.
    Ended,
}

/// Where a test lets the pump die; nothing at all in the real one.
pub(super) trait Chaos {
    /// Before each system call that changes something.
    ///
    /// # Errors
    /// To die here.
    fn step(&mut self) -> io::Result<()> {
        Ok(())
    }
    /// How many of `len` bytes the next write or read manages before death.
    fn cut(&mut self, len: usize) -> usize {
        len
    }
}

/// Nothing happens to the pump.
#[derive(Debug)]
pub(super) struct Calm;
impl Chaos for Calm {}

/// The pump of one container.
#[derive(Debug)]
pub(super) struct Pump<C: Chaos = Calm> {
    streams: Arc<[Stream; 2]>,
    log: LogFile,
    journal: Journal,
    limits: Limits,
    chaos: C,
    /// Bytes of output that no file system would take.
    lost_bytes: u64,
}

impl<C: Chaos> Pump<C> {
    /// Opens log file and journal, and completes or undoes what a predecessor left half done.
    ///
    /// # Errors
    /// Of the system calls.
    pub(super) fn open(
        streams: Arc<[Stream; 2]>,
        log: &Path,
        journal: &Path,
        limits: Limits,
        chaos: C,
    ) -> io::Result<Self> {
        let mut log = LogFile::open(log)?;
        let (journal, note) = Journal::open(journal)?;
        match note {
            Note::Idle => {}
            Note::Appending { inode, offset } => {
                if let Some(note) = keep_whole(&mut log, Extent { inode, size: offset }, &streams)? {
                    journal.write(note)?;
                    complete(note, &streams)?;
                }
            }
            Note::Draining { .. } => complete(note, &streams)?,
        }
        journal.write(Note::Idle)?;
        Ok(Self { streams, log, journal, limits, chaos, lost_bytes: 0 })
    }

    /// The pipe from the container.
    pub(super) fn source(&self, kind: StreamKind) -> Arc<OwnedFd> {
        Arc::clone(&self.streams[kind as usize].source)
    }

    /// Moves one batch of `kind`. `last`: nobody will write any more, so an unfinished line goes out too.
    ///
    /// # Errors
    /// Of the system calls. The pump stays usable; nothing is lost or doubled by trying again.
    pub(super) fn turn(&mut self, kind: StreamKind, last: bool, scratch: &mut Scratch) -> io::Result<Turn> {
        let stream = &self.streams[kind as usize];
        self.chaos.step()?;
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
        let moved = splice(&stream.source, None, &stream.stage_write, None, BATCH_LEN_MAX_BYTES, flags);
        let (moved, ended) = match moved {
            Ok(0) => (0, true),
            Ok(n) => (n, false),
            Err(Errno::EAGAIN | Errno::EINTR) => (0, false),
            Err(e) => return Err(e.into()),
        };
        let staged = sys::waiting(stream.stage_read.as_fd())?;
        if staged == 0 {
            return Ok(if ended { Turn::Ended } else { Turn::Idle });
        }
        let behind = sys::waiting(stream.source.as_fd())?;
        let seen = scratch.peek(&stream.stage_read)?;
        let over = ended || last && behind == 0;
        let used = format(scratch, seen, kind, if over && seen == staged { Tail::End } else { Tail::Keep });
        // An unfinished line waits in staging, unless that is full of it.
        let full = seen < staged || moved == 0 && behind > 0;
        let used = if used == 0 && full { format(scratch, seen, kind, Tail::Piece) } else { used };
        match (used, behind) {
            (0, 0) => Ok(Turn::Idle),
            (0, _) => Ok(Turn::Moved(0)),
            _ => self.commit(kind, staged, used, scratch).map(|()| Turn::Moved(used)),
        }
    }

    /// Makes the records durable in the sense of a kill: into the file, then out of staging.
    fn commit(
        &mut self,
        kind: StreamKind,
        staged: usize,
        used: usize,
        scratch: &mut Scratch,
    ) -> io::Result<()> {
        let mut extent = self.log.extent()?;
        if extent.size > 0 && extent.size + scratch.records.len() as u64 > self.limits.size_max_bytes {
            self.rotate();
            extent = self.log.extent()?;
        }
        self.chaos.step()?;
        self.journal.write(Note::Appending { inode: extent.inode, offset: extent.size })?;
        self.chaos.step()?;
        let whole = self.chaos.cut(scratch.records.len());
        if let Err(e) = self.log.append(&scratch.records[..whole]) {
            self.append_again(&e, extent, used, scratch)?;
        }
        self.chaos.step()?;
        self.journal.write(Note::Draining { stream: kind, staged: staged as u64, drain: used as u64 })?;
        self.chaos.step()?;
        // Into memory that is there already: a page fault is where a kill could stop the read half-way.
        let whole = self.chaos.cut(used);
        take(&self.streams[kind as usize].stage_read, &mut scratch.bytes[..whole])?;
        self.chaos.step()?;
        self.journal.write(Note::Idle)?;
        if scratch.records.capacity() > RECORDS_KEPT_MAX_BYTES {
            scratch.records = Vec::new();
        }
        Ok(())
    }

    /// The file system refused. Rotated files give way once; then the batch is dropped and counted, for a
    /// full disk must not stop the container.
    fn append_again(
        &mut self,
        why: &io::Error,
        to: Extent,
        used: usize,
        scratch: &Scratch,
    ) -> io::Result<()> {
        self.log.cut_back(to)?;
        if rotation::enforce_total(&self.limits.pods_dir, 0) > 0 && self.log.append(&scratch.records).is_ok()
        {
            return Ok(());
        }
        self.log.cut_back(to)?;
        if self.lost_bytes == 0 {
            tracing::warn!(log = %self.log.path().display(), error = %why, "log output is being dropped; free some space");
        }
        self.lost_bytes += used as u64;
        Ok(())
    }

    /// A file too large is worth less than a line lost: if it cannot be rotated it grows on.
    fn rotate(&mut self) {
        let now_s = clock::now().wall.0 / NS_PER_S;
        if let Err(e) = self.log.rotate(now_s, self.limits.files_max) {
            tracing::warn!(log = %self.log.path().display(), error = %e, "log cannot be rotated");
        }
        rotation::enforce_total(&self.limits.pods_dir, self.limits.total_max_bytes);
    }
}

/// Of an append that did not come to its end the whole records stay, the rest is cut off. Returns what is to be taken out
/// of staging for them.
fn keep_whole(log: &mut LogFile, before: Extent, streams: &[Stream; 2]) -> io::Result<Option<Note>> {
    let written = log.behind(before, RECORDS_MAX_BYTES)?;
    let kept = half::kind(&written).and_then(|kind| {
        let pipe = &streams[kind as usize].stage_read;
        let mut scratch = Scratch::new().ok()?;
        let seen = scratch.peek(pipe).ok()?;
        let (len, drain) = half::whole(&written, &scratch.bytes[..seen], kind)?;
        let staged = sys::waiting(pipe.as_fd()).ok()?;
        Some((len, Note::Draining { stream: kind, staged: staged as u64, drain: drain as u64 }))
    });
    let (len, note) = kept.map_or((0, None), |(len, note)| (len, Some(note)));
    log.cut_back(Extent { size: before.size + len as u64, ..before })?;
    Ok(note)
}

/// Takes out of staging what is still there of what was written.
fn complete(note: Note, streams: &[Stream; 2]) -> io::Result<()> {
    let Note::Draining { stream, staged, drain } = note else { return Ok(()) };
    let pipe = &streams[stream as usize].stage_read;
    let gone = staged.saturating_sub(sys::waiting(pipe.as_fd())? as u64);
    let left = usize::try_from(drain.saturating_sub(gone)).unwrap_or(0);
    take(pipe, &mut vec![0; left.min(BATCH_LEN_MAX_BYTES)])
}

/// Fills `scratch.records`; see [`records`].
fn format(scratch: &mut Scratch, seen: usize, kind: StreamKind, tail: Tail) -> usize {
    let stamp = clock::now().wall.rfc3339_nano();
    scratch.records.clear();
    records(&mut scratch.records, &stamp, kind, &scratch.bytes[..seen], tail)
}
