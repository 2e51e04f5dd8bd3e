//! Opens a source: a layout directory, or an archive as one seekable file with a table of its members. An
//! archive that is compressed as a whole is first unpacked to a nameless file in the store's staging
//! directory, which the kernel frees whatever happens.

use crate::{
    bounded::Bounded,
    build::Compression,
    compress::{self, Decoder},
    digest::Digest,
    error::{Doing as _, Error},
    limits::{ARCHIVE_MAX_BYTES, ARCHIVE_MAX_MEMBERS},
    sys,
    tarstream::{Input, Kind, TarReader, reading},
};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::{ffi::OsStrExt as _, fs::FileExt as _, fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

/// An open source.
#[derive(Debug)]
pub(crate) struct Opened {
    path: PathBuf,
    form: Form,
}

/// Where the blobs of a layout directory come from that are not there yet.
pub(crate) trait Fill: std::fmt::Debug + Send + Sync {
    /// Brings a blob, of at most `max` bytes, verified, to `target`.
    ///
    /// # Errors
    /// Of whoever brings it.
    fn fill(&self, digest: &Digest, part: Part, max: u64, target: &Path) -> Result<(), Error>;
}

/// What a blob is to its image: registries keep the two in different places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A manifest or an index.
    Manifest,
    /// A config, a layer, a signed document.
    Blob,
}

#[derive(Debug)]
enum Form {
    Dir,
    /// A directory that is filled as it is read.
    Filled(Box<dyn Fill>),
    Archive {
        file: Arc<File>,
        members: HashMap<Vec<u8>, Place>,
    },
}

/// Where a member is.
#[derive(Debug, Clone)]
enum Place {
    At {
        offset: u64,
        size: u64,
    },
    /// Docker's archives of old have links between members.
    Link(Vec<u8>),
}

/// A file that is skipped in by seeking.
pub(super) struct Seekable {
    file: File,
    length: u64,
}

