//! Messages as they go over the wire: a query is read as far as it concerns us, a response is written. Whatever
//! comes, nothing here reads past its end or goes in a circle. Pure.

use std::net::IpAddr;

/// Bytes of a message that is read from a pod, or from a name server over UDP. More is asked for over TCP.
pub const MESSAGE_LEN_MAX_BYTES: usize = 4_096;
/// Bytes of a response over UDP that everybody takes (RFC 1035, 4.2.1).
const UDP_LEN_BYTES: usize = 512;
/// Bytes of a message over UDP that no link splits: what we say that we take.
const EDNS_LEN_BYTES: u16 = 1_232;
/// Bytes in a name on the wire.
const NAME_LEN_MAX_BYTES: usize = 255;
/// Bytes in a label.
const LABEL_LEN_MAX_BYTES: usize = 63;
/// Bytes before the question.
const HEAD_LEN: usize = 12;
/// Seconds for which an answer about a pod may be remembered, as CoreDNS has it for a cluster's names.
const TTL_S: u32 = 5;
/// The Internet's.
pub(super) const CLASS_INTERNET: u16 = 1;
/// A name that stands where the question has it.
const POINTER_TO_QUESTION: u16 = 0xc000 | HEAD_LEN as u16;

const RESPONSE: u16 = 1 << 15;
const OPCODE: u16 = 0xf << 11;
const AUTHORITATIVE: u16 = 1 << 10;
const TRUNCATED: u16 = 1 << 9;
const RECURSION_DESIRED: u16 = 1 << 8;
const RECURSION_AVAILABLE: u16 = 1 << 7;

/// Kinds of records.
pub(super) mod kind {
    pub(in crate::dns) const A: u16 = 1;
    pub(in crate::dns) const PTR: u16 = 12;
    pub(in crate::dns) const AAAA: u16 = 28;
    pub(in crate::dns) const OPT: u16 = 41;
    pub(in crate::dns) const IXFR: u16 = 251;
    pub(in crate::dns) const AXFR: u16 = 252;
    pub(in crate::dns) const ANY: u16 = 255;
}

/// One question.
#[derive(Debug, PartialEq, Eq)]
pub struct Query {
    /// All of it, as it came.
    pub bytes: Vec<u8>,
    /// In lower case, without the dot at its end. Bytes that no name of ours has are question marks.
    pub name: String,
    /// What is asked for.
    pub kind: u16,
    pub(super) class: u16,
    /// Where the question ends.
    end: usize,
    /// Speaks EDNS.
    extended: bool,
    /// Bytes that a response may have.
    pub limit: usize,
}

/// Why there is no question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Too short for a head, or a response.
    NoQuery,
    /// To be told, with this response code, under this head.
    Refused([u8; HEAD_LEN], u8),
}

/// What an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record<'a> {
    Address(IpAddr),
    Name(&'a str),
}

impl Query {
    pub(super) fn parse(bytes: &[u8], stream: bool) -> Result<Self, Fault> {
        let head = bytes.first_chunk::<HEAD_LEN>().ok_or(Fault::NoQuery)?;
        let flags = u16_at(bytes, 2).ok_or(Fault::NoQuery)?;
        if flags & RESPONSE != 0 {
            return Err(Fault::NoQuery);
        }
        let malformed = || Fault::Refused(*head, super::code::MALFORMED);
        if flags & OPCODE != 0 {
            return Err(Fault::Refused(*head, super::code::NOT_IMPLEMENTED));
        }
        if u16_at(bytes, 4) != Some(1) {
            return Err(malformed());
        }
        let (name, at) = read_name(bytes, HEAD_LEN).ok_or_else(malformed)?;
        let kind = u16_at(bytes, at).ok_or_else(malformed)?;
        let class = u16_at(bytes, at + 2).ok_or_else(malformed)?;
        let end = at + 4;
        let extension = extension(bytes, end);
        let limit = match extension {
            _ if stream => usize::from(u16::MAX),
            Some(takes) => usize::from(takes).clamp(UDP_LEN_BYTES, MESSAGE_LEN_MAX_BYTES),
            None => UDP_LEN_BYTES,
        };
        Ok(Self { bytes: bytes.to_vec(), name, kind, class, end, extended: extension.is_some(), limit })
    }

