//! How much the node has left, and what pods use of it: /proc, the file systems, the pods' cgroups. Reads only, and
//! decides nothing. What cannot be read is left out.

mod parse;
mod read;
mod weigh;

pub use read::{cgroup, node};
pub use weigh::weigh;

use crate::{clock, node::meminfo_bytes, paths::Roots};
use berth_core::pressure::{Level, Observation, Signal};
use nix::sys::{stat::stat, statvfs::statvfs};
use std::{fs, path::Path};

/// Looks at the node. A few files and no waiting, apart from a file system that hangs.
pub fn look(roots: &Roots) -> Observation {
    let (nodefs, imagefs) = (space(&roots.state), space(&roots.store()));
    let levels = [
        (Signal::MemoryAvailable, memory(&text("/proc/meminfo"))),
        (Signal::PidAvailable, processes()),
        (Signal::NodefsAvailable, nodefs.map(|(bytes, _)| bytes)),
        (Signal::NodefsInodesFree, nodefs.and_then(|(_, inodes)| inodes)),
        (Signal::ImagefsAvailable, imagefs.map(|(bytes, _)| bytes)),
        (Signal::ImagefsInodesFree, imagefs.and_then(|(_, inodes)| inodes)),
    ];
    let device = |path: &Path| stat(path).map(|stat| stat.st_dev).ok();
    Observation {
        at: clock::now().mono,
        levels: levels.into_iter().filter_map(|(signal, level)| Some((signal, level?))).collect(),
        images_apart: device(&roots.store()).is_some_and(|store| device(&roots.state) != Some(store)),
    }
}

/// All but the working set. That is what is used without what the page cache could give back at once, as with kubelet;
/// what the kernel has for itself counts as used here, which on a small node is a good part of all.
fn memory(meminfo: &str) -> Option<Level> {
    let bytes = |key| meminfo_bytes(meminfo, key);
    let available = bytes("MemFree")?.saturating_add(bytes("Inactive(file)").unwrap_or(0));
    Some(Level { available, capacity: bytes("MemTotal")? })
}

/// Numbers for processes and threads.
fn processes() -> Option<Level> {
    let number = |path: &str| text(path).trim().parse::<u64>().ok();
    let most = [number("/proc/sys/kernel/pid_max"), number("/proc/sys/kernel/threads-max")];
    let capacity = most.into_iter().flatten().min()?;
    let there = parse::loadavg_tasks(&text("/proc/loadavg"))?;
    Some(Level { available: capacity.saturating_sub(there), capacity })
}

/// Bytes and inodes of the file system; none of these where it does not count them.
fn space(path: &Path) -> Option<(Level, Option<Level>)> {
    let stat = statvfs(path).ok()?;
    let block = stat.fragment_size();
    let bytes = Level {
        available: stat.blocks_available().saturating_mul(block),
        capacity: stat.blocks().saturating_mul(block),
    };
    let inodes = Level { available: stat.files_available(), capacity: stat.files() };
    Some((bytes, (inodes.capacity > 0).then_some(inodes)))
}

/// Empty if it cannot be read.
fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots { state: dir.path().to_owned(), ..Roots::default() };
        fs::create_dir(roots.store()).unwrap();
        let seen = look(&roots);
        for signal in
            [Signal::MemoryAvailable, Signal::PidAvailable, Signal::NodefsAvailable, Signal::ImagefsAvailable]
        {
            let level = seen.levels[&signal];
            assert!(level.available > 0 && level.available <= level.capacity, "{signal:?} {level:?}");
        }
        assert!(!seen.images_apart);
    }

    #[test]
    fn available_memory_is_what_is_free_and_what_the_cache_can_give_back() {
        let meminfo = "MemTotal: 1000 kB\nMemFree: 100 kB\nActive(file): 70 kB\nInactive(file): 30 kB\n";
        assert_eq!(memory(meminfo), Some(Level { available: 130 << 10, capacity: 1000 << 10 }));
        assert_eq!(memory("MemTotal: 1000 kB\n"), None);
    }
}
