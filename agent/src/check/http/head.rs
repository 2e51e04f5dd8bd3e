//! The head of a request, and that of an answer. Pure: bytes in, values out.

use super::url::Url;

/// What kubelet says it is; applications know it by the first part.
const USER_AGENT: &str = "kube-probe/1.36";

/// What is of interest in the head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    /// Bytes of the body, where the server says it.
    pub(super) length: Option<u64>,
    /// Where the body begins.
    pub(super) end: usize,
}

/// The request, with kubelet's headers where the manifest has none of that name; an empty one takes it away.
pub(super) fn request(url: &Url, headers: &[(String, String)]) -> Vec<u8> {
    let own = |name: &str| headers.iter().rev().find(|(other, _)| other.eq_ignore_ascii_case(name));
    let host = own("host").map(|(_, value)| value.clone()).filter(|value| !value.is_empty());
    let mut text = format!("GET {} HTTP/1.1\r\n", url.target);
    text.push_str(&format!("Host: {}\r\n", host.unwrap_or_else(|| url.authority())));
    for (name, value) in [("User-Agent", USER_AGENT), ("Accept", "*/*")] {
        if own(name).is_none() {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    for (name, value) in headers {
        let removed =
            value.is_empty() && ["user-agent", "accept"].iter().any(|n| name.eq_ignore_ascii_case(n));
        let ours = ["host", "connection"].iter().any(|n| name.eq_ignore_ascii_case(n));
        if !removed && !ours {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    text.push_str("Connection: close\r\n\r\n");
    text.into_bytes()
}

/// The head at the beginning of `bytes`: none while it is not complete.
///
/// # Errors
/// What makes it no answer in HTTP/1.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Head>, String> {
    let (text, end) = match find(bytes, b"\r\n\r\n") {
        Some(at) => (&bytes[..at], at + 4),
        None => match find(bytes, b"\n\n") {
            Some(at) => (&bytes[..at], at + 2),
            None if looks_like_http(bytes) => return Ok(None),
            None => return Err(malformed(bytes)),
        },
    };
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines();
    let status = lines.next().and_then(status_of).ok_or_else(|| malformed(bytes))?;
    let mut head = Head { status, location: None, length: None, end };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("location") {
            head.location.get_or_insert_with(|| value.to_owned());
        } else if name.eq_ignore_ascii_case("content-length") {
            head.length = value.parse().ok();
        }
    }
    Ok(Some(head))
}

fn status_of(line: &str) -> Option<u16> {
    let mut words = line.split(' ');
    let version = words.next()?;
    let status = words.next().filter(|word| word.len() == 3)?;
    version.starts_with("HTTP/1.").then(|| status.parse().ok()).flatten().filter(|status| *status >= 100)
}

fn looks_like_http(bytes: &[u8]) -> bool {
    let begin = b"HTTP/1.";
    let len = bytes.len().min(begin.len());
    bytes[..len] == begin[..len]
}

fn malformed(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let shown = String::from_utf8_lossy(&line[..line.len().min(64)]).trim_end().to_owned();
    format!("malformed HTTP response {shown:?}")
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_kubelets_headers_unless_the_manifest_says_otherwise() {
        let url = Url::new(false, "127.0.0.1", 80, "/h");
        let text = |headers: &[(&str, &str)]| {
            let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
            String::from_utf8(request(&url, &headers)).unwrap()
        };
        assert_eq!(
            text(&[]),
            "GET /h HTTP/1.1\r\nHost: 127.0.0.1:80\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\n\
             Connection: close\r\n\r\n"
        );
        assert_eq!(
            text(&[("host", "x.y"), ("X-A", "1"), ("X-A", "2"), ("Accept", ""), ("user-agent", "me")]),
            "GET /h HTTP/1.1\r\nHost: x.y\r\nX-A: 1\r\nX-A: 2\r\nuser-agent: me\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn answers_are_read_when_they_are_complete_and_refused_when_they_are_none() {
        let head = |status, location: Option<&str>, length, end| {
            Ok(Some(Head { status, location: location.map(str::to_owned), length, end }))
        };
        for (bytes, expected) in [
            ("", Ok(None)),
            ("HTTP", Ok(None)),
            ("HTTP/1.1 200 OK\r\nA: b\r\n", Ok(None)),
            ("HTTP/1.1 200 OK\r\n\r\nbody", head(200, None, None, 19)),
            ("HTTP/1.0 204\n\n", head(204, None, None, 14)),
            (
                "HTTP/1.1 302 x\r\nLOCATION: /a \r\nContent-Length: 7\r\n\r\n",
                head(302, Some("/a"), Some(7), 52),
            ),
            ("HTTP/1.1 2x0 OK\r\n\r\n", Err("malformed HTTP response \"HTTP/1.1 2x0 OK\"".to_owned())),
            ("SSH-2.0-x\r\n", Err("malformed HTTP response \"SSH-2.0-x\"".to_owned())),
            ("HTTP/2 200\r\n\r\n", Err("malformed HTTP response \"HTTP/2 200\"".to_owned())),
        ] {
            assert_eq!(parse(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }
}
