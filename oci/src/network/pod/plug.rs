//! One pod's pair of interfaces, with all that is on the pod's end.

use crate::error::{Error, Result};
use crate::network::{
    INTERFACE, Net, attachment,
    attachment::{Attachment, link_name},
    bridge::Bridge,
    host, lacking, link,
    netlink::{Netlink, Refused},
    refused, shape,
};
use berth_core::{
    ids::PodUid,
    network::{Bandwidth, Rate},
};
use std::{fs::File, os::fd::AsRawFd};

/// Makes the pair between bridge and pod, and all that is on the pod's end of it. A pair that is there is of an
/// attempt that did not get to its end. Returns what the kernel lacks for the rates that the pod is to be held to.
pub(in crate::network) fn plug(
    net: &Net,
    bridge: &Bridge,
    uid: &PodUid,
    attachment: &Attachment,
    ns: &File,
    inside: &mut Netlink,
) -> Result<Option<String>> {
    let (Some(first), outer) = (attachment.addresses.first(), link_name(uid)) else {
        return Err(Error::Network("the node has no IPv6, and podCIDR has nothing else".into()));
    };
    let mut outside = Netlink::route().map_err(refused("open a netlink socket"))?;
    let pair = link::Pair {
        outer: &outer,
        inner: INTERFACE,
        mac: attachment::mac(*first),
        mtu: bridge.mtu,
        bridge: bridge.index,
        ns: ns.as_raw_fd(),
    };
    let made = match link::add_pair(&mut outside, &pair) {
        Err(error) if error.is(libc::EEXIST) => {
            link::remove(&mut outside, &outer).and_then(|()| link::add_pair(&mut outside, &pair))
        }
        made => made,
    };
    made.map_err(|error| lacking(&error, "veth", "CONFIG_VETH", "make the pod's interface"))?;
    if bridge.v6 {
        host::without_ipv6(&outer).map_err(|error| Error::Network(error.to_string()))?;
    }
    if !attachment.ports.is_empty() {
        link::reflect(&mut outside, &outer).map_err(refused("set up the pod's end on the bridge"))?;
    }
    let configured = link::index(inside, INTERFACE).and_then(|index| {
        let index = index.ok_or(Refused { errno: libc::ENODEV, text: String::new() })?;
        let ranges = || {
            attachment.addresses.iter().filter_map(|address| {
                Some((*address, net.ranges.all().find(|range| range.contains(*address))?))
            })
        };
        for (address, _) in ranges() {
            // It has no neighbours: whom it calls, it calls by the node, which may have policies.
            link::add_address(inside, index, address, if address.is_ipv4() { 32 } else { 128 })?;
        }
        link::bring_up(inside, index)?;
        for (_, range) in ranges() {
            link::add_default_route(inside, index, range.gateway())?;
        }
        Ok(())
    });
    configured.map_err(refused("configure the pod's interface"))?;
    let shaped = shape_both(&attachment.bandwidth, &outer, &mut outside, inside);
    Ok(shaped.err().map(|error| no_shaping(&error)))
}

/// Holds what goes to the pod at the bridge, what comes from it at its own end.
fn shape_both(
    bandwidth: &Bandwidth,
    outer: &str,
    outside: &mut Netlink,
    inside: &mut Netlink,
) -> std::result::Result<(), Refused> {
    let hold = |netlink: &mut Netlink, name: &str, rate: Option<Rate>| {
        let Some(rate) = rate else { return Ok(()) };
        let index =
            link::index(netlink, name)?.ok_or(Refused { errno: libc::ENODEV, text: String::new() })?;
        shape::hold(netlink, index, rate)
    };
    hold(outside, outer, bandwidth.ingress)?;
    hold(inside, INTERFACE, bandwidth.egress)
}

/// Why the pod is not held to its rates.
fn no_shaping(error: &Refused) -> String {
    let remedy = match error.errno {
        libc::ENOENT | libc::EOPNOTSUPP => "; the kernel needs the module sch_tbf, or CONFIG_NET_SCH_TBF",
        _ => "",
    };
    format!("nothing holds the pod to its bandwidth: {error}{remedy}")
}
