//! The store's directory: where what is kept, and how it gets there. Everything is made complete under
//! `staging/`, written back, renamed into place, and the directory of its place is written back.
//!
//! A snapshot is written back by one `syncfs`, not by an fsync for each file: a layer has thousands of small
//! files, and each fsync is a commit of the file system's journal. The price is that other dirty data of the
//! same file system is written too, which an appliance has little of. Records and blobs are single files and
//! are fsynced.
//!
//! ```text
//! blobs/sha256/<hex>            manifests and configs
//! snapshots/<chain>/fs          an unpacked layer, as overlayfs wants it; sealed by fs-verity if that is asked for
//! snapshots/<chain>/complete.json   what it is and where it came from
//! snapshots/<chain>/check.json      a digest of the tree, by which damage is found later
//! signatures/<manifest>.json    signatures that came with an image
//! pins/<config>                 images that are never removed without being named
//! images/<config>.json          an image: names, digests, chain
//! downloads/<reference>/        a layout of what has arrived from a registry so far
//! staging/                      not yet, or no longer, part of the store
//! quarantine/                   records that could not be used
//! lock                          held by the one process that uses the store
//! ```

use super::fault;
use crate::{
    digest::Digest,
    error::{Doing as _, Error},
    limits::JSON_MAX_BYTES,
    sys,
};
use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

const PARTS: [&str; 8] =
    ["blobs/sha256", "snapshots", "signatures", "pins", "images", "downloads", "staging", "quarantine"];

/// Where what is in a store, read-only ones included.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn part(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.part("blobs/sha256").join(digest.hex())
    }

    pub(super) fn snapshot(&self, chain: &Digest) -> PathBuf {
        self.part("snapshots").join(chain.hex())
    }

    pub(super) fn image(&self, id: &Digest) -> PathBuf {
        self.part("images").join(format!("{}.json", id.hex()))
    }

    pub(super) fn signatures(&self, manifest: &Digest) -> PathBuf {
        self.part("signatures").join(format!("{}.json", manifest.hex()))
    }

    pub(super) fn pin(&self, id: &Digest) -> PathBuf {
        self.part("pins").join(id.hex())
    }
}

/// A manifest or config, verified.
pub(super) fn read_blob(layout: &Layout, digest: &Digest) -> Result<Vec<u8>, Error> {
    let path = layout.blob(digest);
    let what = path.display().to_string();
    let mut bytes = Vec::new();
    let file = File::open(&path).doing(|| format!("open {what}"))?;
    file.take(JSON_MAX_BYTES).read_to_end(&mut bytes).doing(|| format!("read {what}"))?;
    digest.verify(&what, &bytes)?;
    Ok(bytes)
}

/// The directory of the one store that is written to.
#[derive(Debug)]
pub(super) struct Disk {
    layout: Layout,
    next: AtomicU64,
    /// Held open for its lock.
    _lock: File,
}

impl Disk {
    /// Makes what is missing and takes the lock.
    pub(super) fn open(root: &Path) -> Result<Self, Error> {
        let made = PARTS.iter().map(|part| make_dir(&root.join(part))).collect::<Result<Vec<_>, _>>()?;
        if made.contains(&true) {
            // What images hold (setuid programs among it) is for root alone until it runs in a container.
            let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            let close = || -> io::Result<()> {
                fs::set_permissions(root, closed)?;
                File::open(root.join("blobs"))?.sync_all()?;
                File::open(root)?.sync_all()?;
                sync_parent(root)
            };
            close().doing(|| format!("make {}", root.display()))?;
        }
        let lock = lock(&root.join("lock"))?;
        Ok(Self { layout: Layout::new(root), next: AtomicU64::new(0), _lock: lock })
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.part("staging")
    }

    /// A name in staging that nothing has.
    pub(super) fn staged_name(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.staging().join(format!("{}-{number}", std::process::id()))
    }

