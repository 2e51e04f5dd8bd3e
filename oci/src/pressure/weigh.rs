//! What pods use of what is short.

use super::{parse, text};
use crate::{paths::Roots, usage};
use berth_core::pressure::{PodUse, Signal, Uses, Weighing};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// Seconds that the counting of files takes at most, of all pods together; who is not counted by then is left out.
const COUNT_MAX_S: u64 = 40;
/// Directories below a pod's cgroup that are looked into where the kernel keeps no account.
const CGROUPS_MAX: usize = 1024;

/// Finds out what each of them uses, as far as that can be found out. Counting files takes long.
pub fn weigh(roots: &Roots, signal: Signal, pods: &[Weighing]) -> Uses {
    let until = Instant::now() + Duration::from_secs(COUNT_MAX_S);
    let one = |pod: &Weighing| {
        let used = match signal {
            Signal::MemoryAvailable => in_cgroups(roots, pod, working_set),
            Signal::PidAvailable => in_cgroups(roots, pod, tasks),
            _ if Instant::now() > until => None,
            _ => on_disk(roots, signal, pod),
        };
        Some((pod.desired.uid.clone(), used?))
    };
    pods.iter().filter_map(one).collect()
}

/// By the pod's cgroup, and its containers'.
fn in_cgroups(roots: &Roots, pod: &Weighing, of: fn(&Path) -> Option<u64>) -> Option<PodUse> {
    let total = of(&roots.pod_cgroup(&pod.desired))?;
    let container =
        |(name, id): &(_, _)| Some((String::clone(name), of(&roots.container_cgroup(&pod.desired, id))?));
    Some(PodUse { total, containers: pod.runs.iter().filter_map(container).collect() })
}

/// Memory without what the page cache could give back at once. Without the memory controller: what is resident of the
/// processes, shared pages more than once.
pub(super) fn working_set(cgroup: &Path) -> Option<u64> {
    let Some(used) = number(&cgroup.join("memory.current")) else { return resident(cgroup) };
    let cache = parse::stat(&text(cgroup.join("memory.stat")), "inactive_file");
    Some(used.saturating_sub(cache.unwrap_or(0)))
}

pub(super) fn resident(cgroup: &Path) -> Option<u64> {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    let pages = |pid: &str| parse::statm_resident(&text(format!("/proc/{pid}/statm")));
    let sum = listed(cgroup, "cgroup.procs")?.lines().filter_map(pages).sum::<u64>();
    Some(sum.saturating_mul(u64::try_from(page).ok()?))
}

/// Processes and threads.
pub(super) fn tasks(cgroup: &Path) -> Option<u64> {
    let counted = || u64::try_from(listed(cgroup, "cgroup.threads")?.lines().count()).ok();
    number(&cgroup.join("pids.current")).or_else(counted)
}

/// The lines of this file of a cgroup and all below it; none if the cgroup is not there.
fn listed(cgroup: &Path, file: &str) -> Option<String> {
    let (mut todo, mut all) = (vec![cgroup.to_owned()], fs::read_to_string(cgroup.join(file)).ok()?);
    let mut left = CGROUPS_MAX;
    while let Some(dir) = todo.pop().filter(|_| left > 0) {
        left -= 1;
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                all.push_str(&text(entry.path().join(file)));
                todo.push(entry.path());
            }
        }
    }
    Some(all)
}

pub(super) fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// By its files: volumes on disk, what containers have written, logs.
fn on_disk(roots: &Roots, signal: Signal, pod: &Weighing) -> Option<PodUse> {
    let found = usage::of_pod(roots, &pod.desired, &pod.runs).ok()?;
    if !signal.is_bytes() {
        return Some(PodUse { total: found.inodes, ..PodUse::default() });
    }
    Some(PodUse { total: found.bytes(), containers: found.containers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_without_controllers_is_counted_by_its_processes() {
        let dir = tempfile::tempdir().unwrap();
        let (own, below) = (dir.path(), dir.path().join("c"));
        fs::create_dir(&below).unwrap();
        fs::write(own.join("cgroup.procs"), "").unwrap();
        fs::write(below.join("cgroup.procs"), format!("{}\n", std::process::id())).unwrap();
        fs::write(own.join("cgroup.threads"), "1\n2\n").unwrap();
        assert!(working_set(own).unwrap() > 1 << 20);
        assert_eq!(tasks(own), Some(2));
        fs::write(own.join("memory.current"), "1000\n").unwrap();
        fs::write(own.join("memory.stat"), "anon 1\ninactive_file 400\n").unwrap();
        fs::write(own.join("pids.current"), "5\n").unwrap();
        assert_eq!((working_set(own), tasks(own)), (Some(600), Some(5)));
        assert_eq!(working_set(&dir.path().join("gone")), None);
    }
}
