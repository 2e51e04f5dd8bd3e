//! Reads a file as an overlay of an image's layers would show it, without mounting one.
//!
//! A path is walked one name at a time over all layers at once. Names are opened one by one and never
//! followed by the kernel, links are walked here and stay inside: whatever an image holds, no file
//! outside its layers is opened.

use crate::{
    error::{Error, Result},
    fsys::sys::{NOFOLLOW, is_opaque, open_below, open_path},
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, ResolveFlag, readlinkat},
    sys::stat::{SFlag, fstatat},
};
use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::File,
    io::Read,
    os::fd::{AsRawFd, OwnedFd},
    path::{Component, Path},
};

/// Links in a path; the kernel has the same limit.
const LINKS_MAX: u32 = 40;

/// The same directory in each layer that has it, top first.
type Merged = Vec<OwnedFd>;

/// An image's layers, opened.
pub(super) struct Layers {
    top_first: Merged,
}

/// What a name is.
enum Found {
    Nothing,
    Directory(Merged),
    Link(OsString),
    File(OwnedFd),
}

impl Layers {
    /// Opens the layers, top first.
    pub(super) fn open(layers: &[String]) -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let open = |layer: &String| {
            open_path(Path::new(layer), flags, ResolveFlag::empty())
                .map_err(Error::sys("open the image layer", layer))
        };
        Ok(Self { top_first: layers.iter().map(open).collect::<Result<_>>()? })
    }

    /// The content of a regular file, or none if there is no such file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Config`]: longer than `len_max_bytes`.
    pub(super) fn read(&self, path: &str, len_max_bytes: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.walk(Path::new(path)).map_err(Error::sys("look up in the image", path))? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        File::from(file)
            .take(len_max_bytes + 1)
            .read_to_end(&mut bytes)
            .map_err(Error::io("read from the image", path))?;
        if bytes.len() as u64 > len_max_bytes {
            return Err(Error::Config(format!("the image's /{path} is longer than {len_max_bytes} bytes")));
        }
        Ok(Some(bytes))
    }

    fn walk(&self, path: &Path) -> std::result::Result<Option<OwnedFd>, Errno> {
        let mut names: VecDeque<OsString> = plain(path).collect();
        let mut above: Vec<Merged> = Vec::new();
        let mut links = 0;
        while let Some(name) = names.pop_front() {
            if name == ".." {
                above.pop();
                continue;
            }
            match look_up(above.last().unwrap_or(&self.top_first), &name)? {
                Found::Nothing => return Ok(None),
                Found::Directory(merged) => above.push(merged),
                Found::File(file) => return Ok(names.is_empty().then_some(file)),
                Found::Link(target) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Ok(None);
                    }
                    let target = Path::new(&target);
                    if target.is_absolute() {
                        above.clear();
                    }
                    let rest = std::mem::take(&mut names);
                    names = plain(target).chain(rest).collect();
                }
            }
        }
        Ok(None)
    }
}

/// The names of a path, `..` among them.
fn plain(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    })
}

fn look_up(dirs: &Merged, name: &OsStr) -> std::result::Result<Found, Errno> {
    let mut merged = Merged::new();
    for dir in dirs {
        let at = Some(dir.as_raw_fd());
        let stat = match fstatat(at, name, NOFOLLOW) {
            Err(Errno::ENOENT) => continue,
            other => other?,
        };
        let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
        if kind == SFlag::S_IFDIR {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
            let child = open_below(dir, Path::new(name), flags, ResolveFlag::RESOLVE_NO_SYMLINKS)?;
            let last = is_opaque(&child);
            merged.push(child);
            if last {
                break;
            }
            continue;
        }
        if !merged.is_empty() {
            // Under a directory of an upper layer nothing else shows.
            break;
        }
        return match kind {
            SFlag::S_IFLNK => readlinkat(at, name).map(Found::Link),
            SFlag::S_IFREG => {
                let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
                open_below(dir, Path::new(name), flags, ResolveFlag::RESOLVE_NO_SYMLINKS).map(Found::File)
            }
            // A whiteout (character device 0/0), or nothing that could be read.
            _ => Ok(Found::Nothing),
        };
    }
    Ok(if merged.is_empty() { Found::Nothing } else { Found::Directory(merged) })
}

#[cfg(test)]
mod tests;
