//! How much a pod has on disk: counted file by file, as `du` does, within a bound of time and of files. Reads only,
//! follows no link and enters no mount; what is open and has no name any more is not seen.

use crate::{
    error::Result,
    fsys::sys::{open_below, open_path},
    paths::Roots,
};
use berth_core::{
    ids::ContainerId,
    manifest::DesiredPod,
    storage::{StorageUse, disk_volumes},
};
use nix::{
    dir::{Dir, Type},
    errno::Errno,
    fcntl::{AtFlags, OFlag, ResolveFlag},
    sys::stat::fstatat,
};
use std::{
    collections::HashSet,
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Files and directories of one pod that are counted; beyond it the numbers are too small.
const ENTRIES_MAX: usize = 200_000;
/// Milliseconds that the counting of one pod takes at most.
const TIME_MAX_MS: u64 = 5_000;
/// Bytes of a block, whatever the file system's own size is.
const BLOCK_BYTES: u64 = 512;
/// Entries between two looks at the clock.
const LOOK_EVERY: usize = 256;

/// Counts what the pod has in its volumes on disk, and what these runs of its containers have written and logged.
///
/// # Errors
/// A directory that is there and cannot be read.
pub fn of_pod(roots: &Roots, pod: &DesiredPod, runs: &[(String, ContainerId)]) -> Result<StorageUse> {
    let began = Instant::now();
    let mut count = Count::new(ENTRIES_MAX, began + Duration::from_millis(TIME_MAX_MS));
    let mut found = StorageUse::default();
    for volume in disk_volumes(&pod.pod.spec) {
        let bytes = count.tree(&roots.pod_disk_volume(&pod.uid, &volume.name))?;
        found.volumes.insert(volume.name.clone(), bytes);
    }
    for container in pod.pod.spec.all_containers() {
        let mut bytes = count.tree(&roots.container_log(pod, &container.name))?;
        if let Some((_, id)) = runs.iter().find(|(name, _)| *name == container.name) {
            bytes = bytes.saturating_add(count.tree(&roots.container_state(id))?);
        }
        found.containers.insert(container.name.clone(), bytes);
    }
    found.inodes = count.entries;
    found.cut = count.cut;
    found.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(found)
}

/// A count under way.
struct Count {
    entries_left: usize,
    entries: u64,
    until: Instant,
    cut: bool,
    /// Files of several names that are counted already.
    links: HashSet<(u64, u64)>,
}

impl Count {
    fn new(entries_left: usize, until: Instant) -> Self {
        Self { entries_left, entries: 0, until, cut: false, links: HashSet::new() }
    }

    /// Bytes below `top`; 0 if it is not there.
    fn tree(&mut self, top: &Path) -> Result<u64> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let root = match open_path(top, flags, ResolveFlag::empty()) {
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(0),
            other => other.map_err(crate::error::Error::sys("open the directory", top))?,
        };
        let (mut bytes, mut todo) = (0_u64, vec![PathBuf::from(".")]);
        while let Some(path) = todo.pop() {
            let below = ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_SYMLINKS
                | ResolveFlag::RESOLVE_NO_XDEV;
            match open_below(&root, &path, flags, below).and_then(listed) {
                Ok(mut dir) => bytes = bytes.saturating_add(self.directory(&mut dir, &path, &mut todo)),
                // Gone, replaced by something else, or the root of a mount.
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EXDEV) => {}
                // Too deep for a path, or something else in the way.
                Err(_) => self.cut = true,
            }
            if self.entries_left == 0 {
                self.cut = true;
                break;
            }
        }
        Ok(bytes)
    }

    fn directory(&mut self, dir: &mut Dir, path: &Path, todo: &mut Vec<PathBuf>) -> u64 {
        let fd = dir.as_raw_fd();
        let mut bytes = 0_u64;
        for entry in dir.iter().filter_map(std::result::Result::ok) {
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            self.entries_left = self.entries_left.saturating_sub(1);
            self.entries += 1;
            if self.entries_left.is_multiple_of(LOOK_EVERY) && Instant::now() >= self.until {
                self.entries_left = 0;
            }
            if self.entries_left == 0 {
                break;
            }
            let Ok(stat) = fstatat(Some(fd), entry.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW) else {
                continue;
            };
            let directory =
                entry.file_type() == Some(Type::Directory) || stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
            if directory {
                todo.push(path.join(std::ffi::OsStr::from_bytes(entry.file_name().to_bytes())));
            } else if stat.st_nlink > 1 && !self.links.insert((stat.st_dev, stat.st_ino)) {
                continue;
            }
            bytes =
                bytes.saturating_add(u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK_BYTES));
        }
        bytes
    }
}

fn listed(fd: std::os::fd::OwnedFd) -> std::result::Result<Dir, Errno> {
    Dir::from_fd(std::os::fd::IntoRawFd::into_raw_fd(fd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn count(top: &Path) -> (u64, bool) {
        let mut count = Count::new(ENTRIES_MAX, Instant::now() + Duration::from_secs(60));
        (count.tree(top).unwrap(), count.cut)
    }

    #[test]
    fn a_tree_counts_once_whatever_its_links_are_and_leads_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, other) = (dir.path().join("tree"), dir.path().join("other"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir_all(&other).unwrap();
        fs::write(other.join("big"), vec![1; 1 << 20]).unwrap();
        let (empty, _) = count(&tree);
        fs::write(tree.join("a/b/file"), vec![1; 256 << 10]).unwrap();
        let one = count(&tree);
        assert!(!one.1 && (256 << 10..400 << 10).contains(&(one.0 - empty)), "{one:?} {empty}");
        fs::hard_link(tree.join("a/b/file"), tree.join("again")).unwrap();
        std::os::unix::fs::symlink(&other, tree.join("link")).unwrap();
        let linked = count(&tree).0;
        assert!(linked - one.0 < 64 << 10, "{linked} {one:?}");
        std::os::unix::fs::symlink(&tree, dir.path().join("to-tree")).unwrap();
        assert_eq!(count(&dir.path().join("to-tree")), (0, false));
        assert_eq!(count(&dir.path().join("no-such")), (0, false));
    }

    #[test]
    fn too_many_files_are_a_number_that_is_too_small_and_said_to_be() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..20 {
            fs::write(dir.path().join(format!("f{n}")), "x").unwrap();
        }
        let mut few = Count::new(10, Instant::now() + Duration::from_secs(60));
        few.tree(dir.path()).unwrap();
        assert!(few.cut);
        assert!(!count(dir.path()).1);
    }
}
