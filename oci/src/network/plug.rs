//! One pod's pair of interfaces, with all that is on the pod's end.

use super::{
    INTERFACE, Setup, attachment,
    attachment::{Attachment, link_name},
    bridge::Bridge,
    lacking, link,
    netlink::{Netlink, Refused},
    refused,
};
use crate::error::{Error, Result};
use berth_core::ids::PodUid;
use std::{fs::File, os::fd::AsRawFd};

/// Makes the pair between bridge and pod, and all that is on the pod's end of it. A pair that is there is of an
/// attempt that did not get to its end.
pub(super) fn plug(
    setup: &Setup,
    bridge: &Bridge,
    uid: &PodUid,
    attachment: &Attachment,
    ns: &File,
    inside: &mut Netlink,
) -> Result<()> {
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
    if !attachment.ports.is_empty() {
        link::reflect(&mut outside, &outer).map_err(refused("set up the pod's end on the bridge"))?;
    }
    let configured = link::index(inside, INTERFACE).and_then(|index| {
        let index = index.ok_or(Refused { errno: libc::ENODEV, text: String::new() })?;
        let ranges = || {
            attachment.addresses.iter().filter_map(|address| {
                Some((*address, setup.ranges.all().find(|range| range.contains(*address))?))
            })
        };
        for (address, range) in ranges() {
            link::add_address(inside, index, address, &range)?;
        }
        link::bring_up(inside, index)?;
        for (_, range) in ranges() {
            link::add_default_route(inside, index, range.gateway())?;
        }
        Ok(())
    });
    configured.map_err(refused("configure the pod's interface"))
}
