//! Files that change all at once: kubelet's way, so that programs which watch for it work here too.
//!
//! The files lie in a directory of their own, `..data` is a link to it, and each name in the volume is a link
//! through `..data`. A new set of files is written beside the old one, then `..data` is turned by one rename.
//! No container can write in such a volume. Whatever a crash leaves is cleared by the next write.

use crate::{
    error::{Error, Result},
    fsys::{self, remove::remove_tree},
    records,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink},
    path::Path,
};

/// The link that is turned.
const DATA: &str = "..data";
/// The link that it is replaced by.
const NEXT: &str = "..data_tmp";
/// Directories of files begin so; a number follows.
const DIR: &str = "..files_";
/// Everybody may look into them.
const DIR_MODE: u32 = 0o755;
/// What a pod's fsGroup may do at least.
const GROUP_FILE_BITS: u32 = 0o440;
const GROUP_DIR_BITS: u32 = 0o2550;

/// A file: its permissions and its content.
pub(super) type Files<'a> = BTreeMap<&'a str, (u32, Vec<u8>)>;

/// Whose files are; none: root's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Owner {
    /// User.
    pub(super) user: Option<u32>,
    /// Group.
    pub(super) group: Option<u32>,
    /// The group is the pod's fsGroup, and may read what it owns.
    pub(super) shared: bool,
}

/// Makes the volume at `volume` have exactly these files, given to the owner. Nothing is
/// written if it has them already.
pub(super) fn write(volume: &Path, files: &Files<'_>, owner: Owner) -> Result<()> {
    let now = fs::read_link(volume.join(DATA)).ok();
    let mode = |mode: u32| if owner.shared { mode | GROUP_FILE_BITS } else { mode };
    let same = now.as_ref().is_some_and(|now| is_as(&volume.join(now), files, &mode));
    let current = now.as_ref().and_then(|now| now.to_str()).map(str::to_owned);
    let current = if same {
        current
    } else {
        let fresh = fresh_name(current.as_deref());
        let dir = volume.join(&fresh);
        remove_tree(&dir)?;
        fill(&dir, files, &mode, owner)?;
        fsys::remove_file(&volume.join(NEXT))?;
        symlink(&fresh, volume.join(NEXT)).map_err(Error::io("make the link", volume.join(NEXT)))?;
        fs::rename(volume.join(NEXT), volume.join(DATA)).map_err(Error::io("turn", volume.join(DATA)))?;
        Some(fresh)
    };
    link(volume, files)?;
    clear(volume, files, current.as_deref())
}

/// Another name than the one in use.
fn fresh_name(current: Option<&str>) -> String {
    let number = current.and_then(|name| name.strip_prefix(DIR)?.parse::<u64>().ok());
    format!("{DIR}{}", number.unwrap_or(0).wrapping_add(1))
}

fn fill(dir: &Path, files: &Files<'_>, mode: &impl Fn(u32) -> u32, owner: Owner) -> Result<()> {
    make_dir(dir, owner)?;
    for (name, (bits, content)) in files {
        let path = dir.join(name);
        let above: Vec<&Path> = Path::new(name).ancestors().skip(1).collect();
        for step in above.iter().rev().filter(|step| !step.as_os_str().is_empty()) {
            make_dir(&dir.join(step), owner)?;
        }
        let wrong = |error| Error::io("write", &path)(error);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(wrong)?;
        file.write_all(content).map_err(wrong)?;
        if owner != Owner::default() {
            chown(&path, owner.user, owner.group).map_err(wrong)?;
        }
        file.set_permissions(Permissions::from_mode(mode(*bits))).map_err(wrong)?;
    }
    Ok(())
}

fn make_dir(dir: &Path, owner: Owner) -> Result<()> {
    fsys::make_dirs(dir, DIR_MODE)?;
    let wrong = |error| Error::io("give to the pod", dir)(error);
    if owner != Owner::default() {
        chown(dir, owner.user, owner.group).map_err(wrong)?;
    }
    if owner.shared {
        fs::set_permissions(dir, Permissions::from_mode(DIR_MODE | GROUP_DIR_BITS)).map_err(wrong)?;
    }
    Ok(())
}

/// The files at `dir` are these, and there are no others.
fn is_as(dir: &Path, files: &Files<'_>, mode: &impl Fn(u32) -> u32) -> bool {
    let there = |(name, (bits, content)): (&&str, &(u32, Vec<u8>))| {
        let path = dir.join(name);
        let kept = fs::symlink_metadata(&path)
            .is_ok_and(|meta| meta.is_file() && meta.mode() & 0o777 == mode(*bits));
        kept && fs::read(&path).is_ok_and(|bytes| bytes == *content)
    };
    files.iter().all(there) && count(dir) == files.len()
}

