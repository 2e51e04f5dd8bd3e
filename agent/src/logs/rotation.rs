//! Names and numbers of log files: `<n>.log` is what run `n` writes to, `<n>.log.<YYYYMMDD-HHMMSS>` what was
//! rotated away. kubelet's scheme, without the compression of old files: an edge box's flash is better
//! served by the total limit than its processor by gzip.

use berth_core::time::{NS_PER_S, Wall};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Pod or container directories looked at when the total is taken; more are left for the next time.
const DIRS_MAX: usize = 1024;

/// `20260131-235959` for seconds since 1970.
fn stamp(stamp_s: u64) -> String {
    let text = Wall(stamp_s.saturating_mul(NS_PER_S)).rfc3339();
    text.trim_end_matches('Z').replace(['-', ':'], "").replace('T', "-")
}

/// The rotated files of the log file at `path`, oldest first.
///
/// # Errors
/// Of reading the directory.
pub(super) fn rotated_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let prefix = format!("{}.", name.to_string_lossy());
    let mut files: Vec<PathBuf> = fs::read_dir(dir)?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect();
    files.sort_unstable();
    Ok(files)
}

/// The name for the next rotated file: never that of one which exists, and behind all of them in order,
/// even when the clock stood still or went back.
pub(super) fn next_name(path: &Path, rotated: &[PathBuf], stamp_s: u64) -> PathBuf {
    let named = |at: u64| PathBuf::from(format!("{}.{}", path.display(), stamp(at)));
    let newest = rotated.last();
    // One rotation a second at most comes out of this for long, so the loop is short.
    (stamp_s..stamp_s + 3600)
        .map(named)
        .find(|name| newest.is_none_or(|newest| name > newest))
        .unwrap_or_else(|| {
            newest.map_or_else(|| named(stamp_s), |newest| PathBuf::from(format!("{}x", newest.display())))
        })
}

/// Removes logs of runs older than the one before `attempt`: that one is for `logs --previous`. Says whether
/// there were any.
pub(super) fn prune_attempts(dir: &Path, attempt: u32) -> bool {
    let Ok(entries) = fs::read_dir(dir) else { return false };
    let mut removed = false;
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let number =
            name.to_str().and_then(|name| name.split_once(".log")).and_then(|(n, _)| n.parse::<u32>().ok());
        if number.is_some_and(|n| n.saturating_add(1) < attempt) {
            removed |= fs::remove_file(entry.path()).is_ok();
        }
    }
    removed
}

/// Removes the oldest rotated files below `pods_dir` until all of them together are within `total_max_bytes`.
/// Returns the bytes given back.
pub(super) fn enforce_total(pods_dir: &Path, total_max_bytes: u64) -> u64 {
    let mut files = Vec::new();
    for pod in directories(pods_dir) {
        for container in directories(&pod) {
            files.extend(rotated_in(&container));
        }
    }
    files.sort_unstable();
    let mut total: u64 = files.iter().map(|(_, _, size)| size).sum();
    let mut freed = 0;
    for (_, path, size) in files {
        if total <= total_max_bytes {
            break;
        }
        if fs::remove_file(path).is_ok() {
            total -= size;
            freed += size;
        }
    }
    freed
}

fn directories(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let is_dir = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.filter_map(Result::ok).filter(is_dir).map(|entry| entry.path()).take(DIRS_MAX).collect()
}

/// Rotated files right in `dir`, with time of the last write and size in bytes.
fn rotated_in(dir: &Path) -> Vec<(SystemTime, PathBuf, u64)> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let measured = |entry: fs::DirEntry| {
        let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        let rotated = entry.file_name().to_string_lossy().contains(".log.");
        rotated.then(|| (meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), entry.path(), meta.len()))
    };
    entries.filter_map(Result::ok).filter_map(measured).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_sort_by_age_even_if_the_clock_does_not() {
        let path = Path::new("/l/0.log");
        let first = next_name(path, &[], 951_782_400);
        assert_eq!(first, Path::new("/l/0.log.20000229-000000"));
        let second = next_name(path, std::slice::from_ref(&first), 951_782_400);
        assert_eq!(second, Path::new("/l/0.log.20000229-000001"));
        let far = PathBuf::from("/l/0.log.20990101-000000");
        assert!(next_name(path, std::slice::from_ref(&far), 951_782_400) > far);
    }

    #[test]
    fn only_the_run_before_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["0.log", "1.log", "1.log.20000101-000000", "2.log", "3.log", "notes.txt", "x.log"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert!(prune_attempts(dir.path(), 3) && !prune_attempts(dir.path(), 3));
        let mut left: Vec<String> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort_unstable();
        assert_eq!(left, ["2.log", "3.log", "notes.txt", "x.log"]);
    }

    #[test]
    fn the_oldest_rotated_files_give_way_and_current_ones_never() {
        let dir = tempfile::tempdir().unwrap();
        for (place, size, age_s) in [
            ("a/c/0.log", 100, 50),
            ("a/c/0.log.20000101-000000", 10, 40),
            ("b/c/0.log.20000101-000001", 10, 30),
            ("b/c/0.log.20000101-000002", 10, 20),
        ] {
            let path = dir.path().join(place);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x".repeat(size)).unwrap();
            let time = SystemTime::now() - std::time::Duration::from_secs(age_s);
            fs::File::options().append(true).open(&path).unwrap().set_modified(time).unwrap();
        }
        assert_eq!(enforce_total(dir.path(), 25), 10);
        assert!(!dir.path().join("a/c/0.log.20000101-000000").exists());
        assert_eq!(enforce_total(dir.path(), 0), 20);
        assert!(dir.path().join("a/c/0.log").exists());
    }
}
