//! Where a request goes, and where a redirect leads (RFC 3986).

use std::fmt;

/// An `http` or `https` URL. Without user, without fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::check) struct Url {
    /// `https`.
    pub(super) tls: bool,
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query; begins with `/`, nothing in it needs escaping.
    pub(super) target: String,
}

/// Ports of `http` and `https` where none is written.
const PORTS: (u16, u16) = (80, 443);

impl Url {
    /// `path` as it stands in a manifest.
    pub(in crate::check) fn new(tls: bool, host: &str, port: u16, path: &str) -> Self {
        Self { tls, host: host.to_owned(), port, target: target(path) }
    }

    /// Where the `Location` of an answer to a request for `self` leads. None: not over HTTP.
    pub(super) fn join(&self, location: &str) -> Option<Self> {
        let location = location.trim();
        if let Some(rest) = location.strip_prefix("//") {
            return Self::from_authority(self.tls, rest);
        }
        if let Some((scheme, rest)) = location.split_once("://")
            && scheme.chars().all(|c| c.is_ascii_alphanumeric())
        {
            let tls = scheme.eq_ignore_ascii_case("https");
            let known = tls || scheme.eq_ignore_ascii_case("http");
            return known.then(|| Self::from_authority(tls, rest)).flatten();
        }
        let path = self.target.split('?').next().unwrap_or("/");
        let target = match location.chars().next() {
            None => self.target.clone(),
            Some('/') => target(location),
            Some('?') => target(&format!("{path}{location}")),
            Some(_) => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                target(&format!("{folder}/{location}"))
            }
        };
        Some(Self { target, ..self.clone() })
    }

    fn from_authority(tls: bool, rest: &str) -> Option<Self> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        let (host, port) = match authority.strip_prefix('[') {
            Some(six) => {
                let (host, rest) = six.split_once(']')?;
                (host, rest.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            None | Some("") if tls => PORTS.1,
            None | Some("") => PORTS.0,
            Some(port) => port.parse().ok()?,
        };
        (!host.is_empty()).then(|| Self::new(tls, host, port, path))
    }

    /// As a `Host` header has it.
    pub(super) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.target)
    }
}

/// A path as a request line can have it: from the root, without a fragment, every byte that would not do escaped.
fn target(path: &str) -> String {
    let path = path.split('#').next().unwrap_or_default();
    let mut out = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        out.push('/');
    }
    for byte in path.bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0..=b' ' | 0x7f.. => {
                out.push_str(&format!("%{byte:02X}"));
            }
            _ => out.push(char::from(byte)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_manifests_become_targets() {
        for (path, shown) in [
            ("/", "/"),
            ("healthz", "/healthz"),
            ("/a?b=c#d", "/a?b=c"),
            ("/a b\r\nX: y", "/a%20b%0D%0AX:%20y"),
            ("/ü%20", "/%C3%BC%20"),
            ("", "/"),
        ] {
            assert_eq!(Url::new(false, "h", 1, path).target, shown, "{path:?}");
        }
        assert_eq!(Url::new(false, "::1", 8080, "x").to_string(), "http://[::1]:8080/x");
    }

    #[test]
    fn redirects_lead_where_rfc_3986_says() {
        let from = Url::new(false, "h", 8080, "/a/b?q");
        for (location, to) in [
            ("/x", Some("http://h:8080/x")),
            ("c", Some("http://h:8080/a/c")),
            ("?r", Some("http://h:8080/a/b?r")),
            ("", Some("http://h:8080/a/b?q")),
            ("http://h/x", Some("http://h:80/x")),
            ("HTTP://u@other:81?x#y", Some("http://other:81/?x")),
            ("//other/x", Some("http://other:80/x")),
            ("http://[::1]:9/x", Some("http://[::1]:9/x")),
            ("https://h/x", Some("https://h:443/x")),
            ("ftp://h/x", None),
            ("http://:80/", None),
            ("http://h:x/", None),
        ] {
            assert_eq!(from.join(location).map(|url| url.to_string()).as_deref(), to, "{location:?}");
        }
    }
}
