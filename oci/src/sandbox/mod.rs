//! A pod's sandbox: record, cgroup, namespaces, /etc files, shared memory, volumes, log directory.
//!
//! The record comes first and goes last. Each step looks whether it is done already, so that an agent that
//! was killed anywhere in the middle goes on (or undoes) where it was.

mod applet;
pub mod init;
pub mod namespaces;
pub mod own_users;
mod remove;
pub(crate) mod resize;
mod settle;
mod spare;
mod sys;
mod sysctl;
mod turn;
mod warnings;

use crate::{
    cgroup,
    error::{Error, Result},
    files, fsys,
    network::Network,
    node::NodeFacts,
    paths::{Roots, UID_LEN_MAX, is_file_name},
    records,
    users::ids,
    volumes,
};
use berth_core::{
    dns::names_of,
    manifest::{DesiredPod, objects::Objects},
    resize::PodResources,
    time::Mono,
};
use std::{fs, sync::Arc};
use turn::Turn;

pub use remove::{drop_dangling_log_links, remove, remove_leftover, remove_leftover_with, remove_with};
pub use resize::resize;
pub use settle::settle_network;
pub use spare::Spares;
pub use warnings::{NOT_ENFORCED, Warning, read as warnings};

/// What the pod's containers share as `/dev/shm`: as large as container runtimes make it.
const SHM_OPTIONS: &str = "mode=1777,size=65536k";
/// Only root looks into what Berth keeps; containers get at their parts through mounts.
const PRIVATE: u32 = 0o700;

/// Makes the pod's sandbox, or completes one that was begun. Blocking (it waits for no process or
/// network, only for the disk under the volumes), idempotent.
///
/// # Errors
/// Tell the core as `CreatePodSandboxError`. What was made stays, for the next try or [`remove`].
pub fn create(roots: &Roots, node: &NodeFacts, pod: &DesiredPod) -> Result<()> {
    let network = Arc::new(Network::none(roots));
    create_with(roots, node, pod, Mono(0), &Objects::default(), &Spares::default(), &network).map(drop)
}

/// As [`create`], with a network, the objects that its volumes name, and the namespaces that `spares` may have
/// ready. `begun`: when it was asked for. Returns the pod's addresses.
///
/// # Errors
/// As [`create`].
pub fn create_with(
    roots: &Roots,
    node: &NodeFacts,
    pod: &DesiredPod,
    begun: Mono,
    objects: &Objects,
    spares: &Spares,
    network: &Arc<Network>,
) -> Result<Vec<String>> {
    check_uid(pod)?;
    let _turn = Turn::take(roots, &pod.uid)?;
    let known = records::read_sandbox(roots, &pod.uid).ok().flatten();
    let ready = known.as_ref().is_some_and(|record| record.ready);
    // What is not complete is a new sandbox; one that is stays what it was, over changes of its record too.
    let begun = known.as_ref().filter(|_| ready).map_or(begun, |record| record.begun);
    if known.is_none_or(|record| record.desired != *pod || record.begun != begun) {
        for dir in [&roots.pods_run(), &roots.pod_run(&pod.uid)] {
            fsys::make_dirs(dir, PRIVATE)?;
        }
        records::write_sandbox(roots, pod, begun, PodResources::of(&pod.pod.spec))?;
    }
    if !ready {
        resize::forget(roots, &pod.uid)?;
    }
    let lacking = cgroup::create_pod(roots, node, pod)?;
    let names = files::names(node, pod)?;
    let ids = ids::ensure(roots, pod)?;
    namespaces::create(roots, pod, names.kernel(), spares, ids)?;
    let attached = network.attach(pod, names_of(&pod.key, &pod.pod.spec, &names.host, &node.name))?;
    warnings::write(roots, &pod.uid, &warnings::of(node, pod, lacking, attached.lacking))?;
    shared_memory(roots, pod)?;
    files::create(roots, node, pod)?;
    for dir in [&roots.pods_state(), &roots.pod_state(&pod.uid)] {
        fsys::make_dirs(dir, PRIVATE)?;
    }
    volumes::create(roots, node, pod, objects, !ready)?;
    log_directory(roots, pod)?;
    let mark = roots.pod_ready(&pod.uid);
    fs::write(&mark, "").map_err(Error::io("write", &mark))?;
    Ok(attached.addresses)
}

/// Takes down how the pod is now, if its sandbox is there: what NetworkPolicies select it by, and its record. Of what
/// runs nothing is touched. Blocking, idempotent.
///
/// # Errors
/// [`Error::Network`]: packet rules are as they were. [`Error::Io`].
pub fn update(roots: &Roots, pod: &DesiredPod, network: &Network) -> Result<()> {
    check_uid(pod)?;
    let _turn = Turn::take(roots, &pod.uid)?;
    let Some(known) = records::read_sandbox(roots, &pod.uid)?.filter(|known| known.ready) else {
        return Ok(());
    };
    // The record last: with it nothing of this is done again.
    network.relabel(pod)?;
    // What its cgroup has is `resize`'s to say.
    let given = known.given();
    if known.desired == *pod { Ok(()) } else { records::write_sandbox(roots, pod, known.begun, given) }
}

/// Brings the files of the pod's volumes up to the pod and these objects, if its sandbox is there. Blocking, idempotent.
///
/// # Errors
/// [`Error::Volume`]; the volumes before it are up to date then, it and those behind it are as they were.
pub fn refresh_files(roots: &Roots, node: &NodeFacts, pod: &DesiredPod, objects: &Objects) -> Result<()> {
    check_uid(pod)?;
    let _turn = Turn::take(roots, &pod.uid)?;
    if !roots.pod_ready(&pod.uid).exists() {
        return Ok(());
    }
    volumes::refresh(roots, node, pod, objects)
}

/// The tmpfs behind `/dev/shm`, unless the pod shares the node's.
fn shared_memory(roots: &Roots, pod: &DesiredPod) -> Result<()> {
    let shm = roots.pod_shm(&pod.uid);
    if pod.pod.spec.host_ipc || fsys::is_tmpfs_mount(&shm) {
        return Ok(());
    }
    fsys::make_dirs(&shm, PRIVATE)?;
    fsys::mount_tmpfs(&shm, SHM_OPTIONS, false)
}

/// Modes as kubelet has them: outsiders may read a pod's logs if they may pass the first directory.
fn log_directory(roots: &Roots, pod: &DesiredPod) -> Result<()> {
    fsys::make_dirs(&roots.pods_log(), 0o750)?;
    fsys::make_dirs(&roots.log_links(), 0o755)?;
    fsys::make_dirs(&roots.pod_log(pod), 0o755)
}

/// The uid becomes a file name, and may come from a manifest.
fn check_uid(pod: &DesiredPod) -> Result<()> {
    if is_file_name(&pod.uid) {
        return Ok(());
    }
    let uid = &pod.uid.0;
    Err(Error::Config(format!(
        "pod {}: uid {uid:?} must be 1 to {UID_LEN_MAX} letters, digits, '-', '_' or '.'",
        pod.key
    )))
}

#[cfg(test)]
mod tests;
