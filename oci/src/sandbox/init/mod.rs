//! The first process of a pod whose containers share their process numbers: it holds the namespace, reaps
//! what the containers leave behind, and does nothing else.
//!
//! It is started through a process between, so that it is the keeper's child like any container and outlives
//! the agent. It lives in a cgroup of its own below the pod's and ends with that. Nobody asks how it ended:
//! with it the kernel kills all in its namespace, and the next container's start makes another.

mod inside;
mod sys;

use super::applet;
use crate::{
    error::{Error, Result},
    fsys::{self, mounts},
    paths::Roots,
    teardown,
    users::ids,
};
use berth_core::manifest::DesiredPod;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::PathBuf,
};

pub use inside::run;

/// The argument by which this program becomes it.
pub const APPLET: &str = "pod-init";
/// Its cgroup in the pod's. No container's id has such a name.
const CGROUP: &str = "init";
/// The kind of namespace, as under `/proc/<pid>/ns`.
const PID: &str = "pid";

/// What it is told on its standard input, as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Orders {
    /// Its cgroup.
    cgroup: PathBuf,
    /// An empty directory: all that it shall see.
    root: PathBuf,
    /// The pod's namespaces, to be in none of the node's.
    namespaces: Vec<PathBuf>,
    /// One of them, the first, is of users.
    #[serde(default)]
    own_users: bool,
}

/// Where the namespace of process numbers is kept, for a pod that shares it.
pub fn pid_namespace(roots: &Roots, pod: &DesiredPod) -> Option<PathBuf> {
    let shares = pod.pod.spec.share_process_namespace == Some(true);
    shares.then(|| roots.pod_ns(&pod.uid, PID))
}

/// Sees to it that the process lives and its namespace is pinned, for a pod that shares it. The pod's other
/// namespaces are there.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn ensure(roots: &Roots, pod: &DesiredPod) -> Result<()> {
    let Some(pin) = pid_namespace(roots, pod) else { return Ok(()) };
    let cgroup = roots.pod_cgroup(pod).join(CGROUP);
    if fsys::is_namespace(&pin) && teardown::is_populated(&cgroup) {
        return Ok(());
    }
    while fsys::is_namespace(&pin) {
        mounts::unmount(&pin)?;
    }
    teardown::kill(&cgroup)?;
    let root = roots.pod_run(&pod.uid).join("init");
    for dir in [&cgroup, &root] {
        fsys::make_dirs(dir, 0o755)?;
    }
    let kinds = super::namespaces::kinds(&pod.pod.spec);
    let namespaces = kinds.into_iter().map(|kind| roots.pod_ns(&pod.uid, kind)).collect();
    let pid = spawn(&Orders { cgroup, root, namespaces, own_users: ids::are_own(pod) })?;
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&pin)
        .map_err(Error::io("create the mount point", &pin))?;
    fsys::bind(format!("/proc/{pid}/ns/{PID}").as_ref(), &pin)
}

/// Starts it and gives its pid; when this returns it is confined.
fn spawn(orders: &Orders) -> Result<i32> {
    let wrong = |error| Error::io("start", "the pod's first process")(error);
    let mut child = applet::command(APPLET).spawn().map_err(wrong)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends early says why on stderr.
        let _ = stdin.write_all(&serde_json::to_vec(orders).unwrap_or_default());
    }
    let output = child.wait_with_output().map_err(wrong)?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        wrong(io::Error::other(if why.is_empty() { output.status.to_string() } else { why }))
    })
}

/// As killed as the least important of the pod's, for it holds them all.
fn hard_to_kill() {
    // Refused to who may not lower it; then it is killed no more willingly than the agent.
    let _ = fs::write("/proc/self/oom_score_adj", "-998");
}
