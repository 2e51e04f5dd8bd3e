//! What of the node a container sees, and where: volumes, /etc files, the termination message's file.

use crate::{
    error::{Error, Result},
    expand::{expand, lookup},
    fsys::{
        self,
        mounts::{Peers, unmount_below},
    },
    paths::Roots,
    users::ids,
    volumes::{self, subpath},
};
use berth_core::{
    ids::ContainerId,
    manifest::{
        DesiredPod,
        types::{Container, MountPropagation, RecursiveReadOnly, VolumeMount},
    },
};
use std::{
    cell::RefCell,
    fs::OpenOptions,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// A file or directory of the node's that a container sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bind {
    /// On the node. Never something that a container could turn into a link.
    pub source: PathBuf,
    /// In the container; absolute.
    pub destination: String,
    /// Whether writing is refused.
    pub read_only: bool,
    /// Also in what is mounted below it on the node.
    pub recursive_read_only: bool,
    /// The pod's users are its own and what is there is not: it is owned as if they were the node's.
    pub mapped: bool,
    /// It is the pod's, or made for pods: it may get the container's label (SELinux).
    pub labelled: bool,
    /// `nosuid`, `nodev`, `noexec`.
    pub restrictions: Vec<&'static str>,
    /// Whether later mounts pass.
    pub propagation: Propagation,
}

/// Which mounts made after the container's start pass between the node and a bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagation {
    /// None.
    #[default]
    None,
    /// Those of the node appear in the container.
    HostToContainer,
    /// And those of the container on the node.
    Bidirectional,
}

/// The files of the pod's that appear in every container, unless it mounts something else there. The
/// second says whether a read-only root makes them read-only too: `hosts` stays writable, as in kubelet.
const ETC_FILES: [(&str, bool); 3] = [("hosts", false), ("hostname", true), ("resolv.conf", true)];

/// Resolves all mounts of one run; makes and holds what they need. In the order in which they are made:
/// what is further up comes first.
pub(crate) fn resolve(
    roots: &Roots,
    pod: &DesiredPod,
    container: &Container,
    id: &ContainerId,
    variables: &[(String, String)],
) -> Result<Vec<Bind>> {
    drop_subpaths(roots, pod, id)?;
    let mut binds = Vec::with_capacity(container.volume_mounts.len() + ETC_FILES.len() + 1);
    for (index, mount) in container.volume_mounts.iter().enumerate() {
        let sub = sub_path(mount, variables)?;
        binds.push(volume(roots, pod, id, index, mount, sub.as_deref())?);
    }
    let read_only_root =
        container.security_context.as_ref().and_then(|sc| sc.read_only_root_filesystem).unwrap_or(false);
    for (name, follows_root) in ETC_FILES {
        let (source, destination) = (roots.pod_etc(&pod.uid).join(name), format!("/etc/{name}"));
        add_unless_mounted(
            &mut binds,
            Bind {
                source,
                destination,
                read_only: follows_root && read_only_root,
                labelled: true,
                ..Bind::default()
            },
        );
    }
    if let Some(path) = container.termination_message_path.as_deref().filter(|path| !path.is_empty()) {
        let source = termination_log(roots, id)?;
        let bind = Bind { source, destination: path.to_owned(), labelled: true, ..Bind::default() };
        add_unless_mounted(&mut binds, bind);
    }
    sort(&mut binds);
    Ok(binds)
}

/// Adds those of devices, where the pod has nothing itself.
pub(crate) fn add(binds: &mut Vec<Bind>, of_devices: &[Bind]) {
    of_devices.iter().for_each(|bind| add_unless_mounted(binds, bind.clone()));
    sort(binds);
}

/// What is further up comes first.
fn sort(binds: &mut [Bind]) {
    binds.sort_by_key(|bind| Path::new(&bind.destination).components().count());
}

/// Lets go of what [`resolve`] holds for this run.
pub(super) fn drop_subpaths(roots: &Roots, pod: &DesiredPod, id: &ContainerId) -> Result<()> {
    drop_subpaths_at(&roots.pod_subpaths(&pod.uid, id))
}

/// As [`drop_subpaths`], by its directory.
pub(super) fn drop_subpaths_at(dir: &Path) -> Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    unmount_below(dir)?;
    fsys::remove::remove_tree(dir)
}

