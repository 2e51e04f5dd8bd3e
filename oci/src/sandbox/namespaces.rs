//! The namespaces that the containers of a pod share. They are made by a thread that ends at once and kept
//! by bind mounts, so no process has to live for them.

use super::{
    own_users::{Holder, USER},
    spare::Spares,
    sys::loopback_up,
    sysctl,
};
use crate::{
    error::{Error, Result},
    fsys::{self, mounts},
    paths::Roots,
    users::ids::Ids,
};
use berth_core::manifest::{
    DesiredPod,
    types::{PodSpec, Sysctl},
};
use nix::{
    sched::{CloneFlags, unshare},
    unistd::sethostname,
};
use std::{fs::OpenOptions, io, path::PathBuf, thread};

/// Bytes of stack for a thread that makes a handful of system calls.
pub(super) const STACK_BYTES: usize = 128 * 1024;
/// All kinds that a pod may have of its own.
pub(super) const KINDS: [&str; 3] = ["net", "uts", "ipc"];

/// The kinds that this pod has of its own: names under `/proc/<pid>/ns`.
pub fn kinds(spec: &PodSpec) -> Vec<&'static str> {
    let own_users = spec.host_users == Some(false);
    let own = [
        // The first: the others belong to it.
        (USER, own_users),
        ("net", !spec.host_network),
        ("uts", !spec.host_network),
        ("ipc", !spec.host_ipc),
    ];
    own.into_iter().filter_map(|(kind, own)| own.then_some(kind)).collect()
}

/// Makes and pins the pod's namespaces; those that are all there stay. `ids`: of a pod with users of its own.
pub(super) fn create(
    roots: &Roots,
    pod: &DesiredPod,
    hostname: &str,
    spares: &Spares,
    ids: Option<Ids>,
) -> Result<()> {
    let pins: Vec<Pin> =
        kinds(&pod.pod.spec).into_iter().map(|kind| Pin { kind, at: roots.pod_ns(&pod.uid, kind) }).collect();
    if pins.iter().all(|pin| fsys::is_namespace(&pin.at)) {
        return Ok(());
    }
    for pin in &pins {
        pin.prepare()?;
    }
    let traits =
        Traits { hostname: hostname.to_owned(), sysctls: pod.pod.spec.security_context.sysctls.clone() };
    if let Some(ids) = ids {
        open_to(roots, pod, ids)?;
    } else if let Some(pinned) = spares.pin(&pins, &traits) {
        return pinned;
    }
    thread::scope(|scope| {
        let made = thread::Builder::new()
            .name("berth-sandbox".into())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || make(&pins, &traits, ids))
            .map_err(Error::io("start a thread for", "the pod's namespaces"))?
            .join();
        made.unwrap_or_else(|_| {
            Err(Error::io("make", "the pod's namespaces")(io::Error::other("the thread panicked")))
        })
    })
}

/// What is set in a pod's namespaces before anybody is in them.
#[derive(Debug, Clone)]
pub(super) struct Traits {
    hostname: String,
    sysctls: Vec<Sysctl>,
}

/// A namespace and where it is kept.
#[derive(Debug, Clone)]
pub(super) struct Pin {
    kind: &'static str,
    at: PathBuf,
}

impl Pin {
    /// As under `/proc/<pid>/ns`.
    pub(super) const fn kind(&self) -> &'static str {
        self.kind
    }

    /// An empty file, whatever was pinned there by an attempt that did not get to its end.
    fn prepare(&self) -> Result<()> {
        if let Some(dir) = self.at.parent() {
            fsys::make_dirs(dir, 0o700)?;
        }
        while fsys::is_namespace(&self.at) {
            mounts::unmount(&self.at)?;
        }
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&self.at)
            .map(drop)
            .map_err(Error::io("create the mount point", &self.at))
    }
}

/// The pod's own root, and nobody else, must find its namespaces: containers join them as that.
fn open_to(roots: &Roots, pod: &DesiredPod, ids: Ids) -> Result<()> {
    fsys::allow_to_pass(&roots.run, None)?;
    fsys::allow_to_pass(&roots.pods_run(), None)?;
    let run = roots.pod_run(&pod.uid);
    [run.join("ns"), run].iter().try_for_each(|dir| fsys::allow_to_pass(dir, Some(ids.base)))
}

pub(super) fn flag(kind: &str) -> CloneFlags {
    match kind {
        "net" => CloneFlags::CLONE_NEWNET,
        "uts" => CloneFlags::CLONE_NEWUTS,
        USER => CloneFlags::CLONE_NEWUSER,
        _ => CloneFlags::CLONE_NEWIPC,
    }
}

/// In the thread that ends afterwards: it must not be used for anything else.
fn make(pins: &[Pin], traits: &Traits, ids: Option<Ids>) -> Result<()> {
    if let Some(ids) = ids {
        let holder = Holder::make(pins, ids)?;
        holder.enter(pins)?;
        loopback_up().map_err(Error::io("bring up", "the pod's loopback device"))?;
        return pin_from(&holder.path("ns"), pins, traits);
    }
    unshare_all(&pins.iter().map(|pin| pin.kind).collect::<Vec<_>>())?;
    pin(pins, traits)
}

/// Gives the calling thread new namespaces of these kinds, the loopback of the network up.
pub(super) fn unshare_all(kinds: &[&str]) -> Result<()> {
    let flags = kinds.iter().fold(CloneFlags::empty(), |flags, kind| flags | flag(kind));
    unshare(flags).map_err(Error::sys("make", "the pod's namespaces (CAP_SYS_ADMIN is needed)"))?;
    if flags.contains(CloneFlags::CLONE_NEWNET) {
        loopback_up().map_err(Error::io("bring up", "the pod's loopback device"))?;
    }
    Ok(())
}

/// Pins the calling thread's new namespaces when they are as the pod wants them: a pod never has its
/// namespaces without its name and settings.
pub(super) fn pin(pins: &[Pin], traits: &Traits) -> Result<()> {
    pin_from("/proc/thread-self/ns", pins, traits)
}

/// As [`pin`], of the process that this directory is of; the calling thread is in them.
fn pin_from(ns: &str, pins: &[Pin], traits: &Traits) -> Result<()> {
    if pins.iter().any(|pin| pin.kind == "uts") {
        sethostname(&traits.hostname).map_err(Error::sys("set the host name to", &traits.hostname))?;
    }
    traits.sysctls.iter().try_for_each(sysctl::set)?;
    for pin in pins {
        fsys::bind(format!("{ns}/{}", pin.kind).as_ref(), &pin.at)?;
    }
    Ok(())
}
