//! The pump's note to its successor, in a file on tmpfs that survives a killed agent: which half of a batch
//! was being done. One small `pwrite` a step; never synced, for it means nothing after a reboot.
//!
//! A batch of one stream goes: bytes into staging · note `Appending` · append to the log file · note
//! `Draining` · take the bytes out of staging · note `Idle`. Bytes in staging under `Idle` are in no file.

use super::format::StreamKind;
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

/// Bytes of the note.
const NOTE_LEN_BYTES: usize = 40;
/// First bytes of the note, with its version.
const MAGIC: u64 = u64::from_le_bytes(*b"berlog\0\x01");

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Note {
    /// Nothing is half done.
    Idle,
    /// The file with this inode is being written from `offset` on; nothing is out of staging yet. Whole
    /// records stay, and what they hold leaves staging; the rest is cut off.
    Appending {
        /// Of the log file.
        inode: u64,
        /// Its size before, bytes.
        offset: u64,
    },
    /// All is written; of the `staged` bytes of this stream's staging the first `drain` must go. To be
    /// completed.
    Draining {
        /// Whose staging.
        stream: StreamKind,
        /// Bytes that were in it.
        staged: u64,
        /// Bytes that must leave it.
        drain: u64,
    },
}

impl Note {
    fn encode(self) -> [u8; NOTE_LEN_BYTES] {
        let (tag, a, b) = match self {
            Self::Idle => (0, 0, 0),
            Self::Appending { inode, offset } => (1, inode, offset),
            Self::Draining { stream, staged, drain } => (2 + stream as u64, staged, drain),
        };
        let sum = MAGIC ^ tag ^ a.rotate_left(17) ^ b.rotate_left(31);
        let mut bytes = [0; NOTE_LEN_BYTES];
        for (slot, word) in bytes.chunks_exact_mut(8).zip([MAGIC, tag, a, b, sum]) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// None for bytes that no pump wrote.
    fn decode(bytes: &[u8; NOTE_LEN_BYTES]) -> Option<Self> {
        let mut words = [0_u64; NOTE_LEN_BYTES / 8];
        for (word, slot) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(slot.try_into().ok()?);
        }
        let [_, tag, a, b, _] = words;
        let note = match tag {
            0 => Self::Idle,
            1 => Self::Appending { inode: a, offset: b },
            2 => Self::Draining { stream: StreamKind::Stdout, staged: a, drain: b },
            3 => Self::Draining { stream: StreamKind::Stderr, staged: a, drain: b },
            _ => return None,
        };
        (note.encode() == *bytes).then_some(note)
    }
}

/// The note's file.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
}

impl Journal {
    /// Opens the file, made if there is none, and reads what a predecessor left.
    ///
    /// # Errors
    /// Of the system calls. An unreadable note is taken for `Idle`: nothing better can be known.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Note)> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mut bytes = [0; NOTE_LEN_BYTES];
        let note = file.read_exact_at(&mut bytes, 0).ok().and_then(|()| Note::decode(&bytes));
        let journal = Self { file };
        if note.is_none() {
            journal.write(Note::Idle)?;
        }
        Ok((journal, note.unwrap_or(Note::Idle)))
    }

    /// Replaces the note.
    ///
    /// # Errors
    /// Of `pwrite`; the page was taken by `open`, so a full tmpfs is none.
    pub(super) fn write(&self, note: Note) -> io::Result<()> {
        self.file.write_all_at(&note.encode(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_and_rubbish_is_idle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for note in [
            Note::Idle,
            Note::Appending { inode: 7, offset: u64::MAX },
            Note::Draining { stream: StreamKind::Stdout, staged: 9, drain: 3 },
            Note::Draining { stream: StreamKind::Stderr, staged: 9, drain: 3 },
        ] {
            Journal::open(&path).unwrap().0.write(note).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1, note);
        }
        std::fs::write(&path, [7; NOTE_LEN_BYTES]).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, Note::Idle);
    }
}
