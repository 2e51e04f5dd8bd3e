//! Before the start of a run. On the way from a manifest to a running process: no fsync, no waiting, each
//! system call counted.

use super::mounts;
use crate::{
    bundle::{self, BundleInput},
    devices,
    downward::Addresses,
    error::{Error, Result},
    files, fsys,
    fsys::remove::remove_tree,
    network,
    node::{NodeFacts, addresses},
    paths::Roots,
    records::{self, StoredContainer},
    sandbox::init,
    spec::labels,
    teardown,
    users::{
        self,
        ids::{self, Ids},
    },
    variables,
    volumes::relabel::relabel,
};
use berth_core::{
    action::ImageFacts,
    check::Standing,
    cpus::Place,
    devices::Grant,
    event::{ContainerRecord, RecordState},
    ids::ContainerId,
    manifest::{DesiredPod, objects::Objects, types::Container},
    resize::Given,
};
use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::{DirBuilderExt, chown, symlink},
    path::{Path, PathBuf},
};

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

/// One run of a container, to be started.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The pod.
    pub desired: &'a DesiredPod,
    /// Which container of it, by name.
    pub container: &'a str,
    /// Restart count.
    pub attempt: u32,
    /// The run's id.
    pub id: &'a ContainerId,
    /// The image.
    pub image: &'a ImageFacts,
    /// The objects that the pod names, as far as they are there.
    pub objects: &'a Objects,
    /// The devices that it gets.
    pub devices: &'a [Grant],
    /// Where it runs.
    pub place: &'a Place,
}

/// Record, user, mounts, bundle, writable layer, log directory of one run. Blocking, idempotent, fast.
///
/// # Errors
/// Tell the core with [`Error::to_failure`] as `CreateContainerError`. What was made stays for
/// [`super::remove`].
pub fn prepare(roots: &Roots, node: &NodeFacts, run: &Run<'_>) -> Result<Prepared> {
    let Run { desired: pod, attempt, id, image, objects, devices, place, .. } = *run;
    let container = find(pod, run.container)?;
    let (dir, cgroup) = (roots.bundle(id), roots.container_cgroup(pod, id));
    fsys::make_dirs(&dir, PRIVATE)?;
    let ids = ids::of(roots, pod)?;
    if let Some(Ids { base }) = ids {
        // libcontainer looks for namespaces and root file system as the pod's root. An agent that was started
        // since has given the first of them a mode of its own again.
        for above in [&roots.run, &roots.pods_run(), &roots.containers_run()] {
            fsys::allow_to_pass(above, None)?;
        }
        fsys::allow_to_pass(&dir, Some(base))?;
    }
    let record = ContainerRecord {
        id: id.clone(),
        pod: pod.uid.clone(),
        name: container.name.clone(),
        attempt,
        image: image.clone(),
        state: RecordState::Unknown,
        devices: devices.to_vec(),
        given: Some(Given { resources: container.resources.clone(), place: place.clone() }),
        standing: Standing::default(),
    };
    let stored = StoredContainer { record, cgroup: cgroup.clone(), pod: pod.key.to_string() };
    records::write_container(roots, &stored)?;
    let mut user = users::resolve(pod, container, image)?;
    let given = devices::give(&roots.cdi, devices, &user)?;
    user.groups.extend(&given.groups);
    writable_layer(roots, id, &cgroup, ids)?;
    files::refresh_hosts(roots, node, pod)?;
    init::ensure(roots, pod)?;
    let file = |wanted: &_| variables::from_file(roots, pod, wanted);
    let reached = || Addresses::of(&pod.pod.spec, addresses(roots), &network::addresses(roots, &pod.uid));
    let mut variables = variables::resolve(node, pod, container, objects, &reached, &file)?;
    let mut binds = mounts::resolve(roots, pod, container, id, &variables)?;
    mounts::add(&mut binds, &given.binds);
    variables.extend(given.env.iter().cloned());
    let label = labels::of_files(&pod.pod, container).filter(|_| node.se_linux);
    if let Some(label) = &label {
        let shared = [roots.pod_shm(&pod.uid)].into_iter().filter(|_| !pod.pod.spec.host_ipc);
        let own = binds.iter().filter(|bind| bind.labelled).map(|bind| bind.source.clone());
        own.chain(shared).try_for_each(|path| relabel(&path, label))?;
    }
    let (user, variables, binds) = (&user, &variables[..], &binds[..]);
    let input = BundleInput {
        desired: pod,
        container,
        image,
        id,
        attempt,
        variables,
        user,
        binds,
        given: &given,
        ids,
        place,
        label: label.as_deref(),
    };
    let (spec, plan) = bundle::assemble(roots, node, &input)?;
    bundle::write(&dir, &spec, &plan)?;
    log(roots, pod, container, attempt, id)?;
    let on_node = |id: u32| ids.map_or(id, |ids| ids.on_node(id));
    Ok(Prepared { bundle: dir, cgroup, log_uid: on_node(user.uid), log_gid: on_node(user.gid) })
}

/// Only root looks into what Berth keeps.
const PRIVATE: u32 = 0o700;
/// The upper directory becomes the container's `/`.
const UPPER: u32 = 0o755;

fn find<'a>(pod: &'a DesiredPod, name: &str) -> Result<&'a Container> {
    pod.pod
        .spec
        .container(name)
        .ok_or_else(|| Error::Config(format!("pod {} has no container {name:?}", pod.key)))
}

/// Upper and work directory. What a broken-off try left is removed first: an overlay that was once
/// mounted as volatile cannot be mounted again. Unless somebody lives in it.
fn writable_layer(roots: &Roots, id: &ContainerId, cgroup: &Path, ids: Option<Ids>) -> Result<()> {
    let dir = roots.container_state(id);
    let make = |path: &Path, mode: u32| DirBuilder::new().mode(mode).create(path);
    match make(&dir, PRIVATE) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => fsys::make_dirs(&dir, PRIVATE)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if teardown::is_populated(cgroup) {
                return Ok(());
            }
            remove_tree(&dir)?;
            fsys::make_dirs(&dir, PRIVATE)?;
        }
        Err(error) => return Err(Error::io("create the directory", &dir)(error)),
    }
    let upper = dir.join("upper");
    fsys::make_dirs(&upper, UPPER)?;
    if let Some(Ids { base }) = ids {
        chown(&upper, Some(base), Some(base)).map_err(Error::io("give to the pod's root", &upper))?;
    }
    fsys::make_dirs(&dir.join("work"), PRIVATE)
}

/// The directory for the run's log and the link by which collectors find it.
fn log(roots: &Roots, pod: &DesiredPod, container: &Container, attempt: u32, id: &ContainerId) -> Result<()> {
    fsys::make_dirs(&roots.container_log(pod, &container.name), 0o755)?;
    let (file, link) =
        (roots.log_file(pod, &container.name, attempt), roots.log_link(pod, &container.name, id));
    match symlink(&file, &link) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fsys::remove_file(&link)?;
            symlink(&file, &link).map_err(Error::io("link the log at", &link))
        }
        result => result.map_err(Error::io("link the log at", &link)),
    }
}
