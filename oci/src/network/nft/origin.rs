//! Our table `bridge berth`: a pod sends as nobody else. What comes from a pod's end on the bridge and does not bear
//! that pod's hardware address and one of its addresses goes no further, before the bridge learns from it. A pod with
//! NET_RAW or NET_ADMIN could otherwise have another one's packets, or go round a NetworkPolicy. Pure.
//!
//! - IPv4 and ARP: one of its addresses as the sender.
//! - IPv6: one of its addresses, or any that holds on this link only. Nobody says of an address that is not his that he
//!   has it (RFC 4861, 4.4).
//! - All else is dropped: other protocols have nobody to speak to here.

use super::writer::{Batch, DEL_ELEMENTS, DEL_RULE, NEW_CHAIN, NEW_ELEMENTS, NEW_RULE, NEW_SET, Writer};
use super::{
    encode::{EQUAL, NAME_LEN, UNEQUAL},
    rules::{Interface, TABLE},
};
use crate::network::{attachment::LINK_PREFIX, link::Mac};
use std::net::IpAddr;

/// Its kind of table (`NFPROTO_BRIDGE`).
pub(super) const FAMILY: u8 = 7;
/// Elements in one message: an attribute has 64 KiB, an element less than 80 bytes.
const ELEMENTS_AT_ONCE: usize = 500;
/// The chain.
const CHAIN: &str = "from-pods";
/// Before others look at frames (`NF_BR_PRI_NAT_DST_BRIDGED`).
const PRIORITY: i32 = -300;

/// `NFT_PAYLOAD_LL_HEADER` and so on.
const LINK: u32 = 0;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
/// Places of four bytes behind an interface's name, and behind that and a hardware address (`NFT_REG32_04`, `_06`).
const BEHIND_NAME: u32 = 12;
const BEHIND_MAC: u32 = 14;

/// Numbers of protocols in frames.
const ETHER_IPV4: u16 = 0x0800;
const ETHER_ARP: u16 = 0x0806;
const ETHER_IPV6: u16 = 0x86dd;

/// A pod's end on the bridge, and as whom it may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct Origin {
    pub(in crate::network) link: String,
    pub(in crate::network) mac: Mac,
    pub(in crate::network) addresses: Vec<IpAddr>,
}

/// What is looked up: interface, hardware address, and which address beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Macs,
    V4,
    V6,
}

impl Set {
    const ALL: [Self; 3] = [Self::Macs, Self::V4, Self::V6];

    const fn name(self) -> &'static str {
        match self {
            Self::Macs => "macs",
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }

    /// Bytes of an element; parts are filled up to four.
    const fn len(self) -> usize {
        NAME_LEN + 8 + self.address_len()
    }

