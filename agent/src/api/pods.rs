//! Finds pods, containers and their logs in a `v1.PodList`. Pure.

use super::ask::Refusal;
use serde_json::{Value, json};
use std::path::Path;

/// A container of a pod, as the list shows it.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pod: &'a Value,
    container: String,
}

/// Finds the pod by name (with or without the node's suffix), and in it the container (the only one if
/// none is named).
///
/// # Errors
/// `NotFound` and `BadRequest`, saying what there is.
pub(super) fn find<'a>(
    list: &'a Value,
    node: &str,
    namespace: &str,
    pod: &str,
    container: Option<&str>,
) -> Result<Found<'a>, Refusal> {
    let suffixed = format!("{pod}-{node}");
    let named = |item: &&Value, name: &str| {
        let meta = &item["metadata"];
        meta["namespace"] == namespace && meta["name"] == name
    };
    let items = || list["items"].as_array().into_iter().flatten();
    // Of two revisions the one that comes before the one that goes.
    let current = |name: &str| {
        items()
            .filter(|item| named(item, name))
            .min_by_key(|item| item["metadata"]["deletionTimestamp"].is_string())
    };
    let found = current(pod).or_else(|| current(&suffixed));
    let item = found.ok_or_else(|| Refusal::not_found(format!("pod {namespace}/{pod} not found")))?;
    let of = |kind: &str| -> Vec<&str> {
        let containers = item["spec"][kind].as_array().into_iter().flatten();
        containers.filter_map(|c| c["name"].as_str()).collect()
    };
    let (names, inits) = (of("containers"), of("initContainers"));
    let container = match (container, &names[..]) {
        (Some(name), _) if names.contains(&name) || inits.contains(&name) => name,
        (Some(name), _) => {
            let message = format!("pod {pod} has no container {name}; it has {}", names.join(", "));
            return Err(Refusal::not_found(message));
        }
        (None, [only]) => only,
        (None, _) => {
            let message = format!("pod {pod} has several containers; name one of {}", names.join(", "));
            return Err(Refusal::bad(message));
        }
    };
    Ok(Found { pod: item, container: container.to_owned() })
}

impl Found<'_> {
    fn status(&self) -> Option<&Value> {
        statuses(self.pod).find(|status| status["name"] == *self.container)
    }

    /// The id of the container that runs.
    ///
    /// # Errors
    /// `Conflict` when it does not run.
    pub(super) fn running_id(&self) -> Result<String, Refusal> {
        let status = self.status().filter(|status| status["state"]["running"].is_object());
        let id = status.and_then(|status| status["containerID"].as_str());
        // `<runtime>://<id>`
        let id = id.map(|id| id.rsplit_once("://").map_or(id, |(_, id)| id).to_owned());
        id.ok_or_else(|| Refusal::conflict(format!("container {} is not running", self.container)))
    }

    /// What `Request::LogLocation` is answered with.
    pub(super) fn log_location(&self, log_dir: &Path) -> Value {
        let meta = |key: &str| self.pod["metadata"][key].as_str().unwrap_or_default();
        let pod = format!("{}_{}_{}", meta("namespace"), meta("name"), meta("uid"));
        let directory = log_dir.join("pods").join(pod).join(&self.container);
        let status = self.status();
        let restarts = status.and_then(|status| status["restartCount"].as_u64()).unwrap_or(0);
        let running = status.is_some_and(|status| status["state"]["running"].is_object());
        json!({
            "directory": directory,
            "restartCount": restarts,
            "running": running,
            "pod": meta("name"),
            "namespace": meta("namespace"),
            "uid": meta("uid"),
            "container": self.container,
        })
    }
}

/// The statuses of all containers of a pod.
fn statuses(pod: &Value) -> impl Iterator<Item = &Value> {
    let of = |kind: &str| pod["status"][kind].as_array().into_iter().flatten();
    of("containerStatuses").chain(of("initContainerStatuses"))
}

/// What `Request::Images` is answered with.
pub(super) fn images(summaries: &[berth_images::ImageSummary], pods: &Value) -> Value {
    let users = |id: &str| -> Vec<String> {
        let of_pod = |pod: &Value| {
            // `<runtime>://sha256:…`, or the id as it is
            let uses = |status: &Value| status["imageID"].as_str().is_some_and(|image| image.ends_with(id));
            let meta = |key: &str| pod["metadata"][key].as_str().unwrap_or_default();
            statuses(pod).any(uses).then(|| format!("{}/{}", meta("namespace"), meta("name")))
        };
        pods["items"].as_array().into_iter().flatten().filter_map(of_pod).collect()
    };
    let item = |image: &berth_images::ImageSummary| {
        json!({
            "names": image.names, "id": image.id, "digest": image.digest, "platform": image.platform,
            "layers": image.layers, "sizeBytes": image.size_bytes, "uniqueBytes": image.unique_bytes,
            "pinned": image.pinned, "vendor": image.vendor, "source": image.source, "usedBy": users(&image.id),
        })
    };
    json!({"items": summaries.iter().map(item).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Value {
        let pod = |name: &str, namespace: &str, containers: &[&str]| {
            let statuses: Vec<_> = containers
                .iter()
                .map(|c| {
                    json!({"name": c, "restartCount": 3, "containerID": format!("berth://id-{c}"),
                        "imageID": "sha256:11", "state": {"running": {}}})
                })
                .collect();
            let specs: Vec<_> = containers.iter().map(|c| json!({"name": c})).collect();
            json!({"metadata": {"name": name, "namespace": namespace, "uid": "u"},
                "spec": {"containers": specs}, "status": {"containerStatuses": statuses}})
        };
        json!({"items": [pod("web-box", "default", &["one"]), pod("web", "other", &["a", "b"])]})
    }

    #[test]
    fn pods_and_containers_are_found_or_told_apart() {
        let list = list();
        let found = |ns: &str, pod: &str, c: Option<&str>| {
            find(&list, "box", ns, pod, c).map(|f| f.running_id().unwrap()).map_err(|r| (r.reason, r.message))
        };
        assert_eq!(found("default", "web", None), Ok("id-one".into()));
        assert_eq!(found("default", "web-box", Some("one")), Ok("id-one".into()));
        assert_eq!(found("other", "web", Some("b")), Ok("id-b".into()));
        for (ns, pod, c, reason, says) in [
            ("default", "none", None, "NotFound", "pod default/none not found"),
            ("default", "web", Some("x"), "NotFound", "it has one"),
            ("other", "web", None, "BadRequest", "name one of a, b"),
        ] {
            let (got, message) = found(ns, pod, c).unwrap_err();
            assert_eq!(got, reason);
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn a_log_lies_where_kubelet_has_it() {
        let list = list();
        let found = find(&list, "box", "default", "web", None).unwrap();
        let location = found.log_location(Path::new("/var/log"));
        assert_eq!(location["directory"], "/var/log/pods/default_web-box_u/one");
        assert_eq!((&location["restartCount"], &location["running"]), (&json!(3), &json!(true)));
    }

    #[test]
    fn a_container_that_does_not_run_takes_no_commands() {
        let mut list = list();
        list["items"][0]["status"]["containerStatuses"][0]["state"] = json!({"waiting": {}});
        let found = find(&list, "box", "default", "web", None).unwrap();
        assert_eq!(found.running_id().unwrap_err().reason, "Conflict");
    }
}
