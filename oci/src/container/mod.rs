//! One run of one container, before its start and after its end.

use crate::{
    error::{Error, Result},
    node::NodeFacts,
    paths::Roots,
};
use berth_core::{action::ImageFacts, ids::ContainerId, manifest::DesiredPod};
use std::{path::PathBuf, time::Duration};

/// What the keeper is told of a container to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Bundle directory.
    pub bundle: PathBuf,
    /// Its leaf cgroup, absolute.
    pub cgroup: PathBuf,
    /// Owner of its log pipes.
    pub log_uid: u32,
    /// Group of its log pipes.
    pub log_gid: u32,
}

/// Record, user, mounts, bundle, writable layer, log directory of one run. Blocking, idempotent, fast.
///
/// # Errors
/// Tell the core with [`Error::to_failure`] as `CreateContainerError`. What was made stays for [`remove`].
pub fn prepare(
    roots: &Roots,
    node: &NodeFacts,
    pod: &DesiredPod,
    container: &str,
    attempt: u32,
    id: &ContainerId,
    image: &ImageFacts,
) -> Result<Prepared> {
    let _ = (roots, node, pod, container, attempt, id, image);
    Err(Error::Config("not yet".into()))
}

/// Kills what is left, waits until the cgroup is empty (at most `deadline`), removes all but the log.
/// Blocking, idempotent; works without a record too. The keeper's slot is released by the caller.
///
/// # Errors
/// [`Error::Busy`] at the deadline: call again.
pub fn remove(roots: &Roots, id: &ContainerId, deadline: Duration) -> Result<()> {
    let _ = (roots, id, deadline);
    Err(Error::Config("not yet".into()))
}

/// Kills all that is in the container's cgroup; does not wait. Already gone is no error.
///
/// # Errors
/// [`Error::Io`].
pub fn kill(roots: &Roots, id: &ContainerId) -> Result<()> {
    let _ = (roots, id);
    Err(Error::Config("not yet".into()))
}

/// Whether the kernel's OOM killer struck in the container's cgroup. To be asked before [`remove`].
pub fn oom_killed(roots: &Roots, id: &ContainerId) -> bool {
    let _ = (roots, id);
    false
}

/// What the container wrote to its `terminationMessagePath`, cut to 4096 bytes. To be asked before [`remove`].
pub fn termination_message(roots: &Roots, id: &ContainerId) -> String {
    let _ = (roots, id);
    String::new()
}
