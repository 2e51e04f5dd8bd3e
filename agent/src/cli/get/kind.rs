//! The kinds of object that `get` knows, under the names that kubectl's users type.

use clap::{
    Arg, Command, Error,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
    error::ErrorKind,
};
use std::ffi::OsStr;

/// What is to be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pods,
    Images,
    Events,
    Problems,
    Sources,
    Nodes,
    ConfigMaps,
    Secrets,
    Claims,
    Policies,
}

/// `KIND` or `KIND/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) name: Option<String>,
}

const NAMES: &[(&str, &[&str], Kind)] = &[
    ("pods", &["pod", "po"], Kind::Pods),
    ("images", &["image"], Kind::Images),
    ("events", &["event", "ev"], Kind::Events),
    ("problems", &["problem"], Kind::Problems),
    ("sources", &["source"], Kind::Sources),
    ("nodes", &["node", "no"], Kind::Nodes),
    ("configmaps", &["configmap", "cm"], Kind::ConfigMaps),
    ("secrets", &["secret"], Kind::Secrets),
    ("persistentvolumeclaims", &["persistentvolumeclaim", "pvc"], Kind::Claims),
    ("networkpolicies", &["networkpolicy", "netpol"], Kind::Policies),
];

/// Reads a [`Target`]; completions offer the plural names.
#[derive(Debug, Clone)]
pub(super) struct KindParser;

impl TypedValueParser for KindParser {
    type Value = Target;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Target, Error> {
        let text = StringValueParser::new().parse_ref(command, arg, value)?;
        parse(&text).ok_or_else(|| {
            let known = NAMES.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ");
            let message = format!("there is no kind {text:?}; there are: {known}\n");
            Error::raw(ErrorKind::InvalidValue, message).with_cmd(command)
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(NAMES.iter().map(|(name, ..)| PossibleValue::new(*name))))
    }
}

fn parse(text: &str) -> Option<Target> {
    let (kind, name) = text.split_once('/').map_or((text, None), |(kind, name)| (kind, Some(name)));
    let (.., kind) = NAMES.iter().find(|(plural, others, _)| *plural == kind || others.contains(&kind))?;
    match name {
        Some("") => None,
        name => Some(Target { kind: *kind, name: name.map(str::to_owned) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_go_by_several_names() {
        let target = |kind, name: Option<&str>| Some(Target { kind, name: name.map(str::to_owned) });
        for (text, expected) in [
            ("pods", target(Kind::Pods, None)),
            ("po", target(Kind::Pods, None)),
            ("pod/web", target(Kind::Pods, Some("web"))),
            ("ev", target(Kind::Events, None)),
            ("image", target(Kind::Images, None)),
            ("problems", target(Kind::Problems, None)),
            ("no", target(Kind::Nodes, None)),
            ("cm/conf", target(Kind::ConfigMaps, Some("conf"))),
            ("pvc", target(Kind::Claims, None)),
            ("pod/", None),
            ("deployments", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
