//! Addresses: which can be asked, and where an answer may send on to. Pure.

use ureq::{
    Body,
    http::{Response, Uri, header::LOCATION},
};

/// Characters of an address.
const URL_MAX_CHARS: usize = 2048;

/// The address that `url` is.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(url: &str) -> Result<Uri, String> {
    if url.len() > URL_MAX_CHARS {
        return Err(format!("it has more than {URL_MAX_CHARS} characters"));
    }
    let uri: Uri = url.parse().map_err(|error| format!("it is none: {error}"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it must begin with http:// or https://".into());
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err("name and password do not belong into it: write a header Authorization".into());
    }
    if uri.host().is_none_or(str::is_empty) { Err("it names no host".into()) } else { Ok(uri) }
}

/// Where an answer sends on to.
///
/// # Errors
/// It says nothing that can be followed, or from TLS to none or the other way round: what was configured (an
/// authority, pins) is for one of them.
pub(super) fn follow(at: &Uri, answer: &Response<Body>) -> Result<Uri, String> {
    let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let to = resolve(at, location).map_err(|why| format!("it redirects to {location:?}: {why}"))?;
    if at.scheme() != to.scheme() {
        return Err(format!(
            "it redirects to {location:?}, which is not followed: configure that address itself"
        ));
    }
    Ok(to)
}

/// RFC 3986 section 5.2, but for dot segments, which are left to the server.
fn resolve(at: &Uri, location: &str) -> Result<Uri, String> {
    let location = location.split('#').next().unwrap_or_default();
    let scheme = at.scheme_str().unwrap_or_default();
    let authority = at.authority().map_or("", |authority| authority.as_str());
    if location.is_empty() {
        return Err("that is no address".into());
    }
    if location.contains("://") {
        return check(location);
    }
    if location.starts_with("//") {
        return check(&format!("{scheme}:{location}"));
    }
    let path = match location.strip_prefix('/') {
        Some(_) => location.to_owned(),
        None => format!("{}/{location}", at.path().rsplit_once('/').map_or("", |(before, _)| before)),
    };
    check(&format!("{scheme}://{authority}{path}"))
}

/// Scheme, host and port are the same.
pub(super) fn same_origin(a: &Uri, b: &Uri) -> bool {
    let port = |uri: &Uri| uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let host = |uri: &Uri| uri.host().unwrap_or_default().to_ascii_lowercase();
    (a.scheme(), host(a), port(a)) == (b.scheme(), host(b), port(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_cannot_be_asked() {
        for (url, why) in [
            ("ftp://a/b", "must begin with"),
            ("a/b", "it is none"),
            ("https://me:word@a/b", "Authorization"),
            ("http://a b/", "it is none"),
            ("", "it is none"),
        ] {
            let got = check(url).unwrap_err();
            assert!(got.contains(why), "{url}: {got}");
        }
        check("https://[fd00::1]:8443/pods?box=7").unwrap();
    }

    #[test]
    fn locations_are_resolved() {
        let at: Uri = "https://a.test:8443/x/pods.yaml?q".parse().unwrap();
        for (location, expected) in [
            ("https://b.test/y", Some("https://b.test/y")),
            ("//b.test/y", Some("https://b.test/y")),
            ("/y?z#part", Some("https://a.test:8443/y?z")),
            ("y", Some("https://a.test:8443/x/y")),
            ("", None),
            ("ftp://b.test/", None),
        ] {
            assert_eq!(
                resolve(&at, location).ok().map(|uri| uri.to_string()).as_deref(),
                expected,
                "{location}"
            );
        }
    }

    #[test]
    fn origins() {
        for (a, b, same) in [
            ("https://a/x", "https://A:443/y", true),
            ("http://a/x", "https://a/x", false),
            ("http://a/x", "http://a:8080/x", false),
            ("http://a/x", "http://b/x", false),
        ] {
            assert_eq!(same_origin(&a.parse().unwrap(), &b.parse().unwrap()), same, "{a} {b}");
        }
    }
}
