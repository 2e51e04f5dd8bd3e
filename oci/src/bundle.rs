//! A bundle: the directory in which a container's worker finds all that it needs. `config.json` is the OCI
//! spec for libcontainer, `berth.json` the rest: what Berth does itself before, between and after.

use crate::{
    cgroup::{self, CgroupWrite},
    container::mounts::Bind,
    devices::{self, DeviceNode, DeviceRule, Given, host_devices},
    error::{Error, Result},
    fsys,
    node::{NodeFacts, is_profile_loaded},
    paths::Roots,
    sandbox::{init, namespaces},
    seccomp,
    spec::{
        self, PodNamespaces, ROOTFS, SpecInput,
        capabilities::CapabilitySet,
        labels::{self, Label},
        oom,
    },
    users::{ProcessUser, ids::Ids},
    worker::mounts::is_late,
};
use berth_core::{
    action::ImageFacts,
    cpus::Place,
    ids::ContainerId,
    manifest::{DesiredPod, types::Container},
};
use libcontainer::oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType, Mount, Process, Spec};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The OCI spec, as libcontainer reads it: without capabilities, which the worker's executor sets.
pub const CONFIG: &str = "config.json";
/// The [`WorkerPlan`].
pub const PLAN: &str = "berth.json";
/// One line for each thing that could not be done as wished; absent if there is none.
pub const WARNINGS: &str = "warnings";
/// Bytes of each JSON file of a bundle.
pub const FILE_LEN_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Only root reads a bundle: the environment in it may have secrets.
const MODE: u32 = 0o600;

/// The container's root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OverlayPlan {
    /// The image's layers, top first; at least one.
    pub lower: Vec<String>,
    /// The writable layer.
    pub upper: PathBuf,
    /// Overlayfs' own directory beside it.
    pub work: PathBuf,
    /// The one label of SELinux's that all files in it have for the container.
    #[serde(default)]
    pub label: Option<String>,
    /// Never to be synced: the layer is of no use after a crash anyway.
    pub volatile: bool,
}

/// What the worker does beside libcontainer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerPlan {
    /// Mounted on `rootfs` in the bundle, where only the worker and the container see it; none where the
    /// bundle's `rootfs` is used as it is.
    pub overlay: Option<OverlayPlan>,
    /// The pod's users, if they are its own: layers of the image and what is marked are mapped to them.
    #[serde(default)]
    pub users: Option<PathBuf>,
    /// Device nodes that the worker makes.
    #[serde(default)]
    pub nodes: Vec<DeviceNode>,
    /// Namespaces of the pod's that the worker joins before it mounts.
    #[serde(default)]
    pub join: Vec<PathBuf>,
    /// The container sees its own cgroup as the hierarchy's root.
    #[serde(default)]
    pub own_cgroup_view: bool,
    /// What the worker mounts; the rest of the spec's mounts is in `config.json`.
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// Directories to make in it if they are not there: the working directory.
    pub mkdirs: Vec<String>,
    /// The container's leaf cgroup, absolute.
    pub cgroup: PathBuf,
    /// Mount point of the hierarchy.
    pub cgroup_mount: PathBuf,
    /// Limits from the first moment.
    pub writes_before: Vec<CgroupWrite>,
    /// Limits from the start of the container's own program.
    pub writes_after: Vec<CgroupWrite>,
    /// Devices that may be used; none for all of them.
    pub devices: Option<Vec<DeviceRule>>,
    /// Without working device rules there is no container, instead of a warning.
    #[serde(default)]
    pub devices_strict: bool,
    /// Files below `/proc/self/attr` and what the process writes to them before it becomes the container's
    /// program: profile and label of security modules.
    #[serde(default)]
    pub labels: Vec<Label>,
    /// The filter of system calls; none for unconfined.
    pub seccomp: Option<PathBuf>,
    /// For all sets but inheritable and ambient, which are empty.
    pub capabilities: CapabilitySet,
    /// See `proc_pid_oom_score_adj(5)`.
    pub oom_score_adj: i32,
    /// libcontainer's directory of states.
    pub state_root: PathBuf,
}

/// What an `exec-<session>.json` says; the rest is the container's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecPlan {
    /// Program and arguments.
    pub args: Vec<String>,
    /// A terminal is wanted.
    #[serde(default)]
    pub terminal: bool,
}

