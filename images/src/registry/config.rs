//! Which registries are asked for an image: a subset of containers-registries.conf(5), version 2. Pure.
//!
//! Understood are `[[registry]]` with `prefix`, `location`, `insecure`, `blocked`, and in it `[[registry.mirror]]`
//! with `location`, `insecure`, `pull-from-mirror`. Anything else is refused by name and not passed over:
//! what the owner wrote and what happens must not differ.

use crate::{error::Error, reference::Reference};
use serde::Deserialize;

/// Registries and mirrors in one file.
const ENTRIES_MAX_COUNT: usize = 256;

/// The registry that names without one mean, and the host that serves it.
const DEFAULT: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// The file as it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    #[serde(default)]
    registry: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    prefix: Option<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror: Vec<Mirror>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    pull_from_mirror: PullFrom,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PullFrom {
    #[default]
    All,
    DigestOnly,
    TagOnly,
}

/// One place that may have the image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Endpoint {
    /// `HOST[:PORT]`.
    pub(super) host: String,
    /// The image's path there.
    pub(super) repository: String,
    /// Certificates are not checked, and plain HTTP is tried when the host speaks no TLS.
    pub(super) insecure: bool,
}

impl Config {
    /// Reads the file's text; `path` is for messages.
    ///
    /// # Errors
    /// `Unsupported`: what is wrong with it, with its line.
    pub(super) fn parse(path: &str, text: &str) -> Result<Self, Error> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..before].iter().filter(|byte| **byte == b'\n').count() + 1;
            Error::unsupported(format!("{path}:{line}"), error.message().replace('\n', " "))
        })?;
        let bad = |why: String| Err(Error::unsupported(path, why));
        let count = config.registry.iter().map(|entry| 1 + entry.mirror.len()).sum::<usize>();
        if count > ENTRIES_MAX_COUNT {
            return bad(format!("{count} registries and mirrors are more than {ENTRIES_MAX_COUNT}"));
        }
        for entry in &config.registry {
            match (&entry.prefix, &entry.location) {
                (None, None) => return bad("a [[registry]] needs prefix or location".to_owned()),
                (Some(prefix), None) if prefix.starts_with("*.") => {
                    return bad(format!("the registry with prefix {prefix:?} needs a location"));
                }
                _ => {}
            }
            let locations = entry.location.iter().chain(entry.mirror.iter().map(|mirror| &mirror.location));
            if let Some(wrong) = locations.into_iter().find(|location| !is_location(location)) {
                return bad(format!("location {wrong:?} is no HOST[:PORT][/PATH]"));
            }
        }
        Ok(config)
    }

    /// Where to ask for an image, in order: mirrors first, the registry itself last.
    ///
    /// # Errors
    /// `Refused` when the owner has blocked it.
    pub(super) fn endpoints(&self, wanted: &Reference) -> Result<Vec<Endpoint>, Error> {
        let name = wanted.name();
        let matching = self.registry.iter().filter_map(|entry| Some((entry.matches(&name)?, entry)));
        let Some((length, entry)) = matching.max_by_key(|(length, _)| *length) else {
            return Ok(vec![endpoint(&name, false)]);
        };
        if entry.blocked {
            let why = format!("the registry is blocked: {}", entry.prefix().unwrap_or_default());
            return Err(Error::Refused { reference: wanted.to_string(), why });
        }
        let rest = &name[length..];
        let fits = |mirror: &&Mirror| match mirror.pull_from_mirror {
            PullFrom::All => true,
            PullFrom::DigestOnly => wanted.digest().is_some(),
            PullFrom::TagOnly => wanted.digest().is_none(),
        };
        let mirrors = entry.mirror.iter().filter(fits);
        let mirrors = mirrors.map(|mirror| endpoint(&format!("{}{rest}", mirror.location), mirror.insecure));
        let own = match &entry.location {
            Some(location) => format!("{location}{rest}"),
            None => name.clone(),
        };
        Ok(mirrors.chain([endpoint(&own, entry.insecure)]).collect())
    }
}

