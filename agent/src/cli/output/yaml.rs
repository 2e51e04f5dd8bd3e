//! JSON as YAML that every reader understands alike, those of YAML 1.1 (Kubernetes' own, Python's) included: a
//! text that one of them could take for a boolean, a number or a date is in quotes. Pure.

use serde_json::Value;
use std::fmt::Write;

/// The value as a YAML document.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => mapping(&mut text, value, 0),
        Value::Array(list) if !list.is_empty() => sequence(&mut text, list, 0),
        _ => {
            scalar(&mut text, value, 0);
            text.push('\n');
        }
    }
    text
}

/// Lines `key: value`, the first of them where the text stands.
fn mapping(text: &mut String, value: &Value, indent: usize) {
    for (i, (key, value)) in value.as_object().into_iter().flatten().enumerate() {
        if i > 0 {
            spaces(text, indent);
        }
        quoted_if_needed(text, key);
        text.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                text.push('\n');
                spaces(text, indent + 2);
                mapping(text, value, indent + 2);
            }
            // As far in as its key: that is how kubectl prints lists.
            Value::Array(list) if !list.is_empty() => {
                text.push('\n');
                spaces(text, indent);
                sequence(text, list, indent);
            }
            _ => {
                text.push(' ');
                scalar(text, value, indent);
                text.push('\n');
            }
        }
    }
}

/// Lines `- item`, the first of them where the text stands.
fn sequence(text: &mut String, list: &[Value], indent: usize) {
    for (i, item) in list.iter().enumerate() {
        if i > 0 {
            spaces(text, indent);
        }
        text.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => mapping(text, item, indent + 2),
            Value::Array(list) if !list.is_empty() => sequence(text, list, indent + 2),
            _ => {
                scalar(text, item, indent);
                text.push('\n');
            }
        }
    }
}

