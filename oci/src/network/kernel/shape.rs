//! How fast an interface may send: a token bucket in front of it (`sch_tbf`). What may go to a pod is held to its
//! rate at the pod's end on the bridge, what comes from it at its own end.
//!
//! The kernel's words for it: tc-tbf(8), `linux/pkt_sched.h` and Documentation/netlink/specs/tc.yaml.

use crate::network::netlink::{Netlink, Refused};
use berth_core::network::Rate;
use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcHandle, TcHeader, TcMessage, TcOption},
};

/// What the kernel calls it.
const KIND: &str = "tbf";
/// `TCA_TBF_PARMS`, `TCA_TBF_RATE64`, `TCA_TBF_BURST`.
const ATTR_PARMS: u16 = 1;
const ATTR_RATE64: u16 = 4;
const ATTR_BURST: u16 = 6;
/// `TC_LINKLAYER_ETHERNET`: then the kernel wants no table of times.
const LINK_LAYER: u8 = 1;
/// Nanoseconds in a unit of time of `struct tc_tbf_qopt` (`PSCHED_SHIFT`).
const TICK_NS: u64 = 64;
const NS_PER_S: u64 = 1_000_000_000;
/// What waits for its turn at most, as a part of what may go in a second; beside the burst.
const QUEUE_PART: u64 = 40;

/// Holds the interface with this number to the rate; in the place of whatever held it before.
pub(in crate::network) fn hold(netlink: &mut Netlink, index: u32, rate: Rate) -> Result<(), Refused> {
    let mut message = TcMessage::default();
    message.header = TcHeader { index: index.cast_signed(), parent: TcHandle::ROOT, ..TcHeader::default() };
    let options =
        options(rate).into_iter().map(|(kind, bytes)| TcOption::Other(DefaultNla::new(kind, bytes)));
    message.attributes = vec![TcAttribute::Kind(KIND.to_owned()), TcAttribute::Options(options.collect())];
    netlink.ask(RouteNetlinkMessage::NewQueueDiscipline(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// The attributes of a token bucket.
fn options(rate: Rate) -> Vec<(u16, Vec<u8>)> {
    let bytes = rate.bytes().max(1);
    let burst = rate.burst_bytes();
    let fits = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let ticks = fits(burst.saturating_mul(NS_PER_S) / bytes / TICK_NS);
    let mut parms = Vec::with_capacity(36);
    // `struct tc_ratespec`: the rate, and none for the peak.
    for rate in [fits(bytes), 0] {
        parms.extend([0, LINK_LAYER, 0, 0, 0, 0, 0, 0]);
        parms.extend(rate.to_ne_bytes());
    }
    for number in [fits(bytes / QUEUE_PART + burst), ticks, 0] {
        parms.extend(number.to_ne_bytes());
    }
    let mut options = vec![(ATTR_PARMS, parms)];
    if bytes > u32::MAX.into() {
        options.push((ATTR_RATE64, bytes.to_ne_bytes().to_vec()));
    }
    options.push((ATTR_BURST, fits(burst).to_ne_bytes().to_vec()));
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_as_the_kernel_wants_it() {
        let found = options(Rate(8_000_000));
        let kinds = |options: &[(u16, Vec<u8>)]| options.iter().map(|(kind, _)| *kind).collect::<Vec<_>>();
        assert_eq!(kinds(&found), [ATTR_PARMS, ATTR_BURST]);
        let word = |at: usize| u32::from_ne_bytes(found[0].1[at..at + 4].try_into().unwrap());
        assert_eq!(found[0].1.len(), 36);
        // A tenth of a second's worth at once.
        assert_eq!([word(8), word(20), word(24), word(28)], [1_000_000, 0, 125_000, 1_562_500]);
        assert_eq!(found[1].1, 100_000_u32.to_ne_bytes());
        let fast = options(Rate(1_000_000_000_000));
        assert_eq!(kinds(&fast), [ATTR_PARMS, ATTR_RATE64, ATTR_BURST]);
        // No rate is too slow or too fast to be written.
        options(Rate(1_000));
        options(Rate(1_000_000_000_000_000));
    }
}
