//! The order between pods: an annotation by which a pod begins after others are Ready, or have succeeded if they are to
//! end. Kubernetes has no such thing. Pure.

use super::{DesiredPod, validate::names};
use crate::ids::PodKey;
use std::collections::BTreeSet;

/// Annotation: names of pods, as their manifests have them, with commas between; `namespace/name` for one of another
/// namespace. The pod begins when each of them is Ready, or, if its `restartPolicy` is not `Always`, has succeeded; and
/// those that go together go in the opposite order.
pub const ANNOTATION_START_AFTER: &str = "berth/start-after";
/// Pods that one may name.
pub const NAMES_MAX: usize = 32;

/// The pods after which it begins, as keys without the node's name behind them. What is wrong with one stands in its
/// place.
pub fn read(value: &str, namespace: &str) -> Vec<Result<PodKey, String>> {
    let entry = |text: &str| {
        let text = text.trim();
        let (space, name) = text.split_once('/').unwrap_or((namespace, text));
        names::dns_label(space)
            .and_then(|()| names::dns_subdomain(name))
            .map_err(|why| format!("{text:?} is no name of a pod: {why}"))?;
        Ok(PodKey { namespace: space.into(), name: name.into() })
    };
    value.split(',').map(entry).collect()
}

/// The pods after which this one begins.
pub fn of(pod: &DesiredPod) -> Vec<PodKey> {
    let value = pod.pod.metadata.annotations.get(ANNOTATION_START_AFTER);
    let read = value.map(|value| read(value, &pod.key.namespace)).unwrap_or_default();
    read.into_iter().filter_map(Result::ok).collect()
}

/// The name, written with or without the node's name behind it, means this pod.
pub fn means(named: &PodKey, pod: &DesiredPod) -> bool {
    let stripped = || {
        let node = pod.pod.spec.node_name.as_deref()?.to_ascii_lowercase();
        pod.key.name.strip_suffix(&node)?.strip_suffix('-')
    };
    named.namespace == pod.key.namespace && (named.name == pod.key.name || stripped() == Some(&*named.name))
}

/// The circle that leads from the pod back to itself, each before the one after which it begins; none if there is none.
pub fn circle<'a>(pod: &'a DesiredPod, all: &[&'a DesiredPod]) -> Option<Vec<&'a PodKey>> {
    let mut seen = BTreeSet::new();
    let mut way = vec![(pod, of(pod))];
    while let Some((_, left)) = way.last_mut() {
        let Some(named) = left.pop() else {
            way.pop();
            continue;
        };
        let Some(next) = all.iter().find(|other| means(&named, other)) else { continue };
        if next.key == pod.key {
            return Some(way.iter().map(|(pod, _)| &pod.key).chain([&pod.key]).collect());
        }
        if seen.insert(&next.key) {
            way.push((next, of(next)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{manifest::types::RestartPolicy, world::scene::pod};
    use std::sync::Arc;

    fn after(name: &str, others: &str) -> DesiredPod {
        let mut pod = pod(name, 1, &["a=x"], RestartPolicy::Always);
        let inner = Arc::make_mut(&mut pod.pod);
        inner.spec.node_name = Some("Node".to_owned());
        if !others.is_empty() {
            inner.metadata.annotations.insert(ANNOTATION_START_AFTER.to_owned(), others.to_owned());
        }
        pod
    }

    #[test]
    fn names_are_read_with_and_without_their_namespace() {
        for (value, expected) in [
            ("db", &["default/db"][..]),
            (" db , shop/cache-node ", &["default/db", "shop/cache-node"]),
            ("", &["!"]),
            ("db,,x", &["default/db", "!", "default/x"]),
            ("a/b/c", &["!"]),
            ("Db", &["!"]),
        ] {
            let read = read(value, "default");
            let shown: Vec<_> =
                read.iter().map(|name| name.as_ref().map_or("!".to_owned(), ToString::to_string)).collect();
            assert_eq!(shown, expected, "{value:?}");
        }
        let db = after("db", "");
        for (name, meant) in [("db", true), ("db-node", true), ("d", false), ("db-nod", false)] {
            assert_eq!(means(&PodKey { namespace: "default".into(), name: name.into() }, &db), meant);
        }
    }

    #[test]
    fn circles_are_found_by_those_who_stand_in_them() {
        let pods = [
            after("a", "b"),
            after("b", "c, d"),
            after("c", "a"),
            after("d", ""),
            after("e", "a,d"),
            after("f", "f"),
        ];
        let all: Vec<&DesiredPod> = pods.iter().collect();
        let found = |i: usize| {
            circle(&pods[i], &all).map(|way| {
                way.iter().map(|key| key.name.trim_end_matches("-node")).collect::<Vec<_>>().join(" ")
            })
        };
        let expected = [Some("a b c a"), Some("b c a b"), Some("c a b c"), None, None, Some("f f")];
        for (i, expected) in expected.into_iter().enumerate() {
            assert_eq!(found(i).as_deref(), expected, "{i}");
        }
    }
}
