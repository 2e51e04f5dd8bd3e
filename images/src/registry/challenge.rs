//! What a registry wants to see before it answers: the `WWW-Authenticate` header (RFC 9110, section 11.6.1).
//! Pure; never panics on any input.

/// Bytes of a header that are looked at.
const HEADER_MAX_BYTES: usize = 4096;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token, to be had from another place (the distribution specification's token authentication).
    Bearer {
        /// URL of who gives tokens.
        realm: String,
        /// For whom the token is.
        service: Option<String>,
        /// What it is to allow.
        scope: Option<String>,
    },
}

impl Challenge {
    /// The strongest challenge of a header that is understood.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let mut rest = header.get(..HEADER_MAX_BYTES).unwrap_or(header).trim_start();
        let mut found = None;
        while !rest.is_empty() {
            let (scheme, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let scheme = scheme.trim_end_matches(',');
            let (pairs, next) = parameters(after);
            let get = |key: &str| pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
            if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = get("realm")
            {
                return Some(Self::Bearer { realm, service: get("service"), scope: get("scope") });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                found = Some(Self::Basic);
            }
            rest = next;
        }
        found
    }
}

/// The `key=value` pairs up to the next scheme, and what follows them.
fn parameters(text: &str) -> (Vec<(String, String)>, &str) {
    let mut pairs = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let Some(value) = after.trim_start().strip_prefix('=').filter(|_| !key.is_empty()) else {
            // A scheme, or rubbish: the latter ends all.
            return (pairs, if key.is_empty() { "" } else { rest });
        };
        let (value, next) = value_of(value.trim_start());
        pairs.push((key.to_ascii_lowercase(), value));
        rest = next;
    }
}

fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_of_registries() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            Some(Challenge::Bearer { realm: realm.to_owned(), service: own(service), scope: own(scope) })
        };
        let table = [
            ("Basic realm=\"r\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                "Bearer realm=\"https://a.test/token\",service=\"a.test\",scope=\"repository:x:pull,push\"",
                bearer("https://a.test/token", Some("a.test"), Some("repository:x:pull,push")),
            ),
            ("Basic realm=\"a, Bearer\", Bearer realm=\"https://b\"", bearer("https://b", None, None)),
            ("Bearer realm=https://c, service=\"q\\\"q\"", bearer("https://c", Some("q\"q"), None)),
            ("Bearer service=\"x\"", None),
            ("Negotiate", None),
            ("", None),
        ];
        for (header, expected) in table {
            assert_eq!(Challenge::parse(header), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(header in "\\PC*") {
            let _ = Challenge::parse(&header);
        }
    }
}
