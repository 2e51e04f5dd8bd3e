//! fsGroup: gives a volume to a group, all of it, before the first container of a sandbox starts.
//!
//! The tree may have been filled by containers before a reboot: it is walked by descriptors, links are
//! given to the group themselves and never followed, and no mount is entered. The directory itself comes last, so that it
//! says of what is below it that all of it was given ([`is_given`]), whenever power was cut.

use super::DEPTH_MAX;
use crate::{
    error::{Error, Result},
    fsys::sys::{NOFOLLOW, chmod_fd, names, open_below, open_child, open_path},
};
use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{AtFlags, OFlag, ResolveFlag},
    sys::stat::{FileStat, Mode, SFlag, fstatat, lstat},
    unistd::{Gid, fchownat},
};
use std::{ffi::CStr, os::fd::AsRawFd, path::Path};

/// The group may read and write.
const FILE_BITS: Mode = Mode::from_bits_truncate(0o660);
/// And enter directories, and owns what is made in them.
const DIR_BITS: Mode = Mode::from_bits_truncate(0o2770);

/// Gives the directory and all below it to the group.
pub(super) fn apply(dir: &Path, gid: u32) -> Result<()> {
    let wrong = |errno| match errno {
        Errno::ELOOP => Error::Config(format!(
            "fsGroup: {} has directories more than {DEPTH_MAX} deep: remove them",
            dir.display()
        )),
        errno => Error::sys("give to fsGroup", dir)(errno),
    };
    let open = || {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let top = open_path(dir, flags, ResolveFlag::empty())?;
        walk(open_child(&top, c".")?, gid, 0)?;
        own(&top, c"", gid).map(drop)
    };
    open().map_err(wrong)
}

/// By its owner and mode the directory was given to the group already; what is below it is not looked at.
pub(super) fn is_given(dir: &Path, gid: u32) -> Result<bool> {
    let stat = lstat(dir).map_err(Error::sys("look at", dir))?;
    let is_dir = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR;
    Ok(is_dir && stat.st_gid == gid && permissions(&stat).contains(DIR_BITS))
}

fn walk(mut dir: Dir, gid: u32, depth: usize) -> std::result::Result<(), Errno> {
    if depth >= DEPTH_MAX {
        return Err(Errno::ELOOP);
    }
    for name in &names(&mut dir)? {
        if own(&dir, name, gid)? == SFlag::S_IFDIR {
            walk(open_child(&dir, name)?, gid, depth + 1)?;
        }
    }
    Ok(())
}

/// One entry (or with an empty name the directory itself); tells what it is.
fn own(dir: &impl AsRawFd, name: &CStr, gid: u32) -> std::result::Result<SFlag, Errno> {
    let at = Some(dir.as_raw_fd());
    let flags = NOFOLLOW | AtFlags::AT_EMPTY_PATH;
    let stat = fstatat(at, name, flags)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
    if stat.st_gid != gid {
        fchownat(at, name, None, Some(Gid::from_raw(gid)), flags)?;
    }
    if kind == SFlag::S_IFLNK {
        return Ok(kind);
    }
    let bits = if kind == SFlag::S_IFDIR { DIR_BITS } else { FILE_BITS };
    let mode = permissions(&stat) | bits;
    // A change of owner clears set-id bits, so the mode is set after it and whenever either was needed.
    if mode != permissions(&stat) || stat.st_gid != gid {
        let path = if name.is_empty() { Path::new(".") } else { Path::new(os_str(name)) };
        let fd = open_below(dir, path, OFlag::O_PATH | OFlag::O_NOFOLLOW, ResolveFlag::RESOLVE_BENEATH)?;
        chmod_fd(&fd, mode)?;
    }
    Ok(kind)
}

fn permissions(stat: &FileStat) -> Mode {
    Mode::from_bits_truncate(stat.st_mode)
}

fn os_str(name: &CStr) -> &std::ffi::OsStr {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(name.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    };

    fn is_root() -> bool {
        let root = nix::unistd::geteuid().is_root();
        if !root {
            eprintln!("skipped: needs root to change owners");
        }
        root
    }

    #[test]
    fn a_tree_is_given_to_the_group_and_links_are_not_followed() {
        if !is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        fs::create_dir_all(tree.join("sub/deep")).unwrap();
        fs::write(&outside, "").unwrap();
        for (name, mode) in
            [("plain", 0o600), ("sub/script", 0o700), ("sub/deep/suid", 0o4711), ("ro", 0o444)]
        {
            fs::write(tree.join(name), "").unwrap();
            fs::set_permissions(tree.join(name), Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(tree.join("sub"), Permissions::from_mode(0o700)).unwrap();
        symlink(&outside, tree.join("sub/link")).unwrap();
        symlink("/", tree.join("root")).unwrap();
        nix::unistd::mkfifo(&tree.join("pipe"), Mode::S_IRUSR).unwrap();
        let outside_before = fs::metadata(&outside).unwrap();
        for _ in 0..2 {
            apply(&tree, 4242).unwrap();
            for (name, mode) in [
                ("", 0o2775),
                ("plain", 0o660),
                ("sub", 0o2770),
                ("sub/script", 0o760),
                ("sub/deep", 0o2775),
                ("sub/deep/suid", 0o4771),
                ("ro", 0o664),
                ("pipe", 0o660),
            ] {
                let meta = fs::symlink_metadata(tree.join(name)).unwrap();
                assert_eq!((meta.gid(), meta.mode() & 0o7777), (4242, mode), "{name}: {:o}", meta.mode());
            }
        }
        assert_eq!(fs::symlink_metadata(tree.join("sub/link")).unwrap().gid(), 4242);
        let after = fs::metadata(&outside).unwrap();
        assert_eq!((after.gid(), after.mode()), (outside_before.gid(), outside_before.mode()));
        assert_eq!(fs::metadata("/").unwrap().gid(), 0);
    }

    #[test]
    fn a_directory_says_whether_it_was_given() {
        if !is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        for (gid, mode, given) in [
            (4242, 0o2770, true),
            (4242, 0o2777, true),
            (4243, 0o2770, false),
            (4242, 0o0770, false),
            (4242, 0o2750, false),
            (4242, 0o2760, false),
        ] {
            std::os::unix::fs::chown(dir.path(), None, Some(gid)).unwrap();
            fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_given(dir.path(), 4242).unwrap(), given, "{gid} {mode:o}");
        }
        apply(dir.path(), 4242).unwrap();
        assert!(is_given(dir.path(), 4242).unwrap());
        assert!(is_given(&dir.path().join("none"), 4242).is_err());
    }

    #[test]
    fn a_tree_that_is_too_deep_is_refused_in_words() {
        if !is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let deep: std::path::PathBuf = (0..=DEPTH_MAX).map(|_| "d").collect();
        fs::create_dir_all(dir.path().join(deep)).unwrap();
        assert!(apply(dir.path(), 4242).unwrap_err().to_string().contains("more than 256 deep"));
    }
}
