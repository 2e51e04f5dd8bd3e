//! The mount table of this process: what is mounted below a path, and unmounting it.

use crate::error::{Error, Result};
use nix::{
    errno::Errno,
    mount::{MntFlags, umount2},
};
use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// The kernel's table of the mounts that the calling thread sees.
const MOUNTINFO: &str = "/proc/thread-self/mountinfo";
/// Mounts on one another at one place that are undone before giving up.
const STACKED_MAX: usize = 16;

/// Mount points at or below `dir`, the topmost of each place first: the order in which they can go.
pub(crate) fn below(dir: &Path) -> Result<Vec<PathBuf>> {
    let table = fs::read(MOUNTINFO).map_err(Error::io("read", MOUNTINFO))?;
    let mut found: Vec<PathBuf> = points(&table).filter(|point| point.starts_with(dir)).collect();
    found.reverse();
    Ok(found)
}

/// Unmounts all that is mounted at or below `dir`. What is busy is detached: it disappears from here now
/// and is freed when its last user has gone.
///
/// # Errors
/// [`Error::Busy`] if something is mounted there still, [`Error::Io`].
pub(crate) fn unmount_below(dir: &Path) -> Result<()> {
    // The table has real paths; a run directory may be reached by a link (/var/run).
    let Ok(dir) = dir.canonicalize() else { return Ok(()) };
    for _ in 0..STACKED_MAX {
        let points = below(&dir)?;
        if points.is_empty() {
            return Ok(());
        }
        for point in points {
            unmount(&point)?;
        }
    }
    Err(Error::Busy {
        path: dir,
        message: "something mounts there again and again: see /proc/self/mountinfo".into(),
    })
}

/// Unmounts the topmost mount at the path, if there is one.
pub(crate) fn unmount(point: &Path) -> Result<()> {
    let result = match umount2(point, MntFlags::UMOUNT_NOFOLLOW) {
        Err(Errno::EBUSY) => umount2(point, MntFlags::UMOUNT_NOFOLLOW | MntFlags::MNT_DETACH),
        other => other,
    };
    match result {
        // Not a mount point any more, or its directory is gone and the mount with it.
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(errno) => Err(Error::sys("unmount", point)(errno)),
    }
}

/// How a mount stands to others in what is mounted below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peers {
    /// It keeps to itself.
    Private,
    /// It gets what others have.
    Slave,
    /// It gives and gets.
    Shared,
}

/// The mount that `path` lies on: its place, and how it stands to others.
pub(crate) fn around(path: &Path) -> Result<(PathBuf, Peers)> {
    let real = path.canonicalize().map_err(Error::io("look at", path))?;
    let table = fs::read(MOUNTINFO).map_err(Error::io("read", MOUNTINFO))?;
    let mounts = table.split(|byte| *byte == b'\n').filter_map(peers);
    // Of the nearest the topmost, which the table has last.
    mounts
        .filter(|(point, _)| real.starts_with(point))
        .max_by_key(|(point, _)| point.components().count())
        .ok_or_else(|| Error::Malformed { path: MOUNTINFO.into(), message: "has no mount at /".into() })
}

/// Place and standing from one line, `proc_pid_mountinfo(5)`: the optional fields end with a lone dash.
fn peers(line: &[u8]) -> Option<(PathBuf, Peers)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let point = unescape(fields.nth(4)?);
    let optional: Vec<&[u8]> = fields.skip(1).take_while(|field| *field != b"-").collect();
    let has = |tag: &[u8]| optional.iter().any(|field| field.starts_with(tag));
    let peers = match (has(b"shared:"), has(b"master:")) {
        (true, _) => Peers::Shared,
        (false, true) => Peers::Slave,
        (false, false) => Peers::Private,
    };
    Some((point, peers))
}

/// The fifth field of each line.
fn points(table: &[u8]) -> impl Iterator<Item = PathBuf> + '_ {
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4).map(unescape))
}

/// The kernel writes space, tab, newline and backslash as three octal digits behind a backslash.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let octal = |digit: u8| matches!(digit, b'0'..=b'7').then(|| digit - b'0');
        let code = match tail {
            [a, b, c, ..] if *first == b'\\' => {
                octal(*a).zip(octal(*b)).zip(octal(*c)).map(|((a, b), c)| (a << 6) | (b << 3) | c)
            }
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_as_the_kernel_writes_them() {
        let table = b"36 35 98:0 /mnt1 /mnt/parent rw,noatime master:1 - ext3 /dev/root rw\n\
            37 36 0:25 / /mnt/parent/a\\040b\\134c rw - tmpfs tmpfs rw\n\n38 short\n";
        assert_eq!(
            points(table).collect::<Vec<_>>(),
            [PathBuf::from("/mnt/parent"), PathBuf::from("/mnt/parent/a b\\c")]
        );
        assert_eq!(unescape(b"\\9x\\04"), PathBuf::from("\\9x\\04"));
    }

    #[test]
    fn a_mounts_standing_to_others_is_read_from_the_optional_fields() {
        for (optional, expected) in [
            ("", Peers::Private),
            ("shared:1 ", Peers::Shared),
            ("master:1 ", Peers::Slave),
            ("shared:2 master:1 ", Peers::Shared),
            ("unbindable ", Peers::Private),
        ] {
            let line = format!("36 35 98:0 /x /mnt/a\\040b rw,noatime {optional}- ext3 /dev/shared:0 rw");
            assert_eq!(peers(line.as_bytes()), Some((PathBuf::from("/mnt/a b"), expected)), "{optional}");
        }
        assert_eq!(peers(b""), None);
    }

    #[test]
    fn a_directory_without_mounts_and_one_that_is_not_there_have_nothing_to_unmount() {
        let dir = tempfile::tempdir().unwrap();
        unmount_below(dir.path()).unwrap();
        unmount_below(&dir.path().join("none")).unwrap();
    }

    #[test]
    fn this_process_has_proc_mounted() {
        assert!(below(Path::new("/proc")).unwrap().iter().any(|point| point == Path::new("/proc")));
    }
}
