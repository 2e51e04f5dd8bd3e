//! Many files, one desired set. Never lets a name or a uid stand for two pods.

use super::{DesiredPod, LoadOutput, Problem};
use crate::event::DesiredSet;
use std::collections::BTreeMap;

/// Puts files together: each with its name, in any order. For a pod key that several files give, the file
/// that is first by name wins, and the loser becomes a problem that names both; so does a second pod with the
/// same uid, which two manifests can only have by writing it down.
pub fn merge(files: &[(&str, LoadOutput)]) -> DesiredSet {
    let mut order: Vec<&(&str, LoadOutput)> = files.iter().collect();
    order.sort_by_key(|(name, _)| *name);
    let mut set = DesiredSet::default();
    let (mut keys, mut uids) = (BTreeMap::new(), BTreeMap::new());
    for (file, output) in order {
        set.problems.extend(output.problems.iter().cloned());
        for (i, pod) in output.pods.iter().enumerate() {
            let line = output.lines.get(i).copied().unwrap_or_default();
            let lost = |path: &str, message: String| Problem {
                file: (*file).into(),
                line,
                column: u32::from(line > 0),
                path: path.to_owned(),
                message,
                pod: Some(pod.key.clone()),
            };
            let winner: Option<&&DesiredPod> = keys.get(&pod.key);
            if let Some(winner) = winner {
                let message =
                    format!("pod {} comes from {} already; this one is left out", pod.key, winner.origin);
                set.problems.push(lost("metadata.name", message));
                continue;
            }
            if let Some(winner) = uids.insert(&pod.uid, pod) {
                let winner: &DesiredPod = winner;
                let message =
                    format!("{} in {} has the same uid; this pod is left out", winner.key, winner.origin);
                set.problems.push(lost("metadata.uid", message));
                uids.insert(&pod.uid, winner);
                continue;
            }
            keys.insert(&pod.key, pod);
            set.pods.push(pod.clone());
        }
    }
    set
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
            let set = merge(&files);
            let got: Vec<_> = set.pods.iter().map(|pod| (&*pod.key.name, &*pod.origin)).collect();
            assert_eq!(got, [("web-n", "a.yaml"), ("db-n", "b.yaml")]);
            let problems: Vec<String> = set.problems.iter().map(ToString::to_string).collect();
            let expected = "b.yaml:5:1: metadata.name: pod default/web-n comes from a.yaml already; this one is left out";
            assert_eq!(problems, [expected]);
        }
    }

    #[test]
    fn one_uid_is_one_pod() {
        let a = ("a.yaml", file("a.yaml", &[("one", ", uid: u1")]));
        let b = ("b.yaml", file("b.yaml", &[("two", ", uid: u1"), ("three", ", uid: u1")]));
        let set = merge(&[a, b]);
        assert_eq!(set.pods.len(), 1);
        assert_eq!(set.problems.len(), 2);
        assert!(set.problems.iter().all(|problem| problem.message.starts_with("default/one-n in a.yaml")));
    }
}
