//! Names and passwords of registries, from an `auth.json` (containers-auth.json(5)) or from the credential helpers
//! that it names. They are shown nowhere: not in errors, not in `Debug`.

use super::helper;
use crate::error::{Doing as _, Error};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use std::{collections::BTreeMap, fmt, fs::File, io::Read as _, path::Path};

/// Bytes of the file that are read.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// Whom to be.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// Name and password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token with which others are had (OAuth 2's refresh token).
    Identity(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

#[derive(Deserialize)]
struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    /// Programs that know passwords, by registry.
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    /// One that is asked for whatever stands nowhere else.
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    auth: String,
    #[serde(default, rename = "identitytoken")]
    identity: String,
}

/// The credentials for `HOST[:PORT]/REPOSITORY`: from the helper of the longest name that it begins with, else
/// those of the longest such name under `auths`, else from the helper for all. Without the file there are none.
///
/// # Errors
/// `Unsupported`: the file cannot be read as what it should be, or a helper does not answer; `Io`.
pub(super) fn find(path: &Path, host: &str, repository: &str) -> Result<Option<Credentials>, Error> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.doing(|| format!("open {}", path.display()))?,
    };
    let mut text = String::new();
    file.take(FILE_MAX_BYTES).read_to_string(&mut text).doing(|| format!("read {}", path.display()))?;
    let found = match parse(&text, host, repository) {
        Ok(Known::Credentials(credentials)) => Ok(Some(credentials)),
        Ok(Known::Helper(name)) => helper::get(&name, host, None),
        Ok(Known::Nobody) => Ok(None),
        Err(why) => Err(why),
    };
    found.map_err(|why| Error::unsupported(path.display().to_string(), why))
}

/// What the file says of a registry.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    Credentials(Credentials),
    /// The helper of this name is to be asked.
    Helper(String),
    Nobody,
}

/// Pure; what it says never holds what is in the file beside names of registries.
fn parse(text: &str, host: &str, repository: &str) -> Result<Known, String> {
    let file: AuthFile = serde_json::from_str(text)
        .map_err(|error| format!("line {} is not as in auth.json", error.line()))?;
    let full = format!("{host}/{repository}");
    let fits = |name: &str| {
        let name = name.trim_start_matches("https://").trim_end_matches('/');
        let rest = full.strip_prefix(name)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(name.len())
    };
    let helpers = file.helpers.iter().filter_map(|(name, helper)| Some((fits(name)?, helper)));
    if let Some((_, helper)) = helpers.max_by_key(|(length, _)| *length) {
        return Ok(Known::Helper(helper.clone()));
    }
    let known = file.auths.iter().filter_map(|(name, auth)| Some((fits(name)?, name, auth)));
    if let Some((_, name, auth)) = known.max_by_key(|(length, ..)| *length)
        && !(auth.auth.is_empty() && auth.identity.is_empty())
    {
        return credentials(auth)
            .map(Known::Credentials)
            .ok_or_else(|| format!("auths[{name:?}].auth is not the base64 of NAME:PASSWORD"));
    }
    Ok(file.store.map_or(Known::Nobody, Known::Helper))
}

fn credentials(auth: &Auth) -> Option<Credentials> {
    if !auth.identity.is_empty() {
        return Some(Credentials::Identity(auth.identity.clone()));
    }
    let bytes = STANDARD.decode(auth.auth.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    // Some tools end it with a zero.
    let (user, password) = (user.to_owned(), password.trim_end_matches('\0').to_owned());
    Some(Credentials::Password { user, password })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_counts() {
        // a:b, c:d, e:f
        const TEXT: &str = r#"{"auths": {
            "hub.test:5000": {"auth": "YTpi"},
            "hub.test:5000/shop": {"auth": "Yzpk"},
            "https://other.test/": {"auth": "ZTpm"},
            "token.test": {"identitytoken": "t"},
            "empty.test": {}
        }}"#;
        let user = |user: &str, password: &str| {
            Known::Credentials(Credentials::Password { user: user.into(), password: password.into() })
        };
        let table = [
            ("hub.test:5000", "web", user("a", "b")),
            ("hub.test:5000", "shop/web", user("c", "d")),
            ("hub.test:5000", "shopping", user("a", "b")),
            ("other.test", "x", user("e", "f")),
            ("token.test", "x", Known::Credentials(Credentials::Identity("t".into()))),
            ("empty.test", "x", Known::Nobody),
            ("hub.test", "x", Known::Nobody),
        ];
        for (host, repository, expected) in table {
            assert!(parse(TEXT, host, repository).unwrap() == expected, "{host}/{repository}");
        }
    }

    #[test]
    fn helpers_by_registry_come_first_and_the_one_for_all_last() {
        const TEXT: &str = r#"{"auths": {"a.test": {"auth": "YTpi"}, "b.test": {"auth": "YTpi"}},
            "credHelpers": {"a.test": "one", "a.test/shop": "two"}, "credsStore": "all"}"#;
        let helper = |name: &str| Known::Helper(name.into());
        let by_file = Known::Credentials(Credentials::Password { user: "a".into(), password: "b".into() });
        let table = [
            ("a.test", "web", helper("one")),
            ("a.test", "shop/web", helper("two")),
            ("b.test", "web", by_file),
            ("c.test", "web", helper("all")),
        ];
        for (host, repository, expected) in table {
            assert_eq!(parse(TEXT, host, repository).unwrap(), expected, "{host}/{repository}");
        }
    }

    #[test]
    fn errors_do_not_tell_secrets() {
        let table = [
            ("{\"auths\": {\"a.test\": {\"auth\": \"geheim\"}}}", "not the base64"),
            ("{\"auths\": {\"a.test\": {\"auth\": 5 \"geheim\"}}}", "line 1"),
        ];
        for (text, expected) in table {
            let why = parse(text, "a.test", "x").unwrap_err();
            assert!(why.contains(expected) && !why.contains("geheim"), "{why}");
        }
        let shown = format!("{:?}", Credentials::Identity("geheim".into()));
        assert!(!shown.contains("geheim"));
    }
}
