//! Owner, mode, times and extended attributes of what was unpacked. Attributes that steer overlayfs are
//! never taken from an archive; labels of the machine that made it neither.

use super::Unpacker;
use crate::{
    sys::{self, Stat, Time},
    tarstream::Member,
};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
};

/// Attributes that an archive cannot set: they would make overlayfs show other files than the image's, or
/// carry another machine's security labels.
const IGNORED: [&[u8]; 4] = [b"trusted.overlay.", b"user.overlay.", b"security.selinux", b"security.ima"];

impl Unpacker<'_> {
    /// Metadata of an open file or directory. The owner first: changing it drops setuid and capabilities.
    pub(super) fn apply_fd(&self, fd: impl AsFd, member: &Member, mode: u32) -> io::Result<()> {
        if self.root_rights {
            sys::chown(&fd, b"", member.uid, member.gid)?;
        }
        sys::fchmod(&fd, mode)
    }

    /// The same for a file that was just made, as far as it is not so already. It has neither setuid nor capabilities
    /// yet that a change of the owner could drop.
    pub(super) fn apply_new(&self, file: impl AsFd, made: &Stat, member: &Member) -> io::Result<()> {
        if self.root_rights && (made.uid, made.gid) != (member.uid, member.gid) {
            sys::chown(&file, b"", member.uid, member.gid)?;
        }
        if made.mode & 0o7777 == member.mode { Ok(()) } else { sys::fchmod(file, member.mode) }
    }

    pub(super) fn apply_dir_meta(&self, dir: &OwnedFd, member: &Member) -> io::Result<()> {
        self.apply_fd(dir, member, member.mode)?;
        self.apply_xattrs(dir, b".", member)
    }

    /// Extended attributes of the file `name` in `dir`.
    pub(super) fn apply_xattrs(&self, dir: impl AsFd, name: &[u8], member: &Member) -> io::Result<()> {
        for (key, value) in &member.xattrs {
            if !IGNORED.iter().any(|prefix| key.starts_with(prefix)) {
                self.set_xattr(&dir, name, key, value)?;
            }
        }
        Ok(())
    }

    fn set_xattr(&self, dir: impl AsFd, name: &[u8], key: &[u8], value: &[u8]) -> io::Result<()> {
        match sys::set_xattr(dir, name, key, value) {
            Ok(()) => Ok(()),
            Err(_) if !self.root_rights => Ok(()),
            // A user attribute on a link, or a name space that this file system has not: nothing that a
            // program relies on. A capability is.
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::ENOTSUP | libc::EPERM | libc::EINVAL))
                    && key != b"security.capability" =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Makes `to` look like `from`, a directory of a layer below; returns the time to set in the end.
    pub(super) fn copy_dir_meta(&self, from: &Rc<OwnedFd>, to: &OwnedFd) -> io::Result<Time> {
        let stat = sys::fstat(from)?;
        if self.root_rights {
            sys::chown(to, b"", stat.uid, stat.gid)?;
        }
        sys::fchmod(to, stat.mode & 0o7777)?;
        self.copy_xattrs(from, b".", to, b".")?;
        Ok(stat.mtime)
    }

    /// Metadata of a copied file, by name.
    pub(super) fn copy_meta(
        &self,
        stat: &Stat,
        from: &OwnedFd,
        from_name: &[u8],
        to: &OwnedFd,
        name: &[u8],
    ) -> io::Result<()> {
        if self.root_rights {
            sys::chown(to, name, stat.uid, stat.gid)?;
        }
        if stat.file_type() != sys::FileType::Symlink {
            sys::chmod(to, name, stat.mode & 0o7777)?;
        }
        self.copy_xattrs(from, from_name, to, name)?;
        sys::set_mtime(to, name, stat.mtime)
    }

    fn copy_xattrs(&self, from: &OwnedFd, from_name: &[u8], to: &OwnedFd, name: &[u8]) -> io::Result<()> {
        for key in sys::list_xattrs(from, from_name)? {
            if IGNORED.iter().any(|prefix| key.starts_with(prefix)) {
                continue;
            }
            if let Some(value) = sys::get_xattr(from, from_name, &key)? {
                self.set_xattr(to, name, &key, &value)?;
            }
        }
        Ok(())
    }
}
