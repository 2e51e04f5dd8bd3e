//! One run of a program, and the disk that it writes to: what it took until all of it was there.

use crate::bench::Result;
use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// The unit of the kernel's counters of a disk.
const SECTOR_BYTES: u64 = 512;
/// Which of them counts what was written (Documentation/admin-guide/iostats.rst, field 7).
const SECTORS_WRITTEN_AT: usize = 6;

/// What one run of a program took.
pub(super) struct Run {
    /// Until it ended.
    pub(super) returned_ms: f64,
    /// Until the file system was synced after it.
    pub(super) durable_ms: f64,
    /// Of all its processes.
    pub(super) cpu_ms: f64,
    /// Of the largest of its processes.
    pub(super) peak_mib: f64,
    /// To the disk, the file system's own book-keeping included, until it was synced.
    pub(super) written_bytes: f64,
}

/// A directory on a disk on which nobody else works.
pub(super) struct Disk {
    dir: PathBuf,
    /// The kernel's counters.
    counters: PathBuf,
}

impl Disk {
    pub(super) fn new(dir: &Path) -> Result<Self> {
        let device = fs::metadata(dir)?.dev();
        let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
        Ok(Self { dir: dir.to_owned(), counters: format!("/sys/dev/block/{major}:{minor}/stat").into() })
    }

    /// Removes what the last run left, and waits until it is gone from the disk, so that no run pays for another's.
    pub(super) fn clear(&self, names: &[&str]) -> Result {
        // Peers mount a storage onto itself and leave it so.
        let storage = self.dir.join("storage/overlay");
        if storage.exists() {
            Command::new("umount").arg(storage).stderr(Stdio::null()).status()?;
        }
        for name in names {
            if self.dir.join(name).exists() {
                fs::remove_dir_all(self.dir.join(name))?;
            }
        }
        self.sync()
    }

    fn sync(&self) -> Result {
        let synced = Command::new("sync").arg("--file-system").arg(&self.dir).status()?;
        if synced.success() { Ok(()) } else { Err("sync failed".into()) }
    }

    fn written(&self) -> Result<u64> {
        let text = fs::read_to_string(&self.counters)?;
        let sectors =
            text.split_whitespace().nth(SECTORS_WRITTEN_AT).and_then(|word| word.parse::<u64>().ok());
        sectors.map(|sectors| sectors * SECTOR_BYTES).ok_or_else(|| format!("counters are {text:?}").into())
    }

    /// Runs a program; it must succeed. Its temporary files go to the same disk.
    pub(super) fn timed(&self, command: &[String]) -> Result<Run> {
        let (figures, tmp) = (self.dir.join("figures"), self.dir.join("tmp"));
        fs::create_dir_all(&tmp)?;
        let before = self.written()?;
        let begun = Instant::now();
        let ended = Command::new("/usr/bin/time")
            .args(["--format=%M %U %S", "--output"])
            .arg(&figures)
            .args(command)
            .env("TMPDIR", &tmp)
            .stdin(Stdio::null())
            .output()?;
        let returned = begun.elapsed();
        if !ended.status.success() {
            return Err(format!("{command:?}: {}", String::from_utf8_lossy(&ended.stderr)).into());
        }
        self.sync()?;
        let durable = begun.elapsed();
        let written = self.written()?.saturating_sub(before);
        let text = fs::read_to_string(figures)?;
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [peak_kib, user, system] = numbers[..] else {
            return Err(format!("time(1) says {text:?}").into());
        };
        Ok(Run {
            returned_ms: returned.as_secs_f64() * 1e3,
            durable_ms: durable.as_secs_f64() * 1e3,
            cpu_ms: (user + system) * 1e3,
            peak_mib: peak_kib / 1024.0,
            written_bytes: written as f64,
        })
    }
}
