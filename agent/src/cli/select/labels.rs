//! Label selectors, in Kubernetes' language: `a=b,c!=d,e,!f,g in (h,i),j notin (k)`. Pure.

use serde_json::Value;
use std::str::FromStr;

/// Requirements that must all be met.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Missing(String),
    /// The label is there with one of these values.
    In(String, Vec<String>),
    /// The label is absent, or has none of these values.
    NotIn(String, Vec<String>),
}

impl Selector {
    /// Whether an object's labels meet all requirements.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels").unwrap_or(&Value::Null);
        let value = |key: &String| labels.get(key).and_then(Value::as_str);
        self.0.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => value(key).is_some(),
            Requirement::Missing(key) => value(key).is_none(),
            Requirement::In(key, values) => value(key).is_some_and(|v| values.iter().any(|w| w == v)),
            Requirement::NotIn(key, values) => value(key).is_none_or(|v| values.iter().all(|w| w != v)),
        })
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut requirements = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            // A comma within parentheses does not end a requirement.
            let end = match (rest.find(','), rest.find('(')) {
                (Some(comma), Some(open)) if open < comma => {
                    let close = rest.find(')').ok_or_else(|| format!("{text:?}: a ( without its )"))?;
                    rest[close..].find(',').map_or(rest.len(), |comma| close + comma)
                }
                (comma, _) => comma.unwrap_or(rest.len()),
            };
            requirements.push(requirement(rest[..end].trim()).ok_or_else(|| {
                format!(
                    "{:?} is no label requirement: write key=value, key!=value, key, !key or key in (a,b)",
                    &rest[..end]
                )
            })?);
            rest = rest[end..].trim_start_matches(',').trim_start();
        }
        Ok(Self(requirements))
    }
}

fn requirement(text: &str) -> Option<Requirement> {
    if let Some(key) = text.strip_prefix('!') {
        return label(key).map(Requirement::Missing);
    }
    if let Some(list) = text.strip_suffix(')') {
        let (head, list) = list.split_once('(')?;
        let values = list.split(',').map(|value| value.trim().to_owned()).collect();
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        return match operator {
            "in" => Some(Requirement::In(label(key)?, values)),
            "notin" => Some(Requirement::NotIn(label(key)?, values)),
            _ => None,
        };
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Some(Requirement::NotIn(label(key)?, vec![value.trim().into()]));
    }
    match text.split_once('=') {
        Some((key, value)) => {
            Some(Requirement::In(label(key)?, vec![value.strip_prefix('=').unwrap_or(value).trim().into()]))
        }
        None => label(text).map(Requirement::Exists),
    }
}

/// A label's key, if it can be one.
fn label(key: &str) -> Option<String> {
    let key = key.trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    (!key.is_empty() && key.chars().all(fits)).then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requirements_hold_or_not() {
        let pod = json!({"metadata": {"labels": {"app": "web", "tier": "front", "a.b/c": ""}}});
        for (selector, matches) in [
            ("", true),
            ("app=web", true),
            ("app==web", true),
            ("app = web , tier=front", true),
            ("app=db", false),
            ("app!=db", true),
            ("app!=web", false),
            ("none!=x", true),
            ("app", true),
            ("a.b/c", true),
            ("none", false),
            ("!none", true),
            ("!app", false),
            ("app in (db, web)", true),
            ("app in (db),tier=front", false),
            ("app notin (db,cache),tier", true),
            ("none notin (x)", true),
            ("none in (x)", false),
        ] {
            assert_eq!(selector.parse::<Selector>().unwrap().matches(&pod), matches, "{selector}");
        }
        assert!("app=web".parse::<Selector>().is_ok_and(|s| !s.matches(&json!({}))));
    }

    #[test]
    fn nonsense_is_told() {
        for text in ["=a", "a in b", "a in (b", "a of (b)", "!", "a b", "a>1"] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }
}
