//! Names of pods: what a query for one is answered with, and what is somebody else's to answer. Pure: bytes in,
//! bytes out; who asks whom over which socket is the shell's.
//!
//! RFC 1035 (messages), RFC 6891 (EDNS), RFC 2308 (answers that there is nothing). Answers of ours carry no SOA, so
//! that nobody remembers that a pod was not there.

mod message;
mod resolv;
mod zone;

pub use message::{MESSAGE_LEN_MAX_BYTES, Query, is_answer, set_id};
pub use resolv::{UPSTREAMS_MAX, Upstream, upstreams};
pub use zone::{Host, Zone, names_of};

use message::{Fault, Record, kind};
use std::net::IpAddr;
use zone::Found;

/// Response codes (RFC 1035, 4.1.1).
pub mod code {
    /// It is so.
    pub const SUCCESS: u8 = 0;
    /// The query cannot be read.
    pub const MALFORMED: u8 = 1;
    /// Nobody who would know can be asked now.
    pub const FAILURE: u8 = 2;
    /// There is no such name.
    pub const NO_NAME: u8 = 3;
    /// Not that kind of request.
    pub const NOT_IMPLEMENTED: u8 = 4;
    /// Not for this one who asks.
    pub const REFUSED: u8 = 5;
}

/// What to do with what came.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send this back.
    Answer(Vec<u8>),
    /// Ask the node's own name servers.
    Forward(Query),
    /// Ask those of them that are not on the node itself; one that is may ask here in its turn.
    ForwardBeyond(Query),
    /// Say nothing: it is no query, or from nobody whom it concerns.
    Ignore,
}

/// Decides. `domain`: the cluster's, empty for none; `stream`: it came over TCP, where no length needs saving.
pub fn decide(zone: &Zone, domain: &str, bytes: &[u8], from: IpAddr, stream: bool) -> Verdict {
    if !zone.serves(from) {
        return Verdict::Ignore;
    }
    let query = match Query::parse(bytes, stream) {
        Ok(query) => query,
        Err(Fault::NoQuery) => return Verdict::Ignore,
        Err(Fault::Refused(head, code)) => return Verdict::Answer(message::refusal(head, code)),
    };
    if [kind::AXFR, kind::IXFR].contains(&query.kind) {
        return Verdict::Answer(query.respond(code::REFUSED, &[]));
    }
    let found = if query.class == message::CLASS_INTERNET {
        zone.find(&query.name, domain, from)
    } else {
        Found::Elsewhere
    };
    match found {
        Found::Pods(addresses) => {
            let of_kind = |address: &&IpAddr| match query.kind {
                kind::A => address.is_ipv4(),
                kind::AAAA => address.is_ipv6(),
                kind::ANY => true,
                _ => false,
            };
            let records: Vec<Record<'_>> =
                addresses.iter().filter(of_kind).map(|address| Record::Address(*address)).collect();
            Verdict::Answer(query.respond(code::SUCCESS, &records))
        }
        Found::Name(name) => {
            let wanted = [kind::PTR, kind::ANY].contains(&query.kind);
            let record = Record::Name(name);
            Verdict::Answer(
                query.respond(code::SUCCESS, if wanted { std::slice::from_ref(&record) } else { &[] }),
            )
        }
        Found::Nobody => Verdict::Answer(query.respond(code::NO_NAME, &[])),
        Found::Elsewhere if zone.is_closed() => Verdict::Answer(query.respond(code::REFUSED, &[])),
        // The node asks because somebody there takes this for its resolver; asking the node again would go on for
        // ever.
        Found::Elsewhere if zone.is_node(from) && zone.node_asks() => Verdict::ForwardBeyond(query),
        Found::Elsewhere if zone.is_node(from) => Verdict::Answer(query.respond(code::REFUSED, &[])),
        Found::Elsewhere => Verdict::Forward(query),
    }
}

#[cfg(test)]
mod tests;