    /// A directory in staging, removed again unless it is committed.
    pub(super) fn stage(&self) -> Result<Staged, Error> {
        loop {
            let path = self.staged_name();
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Staged { path }),
                // Left by a process of the same number; the next sweep takes it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io(format!("make {}", path.display()), error)),
            }
        }
    }

    /// Writes a small file durably and in one step: after a cut there is the old one, the new one, or none.
    pub(super) fn put_file(&self, target: &Path, bytes: &[u8]) -> Result<(), Error> {
        let stage = self.stage()?;
        let staged = stage.path.join("file");
        let write = || -> io::Result<()> {
            fault::point("create")?;
            let mut file = File::options().write(true).create_new(true).open(&staged)?;
            fault::point("write")?;
            file.write_all(bytes)?;
            fault::point("fsync")?;
            file.sync_all()?;
            fault::point("rename")?;
            fs::rename(&staged, target)?;
            fault::point("fsync of the directory")?;
            sync_parent(target)
        };
        write().doing(|| format!("write {}", target.display()))
    }

    /// Makes a staged directory a part of the store. What has its place, broken or not, goes.
    pub(super) fn commit(&self, staged: Staged, target: &Path) -> Result<(), Error> {
        let commit = || -> io::Result<()> {
            fault::point("syncfs")?;
            sys::syncfs(File::open(&staged.path)?)?;
            if target.symlink_metadata().is_ok() {
                fault::point("make room")?;
                fs::rename(target, self.staged_name())?;
            }
            fault::point("rename")?;
            fs::rename(&staged.path, target)?;
            fault::point("fsync of the directory")?;
            sync_parent(target)
        };
        commit().doing(|| format!("commit {}", target.display()))
    }

    /// Takes a file or directory out of the store in one step; it is deleted afterwards, or at the next start.
    pub(super) fn discard(&self, path: &Path) -> Result<(), Error> {
        let aside = self.staged_name();
        let discard = || -> io::Result<()> {
            fault::point("rename away")?;
            match fs::rename(path, &aside) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                other => other?,
            }
            fault::point("fsync of the directory")?;
            sync_parent(path)?;
            fault::point("delete")?;
            if aside.is_dir() { fs::remove_dir_all(&aside) } else { fs::remove_file(&aside) }
        };
        discard().doing(|| format!("remove {}", path.display()))
    }
}

impl std::ops::Deref for Disk {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        &self.layout
    }
}

/// A directory in staging.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) path: PathBuf,
}

impl Staged {
    /// Opens a new directory in it.
    pub(super) fn dir(&self, name: &str) -> Result<OwnedFd, Error> {
        let path = self.path.join(name);
        fs::create_dir(&path)
            .and_then(|()| File::open(&path))
            .map(Into::into)
            .doing(|| format!("make {}", path.display()))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !fault::is_cut() {
            // What cannot be removed now is removed at the next start. Gone is what was committed.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Makes a directory and those above it; `true` if it was missing.
fn make_dir(dir: &Path) -> Result<bool, Error> {
    let missing = !dir.is_dir();
    if missing {
        fs::create_dir_all(dir).doing(|| format!("make {}", dir.display()))?;
    }
    Ok(missing)
}

pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Another agent may be on its way out: it gets a moment.
fn lock(path: &Path) -> Result<File, Error> {
    use crate::limits::LOCK_WAIT_MAX_MS;
    const STEP_MS: u64 = 20;
    let doing = || format!("lock {}", path.display());
    let file = File::options().create(true).truncate(false).write(true).open(path).doing(doing)?;
    for _ in 0..LOCK_WAIT_MAX_MS / STEP_MS {
        if sys::try_lock(&file).doing(doing)? {
            return Ok(file);
        }
        std::thread::sleep(std::time::Duration::from_millis(STEP_MS));
    }
    let why = "another process uses this image store; stop it first, or configure another directory";
    Err(Error::io(doing(), io::Error::other(why)))
}
