//! Rewrites the limits of a pod and of its containers while they run: the values are those that a new pod would get, in
//! an order in which at no moment the containers have more than their pod.
//!
//! Never lowers a memory limit below what is in use: the kernel would kill for it.

use super::{CPUS, CgroupWrite, PERIOD_US, apply, container_after, container_before, pod as pod_limits};
use crate::{
    error::{Error, Result},
    node::NodeFacts,
};
use berth_core::{cpus::Place, manifest::DesiredPod, manifest::types::Container, resize::InUse};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The limit of memory that must not be lowered below what is in use.
const MEMORY_MAX: &str = "memory.max";
/// What says that there is no limit.
const UNLIMITED: &str = "max";

/// A container that runs, and the cgroup that it has.
#[derive(Debug, Clone)]
pub struct Target<'a> {
    /// Of the pod's spec as it is now.
    pub container: &'a Container,
    /// Where it may run.
    pub place: &'a Place,
    /// Absolute. One that is gone is left out: its container has ended.
    pub cgroup: PathBuf,
}

/// All values of a pod's resize, compared with what the kernel has.
#[derive(Debug)]
pub struct Resize {
    pod: PathBuf,
    of_pod: Vec<CgroupWrite>,
    containers: Vec<(String, PathBuf, Vec<CgroupWrite>)>,
    cpus: Vec<(PathBuf, CgroupWrite)>,
}

impl Resize {
    /// Of a pod whose cgroup is this.
    pub fn of(pod: &DesiredPod, node: &NodeFacts, cgroup: PathBuf, targets: &[Target<'_>]) -> Self {
        let there = || targets.iter().filter(|target| target.cgroup.is_dir());
        let writes = |target: &Target<'_>| {
            let mut writes = container_before(&pod.pod, target.container, node);
            writes.extend(container_after(target.container, target.place, node));
            (target.container.name.clone(), target.cgroup.clone(), with_defaults(writes))
        };
        let cpus = |target: &Target<'_>| {
            // An empty line takes back what was there; nothing at all would not be a write.
            (target.cgroup.clone(), CgroupWrite::optional(CPUS, format!("{}\n", target.place.cpus)))
        };
        Self {
            pod: cgroup,
            of_pod: with_defaults(pod_limits(&pod.pod, node)),
            containers: there().map(writes).collect(),
            cpus: there().map(cpus).collect(),
        }
    }

    /// Sets where the containers may run, as far as that is something else than now.
    ///
    /// # Errors
    /// [`Error::Io`]: the kernel refuses a value.
    pub fn set_cpus(&self) -> Result<()> {
        for (dir, write) in &self.cpus {
            if now(dir, CPUS)?.is_some_and(|now| now.trim() != write.value.trim()) {
                set_cpus(dir, write)?;
            }
        }
        Ok(())
    }

    /// A memory limit that cannot be lowered now. What the kernel can give back of it without harm (the page cache) it
    /// is asked to give back first.
    ///
    /// # Errors
    /// [`Error::Io`]: a cgroup cannot be read.
    pub fn in_use(&self) -> Result<Option<InUse>> {
        let containers = self.containers.iter().map(|(name, dir, writes)| (name.as_str(), dir, writes));
        for (container, dir, writes) in containers.chain([("", &self.pod, &self.of_pod)]) {
            let Some(limit) = writes.iter().find(|write| write.file == MEMORY_MAX).map(|w| amount(&w.value))
            else {
                continue;
            };
            if now(dir, MEMORY_MAX)?.is_none_or(|now| amount(&now) <= limit) {
                continue;
            }
            let used = || Ok::<_, Error>(now(dir, "memory.current")?.map_or(0, |used| amount(&used)));
            let over = used()?.saturating_sub(limit);
            if over > 0 {
                // As much as can be had; that it was less, or that the kernel has no such file, shows in what is in use.
                let _ = fs::write(dir.join("memory.reclaim"), over.to_string());
            }
            let used = used()?;
            if used > limit {
                return Ok(Some(InUse { container: container.to_owned(), limit, used }));
            }
        }
        Ok(None)
    }

    /// Sets all limits: what grows for the pod, then the containers', then what shrinks for the pod.
    ///
    /// # Errors
    /// [`Error::Io`]: the kernel refuses a value. Some are set then.
    pub fn write(&self) -> Result<()> {
        let (mut grow, mut shrink) = (Vec::new(), Vec::new());
        for write in &self.of_pod {
            let now = now(&self.pod, &write.file)?.map_or(0, |now| amount(&now));
            if amount(&write.value) >= now { &mut grow } else { &mut shrink }.push(write.clone());
        }
        apply(&self.pod, &grow)?;
        for (_, dir, writes) in &self.containers {
            match apply(dir, writes) {
                // It has ended meanwhile.
                Err(_) if !dir.is_dir() => {}
                other => drop(other?),
            }
        }
        apply(&self.pod, &shrink).map(drop)
    }
}

/// With the kernel's own values for what was limited once and is not any more.
fn with_defaults(mut writes: Vec<CgroupWrite>) -> Vec<CgroupWrite> {
    let unlimited = format!("{UNLIMITED} {PERIOD_US}");
    for (file, value) in [
        ("cpu.max", unlimited.as_str()),
        (MEMORY_MAX, UNLIMITED),
        ("memory.high", UNLIMITED),
        ("memory.low", "0"),
        ("memory.min", "0"),
    ] {
        if writes.iter().all(|write| write.file != file) {
            writes.push(CgroupWrite::optional(file, value));
        }
    }
    writes
}

/// The amount at the beginning of a value; more than any for `max`.
fn amount(value: &str) -> u64 {
    let first = value.split_whitespace().next().unwrap_or_default();
    first.parse().unwrap_or(u64::MAX)
}

/// What the kernel has; none where it has no such file, or the cgroup is gone.
fn now(dir: &Path, file: &str) -> Result<Option<String>> {
    let path = dir.join(file);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // The cgroup went while it was read.
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(Error::io("read", &path)(error)),
    }
}

/// A cgroup with processes does not take back where it may run on all kernels (`validate_change` in kernel/cgroup/cpuset.c:
/// ENOSPC): then it gets what its parent has.
fn set_cpus(dir: &Path, write: &CgroupWrite) -> Result<()> {
    let refused = match write_one(dir, write) {
        Err(error) if write.value.trim().is_empty() => error,
        other => return other,
    };
    let all = match dir.parent() {
        Some(parent) => now(parent, "cpuset.cpus.effective")?,
        None => None,
    };
    let Some(all) = all.filter(|all| !all.trim().is_empty()) else { return Err(refused) };
    write_one(dir, &CgroupWrite::optional(CPUS, all.trim()))
}

fn write_one(dir: &Path, write: &CgroupWrite) -> Result<()> {
    match apply(dir, std::slice::from_ref(write)) {
        Err(_) if !dir.is_dir() => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests;
