//! Undoing a sandbox: what is shared with others first, the record last.

use super::turn::Turn;
use crate::{
    checkpoint,
    error::{Error, Result},
    fsys::{self, mounts, remove::remove_tree},
    network::Network,
    paths::{Roots, is_file_name},
    records, teardown,
};
use berth_core::{ids::PodUid, manifest::DesiredPod};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// No container is left when a sandbox goes: its cgroup has at most the last moments of a process.
const CGROUP_DEADLINE: Duration = Duration::from_secs(5);

/// Undoes [`super::create`], logs and volumes included; the checkpoint stays for `checkpoint::drop`.
/// Blocking, idempotent; no container may be left in it.
///
/// # Errors
/// Something is in use still; call again.
pub fn remove(roots: &Roots, pod: &DesiredPod) -> Result<()> {
    remove_with(roots, &Network::none(roots), pod)
}

/// As [`remove`], with the network that its pods are on.
///
/// # Errors
/// As [`remove`].
pub fn remove_with(roots: &Roots, network: &Network, pod: &DesiredPod) -> Result<()> {
    if !is_file_name(&pod.uid) {
        // Nothing was ever made for it.
        return Ok(());
    }
    let _turn = Turn::take(roots, &pod.uid)?;
    begin(roots, network, &pod.uid)?;
    teardown::remove(&roots.pod_cgroup(pod), CGROUP_DEADLINE)?;
    logs(roots, &roots.pod_log(pod))?;
    state(roots, &pod.uid)
}

/// As [`remove`], for a pod of which only the uid is known; its checkpoint goes too.
///
/// # Errors
/// As [`remove`].
pub fn remove_leftover(roots: &Roots, uid: &PodUid) -> Result<()> {
    remove_leftover_with(roots, &Network::none(roots), uid)
}

/// As [`remove_leftover`], with the network that its pods are on.
///
/// # Errors
/// As [`remove`].
pub fn remove_leftover_with(roots: &Roots, network: &Network, uid: &PodUid) -> Result<()> {
    if !is_file_name(uid) {
        return Ok(());
    }
    let _turn = Turn::take(roots, uid)?;
    begin(roots, network, uid)?;
    for cgroup in teardown::find_pod(&roots.kubepods(), uid) {
        teardown::remove(&cgroup, CGROUP_DEADLINE)?;
    }
    let suffix = format!("_{uid}");
    for name in records::names(&roots.pods_log())?.iter().filter(|name| name.ends_with(&suffix)) {
        logs(roots, &roots.pods_log().join(name))?;
    }
    checkpoint::drop(roots, uid)?;
    state(roots, uid)
}

/// From here on the sandbox counts as begun and not complete; it is off the network and nothing is mounted in
/// it.
fn begin(roots: &Roots, network: &Network, uid: &PodUid) -> Result<()> {
    fsys::remove_file(&roots.pod_ready(uid))?;
    network.detach(uid)?;
    mounts::unmount_below(&roots.pod_run(uid))
}

/// The pod's log directory and the links into it.
fn logs(roots: &Roots, pod_log: &Path) -> Result<()> {
    for link in links_into(roots, pod_log)? {
        fsys::remove_file(&link)?;
    }
    remove_tree(pod_log)
}

fn links_into(roots: &Roots, pod_log: &Path) -> Result<Vec<PathBuf>> {
    let links = roots.log_links();
    let names = records::names(&links)?.into_iter().map(|name| links.join(name));
    Ok(names.filter(|link| fs::read_link(link).is_ok_and(|to| to.starts_with(pod_log))).collect())
}

fn state(roots: &Roots, uid: &PodUid) -> Result<()> {
    remove_tree(&roots.pod_state(uid).join("volumes"))?;
    fsys::remove_file(&roots.pod_users(uid))?;
    checkpoint::remove_dir_if_empty(roots, uid)?;
    let run = roots.pod_run(uid);
    // All but the record, so that a removal that is cut short is taken up again with its pod known.
    for name in records::names(&run)?.iter().filter(|name| *name != "record.json") {
        remove_tree(&run.join(name))?;
    }
    remove_tree(&run)
}

/// Removes links to logs that are gone, as the rotation leaves them.
///
/// # Errors
/// [`Error::Io`].
pub fn drop_dangling_log_links(roots: &Roots) -> Result<()> {
    let links = roots.log_links();
    for link in records::names(&links)?.into_iter().map(|name| links.join(name)) {
        let ours = fs::read_link(&link).is_ok_and(|to| to.starts_with(roots.pods_log()));
        if ours && !link.exists() {
            fs::remove_file(&link).map_err(Error::io("remove", &link))?;
        }
    }
    Ok(())
}
