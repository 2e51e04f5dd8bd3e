//! The requests of which a pod's network is made: bridge, pair of virtual Ethernet devices, addresses, routes.
//! Each is done when it returns, and harmless when it was done before.
//!
//! The kernel's words for them: rtnetlink(7) and Documentation/netlink/specs/rt_link.yaml, rt_addr.yaml,
//! rt_route.yaml.

use crate::network::netlink::{Netlink, Refused, attributes, u32_at};
use berth_core::network::attachments::{Attachment, Kind, Mode};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope},
    link::{
        InfoBridge, InfoBridgePort, InfoData, InfoIpVlan, InfoKind, InfoMacVlan, InfoPortData, InfoPortKind,
        InfoVeth, InfoVlan, IpVlanMode, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
    },
    route::{
        RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
        RouteType,
    },
};
use std::{
    net::{IpAddr, Ipv6Addr},
    os::fd::RawFd,
};

/// The table of what is the node's own (`RT_TABLE_LOCAL`).
const TABLE_LOCAL: u8 = 255;

/// Bytes of `struct ifinfomsg`; behind it, bytes in a packet (`IFLA_MTU`) and what kind of interface it is
/// (`IFLA_LINKINFO`, and in it `IFLA_INFO_KIND`).
const INFO_LEN: usize = 16;
const ATTR_MTU: u16 = 4;
const ATTR_INFO: u16 = 18;
const ATTR_KIND: u16 = 1;

/// Hardware address of an Ethernet device.
pub(in crate::network) type Mac = [u8; 6];

/// Makes the bridge, up; one that is there is brought up and gets the size of packets. It has a hardware address of its
/// own: without, it would change with every pod that comes or goes, and neighbours would look for it.
pub(in crate::network) fn ensure_bridge(
    netlink: &mut Netlink,
    name: &str,
    mac: Mac,
    mtu: u32,
) -> Result<(), Refused> {
    let mut bridge = named(name);
    up(&mut bridge);
    bridge.attributes.extend([
        LinkAttribute::Address(mac.to_vec()),
        LinkAttribute::Mtu(mtu),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Bridge),
            LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::ForwardDelay(0)])),
        ]),
    ]);
    match netlink.ask(RouteNetlinkMessage::NewLink(bridge), NLM_F_CREATE | NLM_F_EXCL) {
        Err(refused) if refused.is(libc::EEXIST) => {
            let mut bridge = named(name);
            up(&mut bridge);
            bridge.attributes.push(LinkAttribute::Mtu(mtu));
            netlink.ask(RouteNetlinkMessage::SetLink(bridge), 0)
        }
        other => other,
    }
}

/// One end of a pair in the namespace that `ns` is open on, the other on the bridge. The latter is up; the kernel does
/// not bring up the former before it has its peer (`veth_open`).
pub(in crate::network) struct Pair<'a> {
    /// Name of the end on the bridge.
    pub(in crate::network) outer: &'a str,
    /// Name of the end in the pod.
    pub(in crate::network) inner: &'a str,
    /// Hardware address of the latter.
    pub(in crate::network) mac: Mac,
    /// Bytes in a packet.
    pub(in crate::network) mtu: u32,
    /// Interface number of the bridge.
    pub(in crate::network) bridge: u32,
    /// The pod's namespace.
    pub(in crate::network) ns: RawFd,
}

/// Makes a pair.
///
/// # Errors
/// `EEXIST` if the outer name is taken; the inner one has then not been looked at.
pub(in crate::network) fn add_pair(netlink: &mut Netlink, pair: &Pair<'_>) -> Result<(), Refused> {
    let mut inner = named(pair.inner);
    inner.attributes.extend([
        LinkAttribute::Address(pair.mac.to_vec()),
        LinkAttribute::Mtu(pair.mtu),
        LinkAttribute::NetNsFd(pair.ns),
    ]);
    let mut outer = named(pair.outer);
    up(&mut outer);
    outer.attributes.extend([
        LinkAttribute::Mtu(pair.mtu),
        LinkAttribute::Controller(pair.bridge),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(inner))),
        ]),
    ]);
    netlink.ask(RouteNetlinkMessage::NewLink(outer), NLM_F_CREATE | NLM_F_EXCL)
}

