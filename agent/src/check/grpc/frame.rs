//! Frames of HTTP/2 (RFC 9113, section 4), as far as one call has them. Pure.

/// Bytes before a frame's payload.
pub(super) const HEAD_LEN_BYTES: usize = 9;
/// Bytes of a payload: what a server may send to a client that says nothing about it.
const PAYLOAD_LEN_MAX_BYTES: usize = 16_384;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const PADDED: u8 = 0x8;

/// Kinds of frame that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Reset,
    Settings,
    Ping,
    GoAway,
    Other,
}

/// What stands before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) len: usize,
    flags: u8,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) head: Head,
    pub(super) payload: Vec<u8>,
}

impl Head {
    /// None if the frame is longer than it may be: what is read is not HTTP/2.
    pub(super) fn parse(bytes: [u8; HEAD_LEN_BYTES]) -> Option<Self> {
        let [high, middle, low, kind, flags, ..] = bytes;
        let len = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::Headers,
            3 => Kind::Reset,
            4 => Kind::Settings,
            6 => Kind::Ping,
            7 => Kind::GoAway,
            _ => Kind::Other,
        };
        (len <= PAYLOAD_LEN_MAX_BYTES).then_some(Self { kind, len, flags })
    }
}

impl Frame {
    /// Nothing more comes on the stream.
    pub(super) fn ends_stream(&self) -> bool {
        matches!(self.head.kind, Kind::Data | Kind::Headers) && self.head.flags & END_STREAM != 0
    }

    /// The content without its padding; none if that does not fit.
    pub(super) fn data(&self) -> Option<&[u8]> {
        if self.head.flags & PADDED == 0 {
            return Some(&self.payload);
        }
        let (padding, rest) = self.payload.split_first()?;
        rest.get(..rest.len().checked_sub(usize::from(*padding))?)
    }

    /// What is to be said to it.
    pub(super) fn acknowledgement(&self) -> Option<Vec<u8>> {
        if self.head.flags & ACK != 0 {
            return None;
        }
        match self.head.kind {
            Kind::Settings => Some(encode(4, ACK, 0, &[])),
            Kind::Ping => Some(encode(6, ACK, 0, &self.payload)),
            _ => None,
        }
    }
}

/// A frame as bytes; `payload` is no longer than a frame's may be.
pub(super) fn encode(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let mut bytes = Vec::with_capacity(HEAD_LEN_BYTES + payload.len());
    bytes.extend_from_slice(&len[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: &[u8]) -> Frame {
        let head = Head::parse(bytes[..HEAD_LEN_BYTES].try_into().unwrap()).unwrap();
        Frame { head, payload: bytes[HEAD_LEN_BYTES..].to_vec() }
    }

    #[test]
    fn frames_are_read_as_they_are_written() {
        let ping = frame(&encode(6, 0, 0, b"12345678"));
        assert_eq!((ping.head.kind, ping.head.len), (Kind::Ping, 8));
        assert_eq!(ping.acknowledgement(), Some(encode(6, ACK, 0, b"12345678")));
        assert_eq!(frame(&encode(6, ACK, 0, b"12345678")).acknowledgement(), None);
        assert!(frame(&encode(0, END_STREAM, 1, b"x")).ends_stream());
        assert!(!frame(&encode(4, ACK, 0, b"")).ends_stream());
        assert_eq!(Head::parse(*b"HTTP/1.1 "), None, "an answer of HTTP/1 is longer than any frame");
    }

    #[test]
    fn padding_is_taken_off_or_refused() {
        for (payload, data) in
            [(&b"\x02ab\0\0"[..], Some(&b"ab"[..])), (b"\0ab", Some(b"ab")), (b"\x03ab", None), (b"", None)]
        {
            assert_eq!(frame(&encode(0, PADDED, 1, payload)).data(), data);
        }
    }
}
