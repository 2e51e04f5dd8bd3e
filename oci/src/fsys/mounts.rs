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
