//! System calls that nix hands out as bare numbers, as owned descriptors.

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2},
    sys::stat::Mode,
};
use std::{
    ffi::{CStr, CString},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    path::Path,
};

/// How often an open is tried again that the kernel could not decide because a name moved meanwhile.
const RACE_RETRIES_MAX: u32 = 64;

/// Opens `path` below `dir` under the rules of `resolve`. Close-on-exec.
pub(crate) fn open_below(
    dir: &impl AsRawFd,
    path: &Path,
    flags: OFlag,
    resolve: ResolveFlag,
) -> Result<OwnedFd, Errno> {
    open_raw(dir.as_raw_fd(), path, flags, resolve)
}

/// As [`open_below`], for a path from the working directory or the root.
pub(crate) fn open_path(path: &Path, flags: OFlag, resolve: ResolveFlag) -> Result<OwnedFd, Errno> {
    open_raw(libc::AT_FDCWD, path, flags, resolve)
}

fn open_raw(dir: RawFd, path: &Path, flags: OFlag, resolve: ResolveFlag) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve);
    let mut tries = 0;
    let fd = loop {
        match openat2(dir, path, how) {
            Err(Errno::EAGAIN | Errno::EINTR) if tries < RACE_RETRIES_MAX => tries += 1,
            other => break other?,
        }
    };
    // SAFETY: the kernel has just made this descriptor for us, nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Opens one entry of a directory as a directory to list; never a link, never another mount.
pub(crate) fn open_child(dir: &impl AsRawFd, name: &CStr) -> Result<Dir, Errno> {
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_SYMLINKS);
    Dir::from_fd(openat2(dir.as_raw_fd(), name, how)?)
}

/// What is in the directory, but for itself and the one above it.
pub(crate) fn names(dir: &mut Dir) -> Result<Vec<CString>, Errno> {
    let names = dir.iter().map(|entry| entry.map(|entry| entry.file_name().to_owned()));
    let own = |name: &Result<CString, Errno>| {
        !name.as_ref().is_ok_and(|name| matches!(name.to_bytes(), b"." | b".."))
    };
    names.filter(own).collect()
}

/// Sets the mode of what an `O_PATH` descriptor refers to, which cannot be a link that is followed.
pub(crate) fn chmod_fd(fd: &OwnedFd, mode: Mode) -> Result<(), Errno> {
    let path = CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the path is a string that ends in 0 and lives until the call returns.
    Errno::result(unsafe { libc::chmod(path.as_ptr(), mode.bits()) }).map(drop)
}

/// Whether an overlay's lower directory is marked opaque: nothing below it shows.
pub(crate) fn is_opaque(dir: &impl AsRawFd) -> bool {
    let mut value = [0_u8; 2];
    // SAFETY: the name is a string that ends in 0, the kernel writes at most `value.len()` bytes to `value`.
    let len = unsafe {
        libc::fgetxattr(
            dir.as_raw_fd(),
            c"trusted.overlay.opaque".as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    len == 1 && value[0] == b'y'
}

/// Marks a directory opaque, to test [`is_opaque`]; false where the file system takes no such mark.
#[cfg(test)]
pub(crate) fn set_opaque(dir: &impl AsRawFd) -> bool {
    let name = c"trusted.overlay.opaque";
    // SAFETY: the name ends in 0, the value is one byte that lives until the call returns.
    unsafe { libc::fsetxattr(dir.as_raw_fd(), name.as_ptr(), c"y".as_ptr().cast(), 1, 0) == 0 }
}

/// The attribute in which SELinux keeps the label of a file.
const LABEL: &CStr = c"security.selinux";
/// Bytes of a label that is looked at.
const LABEL_LEN_MAX: usize = 4096;

/// Gives the file this label of SELinux's; a link itself.
pub(crate) fn set_label(path: &CStr, label: &CStr) -> Result<(), Errno> {
    let value = label.to_bytes_with_nul();
    // SAFETY: path and name end in 0, the value has as many bytes as are said; all live over the call.
    let done =
        unsafe { libc::lsetxattr(path.as_ptr(), LABEL.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    Errno::result(done).map(drop)
}

/// Whether the file has this label of SELinux's.
pub(crate) fn has_label(path: &CStr, label: &CStr) -> bool {
    let mut value = [0_u8; LABEL_LEN_MAX];
    // SAFETY: path and name end in 0, the kernel writes at most `value.len()` bytes to `value`.
    let len =
        unsafe { libc::lgetxattr(path.as_ptr(), LABEL.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    let found = usize::try_from(len).ok().and_then(|len| value.get(..len)).unwrap_or_default();
    found.strip_suffix(b"\0").unwrap_or(found) == label.to_bytes()
}

/// Flags of a `*at` call that must not follow a link.
pub(crate) const NOFOLLOW: AtFlags = AtFlags::AT_SYMLINK_NOFOLLOW;