impl Read for Seekable {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Input for Seekable {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let target = self.file.stream_position()?.checked_add(bytes);
        match target.filter(|target| *target <= self.length) {
            Some(target) => self.file.seek(SeekFrom::Start(target)).map(|_| ()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Opens a regular file for reading; a pipe or device of that name does not block and is refused.
pub(super) fn open_file(path: &Path) -> Result<File, Error> {
    let doing = || format!("open {}", path.display());
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).doing(doing)?;
    if file.metadata().doing(doing)?.is_file() {
        Ok(file)
    } else {
        Err(Error::unsupported(path.display().to_string(), "it is not a regular file"))
    }
}

/// How the file is compressed as a whole.
pub(super) fn compression(file: &File) -> io::Result<Compression> {
    let mut head = [0; 4];
    let count = file.read_at(&mut head, 0)?;
    Ok(compress::detect(&head[..count]))
}

/// A reader over the members of a plain archive.
pub(super) fn plain(file: File, path: &Path) -> Result<TarReader<Seekable>, Error> {
    let length = file.metadata().doing(|| format!("open {}", path.display()))?.len();
    Ok(TarReader::new(Seekable { file, length }, path.display().to_string(), ARCHIVE_MAX_MEMBERS as u64))
}

impl Opened {
    /// Opens `path`; `staging` is where a compressed archive is unpacked to.
    pub(crate) fn open(path: &Path, staging: &Path) -> Result<Self, Error> {
        let metadata = path.metadata().doing(|| format!("open {}", path.display()))?;
        let form = if metadata.is_dir() { Form::Dir } else { Self::open_archive(path, staging)? };
        Ok(Self { path: path.to_owned(), form })
    }

    /// A layout directory whose blobs come from somewhere else when they are needed.
    pub(crate) fn filled(path: &Path, from: Box<dyn Fill>) -> Self {
        Self { path: path.to_owned(), form: Form::Filled(from) }
    }

    /// Sees to it that the blob is there.
    pub(crate) fn fetch(&self, digest: &Digest, part: Part, max: u64) -> Result<(), Error> {
        let Form::Filled(from) = &self.form else { return Ok(()) };
        let target = self.path.join(blob_path(digest));
        if target.exists() { Ok(()) } else { from.fill(digest, part, max, &target) }
    }

    /// Whether the blob is there, or stands in what is read anyway.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        !matches!(self.form, Form::Filled(_)) || self.path.join(blob_path(digest)).exists()
    }

    fn open_archive(path: &Path, staging: &Path) -> Result<Form, Error> {
        let mut file = open_file(path)?;
        if compression(&file).doing(|| format!("read {}", path.display()))? != Compression::None {
            file = decompressed(file, path, staging)?;
        }
        let mut reader = plain(file.try_clone().doing(|| format!("open {}", path.display()))?, path)?;
        let mut members = HashMap::new();
        while let Some(member) = reader.next_member()? {
            let place = match member.kind {
                Kind::File => Place::At { offset: reader.position(), size: member.size },
                Kind::Symlink => Place::Link(join(&parent(&member.path), &member.link)),
                Kind::Hardlink => Place::Link(clean(&member.link)),
                _ => continue,
            };
            members.insert(clean(&member.path), place);
        }
        Ok(Form::Archive { file: Arc::new(file), members })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The stream of a member, and its length in bytes.
    pub(crate) fn stream(&self, member: &str) -> Result<(Box<dyn Read + Send>, u64), Error> {
        match &self.form {
            Form::Dir | Form::Filled(_) => {
                let file = open_file(&self.path.join(member))?;
                let size = file.metadata().doing(|| format!("open {member}"))?.len();
                Ok((Box::new(file), size))
            }
            Form::Archive { file, members } => {
                let (offset, size) = find(members, member.as_bytes())
                    .ok_or_else(|| Error::corrupt(self.what(member), "a member of the archive", "none"))?;
                Ok((Box::new(Slice { file: Arc::clone(file), offset, end: offset + size }), size))
            }
        }
    }

    /// A whole member of at most `max` bytes; its error names the limit `JSON_MAX_BYTES`.
    pub(crate) fn bytes(&self, member: &str, max: u64) -> Result<Vec<u8>, Error> {
        let (stream, size) = self.stream(member)?;
        if size > max {
            return Err(Error::limit(self.what(member), "JSON_MAX_BYTES", max));
        }
        let mut bytes = Vec::with_capacity(size as usize);
        stream.take(max).read_to_end(&mut bytes).map_err(|error| reading(&self.what(member), error))?;
        Ok(bytes)
    }

    /// A blob of an OCI layout, verified.
    pub(crate) fn blob(&self, digest: &Digest, part: Part, max: u64) -> Result<Vec<u8>, Error> {
        self.fetch(digest, part, max)?;
        let bytes = self.bytes(&blob_path(digest), max)?;
        digest.verify(&self.what(&digest.to_string()), &bytes)?;
        Ok(bytes)
    }

    /// A member's name for messages.
    pub(crate) fn what(&self, member: &str) -> String {
        format!("{} in {}", member, self.path.display())
    }
}

/// Where an OCI layout keeps a blob.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn find(members: &HashMap<Vec<u8>, Place>, name: &[u8]) -> Option<(u64, u64)> {
    const LINKS_MAX_COUNT: usize = 8;
    let mut name = clean(name);
    for _ in 0..LINKS_MAX_COUNT {
        match members.get(&name)? {
            Place::At { offset, size } => return Some((*offset, *size)),
            Place::Link(target) => name = target.clone(),
        }
    }
    None
}

/// Part of a file, read without moving the file's own position, so that several can be read at once.
struct Slice {
    file: Arc<File>,
    offset: u64,
    end: u64,
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let part = buffer.len().min(usize::try_from(self.end - self.offset).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..part], self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

fn decompressed(file: File, path: &Path, staging: &Path) -> Result<File, Error> {
    let what = path.display().to_string();
    let dir = sys::c(staging.as_os_str().as_bytes()).doing(|| format!("open {}", staging.display()))?;
    let target = sys::open_unnamed(&dir).doing(|| format!("unpack {what} in {}", staging.display()))?;
    let mut target = File::from(target);
    let decoder = Decoder::new(file).map_err(|error| reading(&what, error))?;
    let mut input = Bounded::new(decoder, "a compressed archive", "ARCHIVE_MAX_BYTES", ARCHIVE_MAX_BYTES);
    let mut buffer = vec![0; crate::limits::COPY_BUFFER_BYTES];
    loop {
        let count = input.read(&mut buffer).map_err(|error| reading(&what, error))?;
        if count == 0 {
            break;
        }
        io::Write::write_all(&mut target, &buffer[..count]).doing(|| format!("unpack {what}"))?;
    }
    target.seek(SeekFrom::Start(0)).doing(|| format!("unpack {what}"))?;
    Ok(target)
}

/// A member's name without `./`, doubled slashes and `..`.
pub(super) fn clean(name: &[u8]) -> Vec<u8> {
    join(&[], name)
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in dir.split(|b| *b == b'/').chain(name.split(|b| *b == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join(&b'/')
}

fn parent(name: &[u8]) -> Vec<u8> {
    name.iter().rposition(|b| *b == b'/').map(|at| name[..at].to_vec()).unwrap_or_default()
}
