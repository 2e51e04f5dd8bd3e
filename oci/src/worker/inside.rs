//! Names inside a root file system whose links nobody may be led out by: each path is resolved by the kernel
//! as a process in that root would see it.

use crate::{
    devices::DeviceNode,
    error::{Error, Result},
    fsys::sys::{open_below, open_path},
};
use nix::{
    errno::Errno,
    fcntl::{AtFlags, OFlag, ResolveFlag},
    sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, makedev, mkdirat, mknodat},
    unistd::{Gid, Uid, UnlinkatFlags, fchownat, unlinkat},
};
use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

const DIRECTORY: u32 = 0o755;

/// A root file system, opened.
pub(super) struct Inside {
    root: OwnedFd,
}

impl Inside {
    /// Opens it.
    pub(super) fn open_root(root: &Path) -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let root = open_path(root, flags, ResolveFlag::empty()).map_err(Error::sys("open", root))?;
        Ok(Self { root })
    }

    /// What is at the path, links followed inside.
    pub(super) fn open(&self, path: &Path, flags: OFlag) -> std::result::Result<OwnedFd, Errno> {
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        open_below(&self.root, relative(path), OFlag::O_PATH | flags, resolve)
    }

    /// A directory that no link leads to, made if it is not there.
    pub(super) fn plain_directory(&self, path: &Path) -> Result<OwnedFd> {
        let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let open = || open_below(&self.root, relative(path), flags, resolve);
        match open() {
            Err(Errno::ENOENT) => self.directory(path).and_then(|_| open().map_err(wrong(path))),
            result => result.map_err(wrong(path)),
        }
    }

    /// A directory, made with those above it if it is not there.
    pub(super) fn directory(&self, path: &Path) -> Result<OwnedFd> {
        match self.open(path, OFlag::O_DIRECTORY) {
            Err(Errno::ENOENT) => {}
            result => return result.map_err(wrong(path)),
        }
        let mut so_far = PathBuf::new();
        for part in relative(path).components() {
            let above = so_far.clone();
            so_far.push(part);
            if let Component::Normal(name) = part
                && matches!(self.open(&so_far, OFlag::empty()), Err(Errno::ENOENT))
            {
                let above = self.open(&above, OFlag::O_DIRECTORY).map_err(wrong(path))?;
                mkdirat(Some(above.as_raw_fd()), name, Mode::from_bits_truncate(DIRECTORY))
                    .map_err(wrong(path))?;
            }
        }
        self.open(path, OFlag::O_DIRECTORY).map_err(wrong(path))
    }

    /// A device node, in the place of what is there.
    pub(super) fn device(&self, node: &DeviceNode) -> Result<()> {
        let (Some(above), Some(name)) = (node.path.parent(), node.path.file_name()) else {
            return Err(wrong(&node.path)(Errno::EINVAL));
        };
        let dir = self.directory(above)?;
        let made = || {
            match unlinkat(Some(dir.as_raw_fd()), name, UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno),
            }
            let kind = if node.block { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
            let number = makedev(node.number.0.into(), node.number.1.into());
            mknodat(Some(dir.as_raw_fd()), name, kind, Mode::from_bits_truncate(node.mode), number)?;
            let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
            fchownat(Some(dir.as_raw_fd()), name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
            // The process' mask has taken some away.
            fchmodat(
                Some(dir.as_raw_fd()),
                name,
                Mode::from_bits_truncate(node.mode),
                FchmodatFlags::FollowSymlink,
            )
        };
        made().map_err(wrong(&node.path))
    }

    /// Something that is no directory, an empty file if there is nothing: to mount a file on.
    pub(super) fn file(&self, path: &Path) -> Result<OwnedFd> {
        match self.open(path, OFlag::empty()) {
            Err(Errno::ENOENT) => {}
            result => return result.map_err(wrong(path)),
        }
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(wrong(path)(Errno::EINVAL));
        };
        let dir = self.directory(above)?;
        super::sys::create_file(&dir, Path::new(name)).map_err(wrong(path))?;
        self.open(path, OFlag::empty()).map_err(wrong(path))
    }
}

fn relative(path: &Path) -> &Path {
    let inside = path.strip_prefix("/").unwrap_or(path);
    if inside.as_os_str().is_empty() { Path::new(".") } else { inside }
}

fn wrong(path: &Path) -> impl FnOnce(Errno) -> Error {
    move |errno| {
        let why = match errno {
            Errno::ELOOP => "a link leads there, or too many".to_owned(),
            Errno::ENOTDIR => "something that is no directory is there".to_owned(),
            other => other.desc().to_lowercase(),
        };
        Error::Config(format!("{} cannot be made in the container: {why}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn links_are_followed_inside_only() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        symlink("/outside", root.join("abs")).unwrap();
        symlink("../../../up", root.join("etc/up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        let inside = Inside::open_root(&root).unwrap();
        inside.directory(Path::new("/a/b/c")).unwrap();
        assert!(root.join("a/b/c").is_dir());
        fs::create_dir(root.join("outside")).unwrap();
        inside.directory(Path::new("/abs/x")).unwrap();
        assert!(root.join("outside/x").is_dir(), "as the container will see it");
        fs::create_dir(root.join("up")).unwrap();
        inside.file(Path::new("/etc/up/f")).unwrap();
        assert!(root.join("up/f").is_file() && !dir.path().join("up").exists());
        for (path, word) in [("/loop/x", "link"), ("/file/x", "no directory")] {
            let error = inside.directory(Path::new(path)).map(drop).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        assert!(inside.plain_directory(Path::new("/abs")).is_err());
        inside.plain_directory(Path::new("/sys")).unwrap();
        inside.directory(Path::new("/")).unwrap();
    }
}
