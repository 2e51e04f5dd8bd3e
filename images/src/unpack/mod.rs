//! Unpacks one layer into a directory of its own, in the form in which overlayfs wants a lower directory:
//! only what the layer changes, removals as whiteouts. Every file is made by name in a directory that was
//! reached without following a link (`openat2`), so that no archive can write anywhere else. Memory: one
//! copy buffer, one open directory per level of the current path, the table of directories
//! (`DIR_TIMES_MAX_BYTES`) and that of checksums (`CHECKSUMS_MAX_COUNT`).

mod meta;
mod place;
mod sums;
mod write;

use crate::{
    error::{Doing as _, Error},
    limits::{COMPONENT_MAX_BYTES, COPY_BUFFER_BYTES, DIR_TIMES_MAX_BYTES, Limits, PATH_MAX_COMPONENTS},
    sys::{self, Time},
    tarstream::{Input, Kind, Member, TarReader, shown},
};
use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    rc::Rc,
};

pub(crate) use sums::Sums;

/// What a layer came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    /// Entries of the stream.
    pub(crate) entries: u64,
    /// Bytes of file content.
    pub(crate) bytes: u64,
}

/// The prefix that marks a removal.
const WHITEOUT: &[u8] = b".wh.";
/// What follows it in the names that are marks about the directory itself.
const WHITEOUT_META: &[u8] = b".wh.";
/// The mark that hides all that layers below have in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// The same in overlayfs' terms.
const OPAQUE_XATTR: &[u8] = b"trusted.overlay.opaque";

/// Unpacks layers' entries into one directory.
pub(crate) struct Unpacker<'a> {
    /// The layer's own directory.
    root: Rc<OwnedFd>,
    /// The directories of the layers below, top first.
    lowers: &'a [Rc<OwnedFd>],
    limits: &'a Limits,
    /// Without root's rights, owners, devices and trusted attributes are left out: for tests only.
    root_rights: bool,
    stats: Stats,
    dir_times: Vec<(Vec<u8>, Time)>,
    dir_times_bytes: usize,
    /// The last parent directory: entries come sorted by directory, mostly.
    parent: Option<(Vec<u8>, Rc<OwnedFd>)>,
    buffer: Vec<u8>,
    sums: Sums,
}

impl<'a> Unpacker<'a> {
    pub(crate) fn new(root: OwnedFd, lowers: &'a [Rc<OwnedFd>], limits: &'a Limits) -> Self {
        Self {
            root: Rc::new(root),
            lowers,
            limits,
            root_rights: sys::is_root(),
            stats: Stats::default(),
            dir_times: Vec::new(),
            dir_times_bytes: 0,
            parent: None,
            buffer: vec![0; COPY_BUFFER_BYTES],
            sums: Sums::default(),
        }
    }

    /// Unpacks the whole stream.
    pub(crate) fn run<R: Input>(mut self, tar: &mut TarReader<R>) -> Result<(Stats, Sums), Error> {
        self.copy_root_meta()?;
        while let Some(member) = tar.next_member()? {
            self.stats.entries += 1;
            self.entry(&member, tar)?;
        }
        self.set_dir_times()?;
        Ok((self.stats, self.sums))
    }

    /// The image's root directory looks as the layer below has it, until this layer says otherwise.
    fn copy_root_meta(&mut self) -> Result<(), Error> {
        let failed = || "prepare the root directory of a layer".to_owned();
        sys::fchmod(&self.root, 0o755).doing(failed)?;
        if let Some(below) = self.lowers.first() {
            let time = self.copy_dir_meta(below, &self.root).doing(failed)?;
            self.remember_time(Vec::new(), time)?;
        }
        Ok(())
    }

    fn entry<R: Input>(&mut self, member: &Member, tar: &mut TarReader<R>) -> Result<(), Error> {
        let path = split(&member.path).map_err(|why| refuse(member, why))?;
        let Some((name, dirs)) = path.split_last() else {
            return self.root_entry(member);
        };
        let here = || format!("unpack {}", member.shown());
        let parent = self.parent(dirs)?;
        if name.starts_with(WHITEOUT) {
            return self.whiteout(&parent, name, member).doing(here);
        }
        if member.kind == Kind::Char && member.device == (0, 0) {
            // The device number that means a removal to overlayfs: the stream of an unpacked overlay.
            return self.remove_below(&parent, name).doing(here);
        }
        if member.kind == Kind::Hardlink {
            return self.hardlink(&parent, name, member);
        }
        if member.kind == Kind::File {
            return self.file(&parent, name, member, tar);
        }
        let stays = self.clear(&parent, name, member.kind == Kind::Dir).doing(here)?;
        match member.kind {
            Kind::Dir => {
                let full = path.join(&b'/');
                self.dir(&parent, name, member, stays, full)
            }
            _ => self.special(&parent, name, member).doing(here),
        }
    }

