//! Which container of a pod is meant. Pure.

use super::{failure::Failure, json};
use serde_json::Value;

/// kubectl's annotation for the container that is meant when none is named.
const DEFAULT_ANNOTATION: &str = "/metadata/annotations/kubectl.kubernetes.io~1default-container";

/// Names of all containers of the pod, those that initialise it last.
pub(crate) fn names(pod: &Value) -> Vec<&str> {
    let of = |pointer| json::list(pod, pointer).iter().map(|container| json::text(container, "/name"));
    of("/spec/containers").chain(of("/spec/initContainers")).collect()
}

/// The status of a container; null when there is none yet.
pub(crate) fn status<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let of = |pointer| json::list(pod, pointer).iter();
    let mut all = of("/status/containerStatuses").chain(of("/status/initContainerStatuses"));
    all.find(|status| json::text(status, "/name") == name).unwrap_or(&Value::Null)
}

/// The container named, else the pod's default. With it, what to tell people when it was a guess.
///
/// # Errors
/// The pod has no container of that name.
pub(crate) fn choose<'a>(pod: &'a Value, named: Option<&str>) -> Result<(&'a str, Option<String>), Failure> {
    let all = names(pod);
    if let Some(named) = named {
        let found = all.iter().find(|name| **name == named);
        let pod = json::text(pod, "/metadata/name");
        return found.map(|name| (*name, None)).ok_or_else(|| {
            Failure::error(format!("pod {pod:?} has no container {named:?}; it has: {}", all.join(", ")))
        });
    }
    let annotated = json::text(pod, DEFAULT_ANNOTATION);
    if let Some(name) = all.iter().find(|name| **name == annotated) {
        return Ok((*name, None));
    }
    let first = all.first().ok_or_else(|| Failure::error("the pod has no container"))?;
    let note = (all.len() > 1).then(|| format!("Defaulted container {first:?} out of: {}", all.join(", ")));
    Ok((*first, note))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_container_is_named_annotated_or_the_first() {
        let mut pod = json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]},
        });
        assert_eq!(choose(&pod, Some("i")), Ok(("i", None)));
        assert_eq!(choose(&pod, None), Ok(("a", Some("Defaulted container \"a\" out of: a, b, i".into()))));
        let error = Failure::Error("pod \"p\" has no container \"x\"; it has: a, b, i".into());
        assert_eq!(choose(&pod, Some("x")), Err(error));
        pod["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/default-container": "b"});
        assert_eq!(choose(&pod, None), Ok(("b", None)));
        assert_eq!(choose(&json!({"spec": {"containers": [{"name": "a"}]}}), None), Ok(("a", None)));
    }
}
