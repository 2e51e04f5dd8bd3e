//! Reads a tar stream entry by entry, in bounded memory, trusting nothing: field layout from the `tar`
//! crate, everything else checked here. Extended headers are held to a limit before they are read. It
//! interprets; it does not touch a file system.

mod header;
mod pax;
mod sparse;

use crate::{
    error::Error,
    limits::{PATH_MAX_BYTES, TAR_EXTENSION_MAX_BYTES},
    sys::Time,
};
use pax::Pax;
pub(crate) use sparse::Segment;
use std::io::{self, Read};

const BLOCK_BYTES: usize = 512;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Dir,
    Symlink,
    Hardlink,
    Char,
    Block,
    Fifo,
}

/// One entry, its extended headers applied.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) kind: Kind,
    /// Permission bits only.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Time,
    /// Bytes of content, holes of a sparse file included.
    pub(crate) size: u64,
    pub(crate) device: (u32, u32),
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// For a sparse file, where its stored bytes belong.
    pub(crate) sparse: Option<Vec<Segment>>,
}

impl Member {
    /// For messages.
    pub(crate) fn shown(&self) -> String {
        shown(&self.path)
    }
}

/// A path out of an archive, fit for a message.
pub(crate) fn shown(path: &[u8]) -> String {
    const SHOWN_MAX_BYTES: usize = 200;
    path[..path.len().min(SHOWN_MAX_BYTES)].escape_ascii().to_string()
}

/// A stream that may know a faster way past bytes than reading them.
pub(crate) trait Input: Read {
    /// Passes over `bytes`; `UnexpectedEof` if there are fewer.
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        skip_by_reading(self, bytes)
    }
}

/// Reads and drops `bytes`.
pub(crate) fn skip_by_reading<R: Read + ?Sized>(mut input: &mut R, bytes: u64) -> io::Result<()> {
    match io::copy(&mut (&mut input).take(bytes), &mut io::sink())? {
        read if read == bytes => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The reader.
pub(crate) struct TarReader<R> {
    input: R,
    what: String,
    /// Unread content of the current entry.
    content: u64,
    /// Its padding to a full block.
    padding: u64,
    /// Bytes read so far: where the next read begins.
    position: u64,
    members: u64,
    max_members: u64,
}

impl<R: Input> TarReader<R> {
    /// `what` names the stream in errors; a stream of more than `max_members` entries is refused.
    pub(crate) fn new(input: R, what: impl Into<String>, max_members: u64) -> Self {
        Self { input, what: what.into(), content: 0, padding: 0, position: 0, members: 0, max_members }
    }

    /// Offset in the stream of the current entry's unread content.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next entry, past whatever was not read of the last one; None at the end of the archive.
    pub(crate) fn next_member(&mut self) -> Result<Option<Member>, Error> {
        let mut pax = Pax::default();
        loop {
            self.skip_rest()?;
            let Some(block) = self.block()? else { return Ok(None) };
            self.members += 1;
            if self.members > self.max_members {
                return Err(Error::limit(self.what.clone(), "layer_max_entries", self.max_members));
            }
            let raw = header::parse(&block).map_err(|why| self.damaged("a tar header", &why))?;
            match raw.flag {
                b'x' | b'X' => pax
                    .read_records(&self.extension(raw.size)?)
                    .map_err(|why| self.damaged("PAX records", &why))?,
                b'L' => pax.path = Some(until_nul(self.extension(raw.size)?)),
                b'K' => pax.link = Some(until_nul(self.extension(raw.size)?)),
                // Global records, and a volume's label, say nothing about an image's content.
                b'g' | b'V' => self.set_content(raw.size)?,
                _ => return self.member(raw, pax).map(Some),
            }
        }
    }

    fn member(&mut self, raw: header::Raw, pax: Pax) -> Result<Member, Error> {
        let gnu_sparse = raw.flag == b'S';
        let mut member = raw.member(&pax).map_err(|why| self.damaged("an entry", &why))?;
        if member.path.len() > PATH_MAX_BYTES || member.link.len() > PATH_MAX_BYTES {
            let what = format!("{}: path {}", self.what, member.shown());
            return Err(Error::limit(what, "PATH_MAX_BYTES", PATH_MAX_BYTES as u64));
        }
        // Links, directories and devices may state a size, but nothing of theirs is stored; some archives
        // do repeat a file's content behind a hard link.
        let stored = if matches!(member.kind, Kind::File | Kind::Hardlink) { member.size } else { 0 };
        if gnu_sparse {
            sparse::old_gnu(self, &raw, &mut member)?;
        }
        self.set_content(stored)?;
        if let (false, Some(records)) = (gnu_sparse, pax.sparse.as_ref()) {
            sparse::pax(self, records, &mut member)?;
        }
        if member.kind != Kind::File {
            member.size = 0;
        }
        Ok(member)
    }

    fn set_content(&mut self, bytes: u64) -> Result<(), Error> {
        self.content = bytes;
        let past = bytes % BLOCK_BYTES as u64;
        self.padding = if past == 0 { 0 } else { BLOCK_BYTES as u64 - past };
        if bytes > i64::MAX as u64 {
            return Err(self.damaged("an entry", "its size is negative or absurd"));
        }
        Ok(())
    }

    /// The content of an extended header.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, Error> {
        if size > TAR_EXTENSION_MAX_BYTES {
            let what = format!("{}: an extended header", self.what);
            return Err(Error::limit(what, "TAR_EXTENSION_MAX_BYTES", TAR_EXTENSION_MAX_BYTES));
        }
        self.set_content(size)?;
        let mut bytes = vec![0; size as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.read(&mut bytes[filled..]) {
                Ok(count) => filled += count,
                Err(error) => return Err(self.broken(error)),
            }
        }
        Ok(bytes)
    }

    /// The next header block; None at the end mark or at the end of the stream.
    fn block(&mut self) -> Result<Option<[u8; BLOCK_BYTES]>, Error> {
        let mut block = [0; BLOCK_BYTES];
        let mut filled = 0;
        while filled < BLOCK_BYTES {
            match self.input.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(error)),
            }
        }
        self.position += BLOCK_BYTES as u64;
        // One block of zeros ends an archive; there should be two, but nobody insists.
        Ok(block.iter().any(|b| *b != 0).then_some(block))
    }

    fn skip_rest(&mut self) -> Result<(), Error> {
        let rest = self.content + self.padding;
        if rest > 0 {
            self.input.skip(rest).map_err(|error| self.broken(error))?;
        }
        self.position += rest;
        (self.content, self.padding) = (0, 0);
        Ok(())
    }

    fn damaged(&self, part: &str, why: &str) -> Error {
        Error::corrupt(format!("{}, at byte {}", self.what, self.position), part, why)
    }

    fn broken(&self, error: io::Error) -> Error {
        reading(&self.what, error)
    }
}

/// Reads the content of the current entry.
impl<R: Input> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.content).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.input.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content -= count as u64;
        self.position += count as u64;
        Ok(count)
    }
}

/// An error met while reading `what`: the content's fault, unless the operating system reports it.
pub(crate) fn reading(what: &str, error: io::Error) -> Error {
    let got = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
        _ => error.to_string(),
    };
    match (error.raw_os_error(), Error::io(format!("read {what}"), error)) {
        (None, Error::Io { .. }) => Error::corrupt(what, "a whole and readable stream", got),
        (_, other) => other,
    }
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|b| *b == 0) {
        bytes.truncate(end);
    }
    bytes
}

#[cfg(test)]
mod tests;
