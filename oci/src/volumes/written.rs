//! Volumes whose files Berth writes (configMap, secret, downwardAPI, projected): in memory, kept out of the swap
//! where the kernel can, as they may hold secrets.

use super::{
    atomic::{self, Owner},
    named,
};
use crate::{
    downward,
    error::{Error, Result},
    fsys,
    node::NodeFacts,
    paths::Roots,
    users::ids::Ids,
};
use berth_core::manifest::{
    DesiredPod,
    objects::{
        Objects,
        files::{self, Content},
    },
    types::{Container, Volume},
};
use std::path::Path;

/// Everybody in the pod may look into it, and nobody write: it is mounted read-only.
const MODE: u32 = 0o755;

/// Makes the volume, or brings it up to date.
pub(super) fn create(
    roots: &Roots,
    node: &NodeFacts,
    pod: &DesiredPod,
    volume: &Volume,
    objects: &Objects,
    ids: Option<Ids>,
) -> Result<()> {
    let dir = roots.pod_memory_volume(&pod.uid, &volume.name);
    fsys::make_dirs(&dir, MODE)?;
    if !fsys::is_tmpfs_mount(&dir) {
        fsys::mount_unswapped(&dir, "mode=0755", node.tmpfs_noswap)?;
    }
    fill(&dir, node, pod, volume, objects, ids)
}

/// Writes the files.
pub(super) fn fill(
    dir: &Path,
    node: &NodeFacts,
    pod: &DesiredPod,
    volume: &Volume,
    objects: &Objects,
    ids: Option<Ids>,
) -> Result<()> {
    let planned = files::files(&pod.key.namespace, volume, objects)
        .map_err(|missing| named(volume, missing.to_string()))?;
    let mut files = atomic::Files::new();
    for (path, file) in planned {
        let content = match file.content {
            Content::Kept(bytes) => bytes.to_vec(),
            Content::Field(field) => downward::file(pod, &field.field_path)?.into_bytes(),
            // Validation has seen to it that a container is named.
            Content::Resource(wanted) => {
                downward::resource(node, &pod.pod.spec, &Container::default(), wanted)?.into_bytes()
            }
        };
        files.insert(path, (file.mode, content));
    }
    let group = pod.pod.spec.security_context.fs_group;
    let owner = match ids {
        Some(ids) => Owner {
            user: Some(ids.base),
            group: Some(ids.on_node(group.unwrap_or(0))),
            shared: group.is_some(),
        },
        None => Owner { user: None, group, shared: group.is_some() },
    };
    atomic::write(dir, &files, owner).map_err(|error: Error| named(volume, error.to_string()))
}
