//! Pods' networks by CNI plugins, where the owner has it so: the configured network's chain makes them and takes
//! them away. Plugins are executed here, on the threads that make and remove sandboxes, each under a deadline.
//!
//! Invariants: nothing is executed for a pod that is not written down before; what is written down is taken away by
//! the configuration that made it, before the pod is gone or gets another network; what a killed agent or a reboot
//! leaves, too.

mod cache;
mod chain;
mod exec;
mod gate;
mod settle;
mod sys;
#[cfg(test)]
mod tests;

use super::{Attached, INTERFACE};
use crate::{
    error::{Error, Result},
    fsys::{self, mounts},
    paths::Roots,
    teardown,
};
use berth_core::{
    ids::PodUid,
    manifest::DesiredPod,
    network::{
        Bandwidth,
        cni::{Capabilities, List, Runtime, TEXT_LEN_MAX_BYTES, choose, is_conf_file},
        of_pod,
    },
};
use cache::{Entry, Plugged};
pub(super) use cache::{gateways, plugged};
use chain::{Chain, Errand};
use gate::Gate;
pub(super) use settle::stale;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

/// All plugins of a chain together have so long to make a pod's network. With [`DEL_TIME`] it is less than the core
/// gives to a sandbox, so that it is the plugin that is named and not the core's deadline.
const ADD_TIME: Duration = Duration::from_secs(30);
/// To take it away.
const DEL_TIME: Duration = Duration::from_secs(20);
/// To look whether it is there still.
const CHECK_TIME: Duration = Duration::from_secs(10);
/// To look for what is nobody's any more.
const GC_TIME: Duration = Duration::from_secs(20);
/// For others' plugins to come to an end.
const WAIT: Duration = Duration::from_secs(20);
/// The processes of a plugin that was killed.
const CGROUP_TIME: Duration = Duration::from_secs(5);
/// Files in the directory of networks.
const FILES_MAX: usize = 256;

/// What the configuration says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// New pods get their networks so.
    pub wanted: bool,
    /// Where networks are described.
    pub conf_dir: PathBuf,
    /// Where plugins are.
    pub bin_dirs: Vec<PathBuf>,
    /// The network's name; empty: of the first file.
    pub network: String,
}

impl Settings {
    /// `CNI_PATH`.
    fn path(&self) -> String {
        let dirs: Vec<_> = self.bin_dirs.iter().map(|dir| dir.to_string_lossy()).collect();
        dirs.join(":")
    }

    /// The network as its file is now.
    fn list(&self) -> Result<List> {
        let dir = self.conf_dir.display().to_string();
        let mut files = files(&self.conf_dir)?;
        choose(&self.network, &dir, &mut files).map_err(Error::Network)
    }

    /// Whether a network is described, and all its plugins are there.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn look(&self) -> Result<String> {
        let list = self.list()?;
        Chain::find(self, &list).map_err(Error::Network)?;
        Ok(list.name)
    }
}

