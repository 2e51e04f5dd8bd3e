//! A pod's sandbox: record, cgroup, namespaces, /etc files, volumes, log directory.

use crate::{
    error::{Error, Result},
    node::NodeFacts,
    paths::Roots,
};
use berth_core::{ids::PodUid, manifest::DesiredPod};

/// Makes the pod's sandbox, or completes one that was begun. Blocking, idempotent.
///
/// # Errors
/// Tell the core as `CreatePodSandboxError`. What was made stays, for the next try or [`remove`].
pub fn create(roots: &Roots, node: &NodeFacts, pod: &DesiredPod) -> Result<()> {
    let _ = (roots, node, pod);
    Err(Error::Config("not yet".into()))
}

/// Undoes [`create`], logs and volumes included. Blocking, idempotent; no container may be left in it.
///
/// # Errors
/// Something is in use still; call again.
pub fn remove(roots: &Roots, pod: &DesiredPod) -> Result<()> {
    remove_leftover(roots, &pod.uid)
}

/// As [`remove`], for a pod of which only the uid is known.
///
/// # Errors
/// As [`remove`].
pub fn remove_leftover(roots: &Roots, uid: &PodUid) -> Result<()> {
    let _ = (roots, uid);
    Err(Error::Config("not yet".into()))
}
