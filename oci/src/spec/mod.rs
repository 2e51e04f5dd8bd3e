//! From a pod and an image to an OCI runtime spec: pure, so that every decision about how a container is
//! confined can be read in a golden file. Nothing here looks at the machine.
//!
//! The spec carries no resources and no `oomScoreAdj`: the worker sets both itself (see `bundle`).

pub mod capabilities;
mod command;
mod env;
pub mod labels;
mod linux;
mod mounts;
pub mod oom;

use crate::{
    container::mounts::Bind,
    devices::DeviceNode,
    error::{Error, Result},
    users::{ProcessUser, ids::Ids},
};
use berth_core::{
    action::ImageFacts,
    ids::ContainerId,
    manifest::{DesiredPod, types::Container},
};
use capabilities::CapabilitySet;
use libcontainer::oci_spec::runtime::{Hooks, Process, Root, Spec, User};
use std::path::{Path, PathBuf};

/// The version of the OCI runtime specification that is spoken.
const OCI_VERSION: &str = "1.0.2";
/// The directory in the bundle on which the worker mounts the container's overlay.
pub const ROOTFS: &str = "rootfs";

/// All that a spec is derived from.
#[derive(Debug, Clone, Copy)]
pub struct SpecInput<'a> {
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
    /// Its own variables, see [`crate::variables`].
    pub variables: &'a [(String, String)],
    /// The pod's host name, for `HOSTNAME`.
    pub hostname: &'a str,
    /// As whom it runs.
    pub user: &'a ProcessUser,
    /// Volumes and files, in the order in which they are mounted.
    pub binds: &'a [Bind],
    /// The pod's namespaces.
    pub namespaces: &'a PodNamespaces,
    /// The SELinux label of its files, if it has one.
    pub label: Option<&'a str>,
    /// What becomes `/dev/shm`: the pod's tmpfs, or the node's own for a hostIPC pod.
    pub shm: &'a Path,
    /// Devices beside those that every container has: all of the node's for a privileged one, given ones for others.
    pub devices: &'a [DeviceNode],
    /// CPUs, from the first one, whose `thermal_throttle` is hidden.
    pub throttled_cpus: u32,
    /// Programs of the node's that prepare it.
    pub hooks: Option<&'a Hooks>,
    /// The ids of its users on the node, if they are its own.
    pub ids: Option<Ids>,
    /// The container's cgroup as seen from the hierarchy's root: `/kubepods/…`.
    pub cgroup: &'a Path,
}

/// Where the pod's namespaces are pinned; none where the pod shares the node's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodNamespaces {
    /// Users; none where they are the node's.
    pub user: Option<PathBuf>,
    /// Network.
    pub net: Option<PathBuf>,
    /// System V IPC and POSIX message queues.
    pub ipc: Option<PathBuf>,
    /// Host name.
    pub uts: Option<PathBuf>,
    /// Process numbers; none where each container has its own, or the node's.
    pub pid: Option<PathBuf>,
}

/// Derives the spec.
///
/// # Errors
/// [`Error::Config`]: nothing to run, a capability that does not exist, a path that is not absolute.
pub fn build(input: &SpecInput<'_>) -> Result<Spec> {
    let mut spec = Spec::default();
    spec.set_version(OCI_VERSION.to_owned())
        .set_root(Some(root(input.container)))
        .set_process(Some(process(input)?))
        .set_mounts(Some(mounts::mounts(input)?))
        .set_linux(Some(linux::linux(input)?))
        .set_hostname(None)
        .set_domainname(None)
        .set_hooks(input.hooks.cloned())
        .set_annotations(Some(annotations(input)));
    Ok(spec)
}

/// The capabilities that the container shall have.
///
/// # Errors
/// [`Error::Config`] naming the capability that does not exist.
pub fn capability_set(container: &Container) -> Result<CapabilitySet> {
    capabilities::of(container)
        .map_err(|message| Error::Config(format!("container {}: {message}", container.name)))
}

/// `noNewPrivileges`: only for a container that must not gain privileges.
pub fn no_new_privileges(container: &Container) -> bool {
    let allowed = container.security_context.as_ref().and_then(|sc| sc.allow_privilege_escalation);
    allowed == Some(false)
}

fn root(container: &Container) -> Root {
    let readonly = container.security_context.as_ref().and_then(|sc| sc.read_only_root_filesystem);
    let mut root = Root::default();
    root.set_path(ROOTFS.into());
    root.set_readonly(readonly.filter(|readonly| *readonly));
    root
}

fn process(input: &SpecInput<'_>) -> Result<Process> {
    let mut process = Process::default();
    let args = command::command(input.container, input.image, input.variables)?;
    process
        .set_terminal(None)
        .set_user(user(input.user))
        .set_args(Some(args))
        .set_command_line(None)
        .set_env(Some(env::environment(input)))
        .set_cwd(command::working_dir(input.container, input.image)?.into())
        .set_capabilities(Some(capability_set(input.container)?.to_oci()))
        .set_rlimits(None)
        // Never `Some(false)`: the runtime would take it for a reason to drop privileges first.
        .set_no_new_privileges(no_new_privileges(input.container).then_some(true))
        .set_oom_score_adj(None)
        // The worker's executor sets these itself.
        .set_apparmor_profile(None)
        .set_selinux_label(None);
    Ok(process)
}

fn user(user: &ProcessUser) -> User {
    let mut oci = User::default();
    oci.set_uid(user.uid).set_gid(user.gid);
    oci.set_additional_gids((!user.groups.is_empty()).then(|| user.groups.clone()));
    oci
}

/// What other tools show of a container; nothing in Berth reads it.
fn annotations(input: &SpecInput<'_>) -> std::collections::HashMap<String, String> {
    let pod = input.desired;
    [
        ("io.kubernetes.pod.namespace", pod.key.namespace.to_string()),
        ("io.kubernetes.pod.name", pod.key.name.to_string()),
        ("io.kubernetes.pod.uid", pod.uid.to_string()),
        ("io.kubernetes.container.name", input.container.name.clone()),
        ("io.kubernetes.container.restartCount", input.attempt.to_string()),
        ("io.berth.container.id", input.id.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests;