    /// The entry of the image's root: only its metadata is news.
    fn root_entry(&mut self, member: &Member) -> Result<(), Error> {
        if member.kind != Kind::Dir {
            return Err(refuse(member, "it names the root of the image and is no directory"));
        }
        let root = Rc::clone(&self.root);
        self.apply_dir_meta(&root, member).doing(|| "set the root directory's metadata".into())?;
        self.remember_time(Vec::new(), member.mtime)
    }

    fn whiteout(&mut self, parent: &Rc<OwnedFd>, name: &[u8], member: &Member) -> io::Result<()> {
        if name == OPAQUE {
            return self.set_opaque(parent.as_fd());
        }
        match &name[WHITEOUT.len()..] {
            b"" | b"." | b".." => Err(refuse(member, "it is a whiteout of nothing").into_io()),
            // Book-keeping of a union file system of old.
            meta if meta.starts_with(WHITEOUT_META) => Ok(()),
            hidden => self.remove_below(parent, hidden),
        }
    }

    /// Removes what the layers below have under this name. What this layer itself brings stays.
    fn remove_below(&mut self, parent: &Rc<OwnedFd>, name: &[u8]) -> io::Result<()> {
        match sys::stat(parent, name)? {
            Some(own) if own.file_type() == sys::FileType::Dir => {
                self.set_opaque(sys::open_dir(parent, name)?.as_fd())
            }
            Some(_) => Ok(()),
            // With nothing below there is nothing to hide.
            None if self.lowers.is_empty() => Ok(()),
            None => sys::mknod(parent, name, libc::S_IFCHR, 0, 0),
        }
    }

    fn set_opaque(&self, dir: impl std::os::fd::AsFd) -> io::Result<()> {
        if self.lowers.is_empty() || !self.root_rights {
            return Ok(());
        }
        sys::set_xattr(dir, b".", OPAQUE_XATTR, b"y")
    }

    fn remember_time(&mut self, path: Vec<u8>, time: Time) -> Result<(), Error> {
        self.dir_times_bytes += path.len() + size_of::<(Vec<u8>, Time)>();
        if self.dir_times_bytes > DIR_TIMES_MAX_BYTES {
            let what = "a layer's directories";
            return Err(Error::limit(what, "DIR_TIMES_MAX_BYTES", DIR_TIMES_MAX_BYTES as u64));
        }
        self.dir_times.push((path, time));
        Ok(())
    }

    /// Directories' times are set when nothing is put into them any more.
    fn set_dir_times(&mut self) -> Result<(), Error> {
        self.parent = None;
        for (path, time) in &self.dir_times {
            let path: &[u8] = if path.is_empty() { b"." } else { path };
            match sys::open_dir(&self.root, path) {
                Ok(dir) => {
                    sys::set_mtime_fd(dir, *time).doing(|| format!("set the time of {}", shown(path)))?
                }
                // A later entry of the layer put something else in its place.
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(Error::io(format!("set the time of {}", shown(path)), error)),
            }
        }
        Ok(())
    }

    /// Counts content against the layer's bound, before it is written.
    fn count(&mut self, member: &Member, bytes: u64) -> Result<(), Error> {
        self.stats.bytes = self.stats.bytes.saturating_add(bytes);
        if self.stats.bytes > self.limits.layer_max_bytes {
            return Err(Error::limit(member.shown(), "layer_max_bytes", self.limits.layer_max_bytes));
        }
        Ok(())
    }
}

/// No such directory any more, or not without following a link.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP))
}

fn refuse(member: &Member, why: &str) -> Error {
    Error::corrupt(format!("layer entry {}", member.shown()), "an entry inside the image", why)
}

/// The components of a path of the image. A leading slash means the image's root, as docker has it; `..`
/// is refused.
fn split(path: &[u8]) -> Result<Vec<&[u8]>, &'static str> {
    let mut parts = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err("it has .. in its path"),
            _ if part.len() > COMPONENT_MAX_BYTES => {
                return Err("a part of its path is longer than 255 bytes");
            }
            _ => parts.push(part),
        }
    }
    if parts.len() > PATH_MAX_COMPONENTS {
        return Err("its path is deeper than PATH_MAX_COMPONENTS = 256");
    }
    Ok(parts)
}

#[cfg(test)]
mod tests;
