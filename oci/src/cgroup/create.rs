//! Makes the tree `kubepods/<class>/pod<uid>` and sets its limits. What the kernel cannot do is told as a
//! warning: a pod without its limit is better than no pod.

use super::{
    CONTROLLERS, CPUS_CONTROLLER, CgroupWrite, HUGE_PAGES_CONTROLLER, classes, kubepods, pod as pod_limits,
};
use crate::{
    error::{Error, Result},
    fsys,
    node::NodeFacts,
    paths::Roots,
};
use berth_core::manifest::{DesiredPod, huge_pages};
use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Makes the pod's cgroup with its limits and those above it; idempotent. Returns what the kernel lacks,
/// one sentence each.
///
/// # Errors
/// [`Error::Io`]: a directory cannot be made, or the kernel refuses a value.
pub fn create_pod(roots: &Roots, node: &NodeFacts, pod: &DesiredPod) -> Result<Vec<String>> {
    let leaf = roots.pod_cgroup(pod);
    let large = !node.huge_pages.is_empty() || !huge_pages::sizes(&pod.pod.spec).is_empty();
    let large = large.then_some(HUGE_PAGES_CONTROLLER);
    let cpus = node.policy.cpus_assigned.then_some(CPUS_CONTROLLER);
    let controllers: Vec<&'static str> = CONTROLLERS.into_iter().chain(large).chain(cpus).collect();
    let mut lacking = BTreeSet::new();
    for dir in ancestors(&roots.cgroup, &leaf) {
        let made = !dir.is_dir();
        if made {
            fsys::make_dirs(&dir, 0o755)?;
        }
        enable(&dir, &controllers, &mut lacking)?;
        if made && dir == roots.kubepods() {
            apply(&dir, &of_all_pods(node))?;
        }
    }
    let mut warnings = apply(&leaf, &pod_limits(&pod.pod, node))?;
    warnings.extend(lacking.into_iter().map(|controller| {
        format!(
            "cgroup controller {controller} is not available in {}: its limits have no effect (kernel configuration, or cgroup_disable on the kernel's command line)",
            roots.cgroup.display()
        )
    }));
    Ok(warnings)
}

/// Lets the children of the pod's cgroup, which exists, be told where they run. What the kernel lacks was said when it was
/// made, or is said by the limits that have no effect.
///
/// # Errors
/// [`Error::Io`].
pub fn enable_cpus(roots: &Roots, pod: &DesiredPod) -> Result<()> {
    let mut lacking = BTreeSet::new();
    for dir in ancestors(&roots.cgroup, &roots.pod_cgroup(pod)) {
        enable(&dir, &[CPUS_CONTROLLER], &mut lacking)?;
    }
    Ok(())
}

fn of_all_pods(node: &NodeFacts) -> Vec<CgroupWrite> {
    let policy = &node.policy;
    kubepods(node.memory_bytes, node.cpus, policy.reserved_memory_bytes, policy.reserved_milli)
}

/// Brings the limits of all pods together up to what the node keeps back now; nothing where there are no pods.
///
/// # Errors
/// [`Error::Io`].
pub fn refresh_all(roots: &Roots, node: &NodeFacts) -> Result<()> {
    let dir = roots.kubepods();
    if dir.is_dir() {
        apply(&dir, &of_all_pods(node))?;
    }
    Ok(())
}

/// Brings the classes' weights and what is kept for them up to date with the pods that run; to be called when one comes or
/// goes.
///
/// # Errors
/// [`Error::Io`].
pub fn refresh_qos<'a>(
    roots: &Roots,
    node: &NodeFacts,
    pods: impl IntoIterator<Item = &'a DesiredPod>,
) -> Result<()> {
    for (class, writes) in classes(pods, node) {
        let dir = roots.kubepods().join(class);
        if dir.is_dir() {
            apply(&dir, &writes)?;
        }
    }
    Ok(())
}

/// Writes limits into a cgroup. A file that is not there (its controller is missing) is a warning.
///
/// # Errors
/// [`Error::Io`]: the kernel refuses the value.
pub fn apply(cgroup: &Path, writes: &[CgroupWrite]) -> Result<Vec<String>> {
    let (opened, warnings) = open(cgroup, writes)?;
    opened.write()?;
    Ok(warnings)
}

/// Limits whose files are open already. The kernel judges by the cgroup namespace of the moment of opening
/// whether a limit may be set (`nsdelegate`), so this can be written from inside the container's own.
pub struct Opened(Vec<(PathBuf, fs::File, String)>);

/// Opens the files of limits that are to be written later; warnings as with [`apply`].
///
/// # Errors
/// [`Error::Io`]: a file cannot be opened.
pub fn open(cgroup: &Path, writes: &[CgroupWrite]) -> Result<(Opened, Vec<String>)> {
    let (mut opened, mut warnings) = (Vec::new(), Vec::new());
    for write in writes {
        let path = cgroup.join(&write.file);
        match OpenOptions::new().write(true).open(&path) {
            Ok(file) => opened.push((path, file, write.value.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound && cgroup.is_dir() => {
                if !write.optional {
                    warnings.push(format!(
                        "{}={} has no effect: the kernel has no such limit here",
                        write.file, write.value
                    ));
                }
            }
            Err(error) => return Err(Error::io("set the limit", &path)(error)),
        }
    }
    Ok((Opened(opened), warnings))
}

impl Opened {
    /// Sets the limits.
    ///
    /// # Errors
    /// [`Error::Io`]: the kernel refuses a value.
    pub fn write(self) -> Result<()> {
        for (path, mut file, value) in self.0 {
            file.write_all(value.as_bytes()).map_err(Error::io("set the limit", &path))?;
        }
        Ok(())
    }
}

/// The directories from the hierarchy's root down to `leaf`, both included.
fn ancestors(root: &Path, leaf: &Path) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> =
        leaf.ancestors().take_while(|dir| dir.starts_with(root)).map(Path::to_owned).collect();
    dirs.reverse();
    dirs
}

/// Enables the controllers for the directory's children, one by one, so that one that is missing or
/// held elsewhere does not keep the others away. What a directory above lacks, no one below it can have (kernel,
/// cgroup-v2, "Top-down Constraint").
fn enable(dir: &Path, controllers: &[&'static str], lacking: &mut BTreeSet<&'static str>) -> Result<()> {
    let file = dir.join("cgroup.subtree_control");
    let enabled = match fs::read_to_string(&file) {
        // Not a unified hierarchy: `doctor` says so, here it is only a tree of directories.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        text => text.map_err(Error::io("read", &file))?,
    };
    for &controller in controllers {
        let there = enabled.split_whitespace().any(|other| other == controller);
        if there || lacking.contains(controller) {
            continue;
        }
        if put(&file, &format!("+{controller}")).is_err() {
            lacking.insert(controller);
        }
    }
    Ok(())
}

/// One write(2): the kernel takes a value whole or not at all.
fn put(path: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
}
