//! The end of a run: processes, cgroup, runtime state, bundle, writable layer, subPath mounts. The log stays.

use super::mounts::drop_subpaths_at;
use crate::{
    error::Result,
    fsys::{mounts::unmount_below, remove::remove_tree},
    paths::Roots,
    records, teardown,
};
use berth_core::ids::{ContainerId, PodUid};
use std::{fs::OpenOptions, io::Read, os::unix::fs::OpenOptionsExt, path::PathBuf, time::Duration};

/// Bytes of a termination message that count; kubelet's bound.
pub const TERMINATION_MESSAGE_LEN_MAX_BYTES: u64 = 4096;

/// Kills what is left, waits until the cgroup is empty (at most `deadline`) and removes all but the log.
/// Blocking, idempotent; works without a record too. The keeper's slot is released by the caller.
///
/// # Errors
/// [`crate::Error::Busy`] at the deadline: call again.
pub fn remove(roots: &Roots, id: &ContainerId, deadline: Duration) -> Result<()> {
    for cgroup in cgroups(roots, id) {
        teardown::remove(&cgroup, deadline)?;
    }
    for uid in pods(roots, id)? {
        drop_subpaths_at(&roots.pod_subpaths(&uid, id))?;
    }
    remove_tree(&roots.runtime_state().join(&*id.0))?;
    remove_tree(&roots.container_state(id))?;
    let bundle = roots.bundle(id);
    if bundle.exists() {
        // Nothing is mounted there but by a runtime that was killed in the middle of it.
        for name in records::names(&bundle)?.iter().filter(|name| *name != "record.json") {
            let path = bundle.join(name);
            if remove_tree(&path).is_err() {
                unmount_below(&path)?;
                remove_tree(&path)?;
            }
        }
    }
    remove_tree(&bundle)
}

/// Removes what a container of an earlier boot has written, of which nothing else is left. Blocking, idempotent.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn remove_layer(roots: &Roots, id: &ContainerId) -> Result<()> {
    remove_tree(&roots.container_state(id))
}

/// Kills all that is in the container's cgroup; does not wait. Already gone is no error.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn kill(roots: &Roots, id: &ContainerId) -> Result<()> {
    cgroups(roots, id).iter().try_for_each(|cgroup| teardown::kill(cgroup))
}

/// Whether the kernel's OOM killer struck in the container's cgroup. To be asked before [`remove`].
pub fn oom_killed(roots: &Roots, id: &ContainerId) -> bool {
    cgroups(roots, id).iter().any(|cgroup| teardown::oom_kills(cgroup) > 0)
}

/// What the container wrote to its `terminationMessagePath`: at most
/// [`TERMINATION_MESSAGE_LEN_MAX_BYTES`], the last of them. To be asked before [`remove`].
pub fn termination_message(roots: &Roots, id: &ContainerId) -> String {
    let open = || {
        let path = roots.termination_log(id);
        let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
        let start = file.metadata()?.len().saturating_sub(TERMINATION_MESSAGE_LEN_MAX_BYTES);
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(TERMINATION_MESSAGE_LEN_MAX_BYTES).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    // A container that wrote none, and one that is gone, have none.
    open().unwrap_or_default()
}

/// By the record, and without one by looking everywhere.
fn cgroups(roots: &Roots, id: &ContainerId) -> Vec<PathBuf> {
    match records::read_container(roots, id) {
        Ok(Some(stored)) => vec![stored.cgroup],
        _ => teardown::find_container(&roots.kubepods(), id),
    }
}

fn pods(roots: &Roots, id: &ContainerId) -> Result<Vec<PodUid>> {
    match records::read_container(roots, id) {
        Ok(Some(stored)) => Ok(vec![stored.record.pod]),
        _ => Ok(records::names(&roots.pods_run())?.into_iter().map(|uid| PodUid(uid.into())).collect()),
    }
}
