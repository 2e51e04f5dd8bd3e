//! The pod's volumes: made with the sandbox, found again by the containers' mounts.

mod atomic;
mod claim;
mod empty_dir;
mod fs_group;
mod host_path;
mod image;
pub(crate) mod relabel;
pub(crate) mod subpath;
mod written;

use crate::{
    error::{Error, Result},
    node::NodeFacts,
    paths::Roots,
    users::ids::{self, Ids},
};
use berth_core::manifest::{
    DesiredPod,
    objects::Objects,
    types::{FsGroupChangePolicy, Volume},
};
use std::{os::unix::fs::chown, path::PathBuf};

pub use image::mount_images;

/// Directories in one another in a volume that is given to a group or labelled; a deeper tree is refused.
const DEPTH_MAX: usize = 256;

/// Makes all volumes of the pod. `first` says that no container of the pod can have run in them since the
/// boot: then fsGroup is applied.
pub(crate) fn create(
    roots: &Roots,
    node: &NodeFacts,
    pod: &DesiredPod,
    objects: &Objects,
    first: bool,
) -> Result<()> {
    let ids = ids::of(roots, pod)?;
    for volume in &pod.pod.spec.volumes {
        if volume.image.is_some() {
            // Mounted when a container wants it.
            continue;
        }
        if let Some(host_path) = &volume.host_path {
            // Neither owner nor mode of what is the node's own is ever changed.
            host_path::check(host_path).map_err(|message| named(volume, message))?;
            continue;
        }
        if volume.is_written() {
            written::create(roots, node, pod, volume, objects, ids)?;
            continue;
        }
        let dir = match &volume.persistent_volume_claim {
            Some(claim) => claim::create(roots, &pod.key.namespace, &claim.claim_name)?,
            None => empty_dir::create(roots, node, pod, volume)?,
        };
        // A claim outlives the pod: what is in it is owned by ids as the pod sees them, and mapped when it is mounted.
        let ids = ids.filter(|_| volume.persistent_volume_claim.is_none());
        if let Some(Ids { base }) = ids.filter(|_| first) {
            chown(&dir, Some(base), Some(base)).map_err(|error| named(volume, error.to_string()))?;
        }
        let context = &pod.pod.spec.security_context;
        if let Some(gid) = context.fs_group.filter(|_| first) {
            let gid = ids.map_or(gid, |ids| ids.on_node(gid));
            // As in kubelet an emptyDir is given to the group in any case.
            let may_skip = volume.persistent_volume_claim.is_some()
                && context.fs_group_change_policy == Some(FsGroupChangePolicy::OnRootMismatch);
            let give = || match may_skip && fs_group::is_given(&dir, gid)? {
                true => Ok(()),
                false => fs_group::apply(&dir, gid),
            };
            give().map_err(|error: Error| named(volume, error.to_string()))?;
        }
    }
    Ok(())
}

/// Brings the files that Berth writes up to these objects.
pub(crate) fn refresh(roots: &Roots, node: &NodeFacts, pod: &DesiredPod, objects: &Objects) -> Result<()> {
    let ids = ids::of(roots, pod)?;
    let mut volumes = pod.pod.spec.volumes.iter().filter(|volume| volume.is_written());
    volumes.try_for_each(|volume| written::create(roots, node, pod, volume, objects, ids))
}

/// Whether no container may write to it, whatever its mount says.
pub(crate) fn is_read_only(pod: &DesiredPod, name: &str) -> bool {
    let volume = pod.pod.spec.volumes.iter().find(|volume| volume.name == name);
    volume.is_some_and(|volume| {
        volume.is_written() || volume.persistent_volume_claim.as_ref().is_some_and(|claim| claim.read_only)
    })
}

/// Whether the volume outlives the pod: it is owned by the node's users, or as pods see them.
pub(crate) fn is_of_others(pod: &DesiredPod, name: &str) -> bool {
    let volume = pod.pod.spec.volumes.iter().find(|volume| volume.name == name);
    volume.is_some_and(|volume| volume.host_path.is_some() || volume.persistent_volume_claim.is_some())
}

/// Whether the volume is the pod's or made for pods, so that it may get a label; kubelet leaves the rest as it is.
pub(crate) fn may_be_labelled(pod: &DesiredPod, name: &str) -> bool {
    let volume = pod.pod.spec.volumes.iter().find(|volume| volume.name == name);
    volume.is_some_and(|volume| volume.host_path.is_none() && volume.image.is_none())
}

/// Where a volume lies on the node.
///
/// # Errors
/// [`Error::Config`]: the pod has no such volume.
pub fn source(roots: &Roots, pod: &DesiredPod, name: &str) -> Result<PathBuf> {
    let volume = pod.pod.spec.volumes.iter().find(|volume| volume.name == name);
    let volume = volume.ok_or_else(|| Error::Config(format!("pod {} has no volume {name:?}", pod.key)))?;
    Ok(match &volume.host_path {
        Some(host_path) => PathBuf::from(&host_path.path),
        None if volume.image.is_some() || volume.is_written() => roots.pod_memory_volume(&pod.uid, name),
        None if volume.persistent_volume_claim.is_some() => {
            let claim = volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.as_str());
            roots.claim(&pod.key.namespace, claim.unwrap_or_default())
        }
        None if empty_dir::in_memory(&pod.pod, volume) => roots.pod_memory_volume(&pod.uid, name),
        None => roots.pod_disk_volume(&pod.uid, name),
    })
}

fn named(volume: &Volume, message: String) -> Error {
    Error::Volume { volume: volume.name.clone(), message }
}
