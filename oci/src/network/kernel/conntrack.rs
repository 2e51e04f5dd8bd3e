//! The kernel's table of connections: what it has seen of a UDP or SCTP sender decides where the rest goes, whatever the
//! packet rules say by now. Entries can be looked at and removed.
//!
//! The kernel's words for it: Documentation/netlink/specs/conntrack.yaml; numbers are those of
//! `linux/netfilter/nfnetlink_conntrack.h`. Ports and addresses are big-endian.

use crate::network::netlink::{Netlink, Refused, attributes};
use berth_core::network::Protocol;
use std::net::IpAddr;

/// `NFNL_SUBSYS_CTNETLINK`.
const SUBSYSTEM: u16 = 1;
/// `IPCTNL_MSG_CT_GET`, `IPCTNL_MSG_CT_DELETE`.
const GET: u16 = SUBSYSTEM << 8 | 1;
const DELETE: u16 = SUBSYSTEM << 8 | 2;
/// Bytes of `struct nfgenmsg`.
const NFGEN_LEN: usize = 4;
const NESTED: u16 = 0x8000;
/// `CTA_TUPLE_ORIG`, `CTA_TUPLE_REPLY`.
const ATTR_ORIGINAL: u16 = 1;
const ATTR_REPLY: u16 = 2;
/// `CTA_ID`: of two entries that look alike, this one.
const ATTR_ID: u16 = 12;
/// `CTA_ZONE`: it is in a table of somebody else's; our packets are in none.
const ATTR_ZONE: u16 = 18;
/// In a tuple: `CTA_TUPLE_IP`, `CTA_TUPLE_PROTO`.
const ATTR_IP: u16 = 1;
const ATTR_PROTO: u16 = 2;
/// In those: `CTA_IP_V4_SRC` and its like for IPv6, each followed by the receiver's; `CTA_PROTO_NUM` and ports.
const ATTR_SOURCE: [u16; 2] = [1, 3];
const ATTR_NUMBER: u16 = 1;
const ATTR_SOURCE_PORT: u16 = 2;

/// One end of a connection.
pub(in crate::network) type End = (IpAddr, u16);

/// A connection as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) struct Flow {
    pub(in crate::network) protocol: Protocol,
    /// Who sent the first packet, and to whom.
    pub(in crate::network) from: End,
    pub(in crate::network) to: End,
    /// Who answers, and to whom: where the first packet went to in the end, and under which address.
    pub(in crate::network) answerer: End,
    pub(in crate::network) answered: End,
}

/// Has the kernel forget the connections of a family that are `stale`. Returns how many.
///
/// # Errors
/// `EINVAL`: the kernel does not show its table (`CONFIG_NF_CT_NETLINK`).
pub(in crate::network) fn forget(v6: bool, stale: impl Fn(&Flow) -> bool) -> Result<usize, Refused> {
    let mut netlink = Netlink::netfilter()?;
    let family = u8::try_from(if v6 { libc::AF_INET6 } else { libc::AF_INET }).unwrap_or_default();
    let nfgen = [family, 0, 0, 0];
    let mut found = Vec::new();
    netlink.dump(GET, &nfgen, |body| {
        let entry = body.get(NFGEN_LEN..).unwrap_or_default();
        if flow(entry).is_some_and(|flow| stale(&flow)) {
            found.push([&nfgen[..], &which(entry)].concat());
        }
    })?;
    let mut forgotten = 0;
    for entry in &found {
        match netlink.order(DELETE, entry) {
            // It has ended meanwhile.
            Err(error) if error.is(libc::ENOENT) => {}
            other => {
                other?;
                forgotten += 1;
            }
        }
    }
    Ok(forgotten)
}

/// Of an entry, what names it in a request.
fn which(entry: &[u8]) -> Vec<u8> {
    let mut named = Vec::new();
    for (kind, value) in attributes(entry) {
        let kind = match kind {
            ATTR_ORIGINAL => kind | NESTED,
            ATTR_ID => kind,
            _ => continue,
        };
        named.extend(u16::try_from(value.len() + 4).unwrap_or_default().to_ne_bytes());
        named.extend(kind.to_ne_bytes());
        named.extend(value);
        named.resize(named.len().next_multiple_of(4), 0);
    }
    named
}