/// Which part of the volume, if not all of it.
fn sub_path(mount: &VolumeMount, variables: &[(String, String)]) -> Result<Option<String>> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let Some(expression) = given(&mount.sub_path_expr) else { return Ok(given(&mount.sub_path)) };
    let missing = RefCell::new(None);
    let expanded = expand(&expression, |name| {
        let value = lookup(variables, name);
        if value.is_none_or(str::is_empty) {
            let why = if value.is_none() { "the container has no such variable" } else { "it is empty" };
            missing.replace(Some(format!("{name}, and {why}")));
        }
        value
    });
    match missing.into_inner() {
        None => Ok(Some(expanded)),
        // The whole volume is not what was meant.
        Some(missing) => Err(Error::Config(format!(
            "volumeMount {:?}: subPathExpr {expression:?} names {missing}: give it a value in env",
            mount.name
        ))),
    }
}

fn volume(
    roots: &Roots,
    pod: &DesiredPod,
    id: &ContainerId,
    index: usize,
    mount: &VolumeMount,
    sub: Option<&str>,
) -> Result<Bind> {
    let whole = volumes::source(roots, pod, &mount.name)?;
    let source = match sub {
        None => whole,
        Some(sub) => {
            let dir = roots.pod_subpaths(&pod.uid, id);
            fsys::make_dirs(&dir, 0o700)?;
            let held = dir.join(index.to_string());
            let named = |error: Error| Error::Config(format!("volumeMount {:?}: {error}", mount.name));
            let fd = subpath::open(&whole, sub).map_err(named)?;
            subpath::pin(&fd, &held)?;
            held
        }
    };
    let propagation = propagation(mount, &source)?;
    let recursive = mount.recursive_read_only.is_some_and(|mode| mode != RecursiveReadOnly::Disabled);
    Ok(Bind {
        source,
        destination: mount.mount_path.clone(),
        read_only: mount.read_only || volumes::is_read_only(pod, &mount.name),
        recursive_read_only: mount.read_only && recursive,
        mapped: ids::are_own(pod) && volumes::is_of_others(pod, &mount.name),
        labelled: volumes::may_be_labelled(pod, &mount.name),
        restrictions: Vec::new(),
        propagation,
    })
}

/// What is asked for, if the node's mount there can do it.
fn propagation(mount: &VolumeMount, source: &Path) -> Result<Propagation> {
    let (wanted, able): (_, &[Peers]) = match mount.mount_propagation {
        None | Some(MountPropagation::None) => return Ok(Propagation::None),
        Some(MountPropagation::HostToContainer) => {
            (Propagation::HostToContainer, &[Peers::Shared, Peers::Slave])
        }
        Some(MountPropagation::Bidirectional) => (Propagation::Bidirectional, &[Peers::Shared]),
    };
    let (point, peers) = fsys::mounts::around(source)?;
    if able.contains(&peers) {
        return Ok(wanted);
    }
    Err(Error::Config(format!(
        "volumeMount {:?}: mountPropagation {wanted:?} needs a shared mount on the node, and {} is none: \
         `mount --make-rshared {}` at boot",
        mount.name,
        point.display(),
        point.display(),
    )))
}

fn add_unless_mounted(binds: &mut Vec<Bind>, bind: Bind) {
    // By components, so that a slash too many makes no difference.
    let destination = Path::new(&bind.destination);
    if !binds.iter().any(|other| Path::new(&other.destination) == destination) {
        binds.push(bind);
    }
}

/// The file for the termination message, writable for whomever the container runs as.
fn termination_log(roots: &Roots, id: &ContainerId) -> Result<PathBuf> {
    const MODE: u32 = 0o666;
    let path = roots.termination_log(id);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .open(&path)
        .and_then(|file| file.set_permissions(PermissionsExt::from_mode(MODE)))
        .map_err(Error::io("create", &path))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_of_a_sub_path_has_a_value() {
        let known = [("NAME", "web"), ("EMPTY", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (expression, expected) in [
            ("logs/$(NAME)", Ok("logs/web")),
            ("$$(NAME)", Ok("$(NAME)")),
            ("plain", Ok("plain")),
            ("$(EMPTY)", Err("names EMPTY, and it is empty")),
            ("logs/$(EMPTY)", Err("names EMPTY, and it is empty")),
            ("$(NAME)/$(NONE)", Err("names NONE, and the container has no such variable")),
        ] {
            let mount = VolumeMount {
                name: "data".to_owned(),
                sub_path_expr: Some(expression.to_owned()),
                ..VolumeMount::default()
            };
            let found = sub_path(&mount, &known).map_err(|error| error.to_string());
            match expected {
                Ok(sub) => assert_eq!(found.unwrap().as_deref(), Some(sub), "{expression}"),
                Err(why) => assert!(found.unwrap_err().contains(why), "{expression}"),
            }
        }
    }
}