/// What [`assemble`] needs beside the machine's facts.
#[derive(Debug, Clone, Copy)]
pub struct BundleInput<'a> {
    /// The pod.
    pub desired: &'a DesiredPod,
    /// One container of it.
    pub container: &'a Container,
    /// Its image.
    pub image: &'a ImageFacts,
    /// The run's id.
    pub id: &'a ContainerId,
    /// Restart count.
    pub attempt: u32,
    /// Its own variables.
    pub variables: &'a [(String, String)],
    /// As whom it runs.
    pub user: &'a ProcessUser,
    /// What of the node it sees.
    pub binds: &'a [Bind],
    /// The devices that it was given.
    pub given: &'a Given,
    /// The ids of its users on the node, if they are its own.
    pub ids: Option<Ids>,
    /// Where it runs.
    pub place: &'a Place,
    /// The SELinux label of its files, if it has one.
    pub label: Option<&'a str>,
}

/// Derives spec and plan; the spec is complete, [`write`] divides the work. Compiles the seccomp filter if this is the first container of its kind.
///
/// # Errors
/// [`Error::Config`] for what the user must mend.
pub fn assemble(roots: &Roots, node: &NodeFacts, input: &BundleInput<'_>) -> Result<(Spec, WorkerPlan)> {
    let (pod, container) = (input.desired, input.container);
    let privileged = container.is_privileged();
    let capabilities = spec::capability_set(container)?;
    let choice = seccomp::choice(&pod.pod, container, &node.policy);
    let cgroup = roots.container_cgroup(pod, input.id);
    let below = cgroup.strip_prefix(&roots.cgroup).unwrap_or(&cgroup);
    let spec = spec::build(&SpecInput {
        desired: pod,
        container,
        image: input.image,
        id: input.id,
        attempt: input.attempt,
        variables: input.variables,
        hostname: crate::files::names(node, pod)?.kernel(),
        user: input.user,
        binds: input.binds,
        namespaces: &pod_namespaces(roots, pod),
        shm: &if pod.pod.spec.host_ipc { PathBuf::from("/dev/shm") } else { roots.pod_shm(&pod.uid) },
        // Where users are the pod's own, libcontainer would not make nodes but mount the node's.
        devices: &if input.ids.is_none() { nodes(privileged, input.given)? } else { Vec::new() },
        ids: input.ids,
        label: input.label,
        throttled_cpus: node.throttled_cpus,
        hooks: input.given.hooks.as_ref(),
        cgroup: &Path::new("/").join(below),
    })?;
    let state = roots.container_state(input.id);
    let writes_before = cgroup::container_before(&pod.pod, container, node).into_iter();
    let plan = WorkerPlan {
        overlay: Some(OverlayPlan {
            lower: input.image.layers.clone(),
            upper: state.join("upper"),
            work: state.join("work"),
            label: input.label.map(str::to_owned),
            volatile: true,
        }),
        users: input.ids.map(|_| roots.pod_ns(&pod.uid, "user")),
        nodes: input.ids.map_or_else(Vec::new, |ids| owned(&input.given.nodes, ids)),
        join: joined(&spec),
        own_cgroup_view: namespaces_of(&spec).any(|namespace| namespace.typ() == LinuxNamespaceType::Cgroup),
        mounts: early_mounts(&spec),
        mkdirs: spec
            .process()
            .iter()
            .filter_map(|process| process.cwd().to_str().map(str::to_owned))
            .collect(),
        writes_before: writes_before.chain(cgroup::cpus(input.place)).collect(),
        writes_after: cgroup::container_after(container, input.place, node),
        cgroup,
        cgroup_mount: roots.cgroup.clone(),
        devices: (!privileged).then(|| rules(input.given)),
        devices_strict: false,
        labels: labels::of(&pod.pod, container, node, is_profile_loaded(labels::APP_ARMOR_DEFAULT)),
        seccomp: seccomp::ensure(roots, &choice, capabilities)?,
        capabilities,
        oom_score_adj: oom::score_adj(&pod.pod, container, node.memory_bytes),
        state_root: roots.runtime_state(),
    };
    Ok((spec, plan))
}

/// A privileged container has all of the node's, and given ones where it was said that they are to be.
fn nodes(privileged: bool, given: &Given) -> Result<Vec<DeviceNode>> {
    let mut nodes = if privileged { host_devices()? } else { Vec::new() };
    nodes.retain(|node| given.nodes.iter().all(|given| given.path != node.path));
    nodes.extend(given.nodes.iter().cloned());
    Ok(nodes)
}

