//! Rules as the kernel reads them. Pure.
//!
//! Numbers are those of `linux/netfilter/nf_tables.h`. Numbers in packets are big-endian, and what the kernel itself
//! computes (address types, connection states) is in the machine's order.

use super::{
    FAMILY,
    rules::{CHAINS, Chain, Expr, Rule, Ruleset, TABLE},
    writer::{Batch, DEL_RULE, NEW_CHAIN, NEW_RULE, Writer},
};
use berth_core::network::Protocol;
use std::net::IpAddr;

/// Registers: the verdict, and two of 16 bytes.
const VERDICT: u32 = 0;
const ONE: u32 = 1;
const TWO: u32 = 2;
/// `NFT_CMP_EQ`, `NFT_CMP_NEQ`.
pub(super) const EQUAL: u32 = 0;
pub(super) const UNEQUAL: u32 = 1;
/// `NFT_CMP_LTE`, `NFT_CMP_GTE`.
const NOT_ABOVE: u32 = 3;
const NOT_BELOW: u32 = 5;
/// Bytes of an interface's name (`IFNAMSIZ`).
pub(super) const NAME_LEN: usize = 16;

/// Makes our table this; `anew`: whatever is in it now, chains too.
pub(super) fn batch(rules: &Ruleset, anew: bool) -> Batch {
    Writer::batch(FAMILY, TABLE, anew, |writer| {
        for chain in CHAINS {
            writer.create(NEW_CHAIN, |writer| writer.chain(&chain));
        }
        writer.message(DEL_RULE, 0, |writer| writer.text(1, TABLE));
        for rule in &rules.0 {
            writer.append(NEW_RULE, |writer| writer.rule(rule));
        }
    })
}

impl Writer {
    fn chain(&mut self, chain: &Chain) {
        self.text(1, TABLE);
        self.text(3, chain.name);
        if let Some(hook) = chain.hook {
            self.nest(4, |writer| writer.numbers(&[hook.number, hook.priority.cast_unsigned()]));
            // `NF_ACCEPT`.
            self.number(5, 1);
            self.text(7, hook.kind);
        }
    }

    fn rule(&mut self, rule: &Rule) {
        self.text(1, TABLE);
        self.text(2, rule.chain);
        self.nest(4, |writer| rule.exprs.iter().for_each(|expr| writer.expr(expr)));
    }

    /// What nft(8) calls one expression is one to three of the kernel's.
    fn expr(&mut self, expr: &Expr) {
        match *expr {
            Expr::Family { v6 } => {
                self.meta(15);
                self.compare(EQUAL, &[if v6 { 10 } else { 2 }]);
            }
            Expr::From(interface) => {
                self.meta(6);
                self.compare(EQUAL, &interface.0);
            }
            Expr::By { interface, not } => {
                self.meta(7);
                self.compare(if not { UNEQUAL } else { EQUAL }, &interface.0);
            }
            Expr::Source { base, prefix } => self.address(base, prefix, if base.is_ipv4() { 12 } else { 8 }),
            Expr::Destination { base, prefix } => {
                self.address(base, prefix, if base.is_ipv4() { 16 } else { 24 });
            }
            Expr::Not { source, base, prefix } => {
                let offset = match (base.is_ipv4(), source) {
                    (true, true) => 12,
                    (true, false) => 16,
                    (false, true) => 8,
                    (false, false) => 24,
                };
                self.address_is(UNEQUAL, base, prefix, offset);
            }
            Expr::IsLocal => {
                // `NFT_FIB_RESULT_ADDRTYPE` of the receiver is `RTN_LOCAL`.
                self.kernel("fib", |writer| writer.numbers(&[ONE, 3, 2]));
                self.compare(EQUAL, &2_u32.to_ne_bytes());
            }
            Expr::Protocol(protocol) => {
                self.meta(16);
                self.compare(EQUAL, &[number_of(protocol)]);
            }
            Expr::Port(port) => {
                // `NFT_PAYLOAD_TRANSPORT_HEADER`: all three have it there.
                self.kernel("payload", |writer| writer.numbers(&[ONE, 2, 2, 2]));
                self.compare(EQUAL, &port.to_be_bytes());
            }
            Expr::Ports { first, last } => {
                self.kernel("payload", |writer| writer.numbers(&[ONE, 2, 2, 2]));
                self.compare(NOT_BELOW, &first.to_be_bytes());
                self.compare(NOT_ABOVE, &last.to_be_bytes());
            }
            Expr::IsAnswer => {
                // `NFT_CT_STATE` has the bit of `IP_CT_ESTABLISHED` or `IP_CT_RELATED`.
                self.kernel("ct", |writer| writer.numbers(&[ONE, 0]));
                self.mask(&(1_u32 << 1 | 1 << 2).to_ne_bytes());
                self.compare(UNEQUAL, &[0; 4]);
            }
            Expr::Icmp6 { first, last } => {
                self.meta(16);
                self.compare(EQUAL, &[58]);
                // The first byte of the transport header.
                self.kernel("payload", |writer| writer.numbers(&[ONE, 2, 0, 1]));
                self.compare(NOT_BELOW, &[first]);
                self.compare(NOT_ABOVE, &[last]);
            }
            Expr::WasTranslated => {
                // `NFT_CT_STATUS` has `IPS_DST_NAT`.
                self.kernel("ct", |writer| writer.numbers(&[ONE, 2]));
                self.mask(&(1_u32 << 5).to_ne_bytes());
                self.compare(UNEQUAL, &[0; 4]);
            }
            Expr::Jump(chain) => self.verdict(-3, Some(chain)),
            Expr::Return => self.leave(),
            Expr::Drop => self.drop(),
            Expr::Masquerade => self.kernel("masq", |_| {}),
            Expr::SendTo(address, port) => self.send_to(address, port),
        }
    }

