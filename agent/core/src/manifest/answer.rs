//! What an address answered: pods with what they need, explicitly nothing, or nothing that may be acted on. Pure.
//!
//! An answer counts whole or not at all: unlike a file it is not edited by a person who waits for what becomes of
//! the rest, and half of what was meant may be worse than what runs. And since whoever answers may be a proxy, a
//! sign-in page or a server that has lost its disk, only a list that is there and has no items means "no pods".

use super::{
    Format, LoadInput, LoadOutput, Problem,
    document::{self, Document},
    load,
    node::Node,
    text,
};
use serde::de::IgnoredAny;

/// What [`answer`] found.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To be acted on: all pods that the address wants, none if it says so.
    Taken(LoadOutput),
    /// What runs stays; why.
    Refused(Vec<Problem>),
}

/// Reads an answer from `url` for the node: a Pod, a PodList, a List, or YAML documents of these with ConfigMaps,
/// Secrets and claims among them; or JSON.
pub fn answer(url: &str, bytes: &[u8], node: &str) -> Answer {
    // Strictly JSON is read strictly as JSON; YAML would stumble over its tabs.
    let json = serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
    let format = if json { Format::Json } else { Format::Yaml };
    let output = load(&LoadInput { file: url, bytes, format, node, source: "http" });
    if !output.problems.is_empty() {
        return Answer::Refused(output.problems);
    }
    if !output.pods.is_empty() || output.is_empty() && lists_nothing(bytes, format) {
        return Answer::Taken(output);
    }
    let what = if output.is_empty() { "is empty" } else { "has no pod in it" };
    let message = format!("the answer {what}, and changes nothing; to remove all pods answer with {NOTHING}");
    Answer::Refused(vec![Problem {
        file: url.into(),
        line: 0,
        column: 0,
        path: String::new(),
        message,
        pod: None,
    }])
}

/// How nothing is said.
const NOTHING: &str = "{apiVersion: v1, kind: PodList, items: []}";

/// There are lists, and all of them have items, and no item.
fn lists_nothing(bytes: &[u8], format: Format) -> bool {
    let Ok(text) = text::read(bytes, format) else { return false };
    let documents = match format {
        Format::Yaml => document::split(&text).unwrap_or_default(),
        Format::Json => vec![Document { text: &text, first_line: 1, format }],
    };
    let is_empty_list = |document: &Document<'_>| {
        document.parse().is_ok_and(|root| {
            let list = matches!(root.get("kind").and_then(Node::text), Some("PodList" | "List"));
            list && matches!(root.get("items"), Some(Node::List(items)) if items.is_empty())
        })
    };
    !documents.is_empty() && documents.iter().all(is_empty_list)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://a.test/pods";

    fn pod(name: &str) -> String {
        format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {{\"name\": \"{name}\"}}, \"spec\": {{\"containers\": [{{\"name\": \"c\", \"image\": \"i:1\"}}]}}}}"
        )
    }

    /// Names of the pods, or the problems.
    fn read(text: &str) -> Result<Vec<String>, Vec<String>> {
        match answer(URL, text.as_bytes(), "box") {
            Answer::Taken(output) => Ok(output.pods.iter().map(|pod| pod.key.name.to_string()).collect()),
            Answer::Refused(problems) => Err(problems.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn pods_in_every_form() {
        let (a, b) = (pod("a"), pod("b"));
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {k: v}\n";
        for (text, names) in [
            (a.clone(), vec!["a-box"]),
            (format!("\t{a}\n"), vec!["a-box"]),
            (format!("# two\n---\n{a}\n---\n{b}\n"), vec!["a-box", "b-box"]),
            (
                format!("{{\"apiVersion\": \"v1\", \"kind\": \"PodList\",\n\t\"items\": [{a}, {b}]}}"),
                vec!["a-box", "b-box"],
            ),
            (format!("apiVersion: v1\nkind: List\nitems: [{a}]"), vec!["a-box"]),
            (format!("{map}---\n{a}"), vec!["a-box"]),
            (format!("---\n{{apiVersion: v1, kind: PodList, items: []}}\n---\n{a}"), vec!["a-box"]),
        ] {
            assert_eq!(read(&text), Ok(names.into_iter().map(str::to_owned).collect()), "{text}");
        }
        let Answer::Taken(output) = answer(URL, a.as_bytes(), "box") else { panic!() };
        assert_eq!(&*output.pods[0].origin, URL);
        assert_eq!(output.pods[0].pod.metadata.annotations["kubernetes.io/config.source"], "http");
    }

    #[test]
    fn only_an_empty_list_means_no_pods() {
        for text in [
            "{\"apiVersion\": \"v1\", \"kind\": \"PodList\", \"items\": []}",
            "apiVersion: v1\nkind: List\nmetadata: {}\nitems: []\n",
            "---\napiVersion: v1\nkind: PodList\nitems: []\n---\n# and\n",
        ] {
            assert_eq!(read(text), Ok(Vec::new()), "{text}");
        }
        for text in [
            "",
            "\n",
            "\0\0\0\0",
            "# nothing\n",
            "---\n",
            "null",
            "{}",
            "[]",
            "items: []",
            "kind: PodList\nitems: []",
            "apiVersion: v1\nkind: PodList\n",
            "apiVersion: v1\nkind: PodList\nitems: null\n",
            "apiVersion: v1\nkind: PodList\nitems: {}\n",
            "<html></html>",
            "Service Unavailable",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {}\n",
            "apiVersion: v1\nkind: PodList\nitems: []\n---\nnull",
        ] {
            read(text).expect_err(text);
        }
    }

    #[test]
    fn one_wrong_pod_refuses_the_whole_answer() {
        // kubelet's cases: version, volume, container names twice and none.
        let good = pod("a");
        let spec = |more: &str| {
            format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: b}}\nspec: {{containers: {more}}}")
        };
        for (bad, why) in [
            (good.replace("v1", "v1beta9"), "apiVersion"),
            (spec("[{name: c, image: i, volumeMounts: [{name: none, mountPath: /x}]}]"), "volumeMounts"),
            (spec("[{name: c, image: i}, {name: c, image: i}]"), "containers[1].name"),
            (spec("[{image: i}]"), "containers[0].name"),
            (format!("{good}\n---\n{good}"), "already"),
            ("kind: Deployment\napiVersion: apps/v1".into(), "Deployment"),
        ] {
            let problems = read(&format!("{good}\n---\n{bad}").replace("---\n\n", "")).unwrap_err();
            assert!(
                problems.iter().any(|problem| problem.starts_with(URL) && problem.contains(why)),
                "{why}: {problems:?}"
            );
        }
    }
}
