//! Image references: what a manifest's `image:` says, and by which names an archive knows its images. Both
//! are brought to one full form, so that `busybox` and `docker.io/library/busybox:latest` are the same.
//! Pure; never panics on any input.

use crate::{
    digest::Digest,
    error::Error,
    limits::{NAME_MAX_BYTES, REFERENCE_MAX_BYTES, TAG_MAX_BYTES},
};
use std::fmt;

/// The registry that a name without one means.
const DEFAULT_DOMAIN: &str = "docker.io";
/// Its older name.
const LEGACY_DOMAIN: &str = "index.docker.io";
/// Where the default registry keeps names of one component.
const DEFAULT_NAMESPACE: &str = "library/";
// The messages below name these numbers.
const _: () = assert!(REFERENCE_MAX_BYTES == 1024 && NAME_MAX_BYTES == 255 && TAG_MAX_BYTES == 128);

/// The tag that a reference without tag and digest means.
const DEFAULT_TAG: &str = "latest";

/// A reference in its full form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads and completes a reference.
    ///
    /// # Errors
    /// `InvalidName`, with what is wrong; `Unsupported` for a digest other than sha256.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::InvalidName { name: shortened(text), why: why.to_owned() };
        if text.is_empty() {
            return Err(bad("it is empty"));
        }
        if text.len() > REFERENCE_MAX_BYTES {
            return Err(bad("it is longer than 1024 bytes"));
        }
        let (rest, digest) = match text.split_once('@') {
            None => (text, None),
            Some((rest, digest)) => match Digest::parse(digest) {
                Ok(digest) => (rest, Some(digest)),
                Err(Error::Unsupported { why, .. }) => return Err(Error::unsupported(shortened(text), why)),
                Err(_) => return Err(bad("after @ there must be sha256: and 64 lower-case hex digits")),
            },
        };
        let (name, tag) = split_tag(rest);
        if let Some(tag) = tag {
            check_tag(tag).map_err(bad)?;
        }
        let (domain, path) = split_domain(name);
        check_domain(domain).map_err(bad)?;
        check_path(path).map_err(bad)?;
        if domain.is_empty() && Digest::from_hex(path).is_some() {
            return Err(bad("64 hex digits are an image's id; write a name, or name@sha256:…"));
        }
        let (domain, path) = complete(domain, path);
        if domain.len() + 1 + path.len() > NAME_MAX_BYTES {
            return Err(bad("the name is longer than 255 bytes"));
        }
        let tag = match (tag, &digest) {
            (None, None) => Some(DEFAULT_TAG.to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(Self { domain, path, tag, digest })
    }

    /// Registry and path: `docker.io/library/busybox`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The registry.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The path in the registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag; `latest` when neither tag nor digest was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Name and tag without digest: how the store files an image. None for a reference by digest alone.
    pub fn tagged(&self) -> Option<String> {
        self.tag.as_ref().map(|tag| format!("{}/{}:{tag}", self.domain, self.path))
    }

    /// The short form that people write: `busybox:latest`.
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let Some(rest) = full.strip_prefix("docker.io/") else { return full };
        match rest.strip_prefix(DEFAULT_NAMESPACE) {
            Some(short) if !short.contains('/') => short.to_owned(),
            // Without the registry, a first component like `localhost` would be taken for one.
            _ if is_domain(rest.split('/').next().unwrap_or_default()) => full,
            _ => rest.to_owned(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Names are shown, but not at any length.
fn shortened(text: &str) -> String {
    const SHOWN_MAX_CHARS: usize = 200;
    text.chars().take(SHOWN_MAX_CHARS).collect()
}

/// A colon after the last slash begins a tag; one before it belongs to a port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rfind(':') {
        Some(at) if !text[at..].contains('/') => (&text[..at], Some(&text[at + 1..])),
        _ => (text, None),
    }
}

fn split_domain(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest)) if is_domain(first) => (first, rest),
        _ => ("", name),
    }
}

/// The first component is a registry if it could not be part of a path, or is the one well-known exception.
fn is_domain(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn complete(domain: &str, path: &str) -> (String, String) {
    match domain {
        "" | DEFAULT_DOMAIN | LEGACY_DOMAIN => {
            let namespace = if path.contains('/') { "" } else { DEFAULT_NAMESPACE };
            (DEFAULT_DOMAIN.to_owned(), format!("{namespace}{path}"))
        }
        other => (other.to_owned(), path.to_owned()),
    }
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    match tag.as_bytes() {
        [first, rest @ ..] if word(*first) && rest.iter().all(|b| word(*b) || matches!(b, b'.' | b'-')) => {
            if tag.len() > TAG_MAX_BYTES {
                Err("the tag is longer than 128 bytes")
            } else {
                Ok(())
            }
        }
        [] => Err("the tag after : is empty"),
        _ => Err("a tag holds letters, digits, _ . - and begins with none of . and -"),
    }
}

fn check_domain(domain: &str) -> Result<(), &'static str> {
    if domain.is_empty() {
        return Ok(());
    }
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err() || port.starts_with('+')) {
        return Err("the registry's port must be a number up to 65535");
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let fine = address.parse::<std::net::Ipv6Addr>().is_ok();
        return if fine { Ok(()) } else { Err("the registry's IPv6 address cannot be read") };
    }
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
            && bytes.first().is_some_and(|b| *b != b'-')
            && bytes.last().is_some_and(|b| *b != b'-')
    };
    if host.split('.').all(label) { Ok(()) } else { Err("the registry is not a host name") }
}

/// Components of lower-case letters and digits, joined inside by `.`, `_`, `__` or dashes.
fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("the name is empty");
    }
    for component in path.split('/') {
        let mut rest = component;
        loop {
            let word = rest.bytes().take_while(|b| b.is_ascii_lowercase() || b.is_ascii_digit()).count();
            if word == 0 {
                return Err(explain(component));
            }
            rest = &rest[word..];
            if rest.is_empty() {
                break;
            }
            let separator = match rest.as_bytes() {
                [b'_', b'_', ..] => 2,
                [b'_' | b'.', ..] => 1,
                _ => rest.bytes().take_while(|b| *b == b'-').count(),
            };
            if separator == 0 {
                return Err(explain(component));
            }
            rest = &rest[separator..];
        }
    }
    Ok(())
}

fn explain(component: &str) -> &'static str {
    if component.is_empty() {
        "a part of the name between slashes is empty"
    } else if component.bytes().any(|b| b.is_ascii_uppercase()) {
        "the name must be lower case"
    } else {
        "the name's parts hold a-z and 0-9, joined by single . or _, by __ or by dashes"
    }
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
