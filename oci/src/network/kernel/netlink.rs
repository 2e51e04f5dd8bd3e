//! A conversation with the kernel over netlink: one request, its answer, in the network namespace in which the
//! socket was made. Says nothing about what is asked.
//!
//! The form of messages: netlink(7) and the kernel's Documentation/userspace-api/netlink/intro.rst.

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkMessage};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, protocols};
use nix::sys::socket::{setsockopt, sockopt::SndBufForce};
use std::{fmt, io};

/// Bytes of a message's head: length, type, flags, sequence, port.
const HEAD_LEN: usize = 16;
/// Bytes in front of the attributes of an error: its code and the head of the request.
const ERROR_LEN: usize = 4 + HEAD_LEN;
/// Bytes that a socket takes at once without being told to: less than kernels give it (`net.core.wmem_default`).
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// The attribute of an error that says it in words.
const ATTR_MSG: u16 = 1;

/// The kernel does not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct Refused {
    /// Its number, positive.
    pub(in crate::network) errno: i32,
    /// In its own words; mostly empty.
    pub(in crate::network) text: String,
}

impl Refused {
    pub(in crate::network) fn is(&self, errno: i32) -> bool {
        self.errno == errno
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self { errno: error.raw_os_error().unwrap_or(libc::EIO), text: String::new() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", io::Error::from_raw_os_error(self.errno))?;
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

/// A socket.
#[derive(Debug)]
pub(in crate::network) struct Netlink {
    socket: Socket,
    sequence: u32,
    /// Our address among the kernel's partners: its notices name who caused them by it.
    pub(in crate::network) port: u32,
}

impl Netlink {
    /// For links, addresses, routes.
    pub(in crate::network) fn route() -> Result<Self, Refused> {
        Self::open(protocols::NETLINK_ROUTE)
    }

    /// For nf_tables.
    pub(in crate::network) fn netfilter() -> Result<Self, Refused> {
        Self::open(protocols::NETLINK_NETFILTER)
    }

    fn open(protocol: isize) -> Result<Self, Refused> {
        let mut socket = Socket::new(protocol)?;
        let port = socket.bind_auto()?.port_number();
        // Both are a help in telling what is wrong and nothing more.
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        Ok(Self { socket, sequence: 0, port })
    }

    /// Hears what happens, of this group of kinds.
    pub(in crate::network) fn listen(&mut self, group: u32) -> Result<(), Refused> {
        Ok(self.socket.add_membership(group)?)
    }

    /// The next notices; waits for them.
    ///
    /// # Errors
    /// `ENOBUFS`: some were lost.
    pub(in crate::network) fn hear(&self) -> io::Result<Vec<u8>> {
        self.socket.recv_from_full().map(|(bytes, _)| bytes)
    }

    /// Forgets the notices that have come already.
    pub(in crate::network) fn drain(&self) -> io::Result<()> {
        self.socket.set_non_blocking(true)?;
        let end = loop {
            match self.hear() {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => break error,
            }
        };
        self.socket.set_non_blocking(false)?;
        if end.kind() == io::ErrorKind::WouldBlock { Ok(()) } else { Err(end) }
    }

    /// Asks, and waits until it is done.
    pub(in crate::network) fn ask(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), Refused> {
        self.query(message, flags | NLM_F_ACK).map(drop)
    }

    /// Asks, and returns what comes before the end: the answer's messages, heads cut off.
    pub(in crate::network) fn query(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<Vec<u8>>, Refused> {
        self.sequence += 1;
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.send(&bytes)?;
        let mut answer = Vec::new();
        loop {
            for (head, body) in messages(&self.hear()?) {
                match head {
                    Head { sequence, .. } if sequence != self.sequence => {}
                    Head { kind: NLMSG_ERROR, .. } => return refused(body).map_or(Ok(answer), Err),
                    _ => {
                        answer.push(body.to_vec());
                        if flags & NLM_F_ACK == 0 {
                            return Ok(answer);
                        }
                    }
                }
            }
        }
    }

    /// Asks for all there is of a kind, in a message that is encoded but for its head. Hands over one after the other, heads
    /// cut off: there may be more than should lie in memory.
    pub(in crate::network) fn dump(
        &mut self,
        kind: u16,
        body: &[u8],
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Refused> {
        self.raw(kind, NLM_F_DUMP, body)?;
        loop {
            for (head, body) in messages(&self.hear()?) {
                match head {
                    Head { sequence, .. } if sequence != self.sequence => {}
                    Head { kind: NLMSG_DONE, .. } => return Ok(()),
                    Head { kind: NLMSG_ERROR, .. } => return refused(body).map_or(Ok(()), Err),
                    _ => each(body),
                }
            }
        }
    }

    /// As [`Self::ask`], with a message that is encoded but for its head.
    pub(in crate::network) fn order(&mut self, kind: u16, body: &[u8]) -> Result<(), Refused> {
        self.raw(kind, NLM_F_ACK, body)?;
        loop {
            for (head, body) in messages(&self.hear()?) {
                if head.sequence == self.sequence && head.kind == NLMSG_ERROR {
                    return refused(body).map_or(Ok(()), Err);
                }
            }
        }
    }

    fn raw(&mut self, kind: u16, flags: u16, body: &[u8]) -> Result<(), Refused> {
        self.sequence += 1;
        let mut bytes = u32::try_from(HEAD_LEN + body.len()).unwrap_or(u32::MAX).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
        bytes.extend(self.sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        self.send(&bytes)
    }

    /// Sends what is encoded already. The kernel takes no message that is larger than the socket's buffer: that grows with
    /// it, and stays so.
    pub(in crate::network) fn send(&self, bytes: &[u8]) -> Result<(), Refused> {
        if bytes.len() > SEND_BUFFER_BYTES {
            // It doubles what it is told, for its own use; a machine's limit does not hold for root.
            setsockopt(&self.socket, SndBufForce, &bytes.len()).map_err(io::Error::from)?;
        }
        let sent = self.socket.send(bytes, 0)?;
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(Refused::from(io::Error::from_raw_os_error(libc::EMSGSIZE)))
        }
    }
}

/// What stands before a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) struct Head {
    pub(in crate::network) kind: u16,
    pub(in crate::network) sequence: u32,
    pub(in crate::network) port: u32,
}

/// The messages of a datagram; what is cut short is left out.
pub(in crate::network) fn messages(mut bytes: &[u8]) -> Vec<(Head, &[u8])> {
    let mut found = Vec::new();
    while let (Some(len), Some(kind), Some(sequence), Some(port)) =
        (u32_at(bytes, 0), u16_at(bytes, 4), u32_at(bytes, 8), u32_at(bytes, 12))
    {
        let len = len as usize;
        let Some(body) = bytes.get(HEAD_LEN..len) else { break };
        found.push((Head { kind, sequence, port }, body));
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// Whether an acknowledgement is one, or an error.
pub(in crate::network) fn refused(body: &[u8]) -> Option<Refused> {
    let errno = u32_at(body, 0).map_or(libc::EIO, |code| code.cast_signed().wrapping_neg());
    if errno == 0 {
        return None;
    }
    let words = attributes(body.get(ERROR_LEN..).unwrap_or_default());
    let text =
        words.into_iter().find(|(kind, _)| *kind == ATTR_MSG).map(|(_, text)| text).unwrap_or_default();
    let text = String::from_utf8_lossy(text).trim_end_matches('\0').to_owned();
    Some(Refused { errno, text })
}

/// The attributes in a message, flags in their types cut off.
pub(in crate::network) fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    const TYPE_MASK: u16 = 0x3fff;
    let mut found = Vec::new();
    while let (Some(len), Some(kind)) = (u16_at(bytes, 0), u16_at(bytes, 2)) {
        let Some(value) = bytes.get(4..len.into()) else { break };
        found.push((kind & TYPE_MASK, value));
        bytes = bytes.get(usize::from(len).next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The number at this place, in the machine's order.
pub(in crate::network) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEAD_LEN + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 2]);
        bytes.extend(7_u32.to_ne_bytes());
        bytes.extend(9_u32.to_ne_bytes());
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_datagram_is_taken_apart_however_it_ends() {
        let whole = [message(2, b"abc"), message(3, b"defg")].concat();
        let found = messages(&whole);
        let head = |kind| Head { kind, sequence: 7, port: 9 };
        assert_eq!(found, [(head(2), &b"abc"[..]), (head(3), &b"defg"[..])]);
        for len in 0..whole.len() {
            assert!(messages(&whole[..len]).len() < 2, "{len}");
        }
        // A length that is shorter than the head itself must not turn in a circle.
        assert!(messages(&[0; 64]).is_empty());
        assert!(attributes(&[0; 64]).is_empty());
    }

    #[test]
    fn a_refusal_has_its_number_and_words() {
        let mut body = (-libc::EEXIST).to_ne_bytes().to_vec();
        body.extend([0; HEAD_LEN]);
        assert_eq!(refused(&body), Some(Refused { errno: libc::EEXIST, text: String::new() }));
        body.extend([9, 0, 1, 0]);
        body.extend(b"why?\0\0\0\0");
        let refusal = refused(&body).unwrap();
        assert_eq!(refusal.text, "why?");
        assert_eq!(refusal.to_string(), "File exists (os error 17): why?");
        assert_eq!(refused(&[0; ERROR_LEN]), None);
        assert_eq!(refused(&[]).map(|refusal| refusal.errno), Some(libc::EIO));
    }
}