/// Moves the interface with this number to the namespace that `ns` is open on, where it is called `name`. The kernel takes
/// it down on the way; with `is_up` it is up again when it is there.
pub(in crate::network) fn hand_over(
    netlink: &mut Netlink,
    index: u32,
    name: &str,
    ns: RawFd,
    is_up: bool,
) -> Result<(), Refused> {
    let mut message = named(name);
    message.header.index = index;
    if is_up {
        up(&mut message);
    }
    message.attributes.push(LinkAttribute::NetNsFd(ns));
    netlink.ask(RouteNetlinkMessage::SetLink(message), 0)
}

/// Makes what is wanted on top of the interface with this number, in the namespace that `ns` is open on.
pub(in crate::network) fn add_on_top(
    netlink: &mut Netlink,
    index: u32,
    wanted: &Attachment,
    ns: RawFd,
) -> Result<(), Refused> {
    let (kind, data) = match wanted.kind {
        Kind::Ipvlan => {
            let mode = match wanted.mode {
                Some(Mode::L3) => IpVlanMode::L3,
                Some(Mode::L3s) => IpVlanMode::L3S,
                _ => IpVlanMode::L2,
            };
            (InfoKind::IpVlan, InfoData::IpVlan(vec![InfoIpVlan::Mode(mode)]))
        }
        Kind::Vlan => (InfoKind::Vlan, InfoData::Vlan(vec![InfoVlan::Id(wanted.id.unwrap_or_default())])),
        Kind::Macvlan | Kind::Host => {
            let mode = match wanted.mode {
                Some(Mode::Private) => MacVlanMode::Private,
                Some(Mode::Vepa) => MacVlanMode::Vepa,
                Some(Mode::Passthru) => MacVlanMode::Passthrough,
                _ => MacVlanMode::Bridge,
            };
            (InfoKind::MacVlan, InfoData::MacVlan(vec![InfoMacVlan::Mode(mode)]))
        }
    };
    let mut message = named(&wanted.name);
    message.attributes.extend([
        LinkAttribute::Link(index),
        LinkAttribute::NetNsFd(ns),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind), LinkInfo::Data(data)]),
    ]);
    netlink.ask(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
}

/// Plugs the interface to the bridge, if it is not.
pub(in crate::network) fn plug_to(netlink: &mut Netlink, name: &str, bridge: u32) -> Result<(), Refused> {
    let mut message = named(name);
    message.attributes.push(LinkAttribute::Controller(bridge));
    netlink.ask(RouteNetlinkMessage::SetLink(message), 0)
}

/// Lets the bridge send back to this end what came from it. Where the kernel has packets on bridges pass the
/// packet rules (`br_netfilter`), a pod that calls a port of its own on the node needs it.
pub(in crate::network) fn reflect(netlink: &mut Netlink, name: &str) -> Result<(), Refused> {
    let mut message = named(name);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::HairpinMode(true)])),
    ]));
    netlink.ask(RouteNetlinkMessage::NewLink(message), 0)
}

/// Keeps this end and others like it apart: they reach the bridge itself only.
pub(in crate::network) fn isolate(netlink: &mut Netlink, name: &str, isolated: bool) -> Result<(), Refused> {
    let mut message = named(name);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::Isolated(isolated)])),
    ]));
    netlink.ask(RouteNetlinkMessage::NewLink(message), 0)
}

/// Brings the interface up.
pub(in crate::network) fn bring_up(netlink: &mut Netlink, index: u32) -> Result<(), Refused> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    up(&mut message);
    netlink.ask(RouteNetlinkMessage::SetLink(message), 0)
}

/// Removes the interface, and with it the other end of its pair.
pub(in crate::network) fn remove(netlink: &mut Netlink, name: &str) -> Result<(), Refused> {
    match netlink.ask(RouteNetlinkMessage::DelLink(named(name)), 0) {
        Err(refused) if refused.is(libc::ENODEV) => Ok(()),
        other => other,
    }
}

/// What the kernel says of the interface; none if there is no such interface.
fn look(netlink: &mut Netlink, name: &str) -> Result<Option<Vec<u8>>, Refused> {
    match netlink.query(RouteNetlinkMessage::GetLink(named(name)), 0) {
        Err(refused) if refused.is(libc::ENODEV) => Ok(None),
        other => Ok(other?.into_iter().next()),
    }
}