fn files(dir: &Path) -> Result<Vec<(String, String)>> {
    let wrong = |what: String| Error::Network(format!("{}: {what}", dir.display()));
    let names = crate::records::names(dir).map_err(|error| wrong(error.to_string()))?;
    let names: Vec<_> = names.into_iter().filter(|name| is_conf_file(name)).collect();
    if names.len() > FILES_MAX {
        return Err(wrong(format!("{} files of networks; {FILES_MAX} are the most", names.len())));
    }
    let read = |name: String| {
        let mut bytes = Vec::new();
        let file = fs::File::open(dir.join(&name));
        let read = file.and_then(|file| file.take(TEXT_LEN_MAX_BYTES as u64).read_to_end(&mut bytes));
        read.map_err(|error| wrong(format!("{name}: {error}")))?;
        // What is not UTF-8 is no JSON either, and told as such.
        Ok((name, String::from_utf8_lossy(&bytes).into_owned()))
    };
    names.into_iter().map(read).collect()
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Cni {
    settings: Settings,
    gate: Gate,
}

impl Cni {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, gate: Gate::default() }
    }

    pub(super) const fn is_wanted(&self) -> bool {
        self.settings.wanted
    }

    /// Gives the pod its network. One that has it keeps it.
    pub(super) fn attach(&self, roots: &Roots, pod: &DesiredPod) -> Result<Attached> {
        let uid = &pod.uid;
        let bandwidth = Bandwidth::of(&pod.pod.metadata.annotations);
        let capabilities = Capabilities::new(&of_pod(&pod.pod.spec), &bandwidth);
        if let Some(plugged) = cache::plugged(roots, uid)? {
            let lacking =
                cache::read(roots, uid)?.and_then(|entry| lacking(&entry.list().ok()?, &capabilities));
            return Ok(Attached { addresses: texts(&plugged), lacking });
        }
        let _pass = self.gate.enter(WAIT)?;
        let list = self.settings.list()?;
        let chain = Chain::find(&self.settings, &list).map_err(Error::Network)?;
        if list.unserved(&capabilities).contains(&PORTS) {
            return Err(Error::Network(format!(
                "no plugin of CNI network {:?} has the capability {PORTS}, which hostPort needs: add portmap to it",
                list.name
            )));
        }
        if let Some(earlier) = cache::read(roots, uid)? {
            self.take_away(roots, uid, &earlier, Some(&list))?;
        }
        let mut entry = Entry {
            pod: pod.key.clone(),
            list: list.to_value(),
            interface: INTERFACE.to_owned(),
            capabilities,
            result: None,
        };
        cache::write(roots, uid, &entry)?;
        let cgroup = roots.cni_cgroup(uid);
        let runtime = runtime(roots, uid, &entry);
        let errand =
            Errand { runtime: &runtime, capabilities: &entry.capabilities, time: ADD_TIME, cgroup: &cgroup };
        match chain.add(&errand) {
            Ok(reply) => {
                entry.result = Some(reply.value);
                cache::write(roots, uid, &entry)?;
                let (network, addresses) = (list.name.clone(), reply.addresses);
                let plugged =
                    Plugged { network, addresses, gateways: reply.gateways, outside: reply.outside };
                cache::write_plugged(roots, uid, &plugged)?;
                Ok(Attached { addresses: texts(&plugged), lacking: lacking(&list, &entry.capabilities) })
            }
            Err(why) => {
                let taken = self.take_away(roots, uid, &entry, None);
                // Whatever is in there goes with it; the next attempt gets a new one.
                mounts::unmount(&roots.pod_ns(uid, "net"))?;
                let stays =
                    taken.err().map_or_else(String::new, |error| format!("; taking it back: {error}"));
                Err(Error::Network(format!("{why}{stays}")))
            }
        }
    }

    /// Takes away what plugins have made for the pod, if they have.
    pub(super) fn detach(&self, roots: &Roots, uid: &PodUid) -> Result<()> {
        let Some(entry) = cache::read(roots, uid)? else { return Ok(()) };
        let _pass = self.gate.enter(WAIT)?;
        let now = self.settings.list().ok();
        self.take_away(roots, uid, &entry, now.as_ref())?;
        fsys::remove_file(&roots.pod_plugged(uid))
    }

    /// `now`: the network as it is described now. Where it has been put right since an attempt that never came to
    /// its end, what is left of that is not waited for.
    fn take_away(&self, roots: &Roots, uid: &PodUid, entry: &Entry, now: Option<&List>) -> Result<()> {
        let cgroup = roots.cni_cgroup(uid);
        // Nobody may be at work there still.
        teardown::remove(&cgroup, CGROUP_TIME)?;
        let runtime = runtime(roots, uid, entry);
        let (time, capabilities) = (DEL_TIME, &entry.capabilities);
        let errand = Errand { runtime: &runtime, capabilities, time, cgroup: &cgroup };
        let list = entry.list()?;
        let deleted =
            Chain::find(&self.settings, &list).and_then(|chain| chain.del(&errand, entry.result.as_ref()));
        if let Err(why) = deleted {
            let given_up = entry.result.is_none() && now.is_some_and(|now| *now != list);
            if !given_up {
                return Err(Error::Network(why));
            }
            tracing::warn!(pod = %entry.pod, why, "what an attempt by another CNI network has left may stay");
        }
        teardown::remove(&cgroup, CGROUP_TIME)?;
        cache::remove(roots, uid)
    }
}

/// The capability of plugins that lead ports of the node to pods.
const PORTS: &str = "portMappings";

/// What of this no plugin takes, and the pod can do without.
fn lacking(list: &List, wanted: &Capabilities) -> Option<String> {
    let names = list.unserved(wanted);
    (!names.is_empty())
        .then(|| format!("no plugin of CNI network {:?} has the capability {}", list.name, names.join(", ")))
}

fn texts(plugged: &Plugged) -> Vec<String> {
    plugged.addresses.iter().map(ToString::to_string).collect()
}

fn runtime(roots: &Roots, uid: &PodUid, entry: &Entry) -> Runtime {
    let ns = roots.pod_ns(uid, "net");
    let ns = if fsys::is_namespace(&ns) { ns.to_string_lossy().into_owned() } else { String::new() };
    Runtime::of_pod(&entry.pod, uid, &ns, &entry.interface)
}
