//! Makes the files of a layer. Each is made new under its name, after whatever had that name was removed, so
//! that nothing is ever written through something already there.

use super::{Unpacker, place, refuse, split};
use crate::{
    error::{Doing as _, Error},
    sys::{self, FileType},
    tarstream::{Input, Kind, Member, TarReader, reading, shown},
};
use flate2::Crc;
use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::fd::OwnedFd,
    rc::Rc,
};

/// What was under a name before a directory of that name came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    /// The layer itself had removed what is below.
    Whiteout,
    /// A directory of the layer itself: it stays.
    Dir,
}

impl Unpacker<'_> {
    /// Makes room for an entry: a later entry of a layer replaces an earlier one.
    pub(super) fn clear(&mut self, parent: &OwnedFd, name: &[u8], for_dir: bool) -> io::Result<Before> {
        let Some(stat) = sys::stat(parent, name)? else { return Ok(Before::Nothing) };
        if stat.file_type() == FileType::Dir {
            if for_dir {
                return Ok(Before::Dir);
            }
            // Open directories below it are no longer in the tree.
            self.parent = None;
            remove_tree(parent, name)?;
            return Ok(Before::Nothing);
        }
        sys::unlink(parent, name)?;
        Ok(if stat.is_whiteout() { Before::Whiteout } else { Before::Nothing })
    }

    pub(super) fn dir(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        member: &Member,
        before: Before,
        path: Vec<u8>,
    ) -> Result<(), Error> {
        let make = || -> io::Result<()> {
            if before != Before::Dir {
                sys::mkdir(parent, name, 0o700)?;
            }
            let dir = sys::open_dir(parent, name)?;
            self.apply_dir_meta(&dir, member)?;
            if before == Before::Whiteout { self.set_opaque(&dir) } else { Ok(()) }
        };
        make().doing(|| format!("unpack {}", member.shown()))?;
        self.remember_time(path, member.mtime)
    }

    pub(super) fn file<R: Input>(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        member: &Member,
        tar: &mut TarReader<R>,
    ) -> Result<(), Error> {
        self.count(member, member.size)?;
        let here = || format!("unpack {}", member.shown());
        let mut file = self.create(parent, name, member).doing(here)?;
        let mut sum = Crc::new();
        let sum = match &member.sparse {
            None => {
                self.copy(member.size, &mut file, &mut sum, member, tar)?;
                Some(sum.sum())
            }
            Some(map) => {
                for segment in map {
                    file.seek(SeekFrom::Start(segment.offset)).doing(here)?;
                    self.copy(segment.length, &mut file, &mut sum, member, tar)?;
                }
                file.set_len(member.size).doing(here)?;
                // The holes are not in it.
                None
            }
        };
        let made = sys::fstat(&file).doing(here)?;
        self.sums.note(made.inode, sum);
        self.apply_new(&file, &made, member).doing(here)?;
        self.apply_xattrs(parent, name, member).doing(here)?;
        sys::set_mtime_fd(&file, member.mtime).doing(here)
    }

    /// Mostly nothing has the name yet.
    fn create(&mut self, parent: &OwnedFd, name: &[u8], member: &Member) -> io::Result<File> {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        let make = || sys::open_beneath(parent, name, flags, member.mode & 0o777).map(File::from);
        match make() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.clear(parent, name, false)?;
                make()
            }
            made => made,
        }
    }

    fn copy<R: Input>(
        &mut self,
        mut bytes: u64,
        file: &mut File,
        sum: &mut Crc,
        member: &Member,
        tar: &mut TarReader<R>,
    ) -> Result<(), Error> {
        while bytes > 0 {
            let part = self.buffer.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            let count = match tar.read(&mut self.buffer[..part]) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                other => other,
            };
            let count = count.map_err(|error| reading(&format!("layer entry {}", member.shown()), error))?;
            sum.update(&self.buffer[..count]);
            file.write_all(&self.buffer[..count]).doing(|| format!("unpack {}", member.shown()))?;
            bytes -= count as u64;
        }
        Ok(())
    }

    /// Links, devices and pipes.
    pub(super) fn special(&mut self, parent: &OwnedFd, name: &[u8], member: &Member) -> io::Result<()> {
        let (major, minor) = member.device;
        let kind = match member.kind {
            Kind::Symlink if member.link.is_empty() => {
                return Err(refuse(member, "it is a symbolic link to nothing").into_io());
            }
            Kind::Symlink => {
                sys::symlink(&member.link, parent, name)?;
                0
            }
            Kind::Char => libc::S_IFCHR,
            Kind::Block => libc::S_IFBLK,
            _ => libc::S_IFIFO,
        };
        if kind != 0 {
            if !self.root_rights && kind != libc::S_IFIFO {
                return Ok(());
            }
            sys::mknod(parent, name, kind | 0o600, major, minor)?;
        }
        if self.root_rights {
            sys::chown(parent, name, member.uid, member.gid)?;
        }
        if kind != 0 {
            sys::chmod(parent, name, member.mode)?;
        }
        self.apply_xattrs(parent, name, member)?;
        sys::set_mtime(parent, name, member.mtime)
    }

    /// A second name for a file of this layer, or of one below: then the file is first copied up, as
    /// overlayfs itself would.
    pub(super) fn hardlink(
        &mut self,
        parent: &Rc<OwnedFd>,
        name: &[u8],
        member: &Member,
    ) -> Result<(), Error> {
        let target = split(&member.link).map_err(|why| refuse(member, why))?;
        let Some((target_name, dirs)) = target.split_last() else {
            return Err(refuse(member, "it is a hard link to the root of the image"));
        };
        let here = || format!("link {} to {}", member.shown(), shown(&member.link));
        let level = self.level(dirs)?;
        let own = sys::stat(&level.own, target_name).doing(here)?;
        match own {
            Some(stat) if stat.file_type() == FileType::Dir => {
                return Err(refuse(member, "it is a hard link to a directory"));
            }
            Some(stat) if !stat.is_whiteout() => {}
            Some(_) => return Err(refuse(member, "it is a hard link to a file that the layer removes")),
            None => self.copy_up(&level, target_name, member)?,
        }
        if same_file(&level.own, target_name, parent, name).doing(here)? {
            return Ok(());
        }
        self.clear(parent, name, false).doing(here)?;
        sys::link(&level.own, target_name, parent, name).doing(here)
    }

    fn copy_up(&mut self, level: &place::Level, name: &[u8], member: &Member) -> Result<(), Error> {
        let here = || format!("copy {} from the layer below", shown(&member.link));
        let from = place::find_below(level, name).doing(here)?;
        let Some(from) = from else {
            return Err(refuse(member, "it is a hard link to a file that the image does not have"));
        };
        let Some(stat) = sys::stat(&from, name).doing(here)? else {
            return Err(Error::io(here(), io::ErrorKind::NotFound.into()));
        };
        let mut copy = || -> io::Result<()> {
            match stat.file_type() {
                FileType::Regular => {
                    let mut source = File::from(sys::open_beneath(&from, name, libc::O_RDONLY, 0)?);
                    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
                    let mut target = File::from(sys::open_beneath(&level.own, name, flags, 0o600)?);
                    io::copy(&mut source, &mut target)?;
                    self.sums.note(sys::fstat(&target)?.inode, None);
                }
                FileType::Symlink => sys::symlink(&sys::readlink(&from, name)?, &level.own, name)?,
                _ => {
                    let (major, minor) = (libc::major(stat.rdev), libc::minor(stat.rdev));
                    sys::mknod(&level.own, name, stat.mode & libc::S_IFMT | 0o600, major, minor)?;
                }
            }
            self.copy_meta(&stat, &from, name, &level.own, name)
        };
        copy().doing(here)?;
        self.count(member, if stat.file_type() == FileType::Regular { stat.size } else { 0 })
    }
}

/// Whether both names are one file already; a link onto itself must not remove it first.
fn same_file(a: &OwnedFd, a_name: &[u8], b: &OwnedFd, b_name: &[u8]) -> io::Result<bool> {
    if a_name != b_name {
        return Ok(false);
    }
    let inode = |fd: &OwnedFd| File::from(fd.try_clone()?).metadata();
    let (a, b) = (inode(a)?, inode(b)?);
    use std::os::unix::fs::MetadataExt as _;
    Ok((a.dev(), a.ino()) == (b.dev(), b.ino()))
}

/// Removes a directory and all in it. std's way does not follow links either.
fn remove_tree(parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};
    std::fs::remove_dir_all(Path::new(&sys::proc_path(parent)).join(OsStr::from_bytes(name)))
}