/// Files below a directory; links count too, there should be none.
fn count(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => count(&entry.path()),
            _ => 1,
        })
        .sum()
}

/// The first steps of the files' paths: what is to be seen in the volume.
fn tops<'a>(files: &Files<'a>) -> BTreeSet<&'a str> {
    files.keys().filter_map(|name| name.split('/').next()).collect()
}

fn link(volume: &Path, files: &Files<'_>) -> Result<()> {
    for name in tops(files) {
        let (path, target) = (volume.join(name), Path::new(DATA).join(name));
        if fs::read_link(&path).ok().as_ref() != Some(&target) {
            symlink(target, &path).map_err(Error::io("make the link", &path))?;
        }
    }
    Ok(())
}

/// Removes what is not of the files as they are now.
fn clear(volume: &Path, files: &Files<'_>, current: Option<&str>) -> Result<()> {
    let tops = tops(files);
    for name in records::names(volume)? {
        if name != DATA && current != Some(&name) && !tops.contains(name.as_str()) {
            remove_tree(&volume.join(name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files<'a>(list: &[(&'a str, u32, &str)]) -> Files<'a> {
        list.iter().map(|(name, mode, text)| (*name, (*mode, text.as_bytes().to_vec()))).collect()
    }

    fn shown(volume: &Path) -> Vec<String> {
        records::names(volume).unwrap().into_iter().filter(|name| !name.starts_with("..")).collect()
    }

    fn dirs(volume: &Path) -> usize {
        records::names(volume).unwrap().iter().filter(|name| name.starts_with(DIR)).count()
    }

    #[test]
    fn a_new_set_of_files_takes_the_place_of_the_old_one_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path();
        let read = |name: &str| fs::read_to_string(volume.join(name)).unwrap();
        let first = files(&[("a", 0o644, "1"), ("deep/er/b", 0o400, "1"), ("c", 0o644, "")]);
        write(volume, &first, Owner::default()).unwrap();
        assert_eq!(shown(volume), ["a", "c", "deep"]);
        assert_eq!((read("a"), read("deep/er/b")), ("1".to_owned(), "1".to_owned()));
        assert_eq!(fs::metadata(volume.join("deep/er/b")).unwrap().mode() & 0o7777, 0o400);
        // Who has the directory open goes on seeing the old files until they are gone.
        let data = fs::read_link(volume.join(DATA)).unwrap();
        write(volume, &first, Owner::default()).unwrap();
        assert_eq!(fs::read_link(volume.join(DATA)).unwrap(), data, "the same files are not written again");
        for changed in [
            files(&[("a", 0o644, "2"), ("deep/er/b", 0o400, "1"), ("c", 0o644, "")]),
            files(&[("a", 0o600, "2"), ("deep/er/b", 0o400, "1"), ("c", 0o644, "")]),
            files(&[("a", 0o600, "2"), ("d/e", 0o400, "1")]),
            files(&[("a/b", 0o600, "2")]),
            files(&[]),
        ] {
            let before = fs::read_link(volume.join(DATA)).unwrap();
            write(volume, &changed, Owner::default()).unwrap();
            assert_ne!(fs::read_link(volume.join(DATA)).unwrap(), before);
            assert_eq!(shown(volume), tops(&changed).into_iter().collect::<Vec<_>>());
            assert!(changed.iter().all(|(name, (_, text))| fs::read(volume.join(name)).unwrap() == *text));
            assert_eq!(dirs(volume), 1);
        }
    }

    #[test]
    fn what_a_crash_left_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path();
        let one = files(&[("a", 0o644, "1")]);
        write(volume, &one, Owner::default()).unwrap();
        fs::create_dir(volume.join("..files_2")).unwrap();
        fs::write(volume.join("..files_2/a"), "half").unwrap();
        symlink("..files_2", volume.join(NEXT)).unwrap();
        symlink("..data/gone", volume.join("gone")).unwrap();
        write(volume, &one, Owner::default()).unwrap();
        assert_eq!((shown(volume), dirs(volume)), (vec!["a".to_owned()], 1));
        assert!(!volume.join(NEXT).exists());
        write(volume, &files(&[("a", 0o644, "2")]), Owner::default()).unwrap();
        assert_eq!(fs::read_to_string(volume.join("a")).unwrap(), "2");
    }
}