    /// A response of our own, with as many of the records as there is room for.
    pub(super) fn respond(&self, code: u8, records: &[Record<'_>]) -> Vec<u8> {
        self.write(AUTHORITATIVE, code, records)
    }

    /// A response with nothing in it but why.
    pub fn fail(&self, code: u8) -> Vec<u8> {
        self.write(0, code, &[])
    }

    /// A response that says: ask again over TCP.
    pub fn truncated(&self) -> Vec<u8> {
        self.write(TRUNCATED, super::code::SUCCESS, &[])
    }

    fn write(&self, flags: u16, code: u8, records: &[Record<'_>]) -> Vec<u8> {
        let extension: &[u8] = if self.extended { &EXTENSION } else { &[] };
        let mut bytes = self.bytes[..self.end].to_vec();
        let (mut count, mut flags) = (0_u16, flags);
        for record in records {
            let len = bytes.len();
            record.write(&mut bytes);
            if bytes.len() + extension.len() > self.limit {
                bytes.truncate(len);
                flags |= TRUNCATED;
                break;
            }
            count += 1;
        }
        bytes.extend(extension);
        put_head(&mut bytes, flags, code);
        put(&mut bytes, 6, count);
        put(&mut bytes, 8, 0);
        put(&mut bytes, 10, self.extended.into());
        bytes
    }
}

/// The root, `OPT`, how much we take, and nothing further (RFC 6891, 6.1.2).
const EXTENSION: [u8; 11] = {
    let len = EDNS_LEN_BYTES.to_be_bytes();
    [0, 0, kind::OPT as u8, len[0], len[1], 0, 0, 0, 0, 0, 0]
};

impl Record<'_> {
    fn write(&self, bytes: &mut Vec<u8>) {
        let (kind, data) = match self {
            Self::Address(IpAddr::V4(address)) => (kind::A, address.octets().to_vec()),
            Self::Address(IpAddr::V6(address)) => (kind::AAAA, address.octets().to_vec()),
            Self::Name(name) => (kind::PTR, write_name(name)),
        };
        for number in [POINTER_TO_QUESTION, kind, CLASS_INTERNET] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(TTL_S.to_be_bytes());
        // Bounded: a name is the longest.
        bytes.extend((data.len() as u16).to_be_bytes());
        bytes.extend(data);
    }
}

/// To what has a head and no question that could be read.
pub(super) fn refusal(head: [u8; HEAD_LEN], code: u8) -> Vec<u8> {
    let mut bytes = head.to_vec();
    put_head(&mut bytes, 0, code);
    (4..HEAD_LEN).step_by(2).for_each(|at| put(&mut bytes, at, 0));
    bytes
}

/// The response to this query under this number: the same question, letters' case aside.
pub fn is_answer(bytes: &[u8], id: u16, query: &Query) -> bool {
    let question = query.bytes.get(HEAD_LEN..query.end).unwrap_or_default();
    u16_at(bytes, 0) == Some(id)
        && u16_at(bytes, 2).is_some_and(|flags| flags & RESPONSE != 0)
        && u16_at(bytes, 4) == Some(1)
        && bytes.get(HEAD_LEN..query.end).is_some_and(|asked| asked.eq_ignore_ascii_case(question))
}

/// Gives the message this number.
pub fn set_id(bytes: &mut [u8], id: [u8; 2]) {
    if let Some(place) = bytes.get_mut(..2) {
        place.copy_from_slice(&id);
    }
}

/// Number and question stay; of the flags, whether recursion was wanted.
fn put_head(bytes: &mut [u8], flags: u16, code: u8) {
    let wanted = u16_at(bytes, 2).unwrap_or(0) & (RECURSION_DESIRED | OPCODE);
    put(bytes, 2, RESPONSE | RECURSION_AVAILABLE | wanted | flags | u16::from(code));
}

fn put(bytes: &mut [u8], at: usize, number: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&number.to_be_bytes());
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The name that begins here, and where it ends. A question's has no pointers: there is nothing before it.
fn read_name(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    let (begin, mut name) = (at, String::new());
    loop {
        let len = usize::from(*bytes.get(at)?);
        at += 1;
        if len > LABEL_LEN_MAX_BYTES || at + len - begin > NAME_LEN_MAX_BYTES {
            return None;
        }
        if len == 0 {
            return Some((name, at));
        }
        if !name.is_empty() {
            name.push('.');
        }
        let letter = |byte: &u8| match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => char::from(byte.to_ascii_lowercase()),
            _ => '?',
        };
        name.extend(bytes.get(at..at + len)?.iter().map(letter));
        at += len;
    }
}

/// Labels that are too long are cut: no name of a pod has one.
fn write_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len() + 2);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = &label.as_bytes()[..label.len().min(LABEL_LEN_MAX_BYTES)];
        if bytes.len() + label.len() + 2 > NAME_LEN_MAX_BYTES {
            break;
        }
        bytes.push(label.len() as u8);
        bytes.extend(label);
    }
    bytes.push(0);
    bytes
}

/// How much who asks takes, if he speaks EDNS: the class of the record `OPT`, which queries have as the first behind
/// the question.
fn extension(bytes: &[u8], at: usize) -> Option<u16> {
    let alone = u16_at(bytes, 6) == Some(0) && u16_at(bytes, 8) == Some(0);
    let there =
        u16_at(bytes, 10)? > 0 && bytes.get(at) == Some(&0) && u16_at(bytes, at + 1) == Some(kind::OPT);
    if alone && there { u16_at(bytes, at + 3) } else { None }
}