/// What is in an entry; none if it is of another protocol, or in a zone.
fn flow(entry: &[u8]) -> Option<Flow> {
    if find(entry, ATTR_ZONE).is_some() {
        return None;
    }
    let (protocol, from, to) = tuple(find(entry, ATTR_ORIGINAL)?)?;
    let (_, answerer, answered) = tuple(find(entry, ATTR_REPLY)?)?;
    Some(Flow { protocol, from, to, answerer, answered })
}

fn tuple(bytes: &[u8]) -> Option<(Protocol, End, End)> {
    let (ip, proto) = (find(bytes, ATTR_IP)?, find(bytes, ATTR_PROTO)?);
    let protocol = match i32::from(*find(proto, ATTR_NUMBER)?.first()?) {
        libc::IPPROTO_TCP => Protocol::Tcp,
        libc::IPPROTO_UDP => Protocol::Udp,
        libc::IPPROTO_SCTP => Protocol::Sctp,
        _ => return None,
    };
    let end = |i: u16| {
        let address = ATTR_SOURCE.iter().find_map(|kind| address(find(ip, kind + i)?))?;
        let port = find(proto, ATTR_SOURCE_PORT + i)?;
        Some((address, u16::from_be_bytes(port.try_into().ok()?)))
    };
    Some((protocol, end(0)?, end(1)?))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

fn find(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).into_iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = (value.len() as u16 + 4).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn tuple_of(ends: [(&[u8], u16); 2], number: u8) -> Vec<u8> {
        let first = ATTR_SOURCE[usize::from(ends[0].0.len() == 16)];
        let ip = [attribute(first, ends[0].0), attribute(first + 1, ends[1].0)].concat();
        let port = |i: u16| attribute(ATTR_SOURCE_PORT + i, &ends[usize::from(i)].1.to_be_bytes());
        let proto = [attribute(ATTR_NUMBER, &[number]), port(0), port(1)].concat();
        [attribute(ATTR_IP | NESTED, &ip), attribute(ATTR_PROTO | NESTED, &proto)].concat()
    }

    #[test]
    fn an_entry_is_read_and_named_again() {
        let (client, node, pod) = ([192, 0, 2, 2], [192, 0, 2, 1], [10, 86, 0, 2]);
        let original = tuple_of([(&client, 7000), (&node, 53)], 17);
        let reply = tuple_of([(&pod, 5353), (&client, 7000)], 17);
        let entry = [
            attribute(ATTR_ORIGINAL | NESTED, &original),
            attribute(ATTR_REPLY | NESTED, &reply),
            attribute(3, &[0; 4]),
            attribute(ATTR_ID, &[1, 2, 3, 4]),
        ]
        .concat();
        let expected = Flow {
            protocol: Protocol::Udp,
            from: (client.into(), 7000),
            to: (node.into(), 53),
            answerer: (pod.into(), 5353),
            answered: (client.into(), 7000),
        };
        assert_eq!(flow(&entry), Some(expected));
        let named = [attribute(ATTR_ORIGINAL | NESTED, &original), attribute(ATTR_ID, &[1, 2, 3, 4])];
        assert_eq!(which(&entry), named.concat());
        assert_eq!(flow(&[&entry[..], &attribute(ATTR_ZONE, &[0, 7])].concat()), None);
        // Whatever the kernel's table has beside is left alone, and so is what is cut short.
        let ping = tuple_of([(&client, 1), (&node, 1)], 1);
        let ping = [attribute(ATTR_ORIGINAL, &ping), attribute(ATTR_REPLY, &ping)].concat();
        assert_eq!(flow(&ping), None);
        for len in 0..original.len() + reply.len() {
            assert_eq!(flow(&entry[..len]), None, "{len}");
        }
        let v6 = tuple_of([(&[1; 16], 1), (&[2; 16], 2)], 132);
        assert_eq!(tuple(&v6), Some((Protocol::Sctp, ([1; 16].into(), 1), ([2; 16].into(), 2))));
    }
}