impl Entry {
    fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref().or(self.location.as_deref())
    }

    /// How many bytes of the name its prefix stands for; None if it is not of this registry.
    fn matches(&self, name: &str) -> Option<usize> {
        let prefix = self.prefix()?;
        if let Some(domain) = prefix.strip_prefix('*') {
            let host = name.split('/').next().unwrap_or_default();
            return host.ends_with(domain).then_some(host.len());
        }
        let rest = name.strip_prefix(prefix)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len())
    }
}

/// `HOST[:PORT][/PATH]` with nothing in it that would mean something else in a URL.
fn is_location(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:/[]".contains(c);
    !text.is_empty() && !text.starts_with('/') && !text.ends_with('/') && text.chars().all(plain)
}

fn endpoint(name: &str, insecure: bool) -> Endpoint {
    let (host, repository) = name.split_once('/').unwrap_or((name, ""));
    let host = if host == DEFAULT.0 { DEFAULT.1 } else { host };
    Endpoint { host: host.to_owned(), repository: repository.to_owned(), insecure }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str, image: &str) -> Vec<String> {
        let config = Config::parse("registries.conf", text).unwrap();
        let endpoints = config.endpoints(&Reference::parse(image).unwrap()).unwrap();
        let show = |e: Endpoint| format!("{}{}/{}", if e.insecure { "!" } else { "" }, e.host, e.repository);
        endpoints.into_iter().map(show).collect()
    }

    #[test]
    fn mirrors_are_asked_first_and_the_longest_prefix_counts() {
        const TEXT: &str = r#"
            [[registry]]
            prefix = "example.test"
            location = "hub.test:5000/all"
            [[registry]]
            prefix = "example.test/shop"
            insecure = true
            [[registry.mirror]]
            location = "mirror.test/cache/shop"
            pull-from-mirror = "tag-only"
            [[registry.mirror]]
            location = "10.0.0.2:5000"
            insecure = true
            [[registry]]
            prefix = "*.lab.test"
            location = "lab.test"
        "#;
        let digest = format!("example.test/shop/web@sha256:{}", "a".repeat(64));
        let table: [(&str, &[&str]); 7] = [
            ("example.test/web:1", &["hub.test:5000/all/web"]),
            (
                "example.test/shop/web:1",
                &["mirror.test/cache/shop/web", "!10.0.0.2:5000/web", "!example.test/shop/web"],
            ),
            (&digest, &["!10.0.0.2:5000/web", "!example.test/shop/web"]),
            ("example.test/shopping/web", &["hub.test:5000/all/shopping/web"]),
            ("a.lab.test/x/y", &["lab.test/x/y"]),
            ("other.test:443/x", &["other.test:443/x"]),
            ("busybox", &["registry-1.docker.io/library/busybox"]),
        ];
        for (image, expected) in table {
            assert_eq!(asked(TEXT, image), expected, "{image}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        let table = [
            ("[[registry]]\nlocation = \"a.test\"\nmirror-by-digest-only = true\n", "registries.conf:3"),
            ("unqualified-search-registries = [\"a.test\"]", "registries.conf:1"),
            ("[[registry]]\nprefix = \"*.a.test\"", "needs a location"),
            ("[[registry]]\ninsecure = true", "needs prefix or location"),
            ("[[registry]]\nlocation = \"https://a.test?x\"", "is no HOST"),
            ("[[registry]", "registries.conf:1"),
        ];
        for (text, expected) in table {
            let error = Config::parse("registries.conf", text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_blocked_registry_is_not_asked() {
        let config = Config::parse("f", "[[registry]]\nlocation = \"bad.test\"\nblocked = true").unwrap();
        let error = config.endpoints(&Reference::parse("bad.test/x").unwrap()).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
    }
}
