//! What the store does when it is opened: sees what a power cut, a bad disk or a hand left, keeps what is
//! whole, takes what is not out of the way, and never refuses to start for it. Its time is bounded by the
//! limits on records, snapshots and files removed at one go.

use super::{
    Store, disk,
    index::Entry,
    layer::check_snapshot,
    record::{self, ImageRecord, VERSION},
    verity,
};
use crate::{
    digest::Digest,
    error::{Doing as _, Error},
    image::ConfigFile,
    limits::{
        DOWNLOAD_KEPT_MAX_S, QUARANTINE_MAX_ENTRIES, RECORDS_MAX_COUNT, SNAPSHOTS_MAX_COUNT, SWEEP_MAX_FILES,
    },
};
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

/// What opening the store found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Usable images.
    pub images: usize,
    /// Usable snapshots, those of unfinished imports included.
    pub snapshots: usize,
    /// What an interrupted import or removal left behind and was removed.
    pub leftovers_removed: Vec<String>,
    /// There was more than is removed on one occasion; the next import goes on with it.
    pub leftovers_remain: bool,
    /// Records and snapshots that could not be used, and why. Records are kept in `quarantine/`; the images
    /// are imported again when they are wanted.
    pub quarantined: Vec<String>,
    /// fs-verity was asked for, and the file system does not have it.
    pub verity_missing: bool,
}

/// Names tried in staging for one broken snapshot.
const SETTING_ASIDE_MAX_TRIES: usize = 64;

impl RecoveryReport {
    /// Whether there is nothing worth telling.
    pub fn is_clean(&self) -> bool {
        self.leftovers_removed.is_empty() && !self.leftovers_remain && self.quarantined.is_empty()
    }
}

