//! fs-verity for what is unpacked: from then on the kernel holds each block that it reads of a file against a tree of
//! digests beside it, and gives an error instead of what a bad flash cell has made of it. Where the file system does not
//! have it files stay as they are. Of no use against somebody with root's rights, who can make a file with its tree
//! anew. It never changes a name, a mode, a time or a byte.
//! Source: Documentation/filesystems/fsverity.rst of the kernel.

use crate::{
    error::{Doing as _, Error},
    sys::{self, FileType},
};
use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStringExt as _,
    },
    path::Path,
};

/// Whether the file system of this directory has it.
pub(super) fn is_known(dir: &Path) -> io::Result<bool> {
    sys::has_verity(File::open(dir)?)
}

/// Seals all regular files below `dir`; false if the file system does not have it. Nobody may have one of them open for
/// writing. What was sealed before, by another of its names, is passed over.
pub(super) fn seal(dir: &Path) -> Result<bool, Error> {
    let doing = || format!("seal {} by fs-verity", dir.display());
    let root = OwnedFd::from(File::open(dir).doing(doing)?);
    if !sys::has_verity(&root).doing(doing)? {
        return Ok(false);
    }
    // The kernel waits for each file's blocks before it seals it: all at one go takes less time.
    sys::syncfs(&root).doing(doing)?;
    seal_dir(&root).doing(doing)?;
    Ok(true)
}

/// The depth is that of a layer: `PATH_MAX_COMPONENTS`.
fn seal_dir(dir: &OwnedFd) -> io::Result<()> {
    for entry in fs::read_dir(sys::proc_path(dir.as_fd()))? {
        let name = entry?.file_name().into_vec();
        let Some(stat) = sys::stat(dir, &name)? else { continue };
        match stat.file_type() {
            FileType::Dir => seal_dir(&sys::open_dir(dir, &name)?)?,
            FileType::Regular => {
                let file = sys::open_beneath(dir, &name, libc::O_RDONLY, 0)?;
                sys::enable_verity(&file)?;
                // ext4 counts the tree of digests that it has written behind the content as a change.
                sys::set_mtime_fd(&file, stat.mtime)?;
            }
            _ => {}
        }
    }
    Ok(())
}
