//! The bridge to which pods are plugged, with the node's end of their network: made when the first pod needs it.

use super::{Setup, attachment, host, lacking, link, netlink::Netlink, refused};
use crate::error::{Error, Result};
use berth_core::network::{Range, Ranges};
use nix::{ifaddrs::getifaddrs, net::if_::if_nameindex};
use std::net::{IpAddr, Ipv6Addr};

/// Its name.
pub const NAME: &str = "berth0";
/// Bytes in an Ethernet packet, where nothing else is known.
pub(super) const MTU_DEFAULT: u32 = 1_500;

/// The bridge as it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bridge {
    /// Its interface number: another one is another bridge.
    pub(super) index: u32,
    /// The node speaks IPv6.
    pub(super) v6: bool,
    /// Of the configured ranges, those that the node can serve.
    pub(super) ranges: Ranges,
    /// Bytes in a packet.
    pub(super) mtu: u32,
}

/// Makes sure of it. `known`: what was seen last; if that is still there, this is one question to the kernel.
pub(super) fn ensure(known: &mut Option<Bridge>, setup: &Setup) -> Result<Bridge> {
    let mut netlink = Netlink::route().map_err(refused("open a netlink socket"))?;
    let index = link::index(&mut netlink, NAME).map_err(refused("look for the bridge"))?;
    if let Some(bridge) = known.filter(|bridge| Some(bridge.index) == index) {
        return Ok(bridge);
    }
    let made = make(&mut netlink, setup)?;
    *known = Some(made);
    Ok(made)
}

/// Of the configured ranges, those of families that the node speaks.
pub(super) fn served(setup: &Setup) -> Ranges {
    Ranges { v6: setup.ranges.v6.filter(|_| host::has_ipv6()), ..setup.ranges }
}

fn make(netlink: &mut Netlink, setup: &Setup) -> Result<Bridge> {
    let ranges = served(setup);
    let v6 = ranges.v6.is_some();
    let Some(first) = ranges.all().next() else {
        return Err(Error::Network("the node has no IPv6, and podCIDR has nothing else".into()));
    };
    if let Some(overlap) = overlap(&ranges) {
        return Err(Error::Network(overlap));
    }
    let mtu = setup.mtu.or_else(host::mtu_of_the_way_out).unwrap_or(MTU_DEFAULT);
    link::ensure_bridge(netlink, NAME, attachment::mac(first.gateway()), mtu)
        .map_err(|error| lacking(&error, "bridge", "CONFIG_BRIDGE", "make the bridge berth0"))?;
    let index = link::index(netlink, NAME).map_err(refused("look for the bridge"))?;
    let index = index.ok_or_else(|| Error::Network("the bridge berth0 is gone again".into()))?;
    let settings = host::bridge(NAME, v6).and_then(|()| host::forward(ranges.v4.is_some(), v6));
    settings.map_err(|error| Error::Network(error.to_string()))?;
    for range in ranges.all() {
        link::add_address(netlink, index, range.gateway(), range.prefix())
            .map_err(refused("give the bridge its address"))?;
    }
    if v6 {
        // The kernel has no `route_localnet` for IPv6; but whom ::1 is of, it asks the table of routes.
        link::add_local_route(netlink, index, Ipv6Addr::LOCALHOST)
            .map_err(refused("let the node's loopback come back from the bridge"))?;
    }
    Ok(Bridge { index, v6, ranges, mtu })
}

/// An address of another interface in the pods' range.
fn overlap(ranges: &Ranges) -> Option<String> {
    let inside = |address: IpAddr| ranges.all().find(|range: &Range| range.contains(address));
    getifaddrs().into_iter().flatten().filter(|interface| interface.interface_name != NAME).find_map(
        |interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            let address = v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))?;
            let range = inside(address)?;
            let name = interface.interface_name;
            Some(format!(
                "{name} has {address}, which is in the pods' range {range}: configure another podCIDR"
            ))
        },
    )
}

/// Names of interfaces that begin so.
pub(super) fn links(prefix: &str) -> Vec<String> {
    let Ok(interfaces) = if_nameindex() else { return Vec::new() };
    let names = interfaces.iter().map(|interface| interface.name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(prefix)).collect()
}
