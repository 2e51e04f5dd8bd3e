//! The processors that are online, and which of them share a core.

use berth_core::cpus::CpuSet;
use std::{collections::BTreeSet, fs, path::Path};

/// Where the kernel says so; see its admin-guide/cputopology.
const SYSFS: &str = "/sys/devices/system/cpu";
/// The processors of one core; older kernels know them by the second name.
const SIBLINGS: [&str; 2] = ["core_cpus_list", "thread_siblings_list"];

/// The processors that are online, those of one core together, by the lowest of each. A kernel that does not say has as many
/// cores as this process may use.
pub fn cores() -> Vec<CpuSet> {
    read(Path::new(SYSFS))
}

fn read(dir: &Path) -> Vec<CpuSet> {
    let list =
        |path: &Path| fs::read_to_string(path).ok()?.parse::<CpuSet>().ok().filter(|list| !list.is_empty());
    let count = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let online = list(&dir.join("online")).unwrap_or_else(|| (0..).take(count()).collect());
    let core = |cpu: u32| {
        let topology = dir.join(format!("cpu{cpu}/topology"));
        let siblings = SIBLINGS.iter().find_map(|name| list(&topology.join(name)));
        let core = siblings.unwrap_or_default().both(&online);
        if core.contains(cpu) { core } else { [cpu].into_iter().collect() }
    };
    let cores: BTreeSet<CpuSet> = online.iter().map(core).collect();
    let mut cores: Vec<CpuSet> = cores.into_iter().collect();
    cores.sort_by_key(|core| core.iter().next());
    cores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_a_core_stand_together_as_far_as_they_are_online() {
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("online", "0-2,4-6\n");
        for cpu in 0..3 {
            write(&format!("cpu{cpu}/topology/core_cpus_list"), &format!("{cpu},{}\n", cpu + 4));
            write(&format!("cpu{}/topology/thread_siblings_list", cpu + 4), &format!("{cpu},{}\n", cpu + 4));
        }
        let text = |cores: Vec<CpuSet>| cores.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(text(read(dir.path())), ["0,4", "1,5", "2,6"]);
        write("online", "0,2,5\n");
        assert_eq!(text(read(dir.path())), ["0", "2", "5"]);
        assert!(!read(&dir.path().join("none")).is_empty() && !cores().is_empty());
    }
}
