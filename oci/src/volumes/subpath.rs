//! subPath: one place inside a volume, held fast before a container sees it.
//!
//! Containers write in their volumes, so each name on the way may become a link at any moment. The
//! kernel walks the path and refuses to leave the volume; what it found is bind-mounted by descriptor at a
//! path that only root can touch, and the container is given that.

use crate::{
    error::{Error, Result},
    fsys::{
        self,
        sys::{chmod_fd, open_below, open_path},
    },
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, ResolveFlag},
    sys::stat::{Mode, SFlag, fstat, mkdirat},
};
use std::{
    fs::OpenOptions,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

/// Nothing that leaves the volume by `..`, by an absolute link or through /proc.
const INSIDE: ResolveFlag = ResolveFlag::RESOLVE_BENEATH.union(ResolveFlag::RESOLVE_NO_MAGICLINKS);

/// Opens `sub` in the volume at `volume`; directories that are missing are made with the volume's mode.
///
/// # Errors
/// [`Error::Config`], naming the path, if it would leave the volume.
pub(crate) fn open(volume: &Path, sub: &str) -> Result<OwnedFd> {
    let path = Path::new(sub);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if path.is_absolute() || !path.components().all(plain) {
        return Err(Error::Config(format!("subPath {sub:?} must be relative and without \"..\"")));
    }
    let base = open_path(volume, OFlag::O_PATH, ResolveFlag::empty())
        .map_err(Error::sys("open the volume", volume))?;
    match open_below(&base, path, OFlag::O_PATH, INSIDE) {
        Err(Errno::ENOENT) => make(&base, path),
        other => other,
    }
    .map_err(|errno| match errno {
        Errno::EXDEV | Errno::ELOOP => Error::Config(format!(
            "subPath {sub:?} is not within the volume at {}: a link on the way leads out of it",
            volume.display()
        )),
        errno => Error::sys("open the subPath", volume.join(sub))(errno),
    })
}

/// Walks down, making what is missing. A link is followed where one is already there (inside the
/// volume), but never where a directory was just to be made.
fn make(base: &OwnedFd, path: &Path) -> std::result::Result<OwnedFd, Errno> {
    let mode = Mode::from_bits_truncate(fstat(base.as_raw_fd())?.st_mode);
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    let mut at = open_below(base, Path::new("."), flags, INSIDE)?;
    let mut walked = PathBuf::new();
    for part in path.components() {
        walked.push(part);
        at = match open_below(base, &walked, flags, INSIDE) {
            Err(Errno::ENOENT) => {
                let name = Path::new(part.as_os_str());
                match mkdirat(Some(at.as_raw_fd()), name, Mode::S_IRWXU) {
                    Ok(()) => {
                        let made = open_below(&at, name, flags | OFlag::O_NOFOLLOW, INSIDE)?;
                        // Not by mkdir's argument: the umask would have its say.
                        chmod_fd(&made, mode)?;
                        made
                    }
                    // A link to nowhere, or somebody was quicker.
                    Err(Errno::EEXIST) => open_below(&at, name, flags | OFlag::O_NOFOLLOW, INSIDE)?,
                    Err(errno) => return Err(errno),
                }
            }
            other => other?,
        };
    }
    Ok(at)
}

/// Makes what `fd` refers to appear at `target`, which is made to fit (its parent must be there).
pub(crate) fn pin(fd: &OwnedFd, target: &Path) -> Result<()> {
    let stat = fstat(fd.as_raw_fd()).map_err(Error::sys("look at the subPath for", target))?;
    if SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR {
        fsys::make_dirs(target, 0o700)?;
    } else {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(target)
            .map_err(Error::io("create the mount point", target))?;
    }
    fsys::bind(&fsys::fd_path(fd.as_fd()), target)
}

#[cfg(test)]
mod tests;
