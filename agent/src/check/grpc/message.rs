//! The call and its reply as bytes: HPACK (RFC 7541) without compression, the frame of gRPC's messages, and
//! `HealthCheckRequest` and `HealthCheckResponse` in protobuf. Pure.

use super::frame::encode;

/// Bytes of a service's name.
pub(super) const SERVICE_LEN_MAX: usize = 1024;
/// What a client says first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PATH: &str = "/grpc.health.v1.Health/Check";
/// Bytes of a message's frame: whether it is compressed, and its length.
const PREFIX_LEN_BYTES: usize = 5;

/// A server's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Serving,
    /// Its name.
    Other(&'static str),
}

/// All that the client has to say; none if the name is too long.
pub(super) fn request(authority: &str, service: &str) -> Option<Vec<u8>> {
    if service.len() > SERVICE_LEN_MAX {
        return None;
    }
    let mut headers = Vec::new();
    // Methods and schemes stand in HPACK's static table.
    headers.extend_from_slice(&[0x83, 0x86]);
    for (name, value) in [
        (":path", PATH),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "kube-probe/1.36"),
    ] {
        headers.push(0);
        text(name, &mut headers);
        text(value, &mut headers);
    }
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        varint(service.len() as u64, &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len()).ok()?.to_be_bytes());
    body.extend_from_slice(&message);
    // Settings of our own: none. Then the headers, complete, and the body, after which nothing comes.
    let frames = [encode(4, 0, 0, &[]), encode(1, 0x4, 1, &headers), encode(0, 0x1, 1, &body)];
    Some([PREFACE, &frames.concat()].concat())
}

/// A string of HPACK: its length in a prefix of seven bits, and its bytes.
fn text(text: &str, out: &mut Vec<u8>) {
    const FITS: usize = 127;
    match u8::try_from(text.len()) {
        Ok(len) if text.len() < FITS => out.push(len),
        _ => {
            out.push(FITS as u8);
            varint((text.len() - FITS) as u64, out);
        }
    }
    out.extend_from_slice(text.as_bytes());
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The reply in what has come of it; none while it is not complete.
///
/// # Errors
/// When it cannot be read.
pub(super) fn reply(bytes: &[u8]) -> Result<Option<Reply>, String> {
    let Some((prefix, rest)) = bytes.split_at_checked(PREFIX_LEN_BYTES) else { return Ok(None) };
    let [compressed, len @ ..] = prefix else { return Ok(None) };
    if *compressed != 0 {
        return Err("the reply is compressed".to_owned());
    }
    let len = len.iter().fold(0_usize, |len, byte| len << 8 | usize::from(*byte));
    let Some(message) = rest.get(..len) else { return Ok(None) };
    let status = status(message).ok_or("the reply is no health status")?;
    Ok(Some(match status {
        1 => Reply::Serving,
        2 => Reply::Other("NOT_SERVING"),
        3 => Reply::Other("SERVICE_UNKNOWN"),
        _ => Reply::Other("UNKNOWN"),
    }))
}

/// Field 1 of a message; 0 if it is not there. None if this is no protobuf.
fn status(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let tag = number(&mut message)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => status = number(&mut message)?,
            (_, 0) => {
                number(&mut message)?;
            }
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let len = usize::try_from(number(&mut message)?).ok()?;
                message = message.get(len..)?;
            }
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_when_they_are_complete() {
        use Reply::{Other, Serving};
        for (bytes, expected) in [
            (&b""[..], Ok(None)),
            (b"\0\0\0\0", Ok(None)),
            (b"\0\0\0\0\x02\x08", Ok(None)),
            (b"\0\0\0\0\x02\x08\x01", Ok(Some(Serving))),
            (b"\0\0\0\0\x02\x08\x02", Ok(Some(Other("NOT_SERVING")))),
            (b"\0\0\0\0\x02\x08\x03", Ok(Some(Other("SERVICE_UNKNOWN")))),
            (b"\0\0\0\0\0", Ok(Some(Other("UNKNOWN")))),
            // A field that is not known, before it.
            (b"\0\0\0\0\x05\x12\x01x\x08\x01", Ok(Some(Serving))),
            (b"\x01\0\0\0\0", Err("the reply is compressed")),
            (b"\0\0\0\0\x01\x0f", Err("the reply is no health status")),
            (b"\0\0\0\0\x02\x12\x07", Err("the reply is no health status")),
        ] {
            assert_eq!(reply(bytes), expected.map_err(str::to_owned), "{bytes:?}");
        }
    }

    #[test]
    fn numbers_and_texts_of_any_length_are_written() {
        let mut out = Vec::new();
        text(&"x".repeat(300), &mut out);
        assert_eq!(out[..3], [127, 0xad, 0x01], "300 - 127 = 173");
        assert_eq!(request("h:1", &"x".repeat(SERVICE_LEN_MAX + 1)), None);
        let bytes = request("h:1", "svc").unwrap();
        assert!(bytes.starts_with(PREFACE) && bytes.ends_with(b"\0\0\0\0\x05\x0a\x03svc"));
    }
}
