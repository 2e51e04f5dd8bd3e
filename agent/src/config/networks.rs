//! The key `networks`: what is wrong with it, each network at its place. Pure.

use super::{Config, check::line_of};
use berth_core::network::named::{self, faults as faults_of};

const KEY: &str = "networks";

/// Line, column, and what is wrong there.
pub(super) fn faults(config: &Config, text: &str) -> Vec<(usize, usize, String)> {
    let begin = line_of(text, KEY);
    let mut faults: Vec<_> = faults_of(&config.pod_c_i_d_r, &config.networks)
        .into_iter()
        .map(|(name, what)| match name {
            None => (begin, 1, format!("{KEY}: {what}")),
            Some(name) => {
                let (line, column) = place(text, begin, name);
                (line, column, format!("{KEY}.{name}: {what}"))
            }
        })
        .collect();
    if !config.networks.is_empty() && config.network != "bridge" {
        let what = format!("{KEY}: has effect with network: bridge only, and it is {}", config.network);
        faults.push((begin, 1, what));
    }
    faults
}

/// Where the network is named, among the indented lines behind the key; the key's own line if it is all on that.
fn place(text: &str, begin: usize, name: &str) -> (usize, usize) {
    let behind = text.lines().enumerate().skip(begin);
    let inside = behind.take_while(|(_, line)| {
        line.trim().is_empty() || line.starts_with([' ', '\t']) || line.trim_start().starts_with('#')
    });
    let found = inside.into_iter().find_map(|(i, line)| {
        let entry = line.trim_start();
        let key = entry.trim_start_matches(['"', '\'']).strip_prefix(name)?;
        let is_key = key.trim_start_matches(['"', '\'', ' ']).starts_with(':');
        is_key.then(|| (i + 1, line.len() - entry.len() + 1))
    });
    found.unwrap_or((begin, 1))
}

impl Config {
    /// The bytes in a packet of this network; none: as the node's way out.
    pub(crate) fn mtu_of(&self, network: &named::Named) -> Option<u32> {
        [network.mtu, self.pod_m_t_u].into_iter().find(|mtu| *mtu > 0)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse;
    use std::path::Path;

    fn message(text: &str) -> String {
        parse(Path::new("c.yaml"), text).unwrap_err().to_string()
    }

    #[test]
    fn networks_are_read_and_inherit_the_size_of_packets() {
        let text = "podMTU: 1400\nnetworks:\n  plant: {podCIDR: \"10.87.0.0/16,fd01::/64\", internal: true}\n  lab: \
                    {podCIDR: 10.88.0.0/16, mtu: 1300}\n";
        let config = parse(Path::new("c"), text).unwrap();
        let (plant, lab) = (&config.networks["plant"], &config.networks["lab"]);
        assert!(plant.internal && !lab.internal);
        assert_eq!((config.mtu_of(plant), config.mtu_of(lab)), (Some(1400), Some(1300)));
        assert_eq!(parse(Path::new("x"), &config.documented()).unwrap(), config);
    }

    #[test]
    fn every_fault_has_its_place() {
        for (text, expected) in [
            (
                "networks: {default: {podCIDR: 10.87.0.0/16}}\n",
                "c.yaml:1:1: networks.default: is the network",
            ),
            (
                "# x\nnetworks:\n  good: {podCIDR: 10.88.0.0/16}\n\n  # y\n  Bad_1:\n    podCIDR: 10.87.0.0/16\n",
                "c.yaml:6:3: networks.Bad_1: must be 1 to 63 of a-z",
            ),
            (
                "networks:\n  \"a\": {podCIDR: 10.86.1.0/24}\n",
                "c.yaml:2:3: networks.a: podCIDR 10.86.1.0/24 overlaps 10.86.0.0/16 of network default",
            ),
            (
                "networks:\n  a:\n    podCIDR: 10.87.0.0/16\n  b:\n    podCIDR: 10.87.1.0/24\n",
                "c.yaml:4:3: networks.b: podCIDR 10.87.1.0/24 overlaps 10.87.0.0/16 of network a",
            ),
            (
                "networks:\n  a: {podCIDR: 10.87.0.0/16, mtu: 9}\n",
                "c.yaml:2:3: networks.a: mtu must be 0, or",
            ),
            ("networks:\n  a: {}\n", "c.yaml:2:6: networks.a: missing field `podCIDR`"),
            ("networks:\n  a: {podCIDR: 10.87.0.0}\n", "c.yaml:2:"),
            ("networks:\n  a: {podCIDR: 10.87.0.0/16, bridge: x}\n", "c.yaml:2:"),
            (
                "network: cni\nnetworks:\n  a: {podCIDR: 10.87.0.0/16}\n",
                "c.yaml:2:1: networks: has effect with network: bridge only, and it is cni",
            ),
        ] {
            let got = message(text);
            assert!(got.starts_with(expected), "{text:?}: {got}");
        }
    }
}