impl Store {
    pub(super) fn recover(&self) -> Result<RecoveryReport, Error> {
        let mut report = RecoveryReport::default();
        let snapshots = self.check_snapshots(&mut report)?;
        report.snapshots = snapshots.len();
        let dir = self.disk.part("images");
        let mut entries = Vec::new();
        for path in list(&dir, RECORDS_MAX_COUNT)? {
            match self.load(&path, &snapshots) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    report.quarantined.push(format!("{}: {error}", path.display()));
                    self.quarantine(&path);
                }
            }
        }
        report.quarantined.extend(self.vendor.problems.iter().cloned());
        self.read_pins()?;
        let mut index = self.write_index();
        // An image that is in both is known by the record that can change.
        self.vendor.images().iter().for_each(|entry| index.insert(Arc::clone(entry)));
        entries.into_iter().for_each(|entry| index.insert(entry));
        report.images = index.all().count();
        drop(index);
        self.trim_quarantine();
        // Nothing is being staged yet: all that is there is left over.
        *self.leftovers() = list(&self.disk.staging(), SWEEP_MAX_FILES)?;
        report.leftovers_removed = self.sweep();
        self.forget_downloads(Duration::from_secs(DOWNLOAD_KEPT_MAX_S));
        report.leftovers_remain = !self.leftovers().is_empty();
        let known = || verity::is_known(&self.config.store_dir).doing(|| "ask for fs-verity".into());
        report.verity_missing = self.config.fs_verity && !known()?;
        Ok(report)
    }

    /// Removes leftovers, a bounded number of files; returns those that are gone.
    pub(super) fn sweep(&self) -> Vec<String> {
        let mut budget = SWEEP_MAX_FILES;
        let mut gone = Vec::new();
        // What cannot be removed stays on the list: it is in nobody's way there.
        self.leftovers().retain(|path| match remove_within(path, &mut budget) {
            Ok(true) => {
                gone.push(path.display().to_string());
                false
            }
            Ok(false) | Err(_) => true,
        });
        gone
    }

    fn leftovers(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.leftovers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The snapshots that are whole; the others leave the store.
    fn check_snapshots(&self, report: &mut RecoveryReport) -> Result<HashSet<Digest>, Error> {
        let mut whole = HashSet::new();
        for path in list(&self.disk.part("snapshots"), SNAPSHOTS_MAX_COUNT)? {
            let chain = path.file_name().and_then(|name| name.to_str()).and_then(Digest::from_hex);
            let checked = match chain {
                Some(chain) => check_snapshot(&path, &chain).map(|record| (chain, record.bytes)),
                None => {
                    Err(Error::corrupt(path.display().to_string(), "a directory named by a chain ID", "not"))
                }
            };
            match checked {
                Ok((chain, bytes)) => {
                    whole.insert(chain);
                    self.note_size(chain, bytes);
                }
                Err(error) => {
                    report.quarantined.push(format!("{}: {error}", path.display()));
                    // Its record is kept to be looked at; its files can be unpacked again and are not.
                    self.quarantine(&path.join("complete.json"));
                    self.set_aside(&path);
                }
            }
        }
        Ok(whole)
    }

    /// Moves a broken snapshot to staging, best effort.
    fn set_aside(&self, path: &Path) {
        for _ in 0..SETTING_ASIDE_MAX_TRIES {
            match fs::rename(path, self.disk.staged_name()) {
                // Something left over has that name.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {}
                _ => break,
            }
        }
    }

    /// An image from its record, if all that it needs is there.
    fn load(&self, path: &Path, snapshots: &HashSet<Digest>) -> Result<Arc<Entry>, Error> {
        let record: ImageRecord = record::read(path)?;
        let what = || path.display().to_string();
        if record.version != VERSION || self.disk.image(&record.id) != *path {
            let got = format!("version {}, id {}", record.version, record.id);
            return Err(Error::corrupt(what(), format!("version {VERSION} and its own id"), got));
        }
        if let Some(missing) = record
            .chain
            .iter()
            .find(|chain| !snapshots.contains(chain) && self.vendor.snapshot(chain).is_none())
        {
            return Err(Error::corrupt(what(), format!("snapshot {missing}"), "none that is whole"));
        }
        disk::read_blob(&self.disk, &record.manifest)?;
        let config = ConfigFile::parse(&what(), &disk::read_blob(&self.disk, &record.id)?)?;
        Ok(self.entry(record, &config))
    }

    /// Moves a record out of the way, best effort: a record that stays is found broken again.
    fn quarantine(&self, path: &Path) {
        if let (Some(name), Some(parent)) = (path.file_name(), path.parent().and_then(Path::file_name)) {
            let name = format!("{}-{}", parent.to_string_lossy(), name.to_string_lossy());
            let _ = fs::rename(path, self.disk.part("quarantine").join(name));
        }
    }

    fn trim_quarantine(&self) {
        let Ok(mut kept) = list(&self.disk.part("quarantine"), RECORDS_MAX_COUNT) else { return };
        kept.sort_by_key(|path| path.symlink_metadata().and_then(|m| m.modified()).ok());
        let excess = kept.len().saturating_sub(QUARANTINE_MAX_ENTRIES);
        for path in &kept[..excess] {
            let _ = fs::remove_file(path);
        }
    }
}

/// The entries of a directory, by name.
pub(super) fn list(dir: &Path, max: usize) -> Result<Vec<PathBuf>, Error> {
    let listed = fs::read_dir(dir).doing(|| format!("list {}", dir.display()))?;
    let mut paths: Vec<PathBuf> = listed.take(max).filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// Removes a tree while the budget of files lasts; `false` if something is left.
fn remove_within(path: &Path, budget: &mut usize) -> io::Result<bool> {
    if *budget == 0 {
        return Ok(false);
    }
    *budget -= 1;
    if !path.symlink_metadata()?.is_dir() {
        return fs::remove_file(path).map(|()| true);
    }
    let mut whole = true;
    for entry in fs::read_dir(path)? {
        whole &= remove_within(&entry?.path(), budget)?;
        if *budget == 0 {
            return Ok(false);
        }
    }
    if whole { fs::remove_dir(path).map(|()| true) } else { Ok(false) }
}
