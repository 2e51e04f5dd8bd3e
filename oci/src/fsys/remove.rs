//! Removes directory trees that containers have written: any depth, any links, never across a mount.
//!
//! A tree may be deeper than there are descriptors or stack: what lies too deep is moved up to the top of
//! the tree first. A mount in the tree stops the removal, because behind it is somebody else's data.

use super::sys::open_child;
use crate::error::{Error, Result};
use nix::{
    dir::{Dir, Type},
    errno::Errno,
    fcntl::{OFlag, renameat},
    sys::stat::Mode,
    unistd::{UnlinkatFlags, unlinkat},
};
use std::{
    ffi::{CStr, CString, OsStr},
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::Path,
};

/// Directories open at a time.
const DEPTH_MAX: usize = 64;
/// Passes over one directory whose entries come back while they are removed.
const PASSES_MAX: usize = 8;

/// Removes `path` and all below it; no error if it is not there. Links are removed, not followed.
///
/// # Errors
/// [`Error::Busy`]: something is mounted below it; [`Error::Io`].
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    let whole = Error::sys("remove the directory", path);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let parent = match Dir::open(parent, flags, Mode::empty()) {
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
        other => other.map_err(Error::sys("open the directory", parent))?,
    };
    let name = c_name(name).map_err(whole)?;
    match remove_entry(&parent, &name, None) {
        Ok(()) => Ok(()),
        Err(Errno::EXDEV) => Err(Error::Busy {
            path: path.to_owned(),
            message: "something is mounted below it: unmount it, see /proc/self/mountinfo".into(),
        }),
        Err(errno) => Err(Error::sys("remove the directory", path)(errno)),
    }
}

/// Where directories that lie too deep are moved to.
struct Top<'a> {
    dir: &'a Dir,
    depth: usize,
    moved: &'a mut u64,
}

fn remove_entry(dir: &Dir, name: &CStr, top: Option<&mut Top<'_>>) -> std::result::Result<(), Errno> {
    match unlinkat(Some(dir.as_raw_fd()), name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(()),
        Err(Errno::EISDIR) => {}
        Err(errno) => return Err(errno),
    }
    let mut child = match open_child(dir, name) {
        Err(Errno::ENOENT) => return Ok(()),
        other => other?,
    };
    match top {
        Some(top) => {
            top.depth += 1;
            let emptied = empty(&mut child, top);
            top.depth -= 1;
            emptied?;
        }
        None => empty_top(&mut child)?,
    }
    match unlinkat(Some(dir.as_raw_fd()), name, UnlinkatFlags::RemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}

/// Empties the topmost directory; those that lie too deep are moved into it meanwhile.
fn empty_top(dir: &mut Dir) -> std::result::Result<(), Errno> {
    let anchor = Dir::from_fd(nix::unistd::dup(dir.as_raw_fd())?)?;
    empty(dir, &mut Top { dir: &anchor, depth: 0, moved: &mut 0 })
}

fn empty(dir: &mut Dir, top: &mut Top<'_>) -> std::result::Result<(), Errno> {
    let mut passes = 0;
    while passes < PASSES_MAX {
        let (mut seen, moved) = (false, *top.moved);
        // A listing is not changed by what is removed behind it; what it misses the next pass finds.
        let names: Vec<(CString, Option<Type>)> = dir
            .iter()
            .filter_map(|entry| entry.ok())
            .filter(|entry| !matches!(entry.file_name().to_bytes(), b"." | b".."))
            .map(|entry| (entry.file_name().to_owned(), entry.file_type()))
            .collect();
        for (name, kind) in names {
            seen = true;
            if top.depth >= DEPTH_MAX && kind.is_none_or(|kind| kind == Type::Directory) {
                move_up(dir, &name, top)?;
            } else {
                remove_entry(dir, &name, Some(top))?;
            }
        }
        if !seen {
            return Ok(());
        }
        // What was moved here by this pass makes another worthwhile; there is an end to how deep a tree is.
        passes += usize::from(*top.moved == moved);
    }
    Err(Errno::ENOTEMPTY)
}

fn move_up(dir: &Dir, name: &CStr, top: &mut Top<'_>) -> std::result::Result<(), Errno> {
    let old = Some(dir.as_raw_fd());
    loop {
        *top.moved += 1;
        let new = CString::new(format!(".berth-removed-{}", top.moved)).map_err(|_| Errno::EINVAL)?;
        match renameat(old, name, Some(top.dir.as_raw_fd()), new.as_c_str()) {
            Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR | Errno::EISDIR) => {}
            other => return other,
        }
    }
}

fn c_name(name: &OsStr) -> std::result::Result<CString, Errno> {
    CString::new(name.as_bytes()).map_err(|_| Errno::EINVAL)
}

#[cfg(test)]
mod tests;
