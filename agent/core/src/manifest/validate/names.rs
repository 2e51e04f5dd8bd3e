//! The syntax of names: which strings may be a pod's name, a label, a port's name… Each rule says what is
//! allowed when it refuses; none changes a name to make it fit.

/// Characters of a DNS subdomain, and with it of a pod's name.
pub(in super::super) const SUBDOMAIN_LEN_MAX: usize = 253;
/// Characters of a DNS label.
const LABEL_LEN_MAX: usize = 63;
/// Characters of a port's name.
const PORT_NAME_LEN_MAX: usize = 15;
/// Characters of a `metadata.uid` that the manifest brings along.
const UID_LEN_MAX: usize = 64;

/// Why a name is refused.
pub(in super::super) type Syntax = Result<(), &'static str>;

const fn when(ok: bool, otherwise: &'static str) -> Syntax {
    if ok { Ok(()) } else { Err(otherwise) }
}

fn is_lower_alnum(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Begins and ends with `edge`, has only `edge` and `inner` in between, and is not empty.
fn is_word(text: &str, edge: fn(char) -> bool, inner: &str) -> bool {
    text.starts_with(edge) && text.ends_with(edge) && text.chars().all(|c| edge(c) || inner.contains(c))
}

/// RFC 1123 label: a container's, a volume's, a namespace's name.
pub(in super::super) fn dns_label(text: &str) -> Syntax {
    when(
        text.len() <= LABEL_LEN_MAX && is_word(text, is_lower_alnum, "-"),
        "use at most 63 lower-case letters, digits and `-`, with a letter or digit at both ends",
    )
}

/// RFC 1123 subdomain: a pod's name.
pub(in super::super) fn dns_subdomain(text: &str) -> Syntax {
    when(
        text.len() <= SUBDOMAIN_LEN_MAX && text.split('.').all(|part| is_word(part, is_lower_alnum, "-")),
        "use at most 253 lower-case letters, digits, `-` and `.`, with a letter or digit at both ends and around each `.`",
    )
}

/// A search domain: as a subdomain, but services are found under names with `_` too.
pub(super) fn search_domain(text: &str) -> Syntax {
    when(
        text.len() <= SUBDOMAIN_LEN_MAX
            && text.split('.').all(|part| is_word(part, |c| is_lower_alnum(c) || c == '_', "-")),
        "use at most 253 lower-case letters, digits, `-`, `_` and `.`, with none of `-` at the ends",
    )
}

/// A `sysctls[].name`: words with `.` or `/` between.
pub(super) fn sysctl(text: &str) -> Syntax {
    when(
        text.len() <= SUBDOMAIN_LEN_MAX
            && text.split(['.', '/']).all(|part| is_word(part, is_lower_alnum, "-_")),
        "use at most 253 lower-case letters, digits, `-` and `_`, with `.` or `/` between the words",
    )
}

/// A label's or annotation's key: `[prefix/]name`.
pub(super) fn qualified(text: &str) -> Syntax {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if let Some(prefix) = prefix {
        when(
            dns_subdomain(prefix).is_ok(),
            "before the `/` stands a DNS name in lower case, like example.com",
        )?;
    }
    when(
        name.len() <= LABEL_LEN_MAX && is_word(name, |c| c.is_ascii_alphanumeric(), "-_."),
        "a key is `[prefix/]name`; the name has at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends",
    )
}

/// A label's value.
pub(super) fn label_value(text: &str) -> Syntax {
    let ok = text.is_empty() || is_word(text, |c| c.is_ascii_alphanumeric(), "-_.");
    when(
        text.len() <= LABEL_LEN_MAX && ok,
        "use at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends",
    )
}

/// An environment variable: printable ASCII without `=`.
pub(super) fn env_name(text: &str) -> Syntax {
    when(
        text.chars().all(|c| matches!(c, ' '..='~') && c != '='),
        "use printable ASCII characters other than `=`",
    )
}

/// A key of a ConfigMap or Secret: can be a file's name.
pub(in super::super) fn file_key(text: &str) -> Syntax {
    when(
        (1..=SUBDOMAIN_LEN_MAX).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            && text != "."
            && !text.starts_with(".."),
        "use at most 253 letters, digits, `-`, `_` and `.`; neither `.` nor two dots at the beginning",
    )
}

/// A file's path in a volume that Berth writes: its own entries there begin with two dots.
pub(super) fn file_path(text: &str) -> Syntax {
    descending(text)?;
    when(!text.starts_with(".."), "must not begin with `..`")?;
    when(
        text.split('/').all(|step| !step.is_empty() && step != "."),
        "write each step of the path once, without `.`",
    )
}

/// A port's name, as IANA has service names.
pub(super) fn port_name(text: &str) -> Syntax {
    let shape = text.len() <= PORT_NAME_LEN_MAX && is_word(text, is_lower_alnum, "-") && !text.contains("--");
    when(
        shape && text.contains(|c: char| c.is_ascii_lowercase()),
        "use at most 15 lower-case letters, digits and single `-`, with at least one letter and none of `-` at the ends",
    )
}

/// A header's name in HTTP.
pub(super) fn http_header(text: &str) -> Syntax {
    when(
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'),
        "use letters, digits and `-`, like X-Header-Name",
    )
}

/// A `metadata.uid`: becomes a directory's and a cgroup's name.
pub(super) fn uid(text: &str) -> Syntax {
    when(
        text.len() <= UID_LEN_MAX
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !text.starts_with('-'),
        "use at most 64 letters, digits and `-`, not beginning with `-`; or leave it out",
    )
}

/// No step of the path leads up.
pub(super) fn no_backsteps(path: &str) -> Syntax {
    when(path.split('/').all(|step| step != ".."), "must not contain `..`")
}

/// A path that stays below where it starts.
pub(super) fn descending(path: &str) -> Syntax {
    when(!path.starts_with('/'), "must be a relative path")?;
    no_backsteps(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule, what it takes, what it refuses.
    type Case = (fn(&str) -> Syntax, &'static [&'static str], &'static [&'static str]);

    #[test]
    fn tables() {
        let cases: &[Case] = &[
            (dns_label, &["a", "0", "a-b", "a1"], &["", "-a", "a-", "A", "a.b", "a_b", "é"]),
            (dns_subdomain, &["a", "a.b-c.0"], &["", ".", "a.", ".a", "a..b", "a.-b", "A", "a_b"]),
            (search_domain, &["a", "_tcp.a-b", "a_b"], &["", ".", "-a", "a..b", "A"]),
            (sysctl, &["net.ipv4.tcp_rmem", "kernel/sem"], &["", "a.", "/a", "a..b", "A.b", "a b", "-a"]),
            (qualified, &["a", "A_b.c-d", "example.com/a"], &["", "/a", "a/", "a/b/c", "-a", "X.y/a", "a b"]),
            (label_value, &["", "a", "A.b_c"], &["-", "a/b", "a ", "ü"]),
            (env_name, &["A", "a.b-c", "1", "a b"], &["A=B", "A\n", "Ä"]),
            (port_name, &["http", "a-b", "8a"], &["", "80", "a--b", "-a", "A", "abcdefghijklmnop"]),
            (uid, &["0", "a-B"], &["-a", "a/b", ".", "a b"]),
            (no_backsteps, &["", "/", "/a/...", "a..b"], &["..", "/..", "a/../b", "../a"]),
            (descending, &["a", "a/b", "."], &["/", "/a", "..", "a/.."]),
        ];
        for (rule, good, bad) in cases {
            for text in *good {
                assert_eq!(rule(text), Ok(()), "{text}");
            }
            for text in *bad {
                assert!(rule(text).is_err(), "{text}");
            }
        }
        let (at, over) = ("a".repeat(63), "a".repeat(64));
        assert!(dns_label(&at).is_ok() && dns_label(&over).is_err());
        assert!(qualified(&at).is_ok() && qualified(&over).is_err());
        assert!(label_value(&at).is_ok() && label_value(&over).is_err());
        assert!(uid(&over).is_ok() && uid(&"a".repeat(65)).is_err());
        let name = "a.".repeat(126);
        assert!(dns_subdomain(&format!("{name}b")).is_ok() && dns_subdomain(&format!("{name}bb")).is_err());
    }
}
