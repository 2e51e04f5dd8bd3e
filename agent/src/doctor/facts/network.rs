//! Whether the kernel makes what pods' networks are of: tried in a network namespace that is gone at once.

use super::{Trial, read};
use crate::{agent::cni_settings, config::Config};
use berth_core::network::named::{DEFAULT, bridge_of};
use berth_oci::network::trial;
use std::path::Path;

/// As the kernel writes 53.
const NAMES_PORT: &str = "0035";
/// Where firewalld keeps which interface is in which zone.
const FIREWALLD_ZONES: &str = "/etc/firewalld/zones";

/// Whether there is a CNI network with all its plugins; none if none is wanted.
pub(super) fn plugins(config: &Config) -> Option<Trial> {
    let settings = cni_settings(config);
    settings
        .wanted
        .then(|| settings.look().map_or_else(|error| Trial::Fails(error.to_string()), |_| Trial::Works))
}

/// Networks of the configuration, each with its ranges.
pub(super) fn configured(config: &Config) -> Vec<String> {
    let default = [format!("{DEFAULT} {}", config.pod_c_i_d_r)];
    let named = config.networks.iter().map(|(name, network)| {
        let internal = if network.internal { " (internal)" } else { "" };
        format!("{name} {}{internal}", network.pod_cidr)
    });
    default.into_iter().chain(named).collect()
}

/// The bridges that are in none of firewalld's zones; none if it does not run, or only root could look.
pub(super) fn firewalled(config: &Config, is_root: bool) -> Vec<String> {
    if !is_root || !read::runs("firewalld") {
        return Vec::new();
    }
    let zones = read::texts_in(Path::new(FIREWALLD_ZONES));
    let names = [DEFAULT].into_iter().chain(config.networks.keys().map(String::as_str));
    names
        .map(bridge_of)
        .filter(|bridge| !zones.iter().any(|zone| zone.contains(&format!("\"{bridge}\""))))
        .collect()
}

/// Sockets of all addresses at port 53, in one of the kernel's lists: our own are of one address each.
pub(super) fn is_names_port_taken() -> bool {
    ["udp", "udp6", "tcp", "tcp6"]
        .iter()
        .any(|list| has_names_port(&read::text(&format!("/proc/net/{list}"))))
}

/// The second column is the address, in hexadecimal, and the port; the third one is empty of a socket that waits for callers.
fn has_names_port(list: &str) -> bool {
    let of_all = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (Some(local), Some(remote)) = (words.next(), words.next()) else { return false };
        let (Some((address, port)), Some((_, of_remote))) = (local.split_once(':'), remote.split_once(':'))
        else {
            return false;
        };
        address.bytes().all(|byte| byte == b'0') && port == NAMES_PORT && of_remote == "0000"
    };
    list.lines().skip(1).any(of_all)
}

/// Interfaces, packet rules, and rules for the bridge.
pub(super) fn attempt() -> (Trial, Trial, Trial) {
    let trial = |result: Result<(), String>| result.map_or_else(Trial::Fails, |()| Trial::Works);
    match trial::attempt() {
        Ok(found) => (trial(found.links), trial(found.rules), trial(found.origins)),
        Err(error) => {
            let why = format!("no network namespace can be made: {error}");
            (Trial::Unknown(why.clone()), Trial::Unknown(why.clone()), Trial::Unknown(why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_of_all_addresses_have_the_port_everywhere() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue\n";
        let list = |local: &str, remote: &str| format!("{head}   1: {local} {remote} 07 00000000:00000000\n");
        for (local, remote, taken) in [
            ("00000000:0035", "00000000:0000", true),
            ("00000000000000000000000000000000:0035", "00000000000000000000000000000000:0000", true),
            ("0100560A:0035", "00000000:0000", false),
            ("3500007F:0035", "00000000:0000", false),
            ("00000000:0036", "00000000:0000", false),
            ("00000000:0035", "0200000A:D431", false),
        ] {
            assert_eq!(has_names_port(&list(local, remote)), taken, "{local} {remote}");
        }
        assert!(!has_names_port(head) && !has_names_port("") && !has_names_port("a\nb"));
    }
}