    /// Something about the packet into the first register.
    pub(super) fn meta(&mut self, key: u32) {
        self.kernel("meta", |writer| writer.numbers(&[ONE, key]));
    }

    pub(super) fn compare(&mut self, how: u32, value: &[u8]) {
        self.kernel("cmp", |writer| {
            writer.numbers(&[ONE, how]);
            writer.value(3, value);
        });
    }

    pub(super) fn mask(&mut self, mask: &[u8]) {
        self.kernel("bitwise", |writer| {
            writer.numbers(&[ONE, ONE, mask.len() as u32]);
            writer.value(4, mask);
            writer.value(5, &vec![0; mask.len()]);
        });
    }

    /// The address at this place of the IP header is in the range.
    fn address(&mut self, base: IpAddr, prefix: u8, offset: u32) {
        self.address_is(EQUAL, base, prefix, offset);
    }

    /// As [`Self::address`], or is not.
    fn address_is(&mut self, how: u32, base: IpAddr, prefix: u8, offset: u32) {
        let (base, bits) = match base {
            IpAddr::V4(address) => (address.octets().to_vec(), 32),
            IpAddr::V6(address) => (address.octets().to_vec(), 128),
        };
        // `NFT_PAYLOAD_NETWORK_HEADER`.
        self.kernel("payload", |writer| writer.numbers(&[ONE, 1, offset, base.len() as u32]));
        if prefix < bits {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0).to_be_bytes();
            self.mask(&mask[..base.len()]);
        }
        self.compare(how, &base);
    }

    /// Looks no further in this chain.
    pub(super) fn leave(&mut self) {
        self.verdict(-5, None);
    }

    /// The packet is not wanted.
    pub(super) fn drop(&mut self) {
        self.verdict(0, None);
    }

    fn verdict(&mut self, code: i32, chain: Option<&str>) {
        self.kernel("immediate", |writer| {
            writer.number(1, VERDICT);
            writer.nest(2, |writer| {
                writer.nest(2, |writer| {
                    writer.number(1, code.cast_unsigned());
                    chain.into_iter().for_each(|chain| writer.text(2, chain));
                });
            });
        });
    }

    fn send_to(&mut self, address: IpAddr, port: u16) {
        let (bytes, family) = match address {
            IpAddr::V4(address) => (address.octets().to_vec(), 2),
            IpAddr::V6(address) => (address.octets().to_vec(), 10),
        };
        for (register, value) in [(ONE, bytes.as_slice()), (TWO, &port.to_be_bytes())] {
            self.kernel("immediate", |writer| {
                writer.number(1, register);
                writer.value(2, value);
            });
        }
        // `NFT_NAT_DNAT`; address and port are one each, not a choice.
        self.kernel("nat", |writer| {
            writer.numbers(&[1, family, ONE]);
            writer.number(5, TWO);
        });
    }
}

/// Numbers of `/etc/protocols`.
fn number_of(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{
        netlink::messages,
        nft::{
            rules::tests::{full, several},
            writer::{BATCH_BEGIN, BATCH_END, DEL_TABLE, FIRST, NEW_TABLE},
        },
    };

    /// That the kernel takes them and does the right thing is for tests with a kernel; here: that all is there,
    /// numbered, in order, and ends as it should.
    #[test]
    fn a_batch_is_well_formed() {
        for (rules, anew) in [(full(), false), (full(), true), (several(), false)] {
            let batch = batch(&rules, anew);
            let found = messages(&batch.bytes);
            let kinds: Vec<u16> = found.iter().map(|(head, _)| head.kind).collect();
            let mut expected = vec![BATCH_BEGIN, NEW_TABLE];
            if anew {
                expected.extend([DEL_TABLE, NEW_TABLE]);
            }
            expected.extend([NEW_CHAIN; CHAINS.len()]);
            expected.push(DEL_RULE);
            expected.extend(vec![NEW_RULE; rules.0.len()]);
            expected.push(BATCH_END);
            assert_eq!(kinds, expected);
            let numbers: Vec<u32> = found.iter().map(|(head, _)| head.sequence).collect();
            assert_eq!(numbers, (FIRST..FIRST + numbers.len() as u32).collect::<Vec<_>>());
            assert_eq!(batch.last + 1, *numbers.last().unwrap());
            assert_eq!(batch.bytes.len() % 4, 0);
        }
    }

    #[test]
    fn a_range_is_looked_at_under_its_mask() {
        let mut writer = Writer::new(FAMILY);
        writer.address("10.86.0.0".parse().unwrap(), 17, 12);
        let holds = |part: &[u8]| writer.bytes.windows(part.len()).any(|window| window == part);
        assert!(holds(&[255, 255, 128, 0]) && holds(&[10, 86, 0, 0]));
        let mut whole = Writer::new(FAMILY);
        whole.address("10.86.0.7".parse().unwrap(), 32, 12);
        assert!(whole.bytes.len() < writer.bytes.len());
    }
}
