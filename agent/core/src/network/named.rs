//! Networks that the configuration has beside the default one: what may be written of them, and which one a pod is on.
//! Pure; bridges and rules are made elsewhere.

use super::Ranges;
use crate::ids::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The annotation by which a pod chooses one.
pub const NETWORK: &str = "berth/network";
/// The network of pods that choose none; `podCIDR` and `podMTU` describe it.
pub const DEFAULT: &str = "default";
/// Networks beside the default one.
pub const NETWORKS_MAX: usize = 16;
/// Letters of a name: a label of DNS.
pub const NAME_LEN_MAX: usize = 63;
/// Bytes in a packet, if they are said: IPv6 needs 1280 (RFC 8200, 5).
pub const MTU_BYTES: std::ops::RangeInclusive<u32> = 1_280..=65_535;

/// The bridge of the default network.
pub const BRIDGE: &str = "berth0";
/// In front of the names of all other bridges; nobody else's may begin so.
pub const BRIDGE_PREFIX: &str = "berth-";
/// Letters behind that which fit the kernel's 15.
const BRIDGE_ROOM: usize = 9;
/// Of a name that is longer: its first letters, and digits of its hash.
const BRIDGE_LETTERS: usize = 3;
const BRIDGE_DIGITS: usize = 5;

/// One of them, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Named {
    /// Where its pods' addresses come from.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: Ranges,
    /// Bytes in a packet; 0: as in the default network.
    #[serde(default)]
    pub mtu: u32,
    /// Pods reach each other, and nothing else.
    #[serde(default)]
    pub internal: bool,
}

/// The network that a pod with these annotations is on.
pub fn of_pod(annotations: &BTreeMap<String, String>) -> &str {
    annotations.get(NETWORK).map_or(DEFAULT, |name| name)
}

/// The bridge of the network: always the same one. A label has no underscore, so a short name is no long one's.
pub fn bridge_of(network: &str) -> String {
    if network == DEFAULT {
        return BRIDGE.to_owned();
    }
    if network.len() <= BRIDGE_ROOM {
        return format!("{BRIDGE_PREFIX}{network}");
    }
    let letters: String = network.chars().take(BRIDGE_LETTERS).collect();
    let digits = hex(&Sha256::digest(network.as_bytes()));
    format!("{BRIDGE_PREFIX}{letters}_{}", &digits[..BRIDGE_DIGITS])
}

/// It is called as a bridge of ours.
pub fn is_bridge(interface: &str) -> bool {
    interface == BRIDGE || interface.starts_with(BRIDGE_PREFIX)
}

/// Whether a network may be called so.
///
/// # Errors
/// Why not.
pub fn check_name(name: &str) -> Result<(), String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_label = !name.is_empty()
        && name.len() <= NAME_LEN_MAX
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if is_label {
        return Ok(());
    }
    Err(format!("must be 1 to {NAME_LEN_MAX} of a-z, 0-9 and -, with a letter or digit at both ends"))
}

