//! Mounts the spec's file systems, volumes and files below the container's root before libcontainer sees it:
//! each costs a handful of system calls here and some sixty there. Only what needs the container's own
//! process numbers, `/proc`, is left to libcontainer.

mod sys;

use super::inside::Inside;
use crate::{
    error::{Error, Result},
    fsys::sys::open_path,
};
use libcontainer::oci_spec::runtime::Mount;
use nix::{
    errno::Errno,
    fcntl::{OFlag, ResolveFlag},
};
use std::{os::fd::OwnedFd, path::Path};
use sys::Attributes;

/// The option of a mount whose owners are mapped, as the OCI runtime specification has it.
pub(crate) const MAPPED: &str = "idmap";

/// Whether a mount must be made by libcontainer: `/proc` and what is to lie in it.
pub(crate) fn is_late(mount: &Mount) -> bool {
    mount.destination().starts_with("/proc")
}

/// Copies of the node's mounts that are to go on passing mounts; by the place in the list of mounts.
#[derive(Default)]
pub(super) struct Held(Vec<(usize, OwnedFd)>);

/// Takes hold of them while this process still shares the node's mounts.
///
/// # Errors
/// [`Error::Io`] naming the source.
pub(super) fn hold(mounts: &[Mount]) -> Result<Held> {
    let mut held = Held::default();
    for (index, mount) in mounts.iter().enumerate() {
        let options = Options::read(mount.options().as_deref().unwrap_or_default());
        if options.propagation == sys::Propagation::Private {
            continue;
        }
        let source = mount.source().as_deref().unwrap_or(Path::new("none"));
        let wrong = || Error::sys("bind-mount", source);
        let tree = sys::clone_tree(source).map_err(wrong())?;
        sys::set_propagation(&tree, options.propagation).map_err(wrong())?;
        held.0.push((index, tree));
    }
    Ok(held)
}

/// Makes the mounts, in their order.
///
/// # Errors
/// [`Error::Io`] naming the source, [`Error::Config`] naming the place in the container.
pub(super) fn mount_all(root: &Inside, mounts: &[Mount], held: Held, users: Option<&OwnedFd>) -> Result<()> {
    let mut held = held.0.into_iter().peekable();
    mounts.iter().enumerate().try_for_each(|(index, mount)| {
        let tree = held.next_if(|(at, _)| *at == index).map(|(_, tree)| tree);
        one(root, mount, tree, users)
    })
}

fn one(root: &Inside, mount: &Mount, held: Option<OwnedFd>, users: Option<&OwnedFd>) -> Result<()> {
    let at = mount.destination();
    let options = Options::read(mount.options().as_deref().unwrap_or_default());
    let source = mount.source().as_deref().unwrap_or(Path::new("none"));
    let kind = mount.typ().as_deref().unwrap_or_default();
    if kind == "bind" {
        let tree = match held {
            Some(tree) => tree,
            None => sys::clone_tree(source).map_err(Error::sys("bind-mount", source))?,
        };
        sys::set_attributes(&tree, options.attributes, options.recursive)
            .map_err(Error::sys("bind-mount", source))?;
        if let Some(users) = users.filter(|_| options.mapped) {
            sys::map_owners(&tree, users).map_err(|errno| unmapped(source, errno))?;
        }
        let is_dir = sys::is_directory(&tree).map_err(Error::sys("look at", source))?;
        let target = if is_dir { root.directory(at)? } else { root.file(at)? };
        return sys::attach(&tree, &target).map_err(Error::sys("mount in the container at", at));
    }
    // A kernel's file system where a link leads would not be where programs expect it.
    let target = root.plain_directory(at)?;
    let kind = if kind == "cgroup" { "cgroup2" } else { kind };
    sys::make(kind, &options.data, options.attributes).and_then(|made| sys::attach(&made, &target)).map_err(
        |errno| {
            Error::Config(format!(
                "cannot mount {kind} at {} in the container: {}",
                at.display(),
                errno.desc()
            ))
        },
    )
}

/// Mounts the layers in `dir`, by numbers, with the owners that they have for these users.
///
/// # Errors
/// [`Error::Io`], [`Error::Config`].
pub(crate) fn map_layers(dir: &Path, layers: &[&Path], users: &OwnedFd) -> Result<Vec<String>> {
    let mut names = Vec::with_capacity(layers.len());
    for (index, layer) in layers.iter().enumerate() {
        let name = index.to_string();
        let at = dir.join(&name);
        crate::fsys::make_dirs(&at, 0o755)?;
        let missing = |errno| match errno {
            Errno::ENOENT => Error::Config(format!("the image's layer {} is missing", layer.display())),
            errno => Error::sys("bind-mount", layer)(errno),
        };
        let tree = sys::clone_tree(layer).map_err(missing)?;
        sys::map_owners(&tree, users).map_err(|errno| unmapped(layer, errno))?;
        let target = open_path(&at, OFlag::O_PATH | OFlag::O_DIRECTORY, ResolveFlag::empty());
        let target = target.map_err(Error::sys("open", &at))?;
        sys::attach(&tree, &target).map_err(Error::sys("mount a layer on", &at))?;
        names.push(name);
    }
    Ok(names)
}

fn unmapped(path: &Path, errno: Errno) -> Error {
    Error::Config(format!(
        "{}: the kernel cannot map owners on its file system ({}), and hostUsers: false needs that: overlays take mapped \
         layers since Linux 5.19, tmpfs since 6.3",
        path.display(),
        errno.desc().to_lowercase()
    ))
}

/// Options, sorted into those of the mount and those of the file system.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options<'a> {
    attributes: Attributes,
    /// The attributes hold for all that is mounted below, too.
    recursive: bool,
    propagation: sys::Propagation,
    /// Owners are as the pod's users see them.
    mapped: bool,
    data: Vec<&'a str>,
}

impl<'a> Options<'a> {
    fn read(options: &'a [String]) -> Self {
        let mut read = Self::default();
        for option in options {
            match option.as_str() {
                "ro" => read.attributes.0 |= sys::RDONLY,
                "rro" => {
                    read.attributes.0 |= sys::RDONLY;
                    read.recursive = true;
                }
                MAPPED => read.mapped = true,
                "rslave" => read.propagation = sys::Propagation::Slave,
                "rshared" => read.propagation = sys::Propagation::Shared,
                "nosuid" => read.attributes.0 |= sys::NOSUID,
                "nodev" => read.attributes.0 |= sys::NODEV,
                "noexec" => read.attributes.0 |= sys::NOEXEC,
                "strictatime" => read.attributes.0 |= sys::STRICTATIME,
                // What is so anyway: recursive, and of no propagation in a namespace without.
                "rw" | "relatime" | "bind" | "rbind" | "private" | "rprivate" => {}
                data => read.data.push(data),
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_of_the_mount_or_of_its_file_system() {
        let list: Vec<String> =
            "nosuid strictatime mode=755 newinstance ro rprivate".split(' ').map(str::to_owned).collect();
        let read = Options::read(&list);
        assert_eq!(read.attributes.0, sys::NOSUID | sys::STRICTATIME | sys::RDONLY);
        assert_eq!(read.data, ["mode=755", "newinstance"]);
        assert!(!read.recursive && read.propagation == sys::Propagation::Private);
        let list: Vec<String> = "rbind rslave rro".split(' ').map(str::to_owned).collect();
        let read = Options::read(&list);
        assert!(read.recursive && read.attributes.0 == sys::RDONLY);
        assert_eq!((read.propagation, read.data), (sys::Propagation::Slave, Vec::new()));
    }
}
