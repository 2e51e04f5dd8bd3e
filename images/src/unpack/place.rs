//! Finds the place of an entry: its parent directory in the layer's own tree, made where the layer has none,
//! looking like the one below. Links in the way are resolved here, by name, in the image as this layer and
//! those below show it, and never by the kernel; so they cannot lead out of the image.

use super::{OPAQUE_XATTR, Unpacker, is_gone};
use crate::{
    error::{Doing as _, Error},
    limits::{PATH_MAX_COMPONENTS, SYMLINKS_MAX_COUNT},
    sys::{self, FileType, Time},
    tarstream::shown,
};
use std::{collections::VecDeque, io, os::fd::OwnedFd, rc::Rc};

/// One directory of the image: in the layer itself, and in those below where it shows through.
pub(super) struct Level {
    pub(super) own: Rc<OwnedFd>,
    /// Top first.
    pub(super) lowers: Vec<Rc<OwnedFd>>,
}

/// What an image has under a name.
enum Found {
    Nothing,
    /// In the layer itself if `Some`.
    Dir(Option<OwnedFd>, Vec<Rc<OwnedFd>>),
    Symlink(Vec<u8>),
    Other,
}

impl Unpacker<'_> {
    /// The layer's own directory `dirs`, made if need be.
    pub(super) fn parent(&mut self, dirs: &[&[u8]]) -> Result<Rc<OwnedFd>, Error> {
        if dirs.is_empty() {
            return Ok(Rc::clone(&self.root));
        }
        let path = dirs.join(&b'/');
        if let Some((known, dir)) = &self.parent
            && *known == path
        {
            return Ok(Rc::clone(dir));
        }
        let dir = match sys::open_dir(&self.root, &path) {
            Ok(dir) => Rc::new(dir),
            Err(error) if is_gone(&error) => self.level(dirs)?.own,
            Err(error) => return Err(Error::io(format!("open {}", shown(&path)), error)),
        };
        self.parent = Some((path, Rc::clone(&dir)));
        Ok(dir)
    }

    /// The directory `dirs` of the image, with what shows through from below.
    pub(super) fn level(&mut self, dirs: &[&[u8]]) -> Result<Level, Error> {
        let here = || format!("find {} in the image", shown(&dirs.join(&b'/')));
        // Where we are: names that are directories of the layer itself by now, no links among them. Only
        // this one level is held open, so that depth costs no descriptors.
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut level = self.root_level();
        let mut todo: VecDeque<Vec<u8>> = dirs.iter().map(|part| part.to_vec()).collect();
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == b".." {
                names.pop();
                level = self.descend(&names).doing(here)?;
                continue;
            }
            match look(&level, &name).doing(here)? {
                Found::Symlink(target) => {
                    links += 1;
                    if links > SYMLINKS_MAX_COUNT {
                        return Err(Error::limit(here(), "SYMLINKS_MAX_COUNT", SYMLINKS_MAX_COUNT as u64));
                    }
                    if target.starts_with(b"/") {
                        names.clear();
                        level = self.root_level();
                    }
                    let parts = target.split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".");
                    parts.rev().for_each(|part| todo.push_front(part.to_vec()));
                }
                Found::Other => {
                    let got = format!("{} is not one", shown(&name));
                    return Err(Error::corrupt(here(), "a directory", got));
                }
                Found::Dir(own, lowers) => {
                    names.push(name.clone());
                    let own = match own {
                        Some(own) => Rc::new(own),
                        None => self.make_dir(&level, &name, &names, lowers.first())?,
                    };
                    level = Level { own, lowers };
                }
                Found::Nothing => {
                    names.push(name.clone());
                    let own = self.make_dir(&level, &name, &names, None)?;
                    level = Level { own, lowers: Vec::new() };
                }
            }
            if names.len() > PATH_MAX_COMPONENTS || todo.len() > PATH_MAX_COMPONENTS {
                return Err(Error::limit(here(), "PATH_MAX_COMPONENTS", PATH_MAX_COMPONENTS as u64));
            }
        }
        Ok(level)
    }

    fn root_level(&self) -> Level {
        Level { own: Rc::clone(&self.root), lowers: self.lowers.to_vec() }
    }

    /// Goes again to directories that are the layer's own already.
    fn descend(&self, names: &[Vec<u8>]) -> io::Result<Level> {
        names.iter().try_fold(self.root_level(), |level, name| match look(&level, name)? {
            Found::Dir(Some(own), lowers) => Ok(Level { own: Rc::new(own), lowers }),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        })
    }

    /// Makes a directory that no entry of the layer names, like the one `below` if there is one.
    fn make_dir(
        &mut self,
        level: &Level,
        name: &[u8],
        names: &[Vec<u8>],
        below: Option<&Rc<OwnedFd>>,
    ) -> Result<Rc<OwnedFd>, Error> {
        let make = || -> io::Result<(OwnedFd, Option<Time>)> {
            let hidden = sys::stat(&level.own, name)?.is_some_and(|stat| stat.is_whiteout());
            if hidden {
                sys::unlink(&level.own, name)?;
            }
            sys::mkdir(&level.own, name, 0o755)?;
            let dir = sys::open_dir(&level.own, name)?;
            sys::fchmod(&dir, 0o755)?;
            if hidden {
                self.set_opaque(&dir)?;
            }
            let time = below.map(|below| self.copy_dir_meta(below, &dir)).transpose()?;
            Ok((dir, time))
        };
        let (dir, time) = make().doing(|| format!("make the directory {}", shown(&names.join(&b'/'))))?;
        if let Some(time) = time {
            self.remember_time(names.join(&b'/'), time)?;
        }
        Ok(Rc::new(dir))
    }
}

/// Looks a name up as overlayfs would.
fn look(level: &Level, name: &[u8]) -> io::Result<Found> {
    let mut own = None;
    let mut lowers = Vec::new();
    let layers = std::iter::once((true, &level.own)).chain(level.lowers.iter().map(|l| (false, l)));
    for (is_own, dir) in layers {
        let Some(stat) = sys::stat(dir, name)? else { continue };
        let first = own.is_none() && lowers.is_empty();
        match stat.file_type() {
            FileType::Dir => {
                let child = sys::open_dir(dir, name)?;
                let opaque = sys::get_xattr(&child, b".", OPAQUE_XATTR)?.is_some_and(|value| value == b"y");
                if is_own {
                    own = Some(child)
                } else {
                    lowers.push(Rc::new(child))
                }
                if opaque {
                    break;
                }
            }
            FileType::Symlink if first => return sys::readlink(dir, name).map(Found::Symlink),
            _ if first && !stat.is_whiteout() => return Ok(Found::Other),
            // Hides all below it.
            _ => break,
        }
    }
    Ok(if own.is_none() && lowers.is_empty() { Found::Nothing } else { Found::Dir(own, lowers) })
}

/// The directory below that shows a file under this name, if one does and it is no directory.
pub(super) fn find_below(level: &Level, name: &[u8]) -> io::Result<Option<Rc<OwnedFd>>> {
    for dir in &level.lowers {
        if let Some(stat) = sys::stat(dir, name)? {
            let file = !stat.is_whiteout() && stat.file_type() != FileType::Dir;
            return Ok(file.then(|| Rc::clone(dir)));
        }
    }
    Ok(None)
}
