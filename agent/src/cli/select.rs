//! Which objects a command is about: by namespace, by name, by labels. Pure.

use super::{failure::Failure, json};
use serde_json::Value;

mod labels;

pub(crate) use labels::Selector;

/// Namespace of a pod whose manifest names none.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// The namespace that a command looks into.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Namespace {
    /// Namespace of the pods
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_NAMESPACE)]
    pub(crate) namespace: String,
}

/// `NAME` of `NAME`, `pod/NAME`, `pods/NAME` or `po/NAME`.
///
/// # Errors
/// It names another kind of object.
pub(crate) fn pod_name(name: &str) -> Result<&str, Failure> {
    match name.split_once('/') {
        None => Ok(name),
        Some(("pod" | "pods" | "po", name)) if !name.is_empty() => Ok(name),
        Some(_) => Err(Failure::Usage(format!("{name:?} names no pod: write NAME or pod/NAME"))),
    }
}

/// Whether `name`, with or without the node's suffix, is the pod's name.
pub(crate) fn is_named(pod: &Value, name: &str) -> bool {
    let full = json::text(pod, "/metadata/name");
    let node = json::text(pod, "/spec/nodeName").to_lowercase();
    full == name
        || !node.is_empty() && full.strip_suffix(&*node).and_then(|n| n.strip_suffix('-')) == Some(name)
}

/// Whether the pod is on its way out.
pub(crate) fn is_going(pod: &Value) -> bool {
    !json::text(pod, "/metadata/deletionTimestamp").is_empty()
}

/// The pod of that name: the one with just this name before one that has it without the suffix; of two
/// revisions the one that comes before the one that goes.
pub(crate) fn find<'a>(pods: &'a [Value], namespace: &str, name: &str) -> Option<&'a Value> {
    let here = || pods.iter().filter(|pod| json::text(pod, "/metadata/namespace") == namespace);
    let full = here().filter(|pod| json::text(pod, "/metadata/name") == name).min_by_key(|pod| is_going(pod));
    full.or_else(|| here().filter(|pod| is_named(pod, name)).min_by_key(|pod| is_going(pod)))
}

/// That there is no such pod; tells where there is one of the name.
pub(crate) fn not_found(pods: &[Value], namespace: &str, name: &str) -> Failure {
    let elsewhere =
        pods.iter().find(|pod| is_named(pod, name)).map(|pod| json::text(pod, "/metadata/namespace"));
    Failure::error(match elsewhere {
        Some(other) => {
            format!(
                "pod {name:?} not found in namespace {namespace:?}; there is one in {other:?}: add -n {other}"
            )
        }
        None => {
            format!("pod {name:?} not found in namespace {namespace:?}; `berth get pods -A` lists all pods")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(namespace: &str, name: &str, node: &str) -> Value {
        json!({"metadata": {"namespace": namespace, "name": name}, "spec": {"nodeName": node}})
    }

    #[test]
    fn names_with_and_without_the_nodes_suffix() {
        let web = pod("default", "web-box1", "Box1");
        for (name, is) in [("web", true), ("web-box1", true), ("we", false), ("web-", false), ("", false)] {
            assert_eq!(is_named(&web, name), is, "{name}");
        }
        assert!(!is_named(&pod("default", "web", ""), "we"));
    }

    #[test]
    fn the_full_name_wins() {
        let pods = [pod("a", "x-x", "x"), pod("a", "x", "y"), pod("b", "x-x", "x")];
        assert_eq!(find(&pods, "a", "x"), Some(&pods[1]));
        assert_eq!(find(&pods, "b", "x"), Some(&pods[2]));
        assert_eq!(find(&pods, "c", "x"), None);
    }

    #[test]
    fn what_is_not_found_may_be_elsewhere() {
        let pods = [pod("prod", "web-n", "n")];
        let Failure::Error(message) = not_found(&pods, "default", "web") else { panic!() };
        assert!(message.ends_with("add -n prod"), "{message}");
        let Failure::Error(message) = not_found(&pods, "default", "db") else { panic!() };
        assert!(message.contains("`berth get pods -A`"), "{message}");
    }

    #[test]
    fn kinds_before_names() {
        assert_eq!(pod_name("web"), Ok("web"));
        assert_eq!(pod_name("pod/web"), Ok("web"));
        assert_eq!(pod_name("pods/web"), Ok("web"));
        assert!(pod_name("deployment/web").is_err());
        assert!(pod_name("pod/").is_err());
    }
}