/// What fits behind a key; `indent` is that of the line.
fn scalar(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::String(content) if is_block(content) => block(text, content, indent + 2),
        Value::String(content) => quoted_if_needed(text, content),
        // null, true, 7, {} and [] are the same in both languages.
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

fn spaces(text: &mut String, count: usize) {
    text.extend(std::iter::repeat_n(' ', count));
}

/// Whether a text of several lines can stand as it is: nothing in it gets lost at the ends of lines, and it has
/// one line feed at its end or none.
fn is_block(content: &str) -> bool {
    let body = content.strip_suffix('\n').unwrap_or(content);
    let plain = |c: char| c == '\n' || c == '\t' || !unprintable(c);
    body.contains('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && !body.ends_with('\n')
        && body.chars().all(plain)
        && body.lines().all(|line| !line.ends_with([' ', '\t']))
}

fn block(text: &mut String, content: &str, indent: usize) {
    text.push_str(if content.ends_with('\n') { "|" } else { "|-" });
    for line in content.lines() {
        text.push('\n');
        if !line.is_empty() {
            spaces(text, indent);
            text.push_str(line);
        }
    }
}

fn quoted_if_needed(text: &mut String, content: &str) {
    if is_plain(content) {
        text.push_str(content);
        return;
    }
    text.push('"');
    for c in content.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            c if unprintable(c) => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

/// Characters that YAML does not let stand for themselves; all of them have four hex digits.
fn unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a text can stand without quotes and is a text to everybody.
fn is_plain(content: &str) -> bool {
    const WORDS: [&str; 12] =
        ["y", "n", "yes", "no", "on", "off", "true", "false", "null", ".inf", ".nan", "="];
    let mut chars = content.chars();
    let Some(first) = chars.next() else { return false };
    let indicator = "?:,[]{}#&*!|>'\"%@`~<=".contains(first)
        || first == '-' && chars.next().is_none_or(|next| next == ' ');
    !indicator
        && !content.starts_with("---")
        && !first.is_whitespace()
        && !content.ends_with([' ', ':'])
        && !content.contains(": ")
        && !content.contains(" #")
        && !content.chars().any(unprintable)
        && !WORDS.contains(&content.trim_start_matches(['+', '-']).to_lowercase().as_str())
        && !is_number(content)
}

/// Whether a text reads as a number, a time of day or a date in one of YAML's versions. Rather too often than
/// too seldom: quotes harm nobody.
fn is_number(content: &str) -> bool {
    let body = content.trim_start_matches(['+', '-']).to_lowercase();
    if !body.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let prefixed = ["0x", "0o", "0b"].iter().any(|prefix| body.starts_with(prefix));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '_' || c == '.');
    // Two dots make an address or a version of it.
    let decimal = |text: &str| digits(text) && text.matches('.').count() < 2;
    let (mantissa, exponent) = body.split_once('e').unwrap_or((body.as_str(), "0"));
    let scientific = decimal(mantissa) && decimal(exponent.trim_start_matches(['+', '-']));
    let sexagesimal = body.contains(':') && body.chars().all(|c| digits(&c.to_string()) || c == ':');
    let date = body.len() >= 8 && body.as_bytes()[4] == b'-' && digits(&body[..4]);
    prefixed || scientific || sexagesimal || date
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_looks_like_kubectls() {
        let value = json!({
            "kind": "Pod",
            "metadata": {"labels": {}, "name": "a"},
            "spec": {"containers": [{"args": ["-c", "x"], "image": "a:1"}, {"name": "b"}], "list": [[1, 2], []]},
            "text": "one\n  two\n\nthree\n", "tail": "a\nb",
        });
        let expected = "kind: Pod\nmetadata:\n  labels: {}\n  name: a\nspec:\n  containers:\n  - args:\n    - -c\n    - x\n    \
                        image: a:1\n  - name: b\n  list:\n  - - 1\n    - 2\n  - []\ntail: |-\n  a\n  b\ntext: |\n  one\n    two\n\n  three\n";
        assert_eq!(document(&value), expected);
        assert_eq!(serde_yaml::from_str::<Value>(expected).unwrap(), value);
    }

    #[test]
    fn what_somebody_could_mistake_is_quoted() {
        for text in [
            "",
            "yes",
            "No",
            "ON",
            "y",
            "null",
            "~",
            "true",
            "1",
            "-1",
            "+1",
            "0755",
            "1_000",
            "0x1f",
            "0b1",
            "1e3",
            "62525e18",
            ".5",
            "1.",
            ".inf",
            "-.INF",
            "1:30",
            "2026-01-01",
            "2026-01-01T00:00:00Z",
            "=",
            "<<",
            "- a",
            "-",
            "---",
            "? a",
            "a: b",
            "a #b",
            "# a",
            "a:",
            " a",
            "a ",
            "[a",
            "{a",
            "&a",
            "*a",
            "!a",
            "|",
            ">",
            "%a",
            "@a",
            "`a",
            "'a",
            "\"a",
            "a\u{1}",
            "a\nb ",
            "\u{feff}a",
            "a\n\n",
            " a\nb",
        ] {
            let yaml = document(&json!({ "k": text }));
            assert!(yaml.starts_with("k: \""), "{yaml:?}");
            assert_eq!(serde_yaml::from_str::<Value>(&yaml).unwrap(), json!({ "k": text }), "{yaml}");
        }
    }

    #[test]
    fn what_nobody_mistakes_is_not() {
        for text in [
            "web-box",
            "sh",
            "-c",
            "--flag=x",
            "/data",
            "10.0.0.5",
            "1.2.3",
            "docker.io/library/nginx:1.27",
            "sha256:00ff",
            "a b",
            "it's",
            "é",
            "500m",
            "64Mi",
            "1b36c204ac13",
            "x=y",
            "kubernetes.io/config.hash",
            "a\\b",
        ] {
            let yaml = document(&json!({ "k": text }));
            assert_eq!(yaml, format!("k: {text}\n"));
            assert_eq!(serde_yaml::from_str::<Value>(&yaml).unwrap(), json!({ "k": text }), "{yaml}");
        }
    }
}
