//! The namespaces that the containers of a pod share. They are made by a thread that ends at once and kept
//! by bind mounts, so no process has to live for them.

use super::sys::loopback_up;
use crate::{
    error::{Error, Result},
    fsys::{self, mounts},
    paths::Roots,
};
use berth_core::manifest::{DesiredPod, types::PodSpec};
use nix::{
    sched::{CloneFlags, unshare},
    unistd::sethostname,
};
use std::{fs::OpenOptions, io, path::PathBuf, thread};

/// Bytes of stack for a thread that makes a handful of system calls.
const STACK_BYTES: usize = 128 * 1024;

/// The kinds that this pod has of its own: names under `/proc/<pid>/ns`.
pub fn kinds(spec: &PodSpec) -> Vec<&'static str> {
    let own = [("net", !spec.host_network), ("uts", !spec.host_network), ("ipc", !spec.host_ipc)];
    own.into_iter().filter_map(|(kind, own)| own.then_some(kind)).collect()
}

/// Makes and pins the pod's namespaces; those that are all there stay.
pub(super) fn create(roots: &Roots, pod: &DesiredPod, hostname: &str) -> Result<()> {
    let pins: Vec<Pin> =
        kinds(&pod.pod.spec).into_iter().map(|kind| Pin { kind, at: roots.pod_ns(&pod.uid, kind) }).collect();
    if pins.iter().all(|pin| fsys::is_namespace(&pin.at)) {
        return Ok(());
    }
    for pin in &pins {
        pin.prepare()?;
    }
    thread::scope(|scope| {
        let made = thread::Builder::new()
            .name("berth-sandbox".into())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || make(&pins, hostname))
            .map_err(Error::io("start a thread for", "the pod's namespaces"))?
            .join();
        made.unwrap_or_else(|_| {
            Err(Error::io("make", "the pod's namespaces")(io::Error::other("the thread panicked")))
        })
    })
}

/// A namespace and where it is kept.
struct Pin {
    kind: &'static str,
    at: PathBuf,
}

impl Pin {
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

    const fn flag(&self) -> CloneFlags {
        match self.kind.as_bytes() {
            b"net" => CloneFlags::CLONE_NEWNET,
            b"uts" => CloneFlags::CLONE_NEWUTS,
            _ => CloneFlags::CLONE_NEWIPC,
        }
    }
}

/// In the thread that ends afterwards: it must not be used for anything else.
fn make(pins: &[Pin], hostname: &str) -> Result<()> {
    let flags = pins.iter().fold(CloneFlags::empty(), |flags, pin| flags | pin.flag());
    unshare(flags).map_err(Error::sys("make", "the pod's namespaces (CAP_SYS_ADMIN is needed)"))?;
    if flags.contains(CloneFlags::CLONE_NEWUTS) {
        sethostname(hostname).map_err(Error::sys("set the host name to", hostname))?;
    }
    if flags.contains(CloneFlags::CLONE_NEWNET) {
        loopback_up().map_err(Error::io("bring up", "the pod's loopback device"))?;
    }
    for pin in pins {
        fsys::bind(format!("/proc/thread-self/ns/{}", pin.kind).as_ref(), &pin.at)?;
    }
    Ok(())
}
