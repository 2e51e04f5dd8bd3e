//! What one pod has on the network: decided once, written to tmpfs before any of it is made, read again by
//! every later agent.

use crate::{error::Result, network::Net, paths::Roots, records};
use berth_core::{
    ids::{PodKey, PodUid, hex},
    network::{Bandwidth, HostPort, named::DEFAULT, policy::NamedPort},
    time::Mono,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, net::IpAddr};

/// In front of the names of pods' ends on the bridge; nobody else's may begin so.
pub(in crate::network) const LINK_PREFIX: &str = "bth";
/// Bytes of a pod's hash in such a name: with the prefix, the 15 letters that the kernel takes.
const LINK_HASH_LEN: usize = 6;
/// In front of the hardware addresses of pods, locally administered; the last four bytes are the address'.
const MAC_PREFIX: [u8; 2] = [0x0a, 0x58];

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::network) struct Attachment {
    /// Namespace and name.
    pub(in crate::network) pod: PodKey,
    /// The network that it is on, as that was then; none: the default one, as an earlier version wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::network) net: Option<Net>,
    /// The number of its addresses.
    pub(in crate::network) offset: u32,
    /// Its addresses, IPv4 first.
    pub(in crate::network) addresses: Vec<IpAddr>,
    /// What it is called in its namespace, beside its full name.
    #[serde(default)]
    pub(in crate::network) names: Vec<String>,
    /// Ports of the node that lead to it.
    pub(in crate::network) ports: Vec<HostPort>,
    /// Its labels, by which NetworkPolicies select it.
    #[serde(default)]
    pub(in crate::network) labels: BTreeMap<String, String>,
    /// Its ports that have a name, by which NetworkPolicies mean them.
    #[serde(default)]
    pub(in crate::network) named_ports: Vec<NamedPort>,
    /// How much it may send and receive.
    #[serde(default)]
    pub(in crate::network) bandwidth: Bandwidth,
    /// Since when: of two that want a port the later one has it, the earlier one has ended.
    pub(in crate::network) since: Mono,
}

impl Attachment {
    /// The name of the network that it is on.
    pub(in crate::network) fn network(&self) -> &str {
        self.net.as_ref().map_or(DEFAULT, |net| &net.name)
    }
}

/// The name of a pod's end on the bridge.
pub(in crate::network) fn link_name(uid: &PodUid) -> String {
    let hash = Sha256::digest(uid.0.as_bytes());
    format!("{LINK_PREFIX}{}", hex(&hash[..LINK_HASH_LEN]))
}

/// The hardware address that goes with an address.
pub(in crate::network) fn mac(address: IpAddr) -> [u8; 6] {
    let bytes = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => (address.to_bits() as u32).to_be_bytes(),
    };
    let mut mac = [0; 6];
    mac[..2].copy_from_slice(&MAC_PREFIX);
    mac[2..].copy_from_slice(&bytes);
    mac
}

/// What the pod has; none if it has nothing.
pub(in crate::network) fn read(roots: &Roots, uid: &PodUid) -> Result<Option<Attachment>> {
    records::read(&roots.pod_network(uid))
}

pub(in crate::network) fn write(roots: &Roots, uid: &PodUid, attachment: &Attachment) -> Result<()> {
    records::write(&roots.pod_network(uid), attachment)
}

/// Of all pods of this boot; what cannot be read is told of, and its pod has nothing.
pub(in crate::network) fn read_all(roots: &Roots) -> BTreeMap<PodUid, Attachment> {
    let mut found = BTreeMap::new();
    for name in crate::records::names(&roots.pods_run()).unwrap_or_default() {
        let uid = PodUid(name.into());
        match read(roots, &uid) {
            Ok(Some(attachment)) => {
                found.insert(uid, attachment);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(pod = %uid, %error, "the pod's addresses are not known"),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_kernel_and_hardware_addresses_are_local() {
        let name = link_name(&PodUid("0123456789abcdef0123456789abcdef".into()));
        assert_eq!(name.len(), 15);
        assert!(name.starts_with(LINK_PREFIX));
        assert_ne!(name, link_name(&PodUid("1".into())));
        assert_eq!(mac("10.86.1.2".parse().unwrap()), [0x0a, 0x58, 10, 86, 1, 2]);
        assert_eq!(mac("fd00::1:2".parse().unwrap()), [0x0a, 0x58, 0, 1, 0, 2]);
    }
}
