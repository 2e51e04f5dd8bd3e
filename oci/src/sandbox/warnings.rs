//! What a pod does not get as it was wished, kept beside its record until it was told.

use crate::{
    error::{Error, Result},
    files, fsys,
    node::NodeFacts,
    paths::Roots,
};
use berth_core::{
    ids::PodUid,
    manifest::{DesiredPod, types::DnsPolicy},
};
use std::fs;

/// One line for each: reason, tab, sentence; absent if there is none.
const FILE: &str = "warnings";
/// The reason of what neither kernel nor Berth holds the pod to.
pub const NOT_ENFORCED: &str = "NotEnforced";
/// Kubelet's word for it.
const MISSING_CLUSTER_DNS: &str = "MissingClusterDNS";

/// A word, and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// As events have it.
    pub reason: String,
    /// What it is about.
    pub message: String,
}

/// The reason of a network that is there and not whole.
const NETWORK_LIMITED: &str = "NetworkLimited";

/// All that is to be told of this pod. `lacking` is what the kernel has not, `network` what the pod's network
/// has not.
pub(super) fn of(
    node: &NodeFacts,
    pod: &DesiredPod,
    lacking: Vec<String>,
    network: Option<String>,
) -> Vec<Warning> {
    let warning = |reason: &str, message| Warning { reason: reason.to_owned(), message };
    let mut warnings: Vec<Warning> = lacking.into_iter().map(|text| warning(NOT_ENFORCED, text)).collect();
    warnings.extend(network.map(|text| warning(NETWORK_LIMITED, text)));
    let spec = &pod.pod.spec;
    if files::lacks_cluster_dns(node, pod) {
        let policy = match spec.dns_policy {
            DnsPolicy::ClusterFirstWithHostNet => "ClusterFirstWithHostNet",
            _ => "ClusterFirst",
        };
        let text = format!("no clusterDNS is configured: dnsPolicy {policy} falls back to Default");
        warnings.push(warning(MISSING_CLUSTER_DNS, text));
    }
    warnings
}

/// What is to be told of the pod, once.
pub fn read(roots: &Roots, uid: &PodUid) -> Vec<Warning> {
    let text = fs::read_to_string(roots.pod_run(uid).join(FILE)).unwrap_or_default();
    let parts = |line: &str| {
        let (reason, message) = line.split_once('\t').unwrap_or((NOT_ENFORCED, line));
        Warning { reason: reason.to_owned(), message: message.to_owned() }
    };
    text.lines().map(parts).collect()
}

pub(super) fn write(roots: &Roots, uid: &PodUid, warnings: &[Warning]) -> Result<()> {
    let path = roots.pod_run(uid).join(FILE);
    if warnings.is_empty() {
        return fsys::remove_file(&path);
    }
    let text: String = warnings.iter().map(|w| format!("{}\t{}\n", w.reason, w.message)).collect();
    fs::write(&path, text).map_err(Error::io("write", &path))
}
