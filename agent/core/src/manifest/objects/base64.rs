//! Base64 as the Kubernetes API reads it (RFC 4648 section 4): padded, white space of line breaks let
//! through, nothing else.

/// The bytes; none if the text is not base64.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut digits, mut padding) = (0_u32, 0_u32, 0_u32);
    for byte in text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')) {
        if byte == b'=' {
            padding += 1;
            continue;
        }
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(digit(byte)?);
        digits += 1;
        if digits % 4 == 0 {
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
            bits = 0;
        }
    }
    let [_, first, second, _] = (bits << (6 * ((4 - digits % 4) % 4))).to_be_bytes();
    match (digits % 4, padding) {
        (0, 0) => {}
        (2, 2) => bytes.push(first),
        (3, 1) => bytes.extend([first, second]),
        _ => return None,
    }
    Some(bytes)
}

/// The text for the bytes, padded.
pub(super) fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place > group.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

fn digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_takes_and_what_it_does_not() {
        for (text, bytes) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9v\nYmFy\r\n", Some("foobar")),
            ("Zm9vYg==", Some("foob")),
            ("Zg", None),
            ("Zg=", None),
            ("Zg===", None),
            ("Zm9v=", None),
            ("Z", None),
            ("====", None),
            ("Zg==Zg==", None),
            ("Zm 9v", None),
            ("Zm9-", None),
        ] {
            assert_eq!(decode(text).as_deref(), bytes.map(str::as_bytes), "{text:?}");
        }
        assert_eq!(decode("/+8="), Some(vec![0xff, 0xef]));
    }

    #[test]
    fn what_is_written_is_read() {
        for len in 0..=256_u16 {
            let bytes: Vec<u8> = (0..len).map(|byte| (byte * 7) as u8).collect();
            let text = encode(&bytes);
            assert_eq!((text.len() % 4, decode(&text)), (0, Some(bytes)), "{text}");
        }
        assert_eq!(encode(b"fo"), "Zm8=");
    }
}