    const fn address_len(self) -> usize {
        match self {
            Self::Macs => 0,
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    /// What nft(8) prints it by: numbers of its types, six bits each.
    const fn kind(self) -> u32 {
        const NAME_AND_MAC: u32 = 41 << 6 | 9;
        match self {
            Self::Macs => NAME_AND_MAC,
            Self::V4 => NAME_AND_MAC << 6 | 7,
            Self::V6 => NAME_AND_MAC << 6 | 8,
        }
    }

    fn elements(self, origins: &[Origin]) -> Vec<Vec<u8>> {
        let head = |origin: &Origin| [&Interface::named(&origin.link).0[..], &origin.mac, &[0; 2]].concat();
        let of = |origin: &Origin| -> Vec<Vec<u8>> {
            if self == Self::Macs {
                return vec![head(origin)];
            }
            let addresses = origin.addresses.iter().filter(|address| address.is_ipv4() == (self == Self::V4));
            addresses.map(|address| [head(origin), octets(*address)].concat()).collect()
        };
        origins.iter().flat_map(of).collect()
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Makes the table this; `anew`: whatever is in it now.
pub(super) fn batch(origins: &[Origin], anew: bool) -> Batch {
    Writer::batch(FAMILY, TABLE, anew, |writer| {
        for (set, id) in Set::ALL.into_iter().zip(1..) {
            writer.create(NEW_SET, |writer| {
                writer.text(1, TABLE);
                writer.text(2, set.name());
                writer.number(3, 0);
                writer.number(4, set.kind());
                writer.number(5, set.len() as u32);
                writer.number(10, id);
            });
            writer.message(DEL_ELEMENTS, 0, |writer| {
                writer.text(1, TABLE);
                writer.text(2, set.name());
            });
            for part in set.elements(origins).chunks(ELEMENTS_AT_ONCE) {
                writer.create(NEW_ELEMENTS, |writer| {
                    writer.text(1, TABLE);
                    writer.text(2, set.name());
                    writer.nest(3, |writer| {
                        part.iter().for_each(|key| writer.nest(1, |writer| writer.value(1, key)));
                    });
                });
            }
        }
        writer.create(NEW_CHAIN, |writer| {
            writer.text(1, TABLE);
            writer.text(3, CHAIN);
            // `NF_BR_PRE_ROUTING`.
            writer.nest(4, |writer| writer.numbers(&[0, PRIORITY.cast_unsigned()]));
            writer.number(5, 1);
            writer.text(7, "filter");
        });
        writer.message(DEL_RULE, 0, |writer| writer.text(1, TABLE));
        rules(writer);
    })
}

fn rules(writer: &mut Writer) {
    let mut rule = |exprs: &dyn Fn(&mut Writer)| {
        writer.append(NEW_RULE, |writer| {
            writer.text(1, TABLE);
            writer.text(2, CHAIN);
            writer.nest(4, |writer| exprs(writer));
        });
    };
    rule(&|writer| {
        writer.meta(6);
        writer.compare(UNEQUAL, LINK_PREFIX.as_bytes());
        writer.leave();
    });
    for (kind, at) in [(ETHER_IPV4, 12), (ETHER_ARP, 14)] {
        rule(&|writer| {
            writer.is(kind);
            writer.sender(Set::V4, NETWORK, at);
            writer.leave();
        });
    }
    rule(&|writer| {
        writer.is(ETHER_IPV6);
        // A neighbour's advertisement, with what it is about.
        writer.meta(16);
        writer.compare(EQUAL, &[58]);
        writer.payload(1, TRANSPORT, 0, 1);
        writer.compare(EQUAL, &[136]);
        writer.key(Set::V6, TRANSPORT, 8);
        writer.lookup(Set::V6, true);
        writer.drop();
    });
    rule(&|writer| {
        writer.is(ETHER_IPV6);
        writer.sender(Set::V6, NETWORK, 8);
        writer.leave();
    });
    rule(&|writer| {
        writer.is(ETHER_IPV6);
        // fe80::/10.
        writer.payload(1, NETWORK, 8, 2);
        writer.mask(&[0xff, 0xc0]);
        writer.compare(EQUAL, &[0xfe, 0x80]);
        writer.sender(Set::Macs, NETWORK, 0);
        writer.leave();
    });
    rule(&Writer::drop);
}

impl Writer {
    /// The frame is of this protocol.
    fn is(&mut self, kind: u16) {
        self.payload(1, LINK, 12, 2);
        self.compare(EQUAL, &kind.to_be_bytes());
    }

    fn payload(&mut self, register: u32, base: u32, at: u32, len: u32) {
        self.kernel("payload", |writer| writer.numbers(&[register, base, at, len]));
    }

    /// Interface, hardware address and the address at this place, one behind the other.
    fn key(&mut self, set: Set, base: u32, at: u32) {
        self.meta(6);
        self.payload(BEHIND_NAME, LINK, 6, 6);
        if set.address_len() > 0 {
            self.payload(BEHIND_MAC, base, at, set.address_len() as u32);
        }
    }

    fn lookup(&mut self, set: Set, not: bool) {
        self.kernel("lookup", |writer| {
            writer.text(1, set.name());
            writer.number(2, 1);
            writer.number(5, not.into());
        });
    }

    /// What [`Self::key`] makes is in the set.
    fn sender(&mut self, set: Set, base: u32, at: u32) {
        self.key(set, base, at);
        self.lookup(set, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::netlink::messages;

    fn origins(count: u8) -> Vec<Origin> {
        let origin = |n: u8| Origin {
            link: format!("bth{n:012}"),
            mac: [0x0a, 0x58, 10, 86, 0, n],
            addresses: vec![IpAddr::from([10, 86, 0, n]), format!("fd00::{n:x}").parse().unwrap()],
        };
        (0..count).map(origin).collect()
    }

    #[test]
    fn each_pod_may_send_as_itself() {
        let (origins, mac) = (origins(2), [0x0a, 0x58, 10, 86, 0, 1]);
        let elements = Set::V4.elements(&origins);
        assert_eq!(elements.len(), 2);
        assert_eq!(elements[1], [&b"bth000000000001\0"[..], &mac, &[0, 0, 10, 86, 0, 1]].concat());
        for set in Set::ALL {
            assert!(set.elements(&origins).iter().all(|element| element.len() == set.len()));
        }
    }

    /// The kernel's attributes have no more than 64 KiB.
    #[test]
    fn as_many_pods_as_may_be_fit_a_batch() {
        let many: Vec<Origin> = (0..20).flat_map(|_| origins(250)).collect();
        let batch = batch(&many, true);
        let found = messages(&batch.bytes);
        let elements = found.iter().filter(|(head, _)| head.kind == NEW_ELEMENTS);
        assert_eq!(elements.clone().count(), 3 * many.len() / ELEMENTS_AT_ONCE);
        assert!(elements.clone().all(|(_, body)| body.len() < usize::from(u16::MAX)));
    }
}
