//! The addresses at which the node is to be reached. Asked anew each time: they come and go.

use crate::{network, paths::Roots};
use berth_core::network::named::is_bridge;
use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};
use std::net::IpAddr;

/// Addresses of the node that are taken.
const ADDRESSES_MAX: usize = 8;

/// The node's addresses as Kubernetes lists them: IPv4 first, none of loopback or link-local scope, nor the
/// pods' gateways.
pub fn addresses(roots: &Roots) -> Vec<String> {
    let gateways = network::gateways_of_plugins(roots);
    let up = InterfaceFlags::IFF_UP;
    let is_outside = |name: &str| !is_bridge(name);
    let addresses = getifaddrs()
        .into_iter()
        .flatten()
        .filter(|interface| interface.flags.contains(up) && is_outside(&interface.interface_name));
    let mut found: Vec<IpAddr> = addresses
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
        })
        .filter(|ip| match ip {
            IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
            IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
        })
        .collect();
    // Plugins may give pods the node's own way out.
    if !found.iter().all(|ip| gateways.contains(ip)) {
        found.retain(|ip| !gateways.contains(ip));
    }
    // Stable: within a family the kernel's order, which is that of the interfaces.
    found.sort_by_key(IpAddr::is_ipv6);
    found.truncate(ADDRESSES_MAX);
    found.iter().map(ToString::to_string).collect()
}
