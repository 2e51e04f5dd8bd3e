//! What a scenario's container does on the simulated machine: as the real one does, see [`crate::scenarios`].

use super::machine::{Machine, Process};
use crate::scenarios::{GRPC_PORT, IMAGE, PORT, REDIRECTS, WELL};
use berth_core::{
    check::{Handler, Verdict},
    manifest::{DesiredPod, types::Container},
    storage::StorageUse,
};
use std::collections::BTreeMap;

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    /// Does not hear that it is asked to stop.
    pub(crate) stubborn: bool,
    /// Ends at once, with this code.
    pub(crate) exits: Option<i32>,
    /// Serves its root.
    pub(crate) serves: bool,
    /// In its root, with their sizes in bytes.
    pub(crate) files: BTreeMap<String, u64>,
}

impl Machine {
    /// What the containers of a scenario's pod have in its volumes.
    pub(crate) fn written(&self, pod: &DesiredPod) -> StorageUse {
        let of_pod = self.processes.values().filter(|process| process.uid == pod.uid);
        let mut volumes = BTreeMap::new();
        for volume in pod.pod.spec.volumes.iter().filter(|volume| volume.empty_dir.is_some()) {
            let below = |process: &Process| -> u64 {
                let spec = pod.pod.spec.container(&process.name);
                let mounts = spec.into_iter().flat_map(|spec| &spec.volume_mounts);
                let places = mounts.filter(|mount| mount.name == volume.name).map(|mount| &mount.mount_path);
                let files = process.actor.iter().flat_map(|actor| &actor.files);
                let is_below =
                    |path: &str| places.clone().any(|place| path.starts_with(&format!("{place}/")));
                files.filter(|(path, _)| is_below(path)).map(|(_, bytes)| bytes).sum()
            };
            volumes.insert(volume.name.clone(), of_pod.clone().map(below).sum());
        }
        StorageUse { volumes, ..StorageUse::default() }
    }
}

impl Actor {
    /// A run of this container; none if it is no scenario's.
    pub(crate) fn of(container: &Container) -> Option<Self> {
        let args = &container.args;
        let exits = args.iter().skip_while(|arg| *arg != "exits").nth(1);
        (container.image == IMAGE).then(|| Self {
            stubborn: args.iter().any(|arg| arg == "stubborn"),
            exits: exits.and_then(|code| code.parse().ok()),
            serves: args.iter().any(|arg| arg == "serves"),
            files: [WELL].into_iter().chain(REDIRECTS).map(|path| (path.to_owned(), 0)).collect(),
        })
    }

    /// Seconds that a command takes which only sleeps.
    pub(crate) fn sleeps_s(handler: &Handler) -> Option<u64> {
        let Handler::Exec { command } = handler else { return None };
        let [program, seconds] = command.as_slice() else { return None };
        seconds.parse().ok().filter(|_| program == "sleep")
    }

    /// What it says to a command. It knows few.
    pub(crate) fn answers(&self, handler: &Handler) -> Verdict {
        let well = match handler {
            Handler::Exec { command } => match command.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["true"] | ["sleep", _] => true,
                ["stat", path] => self.files.contains_key(path),
                _ => false,
            },
            Handler::Http { port, path, tls: false, .. } => {
                self.serves && *port == PORT && self.files.contains_key(path)
            }
            Handler::Tcp { port, .. } => self.serves && *port == PORT,
            Handler::Grpc { port, .. } => self.serves && *port == GRPC_PORT && self.files.contains_key(WELL),
            Handler::Http { .. } => false,
        };
        if well { Verdict::Success } else { Verdict::Failure }
    }
}