/// The interface's number; none if there is no such interface.
pub(in crate::network) fn index(netlink: &mut Netlink, name: &str) -> Result<Option<u32>, Refused> {
    // `ifi_index` of `struct ifinfomsg`.
    Ok(look(netlink, name)?.and_then(|body| u32_at(&body, 4)))
}

/// The interface is up; none if there is no such interface.
pub(in crate::network) fn is_up(netlink: &mut Netlink, name: &str) -> Result<Option<bool>, Refused> {
    // `ifi_flags` of `struct ifinfomsg`.
    let flags = look(netlink, name)?.and_then(|body| u32_at(&body, 8));
    Ok(flags.map(|flags| LinkFlags::from_bits_retain(flags).contains(LinkFlags::Up)))
}

/// Bytes in a packet; none if there is no such interface.
pub(in crate::network) fn mtu(netlink: &mut Netlink, name: &str) -> Result<Option<u32>, Refused> {
    let body = look(netlink, name)?.unwrap_or_default();
    let all = attributes(body.get(INFO_LEN..).unwrap_or_default());
    Ok(all.into_iter().find(|(kind, _)| *kind == ATTR_MTU).and_then(|(_, value)| u32_at(value, 0)))
}

/// Bytes in a packet from now on.
pub(in crate::network) fn set_mtu(netlink: &mut Netlink, name: &str, mtu: u32) -> Result<(), Refused> {
    let mut message = named(name);
    message.attributes.push(LinkAttribute::Mtu(mtu));
    netlink.ask(RouteNetlinkMessage::SetLink(message), 0)
}

/// The interface is a bridge.
pub(in crate::network) fn is_bridge(netlink: &mut Netlink, name: &str) -> Result<bool, Refused> {
    let answer = look(netlink, name)?;
    let find = |bytes: &[u8], wanted: u16| {
        let found = attributes(bytes).into_iter().find(|(kind, _)| *kind == wanted);
        found.map(|(_, value)| value.to_vec())
    };
    let kind = answer.and_then(|body| find(find(body.get(INFO_LEN..)?, ATTR_INFO)?.as_slice(), ATTR_KIND));
    Ok(kind.is_some_and(|kind| kind.strip_suffix(b"\0").unwrap_or(&kind) == b"bridge"))
}

/// Gives the interface this address, with neighbours whose addresses have the first `prefix` bits in common with it. It
/// is usable at once: nobody else can have it.
pub(in crate::network) fn add_address(
    netlink: &mut Netlink,
    index: u32,
    address: IpAddr,
    prefix: u8,
) -> Result<(), Refused> {
    let mut message = AddressMessage::default();
    message.header.family = family(address);
    message.header.prefix_len = prefix;
    message.header.scope = AddressScope::Universe;
    message.header.index = index;
    message.header.flags = AddressHeaderFlags::Nodad;
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    netlink.ask(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// Everything goes by this gateway, which is there although no other address is.
pub(in crate::network) fn add_default_route(
    netlink: &mut Netlink,
    index: u32,
    gateway: IpAddr,
) -> Result<(), Refused> {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(gateway),
        table: RouteHeader::RT_TABLE_MAIN,
        protocol: RouteProtocol::Static,
        scope: RouteScope::Universe,
        kind: RouteType::Unicast,
        flags: RouteFlags::Onlink,
        ..RouteHeader::default()
    };
    let gateway = match gateway {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    };
    message.attributes = vec![RouteAttribute::Gateway(gateway), RouteAttribute::Oif(index)];
    netlink.ask(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// What comes by this interface for the address is the node's own. Each interface has a route of its own for that.
pub(in crate::network) fn add_local_route(
    netlink: &mut Netlink,
    index: u32,
    address: Ipv6Addr,
) -> Result<(), Refused> {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: AddressFamily::Inet6,
        destination_prefix_length: 128,
        table: TABLE_LOCAL,
        protocol: RouteProtocol::Static,
        scope: RouteScope::Universe,
        kind: RouteType::Local,
        ..RouteHeader::default()
    };
    let destination = RouteAttribute::Destination(RouteAddress::Inet6(address));
    message.attributes = vec![destination, RouteAttribute::Oif(index)];
    match netlink.ask(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE) {
        Err(refused) if refused.is(libc::EEXIST) => Ok(()),
        other => other,
    }
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn named(name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    message
}

fn up(message: &mut LinkMessage) {
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
}
