//! What an agent owes to the network when it starts: pods whose plugins were never told that they are gone, pods
//! whose network may have been taken away, and whatever plugins keep for nobody.

use super::{CGROUP_TIME, CHECK_TIME, Chain, Cni, Errand, GC_TIME, WAIT, cache, runtime};
use crate::{
    error::{Error, Result},
    fsys,
    paths::Roots,
};
use berth_core::{
    ids::{PodKey, PodUid},
    network::cni::{Attachment, Capabilities, Runtime, container_id},
};

/// Pods of which something is written down and no sandbox was begun in this boot.
pub(in crate::network) fn stale(roots: &Roots) -> Vec<PodUid> {
    let pods = cache::pods(roots).unwrap_or_default();
    pods.into_iter().filter(|uid| !roots.pod_run(uid).exists()).collect()
}

impl Cni {
    /// Asks the plugins whether the pod's network is as they made it. Nothing for a pod without. Returns what they
    /// say to the contrary, and of which pod.
    pub(in crate::network) fn check(&self, roots: &Roots, uid: &PodUid) -> Option<(PodKey, String)> {
        let _pass = self.gate.enter(WAIT).ok()?;
        let entry = cache::read(roots, uid).ok().flatten()?;
        cache::plugged(roots, uid).ok().flatten()?;
        let list = entry.list().ok().filter(|list| list.checks())?;
        let (result, runtime, cgroup) =
            (entry.result.as_ref()?, runtime(roots, uid, &entry), roots.cni_cgroup(uid));
        let (time, capabilities) = (CHECK_TIME, &entry.capabilities);
        let errand = Errand { runtime: &runtime, capabilities, time, cgroup: &cgroup };
        let checked = Chain::find(&self.settings, &list).and_then(|chain| chain.check(&errand, result));
        checked.err().map(|why| (entry.pod.clone(), why))
    }

    /// Has the plugins forget whatever is of nobody. Nobody attaches or detaches meanwhile.
    pub(in crate::network) fn collect(&self, roots: &Roots) -> Result<()> {
        let list = self.settings.list()?;
        if !list.collects() {
            return Ok(());
        }
        let _pass = self.gate.enter_alone(WAIT)?;
        let mut valid = Vec::new();
        for uid in cache::pods(roots)? {
            let entry = cache::read(roots, &uid)?;
            if let Some(entry) = entry.filter(|entry| entry.list().is_ok_and(|own| own.name == list.name)) {
                valid.push(Attachment { container_id: container_id(&uid), ifname: entry.interface });
            }
        }
        let nobody = Runtime {
            container_id: String::new(),
            netns: String::new(),
            interface: String::new(),
            args: String::new(),
        };
        let (cgroup, none) = (roots.cni_cgroup(&PodUid("gc".into())), Capabilities::default());
        let errand = Errand { runtime: &nobody, capabilities: &none, time: GC_TIME, cgroup: &cgroup };
        let chain = Chain::find(&self.settings, &list).map_err(Error::Network)?;
        let collected = chain.gc(&errand, &valid).map_err(Error::Network);
        crate::teardown::remove(&cgroup, CGROUP_TIME)?;
        collected
    }

    /// Pods that have a network of plugins.
    pub(in crate::network) fn pods(&self, roots: &Roots) -> Vec<PodUid> {
        let pods = cache::pods(roots).unwrap_or_default();
        pods.into_iter().filter(|uid| fsys::is_namespace(&roots.pod_ns(uid, "net"))).collect()
    }
}