/// The nodes as the pod's users own them.
fn owned(nodes: &[DeviceNode], ids: Ids) -> Vec<DeviceNode> {
    let owned = |node: &DeviceNode| DeviceNode {
        uid: ids.on_node(node.uid),
        gid: ids.on_node(node.gid),
        ..node.clone()
    };
    nodes.iter().map(owned).collect()
}

fn rules(given: &Given) -> Vec<DeviceRule> {
    let mut rules = devices::default_rules();
    rules.extend(&given.rules);
    rules
}

/// Writes a bundle. The directory exists.
///
/// # Errors
/// [`Error::Io`].
pub fn write(dir: &Path, spec: &Spec, plan: &WorkerPlan) -> Result<()> {
    fsys::make_dirs(&dir.join(ROOTFS), 0o755)?;
    put(&dir.join(CONFIG), &for_libcontainer(spec))?;
    put(&dir.join(PLAN), plan)
}

/// The plan of a bundle.
///
/// # Errors
/// [`Error::Io`], [`Error::Malformed`].
pub fn read_plan(dir: &Path) -> Result<WorkerPlan> {
    get(&dir.join(PLAN))
}

/// What a session of exec runs: the container's process, with other arguments.
pub(crate) fn exec_process(dir: &Path, session: &str) -> Result<Process> {
    let plan: ExecPlan = get(&dir.join(format!("exec-{session}.json")))?;
    let config = dir.join(CONFIG);
    // As libcontainer reads it: readers of another kind for all types of a spec are a twentieth of the program. It is ours,
    // so nobody asks how long it is.
    let malformed = |message: String| Error::Malformed { path: config.clone(), message };
    let spec = Spec::load(&config).map_err(|error| malformed(error.to_string()))?;
    let mut process = spec.process().clone().ok_or_else(|| malformed("has no process".into()))?;
    if plan.terminal {
        let mut env = process.env().clone().unwrap_or_default();
        if !env.iter().any(|line| line.starts_with("TERM=")) {
            env.push("TERM=xterm".to_owned());
        }
        process.set_env(Some(env));
    }
    process.set_args(Some(plan.args)).set_terminal(Some(plan.terminal));
    Ok(process)
}

/// The spec as libcontainer gets it, without what the worker does. Above all it must not drop capabilities
/// itself: a filter of system calls can be loaded by a process with CAP_SYS_ADMIN only, or by one that can
/// never gain privileges, and it would drop them before the executor has its turn.
pub(crate) fn for_libcontainer(spec: &Spec) -> Spec {
    let mut spec = spec.clone();
    if let Some(process) = spec.process_mut() {
        process.set_capabilities(None);
    }
    if let Some(mounts) = spec.mounts_mut() {
        mounts.retain(is_late);
    }
    spec
}

/// The spec's mounts that the worker makes.
pub(crate) fn early_mounts(spec: &Spec) -> Vec<Mount> {
    spec.mounts().iter().flatten().filter(|mount| !is_late(mount)).cloned().collect()
}

fn namespaces_of(spec: &Spec) -> impl Iterator<Item = &LinuxNamespace> {
    spec.linux().iter().filter_map(|linux| linux.namespaces().as_ref()).flatten()
}

/// The namespaces that file systems show the inside of.
fn joined(spec: &Spec) -> Vec<PathBuf> {
    let shown = [LinuxNamespaceType::Network, LinuxNamespaceType::Ipc];
    namespaces_of(spec)
        .filter(|namespace| shown.contains(&namespace.typ()))
        .filter_map(|namespace| namespace.path().clone())
        .collect()
}

fn pod_namespaces(roots: &Roots, pod: &DesiredPod) -> PodNamespaces {
    let kinds = namespaces::kinds(&pod.pod.spec);
    let path = |kind: &str| kinds.contains(&kind).then(|| roots.pod_ns(&pod.uid, kind));
    PodNamespaces {
        user: path("user"),
        net: path("net"),
        ipc: path("ipc"),
        uts: path("uts"),
        pid: init::pid_namespace(roots, pod),
    }
}

pub(crate) fn put(path: &Path, value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_vec(value)
        .map_err(|error| Error::Malformed { path: path.to_owned(), message: error.to_string() })?;
    let written = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(path);
    written.and_then(|mut file| file.write_all(&json)).map_err(Error::io("write", path))
}

fn get<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(FILE_LEN_MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(Error::io("read", path))?;
    let malformed = |message: String| Error::Malformed { path: path.to_owned(), message };
    if bytes.len() as u64 > FILE_LEN_MAX_BYTES {
        return Err(malformed(format!("is longer than {FILE_LEN_MAX_BYTES} bytes")));
    }
    serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))
}
