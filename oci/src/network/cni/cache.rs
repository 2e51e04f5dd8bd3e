//! What was made by CNI plugins, and by which configuration: on disk, written before the first plugin is executed and
//! removed after the last, so that it is taken away by the same one whatever happens in between, reboots included.

use crate::{
    durable,
    error::{Error, Result},
    fsys,
    paths::Roots,
    records,
};
use berth_core::{
    ids::{PodKey, PodUid},
    network::cni::{Capabilities, List, TEXT_LEN_MAX_BYTES},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{net::IpAddr, path::Path};

/// Bytes in a file: a configuration, an answer, and what is around them.
const LEN_MAX_BYTES: u64 = 3 * TEXT_LEN_MAX_BYTES as u64;
/// Behind the pod's uid.
const SUFFIX: &str = ".json";

/// What plugins were asked for a pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Namespace and name.
    pub(super) pod: PodKey,
    /// The configuration as it was: [`List::to_value`].
    pub(super) list: Value,
    pub(super) interface: String,
    pub(super) capabilities: Capabilities,
    /// What the chain answered; none as long as it has not come to its end.
    pub(super) result: Option<Value>,
}

impl Entry {
    pub(super) fn list(&self) -> Result<List> {
        List::from_value(self.list.clone()).map_err(|why| Error::Network(format!("its CNI network: {why}")))
    }
}

/// What a pod has of its plugins, for everybody else: on tmpfs, so it is true in this boot only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::network) struct Plugged {
    /// The network's name.
    pub(in crate::network) network: String,
    /// Its addresses, IPv4 first.
    pub(in crate::network) addresses: Vec<IpAddr>,
    /// Where its way out begins.
    pub(in crate::network) gateways: Vec<IpAddr>,
    /// Interfaces of the node that were made for it.
    pub(in crate::network) outside: Vec<String>,
}

/// What is written down of the pod. A file that is none is told of and removed: nothing can be done by it.
pub(super) fn read(roots: &Roots, uid: &PodUid) -> Result<Option<Entry>> {
    match records::read_within(&roots.cni_cache(uid), LEN_MAX_BYTES) {
        Err(error @ Error::Malformed { .. }) => {
            tracing::warn!(pod = %uid, %error, "what CNI plugins have made for the pod may stay");
            remove(roots, uid)?;
            Ok(None)
        }
        other => other,
    }
}

pub(super) fn write(roots: &Roots, uid: &PodUid, entry: &Entry) -> Result<()> {
    let path = roots.cni_cache(uid);
    if let Some(dir) = path.parent().filter(|dir| !dir.is_dir()) {
        fsys::make_dirs(dir, 0o700)?;
        durable::sync_parent(dir)?;
    }
    durable::replace(&path, &json(&path, entry)?)
}

pub(super) fn remove(roots: &Roots, uid: &PodUid) -> Result<()> {
    durable::remove(&roots.cni_cache(uid))
}

/// Of which pods there is something.
pub(super) fn pods(roots: &Roots) -> Result<Vec<PodUid>> {
    let names = records::names(&roots.cni_caches())?;
    Ok(names.iter().filter_map(|name| Some(PodUid(name.strip_suffix(SUFFIX)?.into()))).collect())
}

pub(in crate::network) fn plugged(roots: &Roots, uid: &PodUid) -> Result<Option<Plugged>> {
    records::read_within(&roots.pod_plugged(uid), LEN_MAX_BYTES)
}

/// Where the ways out of all pods of this boot begin.
pub(in crate::network) fn gateways(roots: &Roots) -> Vec<IpAddr> {
    let pods = pods(roots).unwrap_or_default();
    let known = pods.iter().filter_map(|uid| plugged(roots, uid).ok().flatten());
    known.flat_map(|plugged| plugged.gateways).collect()
}

pub(super) fn write_plugged(roots: &Roots, uid: &PodUid, plugged: &Plugged) -> Result<()> {
    records::write(&roots.pod_plugged(uid), plugged)
}

fn json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::Malformed { path: path.to_owned(), message: error.to_string() })
}
