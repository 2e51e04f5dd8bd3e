//! Scalars against the type that a field has. Where Kubernetes' YAML 1.1 reader and our 1.2 reader take a
//! plain word for different things, the word is either read as Kubernetes does or refused, never read
//! differently in silence.

use super::{finding::quote, node::Node, quantity};
use serde_json::Value;

/// What YAML 1.1 makes of a plain word that YAML 1.2 takes for a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Yaml11 {
    /// `yes`, `off`…
    Bool(bool),
    /// `0755`, `1_000`.
    Number,
}

/// How YAML 1.1 reads the plain word `text`, if not as a string.
pub(super) fn yaml11(text: &str) -> Option<Yaml11> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Some(Yaml11::Bool(true)),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Some(Yaml11::Bool(false)),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let number = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
        && (digits.contains('_') || (digits.len() > 1 && digits.starts_with('0')));
    number.then_some(Yaml11::Number)
}

/// A string. `is_plain` tells whether it stands without quotes; it is asked only when that matters.
pub(super) fn text(node: &Node, is_plain: impl FnOnce() -> bool) -> Result<Value, String> {
    let quoted =
        |shown: String| Err(format!("{} where a string is required: quote it: \"{shown}\"", node.what()));
    match node {
        Node::Text(text) if text.contains('\0') => {
            Err(format!("Invalid value: {}: contains a NUL character", quote(text)))
        }
        Node::Text(text) => match yaml11(text) {
            Some(seen) if is_plain() => {
                let seen = if seen == Yaml11::Number { "number" } else { "boolean" };
                Err(format!("Kubernetes reads this as a {seen}: quote it: \"{text}\""))
            }
            _ => Ok(Value::from(text.as_str())),
        },
        Node::Bool(value) => quoted(value.to_string()),
        Node::Int(value) => quoted(value.to_string()),
        // Not as it was written, perhaps: 1.50.
        Node::Float(_) => Err(format!("{} where a string is required: quote it", node.what())),
        Node::Null | Node::List(_) | Node::Map(_) => {
            Err(format!("{} where a string is required", node.what()))
        }
    }
}

/// One of `choices`.
pub(super) fn choice(
    node: &Node,
    choices: &[&str],
    is_plain: impl FnOnce() -> bool,
) -> Result<Value, String> {
    let value = text(node, is_plain)?;
    match value.as_str() {
        Some(text) if choices.contains(&text) => Ok(value),
        other => {
            let choices: Vec<String> = choices.iter().map(|choice| quote(choice)).collect();
            let shown = quote(other.unwrap_or_default());
            Err(format!("Unsupported value: {shown}: supported values: {}", choices.join(", ")))
        }
    }
}

/// `true` or `false`, also as YAML 1.1 spells them.
pub(super) fn boolean(node: &Node, is_plain: impl FnOnce() -> bool) -> Result<Value, String> {
    match node {
        Node::Bool(value) => Ok(Value::from(*value)),
        Node::Text(text) => match yaml11(text) {
            Some(Yaml11::Bool(value)) if is_plain() => Ok(Value::from(value)),
            _ if matches!(text.as_str(), "true" | "false") => {
                Err("a string where true or false is required: remove the quotes".to_owned())
            }
            _ => Err("a string where true or false is required".to_owned()),
        },
        other => Err(format!("{} where true or false is required", other.what())),
    }
}

/// A whole number within `min..=max`.
pub(super) fn integer(node: &Node, min: i64, max: i64) -> Result<Value, String> {
    match node {
        Node::Int(value) => match i64::try_from(*value) {
            Ok(number) if (min..=max).contains(&number) => Ok(Value::from(number)),
            _ if max == i64::MAX && *value < i128::from(max) => {
                Err(format!("Invalid value: {value}: must be greater than or equal to {min}"))
            }
            _ => Err(format!("Invalid value: {value}: must be between {min} and {max}, inclusive")),
        },
        Node::Float(value) => Err(format!("Invalid value: {value}: must be a whole number")),
        Node::Text(text) if yaml11(text) == Some(Yaml11::Number) => Err(format!(
            "Invalid value: {}: write the number in decimal, without leading zeros and underscores",
            quote(text)
        )),
        Node::Text(text) if text.parse::<i64>().is_ok() => {
            Err("a string where a number is required: remove the quotes".to_owned())
        }
        other => Err(format!("{} where a number is required", other.what())),
    }
}

/// Permissions: a plain `0644` is octal, as Kubernetes' reader takes it.
pub(super) fn mode(node: &Node, is_plain: impl FnOnce() -> bool) -> Result<Value, String> {
    let octal = match node {
        Node::Text(text) if yaml11(text) == Some(Yaml11::Number) => {
            if !is_plain() {
                return Err("a string where a number is required: remove the quotes".to_owned());
            }
            i128::from_str_radix(text, 8).ok().map(Node::Int)
        }
        _ => None,
    };
    integer(octal.as_ref().unwrap_or(node), 0, MODE_MAX).map_err(|why| format!("{why}; write 0644, say"))
}

/// All permissions and none of the bits above them.
const MODE_MAX: i64 = 0o777;

/// A quantity, as it was written.
pub(super) fn amount(node: &Node) -> Result<Value, String> {
    let written = match node {
        Node::Int(value) => value.to_string(),
        Node::Float(value) => value.to_string(),
        Node::Text(text) if yaml11(text).is_none() => text.clone(),
        Node::Text(text) => {
            return Err(format!(
                "Invalid value: {}: write it without leading zeros and underscores",
                quote(text)
            ));
        }
        other => return Err(format!("{} where a quantity like 100m or 64Mi is required", other.what())),
    };
    match quantity::parse(&written) {
        Ok(_) => Ok(Value::from(written)),
        Err(error) => Err(format!("Invalid value: {}: {error}", quote(&written))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_yaml_1_1_takes_for_something_else() {
        for word in ["yes", "No", "ON", "off", "y", "N", "0755", "00", "1_000", "-010", "0_7"] {
            assert!(yaml11(word).is_some(), "{word}");
        }
        for word in ["yEs", "0", "755", "_1", "0x10", "0.5", "a1_0", "", "-", "true"] {
            assert_eq!(yaml11(word), None, "{word}");
        }
    }

    #[test]
    fn permissions_are_octal_with_a_zero_before_them() {
        let word = |text: &str| Node::Text(text.to_owned());
        for (node, plain, value) in [
            (word("0400"), true, Some(256)),
            (word("0777"), true, Some(511)),
            (Node::Int(256), true, Some(256)),
            (word("0400"), false, None),
            (word("0800"), true, None),
            (word("01777"), true, None),
            (word("-010"), true, None),
            (Node::Int(1000), true, None),
        ] {
            assert_eq!(mode(&node, || plain).ok(), value.map(Value::from), "{node:?}");
        }
    }

    #[test]
    fn plain_words_follow_kubernetes_and_quoted_ones_are_strings() {
        let yes = Node::Text("yes".to_owned());
        assert_eq!(boolean(&yes, || true), Ok(Value::from(true)));
        assert!(boolean(&yes, || false).is_err());
        assert!(text(&yes, || true).is_err());
        assert_eq!(text(&yes, || false), Ok(Value::from("yes")));
    }
}
