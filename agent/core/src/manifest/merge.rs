//! Many files, one desired set. Never lets a name or a uid stand for two pods, nor a name for two objects.

use super::{
    LoadOutput, Problem,
    objects::{self, Object, Objects, Salt},
};
use crate::{event::DesiredSet, ids::PodKey};
use std::{collections::BTreeMap, sync::Arc};

/// Puts files together: each with its name, in any order. For a pod key that several files give, the file
/// that is first by name wins, and the loser becomes a problem that names both; so does a second pod with the
/// same uid, which two manifests can only have by writing it down, and a second object with the same key. The
/// uids of pods then tell their objects' values apart too; `salt` is the node's own.
pub fn merge(files: &[(&str, LoadOutput)], salt: &Salt) -> DesiredSet {
    merge_sources(files, &[], salt)
}

/// As [`merge`], with what addresses answered behind the files, in their order: an earlier source wins.
pub fn merge_sources(
    files: &[(&str, LoadOutput)],
    answers: &[(&str, LoadOutput)],
    salt: &Salt,
) -> DesiredSet {
    let mut order: Vec<&(&str, LoadOutput)> = files.iter().collect();
    order.sort_by_key(|(name, _)| *name);
    order.extend(answers);
    let mut set = DesiredSet { objects: merge_objects(&order), ..DesiredSet::default() };
    let (mut keys, mut uids) = (BTreeMap::new(), BTreeMap::new());
    let lost_objects = lost_objects(&order, &set.objects);
    for (file, output) in order {
        set.problems.extend(output.problems.iter().cloned());
        set.problems.extend(lost_objects.iter().filter(|lost| *lost.file == **file).cloned());
        for (i, pod) in output.pods.iter().enumerate() {
            let pod = objects::revise(pod, &set.objects, salt);
            let line = output.lines.get(i).copied().unwrap_or_default();
            let lost = |path: &str, message: String| lost(file, line, path, message, Some(pod.key.clone()));
            let origin: Option<&Arc<str>> = keys.get(&pod.key);
            if let Some(origin) = origin {
                let message = format!("pod {} comes from {origin} already; this one is left out", pod.key);
                set.problems.push(lost("metadata.name", message));
                continue;
            }
            let winner: Option<&(PodKey, Arc<str>)> = uids.get(&pod.uid);
            if let Some((key, origin)) = winner {
                let message = format!("{key} in {origin} has the same uid; this pod is left out");
                set.problems.push(lost("metadata.uid", message));
                continue;
            }
            keys.insert(pod.key.clone(), Arc::clone(&pod.origin));
            uids.insert(pod.uid.clone(), (pod.key.clone(), Arc::clone(&pod.origin)));
            set.pods.push(pod);
        }
    }
    set
}

/// Of each key the first.
fn merge_objects(order: &[&(&str, LoadOutput)]) -> Objects {
    let mut first: BTreeMap<_, Arc<Object>> = BTreeMap::new();
    for object in order.iter().flat_map(|(_, output)| &output.objects) {
        first.entry(&object.key).or_insert_with(|| Arc::clone(object));
    }
    first.into_values().collect()
}

/// The others, as problems of their files.
fn lost_objects(order: &[&(&str, LoadOutput)], won: &Objects) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, output) in order {
        for (i, object) in output.objects.iter().enumerate() {
            let key = &object.key;
            let Some(winner) = won.get(key.kind, &key.namespace, &key.name) else { continue };
            if !Arc::ptr_eq(winner, object) {
                let line = output.object_lines.get(i).copied().unwrap_or_default();
                let message = format!("{key} comes from {} already; this one is left out", winner.origin);
                problems.push(lost(file, line, "metadata.name", message, None));
            }
        }
    }
    problems
}

fn lost(file: &str, line: u32, path: &str, message: String, pod: Option<PodKey>) -> Problem {
    Problem { file: file.into(), line, column: u32::from(line > 0), path: path.to_owned(), message, pod }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Format, LoadInput, load};

    fn file(name: &str, pods: &[(&str, &str)]) -> LoadOutput {
        let documents: Vec<String> = pods
            .iter()
            .map(|(pod, more)| {
                format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {pod}{more}}}\nspec: {{containers: [{{name: a, image: {name}}}]}}\n")
            })
            .collect();
        let text = documents.join("---\n");
        load(&LoadInput {
            file: name,
            bytes: text.as_bytes(),
            format: Format::Yaml,
            node: "n",
            source: "file",
        })
    }

    #[test]
    fn the_first_file_by_name_wins_whatever_the_order() {
        let a = ("a.yaml", file("a.yaml", &[("web", "")]));
        let b = ("b.yaml", file("b.yaml", &[("db", ""), ("web", "")]));
        for files in [[a.clone(), b.clone()], [b, a]] {
            let set = merge(&files, &Salt::default());
            let got: Vec<_> = set.pods.iter().map(|pod| (&*pod.key.name, &*pod.origin)).collect();
            assert_eq!(got, [("web-n", "a.yaml"), ("db-n", "b.yaml")]);
            let problems: Vec<String> = set.problems.iter().map(ToString::to_string).collect();
            let expected = "b.yaml:5:1: metadata.name: pod default/web-n comes from a.yaml already; this one is left out";
            assert_eq!(problems, [expected]);
        }
    }

    #[test]
    fn files_come_before_answers_and_those_keep_their_order() {
        let (a, z) = (
            ("z.yaml", file("z.yaml", &[("web", "")])),
            ("http://z", file("http://z", &[("web", ""), ("db", "")])),
        );
        let b = ("http://a", file("http://a", &[("db", "")]));
        let set = merge_sources(&[a], &[z, b], &Salt::default());
        let got: Vec<_> = set.pods.iter().map(|pod| (&*pod.key.name, &*pod.origin)).collect();
        assert_eq!(got, [("web-n", "z.yaml"), ("db-n", "http://z")]);
        let losers: Vec<_> = set.problems.iter().map(|problem| &*problem.file).collect();
        assert_eq!(losers, ["http://z", "http://a"]);
    }

    #[test]
    fn one_uid_is_one_pod() {
        let a = ("a.yaml", file("a.yaml", &[("one", ", uid: u1")]));
        let b = ("b.yaml", file("b.yaml", &[("two", ", uid: u1"), ("three", ", uid: u1")]));
        let set = merge(&[a, b], &Salt::default());
        assert_eq!(set.pods.len(), 1);
        assert_eq!(set.problems.len(), 2);
        assert!(set.problems.iter().all(|problem| problem.message.starts_with("default/one-n in a.yaml")));
    }
}