/// All that is wrong with these networks: of which one, none for all together, and what. `default`: the default one's
/// ranges.
pub fn faults<'a>(default: &Ranges, networks: &'a BTreeMap<String, Named>) -> Vec<(Option<&'a str>, String)> {
    let mut faults = Vec::new();
    if networks.len() > NETWORKS_MAX {
        faults.push((None, format!("has {} networks; {NETWORKS_MAX} are the most", networks.len())));
    }
    let mut before: Vec<(&str, &Ranges)> = vec![(DEFAULT, default)];
    for (name, network) in networks {
        let mut fault = |what: String| faults.push((Some(name.as_str()), what));
        if name == DEFAULT {
            fault("is the network that podCIDR and podMTU describe; write those".into());
            continue;
        }
        if let Err(why) = check_name(name) {
            fault(why);
            continue;
        }
        if network.mtu != 0 && !MTU_BYTES.contains(&network.mtu) {
            fault(format!("mtu must be 0, or {} to {}", MTU_BYTES.start(), MTU_BYTES.end()));
        }
        for (other, ranges) in &before {
            if let Some((own, his)) = network.pod_cidr.overlap(ranges) {
                fault(format!(
                    "podCIDR {own} overlaps {his} of network {other}; addresses must tell networks apart"
                ));
            }
            if bridge_of(other) == bridge_of(name) {
                let bridge = bridge_of(name);
                fault(format!(
                    "its bridge would be {bridge}, as that of network {other}; choose another name"
                ));
            }
        }
        before.push((name, &network.pod_cidr));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(cidr: &str) -> Named {
        Named { pod_cidr: cidr.parse().unwrap(), mtu: 0, internal: false }
    }

    #[test]
    fn bridges_are_called_the_same_for_ever_and_fit_the_kernel() {
        for (name, bridge) in [
            ("default", "berth0"),
            ("plant", "berth-plant"),
            ("a-network", "berth-a-network"),
            ("a-network2", "berth-a-n_1a257"),
        ] {
            assert_eq!(bridge_of(name), bridge);
        }
        for len in 1..=NAME_LEN_MAX {
            let bridge = bridge_of(&"n".repeat(len));
            assert!(bridge.len() <= 15 && is_bridge(&bridge), "{bridge}");
        }
        for other in ["berth00", "berth", "bth0123456789ab", "eth0"] {
            assert!(!is_bridge(other), "{other}");
        }
    }

    #[test]
    fn a_pod_is_on_the_network_that_it_names() {
        assert_eq!(of_pod(&BTreeMap::new()), DEFAULT);
        assert_eq!(of_pod(&[(NETWORK.to_owned(), "plant".to_owned())].into()), "plant");
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let default: Ranges = "10.86.0.0/16,fd00::/64".parse().unwrap();
        let find = |list: &[(&str, Named)]| {
            let networks: BTreeMap<String, Named> =
                list.iter().map(|(name, network)| ((*name).to_owned(), *network)).collect();
            let found = faults(&default, &networks);
            found
                .into_iter()
                .map(|(name, what)| format!("{}: {what}", name.unwrap_or("-")))
                .collect::<Vec<_>>()
        };
        let good = [("a", network("10.87.0.0/16")), ("b", network("10.88.0.0/24,fd01::/64"))];
        assert_eq!(find(&good), Vec::<String>::new());
        for (list, says) in [
            (vec![("default", network("10.87.0.0/16"))], "default: is the network that podCIDR"),
            (vec![("Plant", network("10.87.0.0/16"))], "Plant: must be 1 to 63 of a-z"),
            (vec![("a.b", network("10.87.0.0/16"))], "a.b: must be 1 to 63 of a-z"),
            (vec![("-", network("10.87.0.0/16"))], "-: must be 1 to 63 of a-z"),
            (vec![("", network("10.87.0.0/16"))], ": must be 1 to 63 of a-z"),
            (
                vec![("a", network("10.86.7.0/24"))],
                "a: podCIDR 10.86.7.0/24 overlaps 10.86.0.0/16 of network default",
            ),
            (vec![("a", network("10.0.0.0/8"))], "a: podCIDR 10.0.0.0/8 overlaps 10.86.0.0/16 of network"),
            (vec![("a", network("10.87.0.0/16,fd00::/48"))], "a: podCIDR fd00::/48 overlaps fd00::/64"),
            (
                vec![("a", network("10.87.0.0/16")), ("b", network("10.87.0.0/24"))],
                "b: podCIDR 10.87.0.0/24 overlaps 10.87.0.0/16 of network a",
            ),
            (vec![("a", Named { mtu: 576, ..network("10.87.0.0/16") })], "a: mtu must be 0, or 1280"),
        ] {
            let found = find(&list);
            assert!(found.len() == 1 && found[0].starts_with(says), "{list:?}: {found:?}");
        }
        let long = "n".repeat(NAME_LEN_MAX + 1);
        assert_eq!(find(&[(&long, network("10.87.0.0/16"))]).len(), 1);
        let many: Vec<String> = (0..=NETWORKS_MAX).map(|n| format!("n{n}")).collect();
        let many: Vec<(&str, Named)> = many
            .iter()
            .enumerate()
            .map(|(n, name)| (name.as_str(), network(&format!("10.87.{n}.0/24"))))
            .collect();
        assert_eq!(find(&many), ["-: has 17 networks; 16 are the most"]);
    }

    /// Two names whose bridges are one, found by trying.
    #[test]
    fn two_networks_never_share_a_bridge() {
        let mut seen = BTreeMap::new();
        let (one, two) = (0..)
            .map(|n| format!("network-{n}"))
            .find_map(|name| Some((seen.insert(bridge_of(&name), name.clone())?, name)))
            .unwrap();
        let networks = [(one, network("10.87.0.0/24")), (two, network("10.88.0.0/24"))].into();
        let found = faults(&"10.86.0.0/16".parse().unwrap(), &networks);
        assert!(found.len() == 1 && found[0].1.contains("its bridge would be berth-net_"), "{found:?}");
    }

    #[test]
    fn a_network_is_read_strictly() {
        let read = |text: &str| serde_yaml::from_str::<Named>(text).map_err(|error| error.to_string());
        assert_eq!(read("{podCIDR: 10.87.0.0/16}"), Ok(network("10.87.0.0/16")));
        assert!(read("{podCIDR: 10.87.0.0/16, mtu: 1400, internal: true}").is_ok_and(|read| read.internal));
        for (text, says) in [
            ("{}", "missing field `podCIDR`"),
            ("{podCIDR: 10.87.0.1/16}", "write 10.87.0.0/16"),
            ("{podCIDR: 10.87.0.0/16, intern: true}", "unknown field `intern`"),
        ] {
            assert!(read(text).is_err_and(|error| error.contains(says)), "{text}");
        }
    }
}
