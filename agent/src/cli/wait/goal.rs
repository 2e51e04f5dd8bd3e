//! What can be waited for. Pure.

use super::super::{json, pod::condition_status, select::is_going};
use serde_json::Value;
use std::{fmt, str::FromStr};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Goal {
    /// A condition has a status.
    Condition { kind: String, status: String },
    /// What a JSON pointer leads to has a value; without a value: is there.
    Field { path: String, pointer: String, value: Option<String> },
    /// The pod is there.
    Create,
    /// It is not.
    Delete,
}

impl Goal {
    pub(super) fn is_deletion(&self) -> bool {
        *self == Self::Delete
    }

    /// Whether it has come true for the pods of one name. Two revisions of a pod are there while one makes way
    /// for the other: then the one that comes counts, but none may be left of a deleted pod.
    pub(super) fn is_met(&self, pods: &[&Value]) -> bool {
        let coming: Vec<&Value> = pods.iter().copied().filter(|pod| !is_going(pod)).collect();
        let pods = if coming.is_empty() || self.is_deletion() { pods } else { &coming };
        match self {
            Self::Create => !pods.is_empty(),
            Self::Delete => pods.is_empty(),
            Self::Condition { kind, status } => {
                pods.iter().any(|pod| condition_status(pod, kind).eq_ignore_ascii_case(status))
            }
            Self::Field { pointer, value, .. } => pods.iter().any(|pod| {
                let found = pod.pointer(pointer).filter(|found| !found.is_null());
                found.is_some_and(|found| value.as_ref().is_none_or(|value| json::plain(found) == *value))
            }),
        }
    }
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("delete") || text.eq_ignore_ascii_case("deleted") {
            return Ok(Self::Delete);
        }
        if text.eq_ignore_ascii_case("create") {
            return Ok(Self::Create);
        }
        match text.split_once('=') {
            Some(("condition", kind)) if kind.eq_ignore_ascii_case("deleted") => Ok(Self::Delete),
            Some(("condition", rest)) if !rest.is_empty() => {
                let (kind, status) = rest.split_once('=').unwrap_or((rest, "True"));
                Ok(Self::Condition { kind: kind.into(), status: status.into() })
            }
            Some(("phase", phase)) if !phase.is_empty() => Ok(Self::Field {
                path: "phase".into(),
                pointer: "/status/phase".into(),
                value: Some(phase.into()),
            }),
            Some(("jsonpath", rest)) => field(rest),
            _ => Err(format!(
                "{text:?} cannot be waited for; write condition=Ready, phase=Succeeded, jsonpath={{.path}}=VALUE, \
                 create or delete"
            )),
        }
    }
}

/// `{.status.podIP}=10.0.0.5`: names and `[n]` only.
fn field(text: &str) -> Result<Goal, String> {
    let bad = || {
        format!(
            "{text:?} is no path that can be waited for; write {{.status.podIP}} or {{.status.podIP}}=VALUE"
        )
    };
    let (path, rest) = text.strip_prefix('{').and_then(|text| text.split_once('}')).ok_or_else(bad)?;
    let value = match rest {
        "" => None,
        rest => Some(rest.strip_prefix('=').ok_or_else(bad)?.to_owned()),
    };
    let plain = path.replace('[', ".").replace(']', "");
    let steps = plain.strip_prefix('.').ok_or_else(bad)?;
    if steps.split('.').any(|step| step.is_empty() || step.contains(['*', '?', '@', '(', '~'])) {
        return Err(bad());
    }
    Ok(Goal::Field { path: path.to_owned(), pointer: format!("/{}", steps.replace('.', "/")), value })
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition { kind, status } if status == "True" => write!(f, "condition {kind}"),
            Self::Condition { kind, status } => write!(f, "condition {kind}={status}"),
            Self::Field { path, value: Some(value), .. } => write!(f, "{path}={value}"),
            Self::Field { path, value: None, .. } => f.write_str(path),
            Self::Create => f.write_str("the creation"),
            Self::Delete => f.write_str("the deletion"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn goals_are_met_or_not() {
        let pod = json!({
            "metadata": {"name": "a"},
            "status": {
                "phase": "Running", "podIP": "10.0.0.5",
                "conditions": [{"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "False"}],
                "containerStatuses": [{"restartCount": 2}],
            },
        });
        for (goal, met, met_by_nothing) in [
            ("condition=Ready", true, false),
            ("condition=ready=true", true, false),
            ("condition=Ready=False", false, false),
            ("condition=Initialized", false, false),
            ("condition=Initialized=False", true, false),
            ("condition=Unheard", false, false),
            ("phase=Running", true, false),
            ("phase=Succeeded", false, false),
            ("jsonpath={.status.podIP}=10.0.0.5", true, false),
            ("jsonpath={.status.podIP}=10.0.0.6", false, false),
            ("jsonpath={.status.podIP}", true, false),
            ("jsonpath={.status.containerStatuses[0].restartCount}=2", true, false),
            ("jsonpath={.status.message}", false, false),
            ("create", true, false),
            ("delete", false, true),
            ("Deleted", false, true),
            ("condition=Deleted", false, true),
        ] {
            let parsed: Goal = goal.parse().unwrap();
            assert_eq!((parsed.is_met(&[&pod]), parsed.is_met(&[])), (met, met_by_nothing), "{goal}");
        }
    }

    #[test]
    fn nonsense_is_told() {
        for text in [
            "",
            "ready",
            "condition=",
            "phase=",
            "jsonpath=status.phase=Running",
            "jsonpath={.a[*]}=b",
            "jsonpath={.a}b",
        ] {
            assert!(text.parse::<Goal>().is_err(), "{text}");
        }
    }
}
