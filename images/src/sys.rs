//! System calls that std has no safe form of, each relative to an open directory and none following a
//! symbolic link. Callers pass single path components or paths already split from hostile ones; a path that
//! leads out of the directory by `..`, by an absolute path, or by a link fails in the kernel.

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

/// What `fstatat` says of a file, without following links.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stat {
    pub(crate) inode: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) rdev: u64,
    pub(crate) size: u64,
    pub(crate) mtime: Time,
}

/// Seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
}

/// The type bits of a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileType {
    Regular,
    Dir,
    Symlink,
    Char,
    Block,
    Fifo,
    Other,
}

impl Stat {
    pub(crate) fn file_type(&self) -> FileType {
        match self.mode & libc::S_IFMT {
            libc::S_IFREG => FileType::Regular,
            libc::S_IFDIR => FileType::Dir,
            libc::S_IFLNK => FileType::Symlink,
            libc::S_IFCHR => FileType::Char,
            libc::S_IFBLK => FileType::Block,
            libc::S_IFIFO => FileType::Fifo,
            _ => FileType::Other,
        }
    }

    /// What overlayfs takes for "not there, whatever is below".
    pub(crate) fn is_whiteout(&self) -> bool {
        self.file_type() == FileType::Char && self.rdev == 0
    }
}

