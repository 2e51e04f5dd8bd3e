//! File system work that the standard library cannot do safely among hostile or mounted trees: opening
//! without leaving a directory, removing without crossing a mount, unmounting all below a path.

pub(crate) mod mounts;
pub(crate) mod remove;
pub(crate) mod sys;

use crate::error::{Error, Result};
use nix::{
    mount::{MsFlags, mount},
    sys::statfs::{
        CGROUP2_SUPER_MAGIC, FsType, HUGETLBFS_MAGIC, NSFS_MAGIC, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, statfs,
    },
};
use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::{
        fd::{AsRawFd, BorrowedFd},
        unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

/// Makes the directory and those above it, whatever the umask; one that is there stays as it is.
pub(crate) fn make_dirs(path: &Path, mode: u32) -> Result<()> {
    let wrong = |error| Error::io("create the directory", path)(error);
    match make_dir(path, mode) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                make_dirs(parent, 0o755)?;
            }
            make_dir(path, mode).map_err(wrong)
        }
        result => result.map_err(wrong),
    }
}

fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        // No sensible umask takes anything from the owner.
        Ok(()) if mode & 0o077 == 0 => Ok(()),
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes the file; no error if it is not there.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Whether something of this kind of file system is at the path.
fn is_on(path: &Path, kind: FsType) -> bool {
    statfs(path).is_ok_and(|stat| stat.filesystem_type() == kind)
}

/// Whether a cgroup2 mount is at the path.
pub(crate) fn is_cgroup2(path: &Path) -> bool {
    is_on(path, CGROUP2_SUPER_MAGIC)
}

/// Whether a namespace is pinned at the path.
pub(crate) fn is_namespace(path: &Path) -> bool {
    is_on(path, NSFS_MAGIC)
}

/// Whether the path is the root of a tmpfs of its own.
pub(crate) fn is_tmpfs_mount(path: &Path) -> bool {
    let Some(above) = path.parent() else { return false };
    let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev());
    is_on(path, TMPFS_MAGIC)
        && matches!((device(path), device(above)), (Ok(here), Ok(above)) if here != above)
}

/// Lets a group, or with none everybody, pass through the directory too, not look into it.
pub(crate) fn allow_to_pass(dir: &Path, group: Option<u32>) -> Result<()> {
    let wrong = |error| Error::io("let a pod's root pass through", dir)(error);
    let (mode, now) = fs::metadata(dir).map(|meta| (meta.mode() & 0o7777, meta.gid())).map_err(wrong)?;
    if group.is_some_and(|group| group != now) {
        std::os::unix::fs::chown(dir, None, group).map_err(wrong)?;
    }
    let wanted = mode | if group.is_some() { 0o010 } else { 0o001 };
    if wanted == mode {
        return Ok(());
    }
    fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(wanted)).map_err(wrong)
}

/// Mounts a tmpfs for data: no devices, no set-user-id, no programs unless `exec`.
pub(crate) fn mount_tmpfs(target: &Path, options: &str, exec: bool) -> Result<()> {
    let mut flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
    if !exec {
        flags |= MsFlags::MS_NOEXEC;
    }
    mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options))
        .map_err(Error::sys("mount a tmpfs on", target))
}

/// As [`mount_tmpfs`] for what may be secret: kept out of the swap where the kernel can (`noswap`).
pub(crate) fn mount_unswapped(target: &Path, options: &str, noswap: bool) -> Result<()> {
    let refused = |error: &Error| matches!(error, Error::Io { source, .. } if source.raw_os_error() == Some(libc::EINVAL));
    if noswap {
        match mount_tmpfs(target, &format!("{options},noswap"), true) {
            // A kernel of that age that was built without it.
            Err(error) if refused(&error) => {}
            result => return result,
        }
    }
    mount_tmpfs(target, options, true)
}

/// Whether something is put together from layers at the path.
pub(crate) fn is_overlay_mount(path: &Path) -> bool {
    is_on(path, OVERLAYFS_SUPER_MAGIC)
}

/// Whether the path is the root of a file system of large pages.
pub(crate) fn is_huge_pages_mount(path: &Path) -> bool {
    is_on(path, HUGETLBFS_MAGIC)
}

/// Mounts a file system of large pages.
pub(crate) fn mount_huge_pages(target: &Path, options: &str) -> Result<()> {
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
    mount(Some("hugetlbfs"), target, Some("hugetlbfs"), flags, Some(options))
        .map_err(Error::sys("mount large pages on", target))
}

/// Makes what `source` names appear at `target` too (without what is mounted below it).
pub(crate) fn bind(source: &Path, target: &Path) -> Result<()> {
    mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(Error::sys("bind-mount on", target))
}

/// A path by which the kernel finds what the descriptor refers to, however its names change meanwhile.
pub(crate) fn fd_path(fd: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/thread-self/fd/{}", fd.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_with_their_mode_and_left_alone_when_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/c");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        make_dirs(&path, 0o777).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o777, 0o755));
        make_dirs(&path, 0o700).unwrap();
        assert_eq!(mode(&path), 0o777);
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(make_dirs(&dir.path().join("file"), 0o755).is_err());
        assert!(make_dirs(&dir.path().join("file/below"), 0o755).is_err());
    }
}
