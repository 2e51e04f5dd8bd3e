//! A disk that is full, at every size at which it can be: nothing half-done, the state told, and all well when
//! there is room.

use super::*;
use crate::error::ErrorKind;
use std::process::Command;

/// A tmpfs of so many KiB over a directory, taken off again with the value.
struct Small(PathBuf);

impl Small {
    fn mount(dir: &Path, kib: u64) -> Option<Self> {
        fs::create_dir_all(dir).unwrap();
        let options = format!("size={kib}k,mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(dir);
        mount.output().is_ok_and(|run| run.status.success()).then(|| Self(dir.to_owned()))
    }

    fn grow(&self, kib: u64) {
        let options = format!("remount,size={kib}k");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_at_any_write() {
    if !crate::sys::is_root() {
        return eprintln!("SKIPPED a_full_disk_at_any_write: needs root");
    }
    let mut refused = 0;
    // 16 KiB of content in two layers, records and blobs: from no room at all to room enough, page by page.
    for kib in (4..=120).step_by(4) {
        let place = Place::new();
        sample("x", &"y".repeat(16_000)).write_oci_archive(&place.source("x.tar")).unwrap();
        let Some(disk) = Small::mount(&place.store(""), kib) else {
            return eprintln!("SKIPPED a_full_disk_at_any_write: no right to mount");
        };
        let config = || StoreConfig::new(place.store(""), vec![place.source("")]);
        let Ok((store, _)) = Store::open(config()) else { continue };
        let first = store.ensure("x", &arm64());
        if let Err(error) = &first {
            refused += 1;
            assert_eq!(error.kind(), ErrorKind::NoSpace, "{kib} KiB: {error}");
            assert_eq!((store.list(), names(&place.store("staging"))), (vec![], vec![]), "{kib} KiB");
        }
        drop(store);
        // The power goes on top of it.
        let (store, report) = Store::open(config()).unwrap();
        assert!(report.is_clean(), "{kib} KiB: {report:?}");
        disk.grow(1024);
        let image = store.ensure("x", &arm64()).unwrap();
        assert_eq!(file(&image, "app").len(), 16_000);
        assert_eq!(store.verify(false).damage, []);
    }
    assert!(refused > 5, "only {refused} sizes were too small: is the disk small at all?");
}