/// A path for the kernel.
pub(crate) fn c(path: &[u8]) -> io::Result<CString> {
    CString::new(path).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a path holds a NUL byte"))
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Opens `path` below `dir`. No component may be a symbolic link or lead above `dir`.
pub(crate) fn open_beneath(dir: impl AsFd, path: &[u8], flags: i32, mode: u32) -> io::Result<OwnedFd> {
    let path = c(path)?;
    // SAFETY: open_how is plain integers, for which zero is a valid value.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (flags | libc::O_CLOEXEC | libc::O_NOFOLLOW) as u64;
    how.mode = u64::from(mode);
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: path is NUL-terminated and how is a valid open_how of the size given; both outlive the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            dir.as_fd().as_raw_fd(),
            path.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor, nobody else owns it, and it fits a c_int.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}

/// Opens a directory below `dir`, for reading.
pub(crate) fn open_dir(dir: impl AsFd, path: &[u8]) -> io::Result<OwnedFd> {
    open_beneath(dir, path, libc::O_RDONLY | libc::O_DIRECTORY, 0)
}

/// The file's metadata, or None when there is none of that name.
pub(crate) fn stat(dir: impl AsFd, name: &[u8]) -> io::Result<Option<Stat>> {
    let name = c(name)?;
    // SAFETY: stat is plain integers, for which zero is a valid value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: name is NUL-terminated, stat is writable; both outlive the call.
    let result = unsafe {
        libc::fstatat(dir.as_fd().as_raw_fd(), name.as_ptr(), &raw mut stat, libc::AT_SYMLINK_NOFOLLOW)
    };
    match check(result) {
        Ok(()) => Ok(Some(to_stat(&stat))),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Metadata of an open file.
pub(crate) fn fstat(fd: impl AsFd) -> io::Result<Stat> {
    // SAFETY: stat is plain integers, for which zero is a valid value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open and stat is writable for the call.
    check(unsafe { libc::fstat(fd.as_fd().as_raw_fd(), &raw mut stat) })?;
    Ok(to_stat(&stat))
}

// The widths of these fields differ between architectures.
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
fn to_stat(stat: &libc::stat) -> Stat {
    Stat {
        inode: stat.st_ino as u64,
        mode: stat.st_mode,
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: stat.st_rdev as u64,
        size: stat.st_size as u64,
        mtime: Time { seconds: stat.st_mtime as i64, nanos: stat.st_mtime_nsec as u32 },
    }
}

/// Makes a directory.
pub(crate) fn mkdir(dir: impl AsFd, name: &[u8], mode: u32) -> io::Result<()> {
    let name = c(name)?;
    // SAFETY: name is NUL-terminated and outlives the call.
    check(unsafe { libc::mkdirat(dir.as_fd().as_raw_fd(), name.as_ptr(), mode) })
}

/// Makes a symbolic link.
pub(crate) fn symlink(target: &[u8], dir: impl AsFd, name: &[u8]) -> io::Result<()> {
    let (target, name) = (c(target)?, c(name)?);
    // SAFETY: both strings are NUL-terminated and outlive the call.
    check(unsafe { libc::symlinkat(target.as_ptr(), dir.as_fd().as_raw_fd(), name.as_ptr()) })
}

/// The target of a symbolic link; `InvalidData` if it is longer than a path may be.
pub(crate) fn readlink(dir: impl AsFd, name: &[u8]) -> io::Result<Vec<u8>> {
    let name = c(name)?;
    let mut target = vec![0_u8; libc::PATH_MAX as usize];
    // SAFETY: name is NUL-terminated, and target is writable for the length given.
    let length = unsafe {
        libc::readlinkat(dir.as_fd().as_raw_fd(), name.as_ptr(), target.as_mut_ptr().cast(), target.len())
    };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    if length == target.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a symbolic link's target is too long"));
    }
    target.truncate(length);
    Ok(target)
}

/// Makes a hard link to a file that is no directory; a symbolic link is linked itself.
pub(crate) fn link(from: impl AsFd, name: &[u8], to: impl AsFd, new: &[u8]) -> io::Result<()> {
    let (name, new) = (c(name)?, c(new)?);
    let (from, to) = (from.as_fd().as_raw_fd(), to.as_fd().as_raw_fd());
    // SAFETY: both strings are NUL-terminated and outlive the call.
    check(unsafe { libc::linkat(from, name.as_ptr(), to, new.as_ptr(), 0) })
}

/// Makes a device or a named pipe; `mode` holds the type bits.
pub(crate) fn mknod(dir: impl AsFd, name: &[u8], mode: u32, major: u32, minor: u32) -> io::Result<()> {
    let name = c(name)?;
    let device = libc::makedev(major, minor);
    // SAFETY: name is NUL-terminated and outlives the call.
    check(unsafe { libc::mknodat(dir.as_fd().as_raw_fd(), name.as_ptr(), mode, device) })
}

/// Removes a file that is no directory.
pub(crate) fn unlink(dir: impl AsFd, name: &[u8]) -> io::Result<()> {
    let name = c(name)?;
    // SAFETY: name is NUL-terminated and outlives the call.
    check(unsafe { libc::unlinkat(dir.as_fd().as_raw_fd(), name.as_ptr(), 0) })
}

/// Sets the owner of the file itself, not of what it links to.
pub(crate) fn chown(dir: impl AsFd, name: &[u8], uid: u32, gid: u32) -> io::Result<()> {
    let name = c(name)?;
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH;
    // SAFETY: name is NUL-terminated and outlives the call; an empty one means the descriptor itself.
    check(unsafe { libc::fchownat(dir.as_fd().as_raw_fd(), name.as_ptr(), uid, gid, flags) })
}

/// Sets the permission bits of an open file.
pub(crate) fn fchmod(fd: impl AsFd, mode: u32) -> io::Result<()> {
    // SAFETY: takes integers only.
    check(unsafe { libc::fchmod(fd.as_fd().as_raw_fd(), mode) })
}

/// Sets the permission bits of a device or pipe that the caller has just made in a private directory.
pub(crate) fn chmod(dir: impl AsFd, name: &[u8], mode: u32) -> io::Result<()> {
    let name = c(name)?;
    // SAFETY: name is NUL-terminated and outlives the call.
    check(unsafe { libc::fchmodat(dir.as_fd().as_raw_fd(), name.as_ptr(), mode, 0) })
}

/// Sets the modification time of the file itself; the access time becomes the same.
pub(crate) fn set_mtime(dir: impl AsFd, name: &[u8], time: Time) -> io::Result<()> {
    let name = c(name)?;
    let times = timespecs(time);
    let fd = dir.as_fd().as_raw_fd();
    // SAFETY: name is NUL-terminated and times holds the two entries asked for; both outlive the call.
    check(unsafe { libc::utimensat(fd, name.as_ptr(), times.as_ptr(), libc::AT_SYMLINK_NOFOLLOW) })
}

/// Sets the modification time of an open file; the access time becomes the same.
pub(crate) fn set_mtime_fd(fd: impl AsFd, time: Time) -> io::Result<()> {
    let times = timespecs(time);
    // SAFETY: times holds the two entries asked for and outlives the call.
    check(unsafe { libc::futimens(fd.as_fd().as_raw_fd(), times.as_ptr()) })
}

fn timespecs(time: Time) -> [libc::timespec; 2] {
    // SAFETY: timespec is plain integers (and padding on some targets), for which zero is a valid value.
    let mut spec: libc::timespec = unsafe { std::mem::zeroed() };
    spec.tv_sec = time.seconds as libc::time_t;
    spec.tv_nsec = time.nanos as _;
    [spec, spec]
}

/// Writes back all that is dirty on the file system of `fd`, and reports write errors since it was opened.
pub(crate) fn syncfs(fd: impl AsFd) -> io::Result<()> {
    // SAFETY: takes an integer only.
    check(unsafe { libc::syncfs(fd.as_fd().as_raw_fd()) })
}

/// Bytes in all, and bytes that may still be written without root's reserve, of the file system of `fd`.
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
pub(crate) fn disk_use(fd: impl AsFd) -> io::Result<(u64, u64)> {
    // SAFETY: statvfs is plain integers, for which zero is a valid value.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open and stat is writable for the call.
    check(unsafe { libc::fstatvfs(fd.as_fd().as_raw_fd(), &raw mut stat) })?;
    let block = stat.f_frsize as u64;
    Ok((block.saturating_mul(stat.f_blocks as u64), block.saturating_mul(stat.f_bavail as u64)))
}

/// Takes an exclusive lock that lasts as long as the open file; `false` if another process holds it.
pub(crate) fn try_lock(fd: impl AsFd) -> io::Result<bool> {
    // SAFETY: takes integers only.
    match check(unsafe { libc::flock(fd.as_fd().as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether this process may do what only root may.
pub(crate) fn is_root() -> bool {
    // SAFETY: has no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Sets an extended attribute of the file `name` in `dir` itself, whatever kind of file it is.
pub(crate) fn set_xattr(dir: impl AsFd, name: &[u8], key: &[u8], value: &[u8]) -> io::Result<()> {
    let (path, key) = (by_fd(dir.as_fd(), name)?, c(key)?);
    let (data, length) = (value.as_ptr().cast(), value.len());
    // SAFETY: path and key are NUL-terminated, value is readable for its length; all outlive the call.
    check(unsafe { libc::lsetxattr(path.as_ptr(), key.as_ptr(), data, length, 0) })
}

/// An extended attribute of the file `name` in `dir`; None if it has none of that name.
pub(crate) fn get_xattr(dir: impl AsFd, name: &[u8], key: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let (path, key) = (by_fd(dir.as_fd(), name)?, c(key)?);
    let mut value = vec![0_u8; crate::limits::XATTR_MAX_BYTES];
    let (data, length) = (value.as_mut_ptr().cast(), value.len());
    // SAFETY: path and key are NUL-terminated, value is writable for its length; all outlive the call.
    let got = unsafe { libc::lgetxattr(path.as_ptr(), key.as_ptr(), data, length) };
    match usize::try_from(got) {
        Ok(got) => {
            value.truncate(got);
            Ok(Some(value))
        }
        Err(_) => match io::Error::last_os_error() {
            error if matches!(error.raw_os_error(), Some(libc::ENODATA | libc::ENOTSUP)) => Ok(None),
            error => Err(error),
        },
    }
}

/// The names of the extended attributes of the file `name` in `dir`.
pub(crate) fn list_xattrs(dir: impl AsFd, name: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let path = by_fd(dir.as_fd(), name)?;
    let mut names = vec![0_u8; crate::limits::XATTR_MAX_BYTES];
    // SAFETY: path is NUL-terminated, names is writable for its length; both outlive the call.
    let got = unsafe { libc::llistxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
    let Ok(got) = usize::try_from(got) else {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ENOTSUP) { Ok(Vec::new()) } else { Err(error) };
    };
    names.truncate(got);
    Ok(names.split(|b| *b == 0).filter(|n| !n.is_empty()).map(<[u8]>::to_vec).collect())
}

/// The kernel has no xattr calls relative to a directory (before 6.13): the way is through /proc. The last
/// component is not followed by the `l` calls, and the one before it is the open directory itself.
fn by_fd(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<CString> {
    let mut path = proc_path(dir).into_bytes();
    path.push(b'/');
    path.extend_from_slice(name);
    c(&path)
}

/// A path by which std can reach an open directory.
pub(crate) fn proc_path(dir: impl AsFd) -> String {
    format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd())
}

/// A file without a name in `dir`: gone with its last descriptor.
pub(crate) fn open_unnamed(dir: &CStr) -> io::Result<OwnedFd> {
    let flags = libc::O_TMPFILE | libc::O_RDWR | libc::O_CLOEXEC;
    // SAFETY: dir is NUL-terminated and outlives the call.
    let fd = unsafe { libc::open(dir.as_ptr(), flags, 0o600) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Kills a process group that is led by a child of ours which has not been waited for.
pub(crate) fn kill_group(leader: u32) {
    if let Ok(group) = libc::pid_t::try_from(leader) {
        // SAFETY: takes no pointer; the group's number cannot be another's while its leader is not reaped. That it
        // is gone already is no failure.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
}

/// `FS_IOC_ENABLE_VERITY` and `FS_IOC_MEASURE_VERITY` of linux/fsverity.h, the same on all architectures that Berth
/// runs on.
const ENABLE_VERITY: u32 = 0x4080_6685;
const MEASURE_VERITY: u32 = 0xc004_6686;
const SHA256: u32 = 1;
/// The size that every kernel with pages of 4 KiB can do.
const VERITY_BLOCK_BYTES: u32 = 4096;

/// `struct fsverity_enable_arg`: no salt, no signature.
#[repr(C)]
struct EnableVerity {
    version: u32,
    hash_algorithm: u32,
    block_size: u32,
    salt_size: u32,
    salt_ptr: u64,
    sig_size: u32,
    reserved1: u32,
    sig_ptr: u64,
    reserved2: [u64; 11],
}

/// `struct fsverity_digest` with room for the longest.
#[repr(C)]
struct VerityDigest {
    algorithm: u16,
    size: u16,
    digest: [u8; 64],
}

/// Seals a file that is open for reading, and for writing nowhere; one that is sealed stays so.
pub(crate) fn enable_verity(fd: impl AsFd) -> io::Result<()> {
    let argument = EnableVerity {
        version: 1,
        hash_algorithm: SHA256,
        block_size: VERITY_BLOCK_BYTES,
        salt_size: 0,
        salt_ptr: 0,
        sig_size: 0,
        reserved1: 0,
        sig_ptr: 0,
        reserved2: [0; 11],
    };
    // SAFETY: the descriptor is open, the argument is what this request reads, and outlives the call.
    match check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), ENABLE_VERITY as _, &raw const argument) }) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        other => other,
    }
}

/// Whether kernel and file system have fs-verity: the file (or directory) is sealed, or could be.
pub(crate) fn has_verity(fd: impl AsFd) -> io::Result<bool> {
    let mut digest = VerityDigest { algorithm: 0, size: 64, digest: [0; 64] };
    // SAFETY: the descriptor is open, digest is writable with the room that its size says, and outlives the call.
    match check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), MEASURE_VERITY as _, &raw mut digest) }) {
        Ok(()) => Ok(true),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENODATA) => Ok(true),
            Some(libc::EOPNOTSUPP | libc::ENOTTY | libc::EINVAL) => Ok(false),
            _ => Err(error),
        },
    }
}
