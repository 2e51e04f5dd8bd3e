//! The bridge to which a network's pods are plugged, with the node's end of it: made when the first pod needs it.

use super::{Net, attachment, host, lacking, link, netlink::Netlink, refused};
use crate::error::{Error, Result};
use berth_core::network::{Range, Ranges};
use nix::{ifaddrs::getifaddrs, net::if_::if_nameindex};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

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

fn route() -> Result<Netlink> {
    Netlink::route().map_err(refused("open a netlink socket"))
}

/// Makes sure of it. `known`: what was seen last, by network; if that is still there, this is one question to the kernel.
pub(super) fn ensure(known: &mut BTreeMap<String, Bridge>, net: &Net) -> Result<Bridge> {
    ensure_by(&mut route()?, known, net)
}

fn ensure_by(netlink: &mut Netlink, known: &mut BTreeMap<String, Bridge>, net: &Net) -> Result<Bridge> {
    let index = link::index(netlink, &net.bridge()).map_err(refused("look for the bridge"))?;
    if let Some(bridge) = known.get(&net.name).filter(|bridge| Some(bridge.index) == index) {
        // Somebody else may have switched it off meanwhile.
        forward(&bridge.ranges)?;
        return Ok(*bridge);
    }
    let made = make(netlink, net)?;
    known.insert(net.name.clone(), made);
    Ok(made)
}

/// As [`ensure`], for a pod that comes: where no size of packets is configured it is that of the way out by now, which the
/// bridge of an early boot may not have found yet. Without a way out it stays what it was.
pub(super) fn ensure_fitting(known: &mut BTreeMap<String, Bridge>, net: &Net) -> Result<Bridge> {
    let mut netlink = route()?;
    let bridge = ensure_by(&mut netlink, known, net)?;
    let way_out = if net.mtu.is_none() { host::mtu_of_the_way_out(&mut netlink) } else { None };
    let Some(mtu) = way_out.filter(|mtu| *mtu != bridge.mtu) else { return Ok(bridge) };
    link::set_mtu(&mut netlink, &net.bridge(), mtu)
        .map_err(refused("set the size of packets on the bridge"))?;
    let bridge = Bridge { mtu, ..bridge };
    known.insert(net.name.clone(), bridge);
    Ok(bridge)
}

/// Of the configured ranges, those of families that the node speaks.
pub(super) fn served(net: &Net) -> Ranges {
    Ranges { v6: net.ranges.v6.filter(|_| host::has_ipv6()), ..net.ranges }
}

fn make(netlink: &mut Netlink, net: &Net) -> Result<Bridge> {
    let (ranges, name) = (served(net), net.bridge());
    let v6 = ranges.v6.is_some();
    let Some(first) = ranges.all().next() else {
        return Err(Error::Network("the node has no IPv6, and podCIDR has nothing else".into()));
    };
    if let Some(overlap) = overlap(&name, &ranges) {
        return Err(Error::Network(overlap));
    }
    let mtu = net.mtu.or_else(|| host::mtu_of_the_way_out(netlink)).unwrap_or(MTU_DEFAULT);
    link::ensure_bridge(netlink, &name, attachment::mac(first.gateway()), mtu)
        .map_err(|error| lacking(&error, "bridge", "CONFIG_BRIDGE", &format!("make the bridge {name}")))?;
    let index = link::index(netlink, &name).map_err(refused("look for the bridge"))?;
    let index = index.ok_or_else(|| Error::Network(format!("the bridge {name} is gone again")))?;
    host::bridge(&name, v6).map_err(|error| Error::Network(error.to_string()))?;
    forward(&ranges)?;
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

/// Lets the node pass on what pods of these ranges send and receive.
fn forward(ranges: &Ranges) -> Result<()> {
    let forwarding = host::forward(ranges.v4.is_some(), ranges.v6.is_some());
    forwarding.map_err(|error| Error::Network(error.to_string()))
}

/// Addresses of interfaces, each with its interface's name.
pub(super) fn addresses() -> impl Iterator<Item = (String, IpAddr)> {
    getifaddrs().into_iter().flatten().filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let address = v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))?;
        Some((interface.interface_name, address))
    })
}

/// The bridge has the addresses of these ranges, or none at all; those that a person gave it beside are no matter.
pub(super) fn is_addressed(name: &str, ranges: &Ranges) -> bool {
    let is_local = |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let own = addresses().filter(|(interface, address)| interface == name && !is_local(address));
    let own: Vec<IpAddr> = own.map(|(_, address)| address).collect();
    let gateways: Vec<IpAddr> = ranges.all().map(|range| range.gateway()).collect();
    gateways.iter().all(|gateway| own.contains(gateway))
        || own.iter().all(|address| gateways.contains(address))
}

/// An address of another interface in the pods' range.
fn overlap(name: &str, ranges: &Ranges) -> Option<String> {
    addresses().filter(|(interface, _)| interface != name).find_map(|(interface, address)| {
        let range = ranges.all().find(|range: &Range| range.contains(address))?;
        Some(format!(
            "{interface} has {address}, which is in the pods' range {range}: configure another podCIDR"
        ))
    })
}

/// Names of interfaces that begin so.
pub(super) fn links(prefix: &str) -> Vec<String> {
    let Ok(interfaces) = if_nameindex() else { return Vec::new() };
    let names = interfaces.iter().map(|interface| interface.name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(prefix)).collect()
}
