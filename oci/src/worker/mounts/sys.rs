//! The system calls by which a mount is made without a place, and put into one.

use nix::errno::Errno;
use std::{
    ffi::{CStr, CString},
    mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::Path,
    ptr,
};

/// `MOUNT_ATTR_*`.
pub(super) const RDONLY: u64 = 0x01;
pub(super) const NOSUID: u64 = 0x02;
pub(super) const NODEV: u64 = 0x04;
pub(super) const NOEXEC: u64 = 0x08;
pub(super) const STRICTATIME: u64 = 0x20;
const IDMAP: u64 = 0x0010_0000;

/// `MS_*` of mount.h, as wide as `mount_attr` has them.
const MS_PRIVATE: u64 = 1 << 18;
const MS_SLAVE: u64 = 1 << 19;
/// For a parameter that is a file, which none of these is.
const AUX: libc::c_long = 0;
const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;
const SET_FLAG: libc::c_uint = 0;
const SET_STRING: libc::c_uint = 1;
const CREATE: libc::c_uint = 6;
const MOVE_FROM_EMPTY: libc::c_uint = 0x04;
const MOVE_TO_EMPTY: libc::c_uint = 0x40;

/// Attributes of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Attributes(pub(super) u64);

/// How a mount stands to the one that it is a copy of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Propagation {
    /// Later mounts do not pass.
    #[default]
    Private,
    /// They come from there.
    Slave,
    /// They pass both ways.
    Shared,
}

/// `struct mount_attr`.
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`…; 0 leaves it.
    propagation: u64,
    userns: u64,
}

/// A mount of a new file system, nowhere yet. `data`: `key=value` or a flag each.
pub(super) fn make(kind: &str, data: &[&str], attributes: Attributes) -> Result<OwnedFd, Errno> {
    let text = |text: &str| CString::new(text).map_err(|_| Errno::EINVAL);
    let kind = text(kind)?;
    // SAFETY: the string ends in 0 and lives over the call.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) })?;
    configure(&context, SET_STRING, Some(c"source"), Some(&kind))?;
    for option in data {
        match option.split_once('=') {
            Some((key, value)) => configure(&context, SET_STRING, Some(&text(key)?), Some(&text(value)?))?,
            None => configure(&context, SET_FLAG, Some(&text(option)?), None)?,
        }
    }
    configure(&context, CREATE, None, None)?;
    // SAFETY: numbers only.
    owned(unsafe {
        libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, attributes.0 as libc::c_uint)
    })
}

fn configure(
    context: &OwnedFd,
    command: libc::c_uint,
    key: Option<&CStr>,
    value: Option<&CStr>,
) -> Result<(), Errno> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: both are null or strings that end in 0 and live over the call.
    let done = unsafe {
        libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, pointer(key), pointer(value), AUX)
    };
    Errno::result(done).map(drop)
}

/// A copy of the mount at `source` with all below it, nowhere yet.
pub(super) fn clone_tree(source: &Path) -> Result<OwnedFd, Errno> {
    let path = CString::new(source.as_os_str().as_encoded_bytes()).map_err(|_| Errno::EINVAL)?;
    let flags = libc::OPEN_TREE_CLOEXEC | libc::OPEN_TREE_CLONE | libc::AT_RECURSIVE as libc::c_uint;
    // SAFETY: the path ends in 0 and lives over the call.
    owned(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// Sets attributes of the topmost mount only, as a bind mount's options do, or of all below it.
pub(super) fn set_attributes(mount: &OwnedFd, attributes: Attributes, recursive: bool) -> Result<(), Errno> {
    if attributes == Attributes::default() {
        return Ok(());
    }
    set(mount, &MountAttr { set: attributes.0, ..MountAttr::default() }, recursive)
}

/// Sets how a tree of mounts stands to those that it is a copy of.
pub(super) fn set_propagation(mount: &OwnedFd, propagation: Propagation) -> Result<(), Errno> {
    let kind = match propagation {
        Propagation::Private => MS_PRIVATE,
        Propagation::Slave => MS_SLAVE,
        // As it was copied: a peer.
        Propagation::Shared => return Ok(()),
    };
    set(mount, &MountAttr { propagation: kind, ..MountAttr::default() }, true)
}

/// Maps the owners of what is mounted to those of a user namespace: of the topmost mount only.
pub(super) fn map_owners(mount: &OwnedFd, users: &OwnedFd) -> Result<(), Errno> {
    let userns = u64::try_from(users.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    set(mount, &MountAttr { set: IDMAP, userns, ..MountAttr::default() }, false)
}

fn set(mount: &OwnedFd, attr: &MountAttr, recursive: bool) -> Result<(), Errno> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: `attr` lives over the call and says its own size; the empty path ends in 0.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attr),
            mem::size_of::<MountAttr>(),
        )
    };
    Errno::result(done).map(drop)
}

/// Puts a mount onto what `target` refers to.
pub(super) fn attach(mount: &OwnedFd, target: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: the empty paths end in 0.
    let done = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            MOVE_FROM_EMPTY | MOVE_TO_EMPTY,
        )
    };
    Errno::result(done).map(drop)
}

/// Whether a directory is mounted, and not a file.
pub(super) fn is_directory(mount: &OwnedFd) -> Result<bool, Errno> {
    let stat = nix::sys::stat::fstat(mount.as_raw_fd())?;
    Ok(stat.st_mode & libc::S_IFMT == libc::S_IFDIR)
}

fn owned(result: libc::c_long) -> Result<OwnedFd, Errno> {
    let fd = libc::c_int::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
