//! Pods on the node's network whose `dnsPolicy` is `ClusterFirstWithHostNet`: they ask our name server, so the bridge, at
//! whose address that is, is there as long as they are. Names are those of the default network. Which they are is noted beside their
//! records, with that network as it was then.

use crate::network::{Attached, Net, Network, State, bridge};
use crate::{error::Result, fsys, paths::Roots, records};
use berth_core::{
    ids::PodUid,
    manifest::{
        DesiredPod,
        types::{DnsPolicy, PodSpec},
    },
};
use std::collections::BTreeMap;

/// The pod is on the node's network, and wants names as others have them.
pub fn asks_for_names(spec: &PodSpec) -> bool {
    spec.host_network && spec.dns_policy == DnsPolicy::ClusterFirstWithHostNet
}

/// Those of this boot.
pub(in crate::network) fn read_all(roots: &Roots) -> BTreeMap<PodUid, Option<Net>> {
    let uids =
        records::names(&roots.pods_run()).unwrap_or_default().into_iter().map(|name| PodUid(name.into()));
    let asking = uids.filter(|uid| roots.pod_asks(uid).exists());
    asking.map(|uid| (uid.clone(), read(roots, &uid))).collect()
}

/// The network whose names the pod asks for; none if it does not, or is of an earlier version.
pub(in crate::network) fn read(roots: &Roots, uid: &PodUid) -> Option<Net> {
    records::read(&roots.pod_asks(uid)).ok().flatten()
}

impl Network {
    /// Sees to it that the pod can ask for names, if it wants to. A kernel without bridges lets it run without.
    pub(in crate::network) fn serve_asker(&self, pod: &DesiredPod) -> Result<Attached> {
        if !asks_for_names(&pod.pod.spec) {
            return Ok(Attached::default());
        }
        let mut state = self.lock();
        let Some(net) = self.default_net(&state) else { return Ok(Attached::default()) };
        if let Err(error) = bridge::ensure(&mut state.bridges, &net) {
            let lacking = Some(format!("no names of pods: {error}"));
            return Ok(Attached { lacking, ..Attached::default() });
        }
        // One that asks already does so where it was told to.
        if !state.askers.contains_key(&pod.uid) {
            records::write(&self.roots.pod_asks(&pod.uid), &net)?;
            state.askers.insert(pod.uid.clone(), Some(net));
        }
        self.tell_names(&state);
        Ok(Attached::default())
    }

    /// It is gone.
    pub(in crate::network) fn forget_asker(&self, state: &mut State, uid: &PodUid) -> Result<()> {
        if let Some(was) = state.askers.remove(uid) {
            if was.is_some_and(|was| self.is_former(&was)) {
                self.remove_old_bridges(state);
            }
            self.tell_names(state);
        }
        fsys::remove_file(&self.roots.pod_asks(uid))
    }
}
