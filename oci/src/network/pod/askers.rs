//! Pods on the node's network whose `dnsPolicy` is `ClusterFirstWithHostNet`: they ask our name server, so the bridge, at
//! whose address that is, is there as long as they are. Which they are is noted beside their records.

use crate::network::{Attached, Network, State, bridge};
use crate::{
    error::{Error, Result},
    fsys,
    paths::Roots,
    records,
};
use berth_core::{
    ids::PodUid,
    manifest::{
        DesiredPod,
        types::{DnsPolicy, PodSpec},
    },
};
use std::{collections::BTreeSet, fs};

/// The pod is on the node's network, and wants names as others have them.
pub fn asks_for_names(spec: &PodSpec) -> bool {
    spec.host_network && spec.dns_policy == DnsPolicy::ClusterFirstWithHostNet
}

/// Those of this boot.
pub(in crate::network) fn read_all(roots: &Roots) -> BTreeSet<PodUid> {
    let names = records::names(&roots.pods_run()).unwrap_or_default();
    names.into_iter().map(|name| PodUid(name.into())).filter(|uid| roots.pod_asks(uid).exists()).collect()
}

impl Network {
    /// Sees to it that the pod can ask for names, if it wants to. A kernel without bridges lets it run without.
    pub(in crate::network) fn serve_asker(&self, pod: &DesiredPod) -> Result<Attached> {
        let Some(setup) = self.setup.filter(|_| asks_for_names(&pod.pod.spec)) else {
            return Ok(Attached::default());
        };
        let mut state = self.lock();
        if let Err(error) = bridge::ensure(&mut state.bridge, &setup) {
            let lacking = Some(format!("no names of pods: {error}"));
            return Ok(Attached { lacking, ..Attached::default() });
        }
        let path = self.roots.pod_asks(&pod.uid);
        fs::write(&path, "").map_err(Error::io("write", &path))?;
        state.askers.insert(pod.uid.clone());
        self.tell_names(&state);
        Ok(Attached::default())
    }

    /// It is gone.
    pub(in crate::network) fn forget_asker(&self, state: &mut State, uid: &PodUid) -> Result<()> {
        if state.askers.remove(uid) {
            self.tell_names(state);
        }
        fsys::remove_file(&self.roots.pod_asks(uid))
    }
}
