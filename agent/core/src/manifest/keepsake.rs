//! What the annotation `berth/checkpoint` asks for: a pod that is kept with every object that it names and with the
//! digests of its images, so that it starts again when its source is gone. Pure.
//!
//! Two things must not go wrong here, and did in the checkpointer of which this is the pattern. An object was
//! forgotten: so what is kept are all that [`Objects::of`] finds, by the same search that starts the pod. And "it runs" was
//! guessed: so a revision takes the place of the one before only when the core has seen it ready, or has seen it succeed.

use super::{
    DesiredPod, Format, LoadInput, LoadOutput, Problem,
    identity::ANNOTATION_CHECKPOINT,
    load,
    objects::{self, Object, Objects},
};
use std::{collections::BTreeMap, sync::Arc};

/// Digests of images (`sha256:…`, of their manifests), by the references that pods have for them.
pub type Images = BTreeMap<String, String>;

/// A pod with what it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Keepsake {
    /// As its source gave it.
    pub pod: DesiredPod,
    /// All objects that it names and that were there, in the order of their keys.
    pub objects: Vec<Arc<Object>>,
    /// Of the images that it ran; empty before it did.
    pub images: Images,
}

impl Keepsake {
    /// Of a pod and the objects that are there; its images are not known yet. None for a pod that need not be kept.
    pub fn of(pod: &DesiredPod, objects: &Objects) -> Option<Self> {
        let asked =
            pod.pod.metadata.annotations.get(ANNOTATION_CHECKPOINT).is_some_and(|word| word == "true");
        asked.then(|| Self {
            pod: pod.clone(),
            objects: objects.of(&pod.key.namespace, &pod.pod.spec).iter().cloned().collect(),
            images: Images::new(),
        })
    }

    /// The same pod with the same objects, whatever is known of its images.
    pub fn is_as(&self, other: &Self) -> bool {
        (&self.pod, &self.objects) == (&other.pod, &other.objects)
    }

    /// Its objects as a manifest, with their values: for a file that only root reads.
    pub fn objects_manifest(&self) -> Vec<u8> {
        let items: Vec<_> = self.objects.iter().map(|object| objects::manifest(object)).collect();
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items});
        serde_json::to_vec(&list).unwrap_or_default()
    }

    /// From what [`Self::objects_manifest`] gave; `file` is where that stands.
    ///
    /// # Errors
    /// What this Berth cannot read of it.
    pub fn with_objects(
        pod: DesiredPod,
        images: Images,
        file: &str,
        manifest: &[u8],
    ) -> Result<Self, Vec<Problem>> {
        let input = LoadInput { file, bytes: manifest, format: Format::Json, node: "", source: "file" };
        let LoadOutput { objects, problems, .. } = load(&input);
        if problems.is_empty() { Ok(Self { pod, objects, images }) } else { Err(problems) }
    }
}

/// What is known of a pod that is kept and that no source gives now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absence {
    /// A source has given it since the agent's start.
    pub given: bool,
    /// The place that gave it is still there: a directory that was not unmounted or removed as a whole.
    pub in_reach: bool,
    /// What it came from has been read or heard since the agent's start, is right, and does not have it: a manifest with
    /// other pods in it, an address with another answer.
    pub disowned: bool,
}

impl Absence {
    /// Whether it is a removal, that ends pod and checkpoint. Otherwise its source is lost, and the pod is held.
    pub fn is_removal(self) -> bool {
        self.disowned || self.given && self.in_reach
    }
}

/// The pods that are held and what of their objects nobody else gives, as one more source behind `others`.
pub fn source<'a>(
    held: impl Iterator<Item = &'a Keepsake>,
    others: impl Iterator<Item = &'a LoadOutput>,
) -> LoadOutput {
    let mut output = LoadOutput::default();
    let mut known: Vec<_> =
        others.flat_map(|other| &other.objects).map(|object| object.key.clone()).collect();
    for keepsake in held {
        for object in &keepsake.objects {
            if !known.contains(&object.key) {
                known.push(object.key.clone());
                output.objects.push(Arc::clone(object));
            }
        }
        output.pods.push(keepsake.pod.clone());
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{identity::on_node, merge_sources, objects::Salt};

    const MANIFEST: &str = r#"
apiVersion: v1
kind: Secret
metadata: {name: word}
type: Opaque
stringData: {word: hush}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {text: "größer"}
binaryData: {bytes: AP8=}
immutable: true
---
apiVersion: v1
kind: ConfigMap
metadata: {name: projected}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: not-named}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: disk}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, annotations: {berth/checkpoint: "true"}}
spec:
  initContainers:
  - {name: i, image: i, envFrom: [{secretRef: {name: word}}]}
  containers:
  - name: c
    image: i
    env: [{name: MAYBE, valueFrom: {configMapKeyRef: {name: none, key: k, optional: true}}}]
  volumes:
  - {name: a, configMap: {name: conf}}
  - {name: b, projected: {sources: [{configMap: {name: projected}}]}}
  - {name: c, persistentVolumeClaim: {claimName: disk}}
"#;

    fn read(text: &str) -> LoadOutput {
        read_on(text, "box")
    }

    fn read_on(text: &str, node: &str) -> LoadOutput {
        let output = load(&LoadInput {
            file: "/m/web.yaml",
            bytes: text.as_bytes(),
            format: Format::Yaml,
            node,
            source: "file",
        });
        assert_eq!(output.problems, []);
        output
    }

    fn keepsake() -> Keepsake {
        let set = merge_sources(&[("web.yaml", read(MANIFEST))], &[], &Salt::default());
        Keepsake::of(&set.pods[0], &set.objects).unwrap()
    }

    #[test]
    fn all_that_the_pod_names_is_kept_and_comes_back() {
        let kept = keepsake();
        let keys: Vec<String> = kept.objects.iter().map(|object| object.key.to_string()).collect();
        assert_eq!(
            keys,
            [
                "configmap default/conf",
                "configmap default/projected",
                "secret default/word",
                "persistentvolumeclaim default/disk"
            ]
        );
        let images = Images::from([("i".to_owned(), "sha256:1".to_owned())]);
        let pod = serde_json::from_value(serde_json::to_value(&kept.pod).unwrap()).unwrap();
        let back =
            Keepsake::with_objects(pod, images.clone(), "/m/web.yaml", &kept.objects_manifest()).unwrap();
        assert_eq!(back, Keepsake { images, ..kept });
        Keepsake::with_objects(back.pod, Images::new(), "f", b"{").unwrap_err();
    }

    #[test]
    fn on_a_node_with_another_name_it_is_what_its_manifest_would_be_there() {
        for change in ["name: web,", "name: web, uid: given,"] {
            let text = MANIFEST.replace("name: web,", change);
            let set = |node| merge_sources(&[("web.yaml", read_on(&text, node))], &[], &Salt::default());
            let (here, there) = (set("box"), set("Other"));
            let moved = on_node(&here.pods[0], "Other");
            assert_eq!(objects::revise(&moved, &here.objects, &Salt::default()), there.pods[0]);
            assert_eq!(on_node(&here.pods[0], "box"), here.pods[0]);
        }
    }

    #[test]
    fn only_who_asks_is_kept() {
        for (word, kept) in [("\"true\"", true), ("\"false\"", false)] {
            let set =
                merge_sources(&[("a", read(&MANIFEST.replace("\"true\"", word)))], &[], &Salt::default());
            assert_eq!(Keepsake::of(&set.pods[0], &set.objects).is_some(), kept);
        }
    }

    #[test]
    fn a_held_pod_is_the_same_pod_and_takes_what_others_give() {
        let kept = keepsake();
        let merged = |others: &[(&str, LoadOutput)]| {
            let held = source([&kept].into_iter(), others.iter().map(|(_, output)| output));
            merge_sources(others, &[("checkpoints", held)], &Salt::default())
        };
        let alone = merged(&[]);
        assert_eq!((&alone.pods[0], alone.objects.iter().count()), (&kept.pod, 4));
        assert_eq!(alone.problems, []);
        let newer = read("apiVersion: v1\nkind: Secret\nmetadata: {name: word}\nstringData: {word: loud}\n");
        let set = merged(&[("word.yaml", newer)]);
        assert_eq!(set.problems, [], "no quarrel");
        assert_ne!(set.pods[0].uid, kept.pod.uid, "another value of a variable is another revision");
    }

    #[test]
    fn what_is_a_removal() {
        for (given, in_reach, disowned, removal) in [
            // Its file was deleted, its address has answered without it.
            (true, true, false, true),
            (true, true, true, true),
            // The stick was pulled out.
            (true, false, false, false),
            // After a boot nobody has said anything of it.
            (false, true, false, false),
            (false, false, false, false),
            // After a boot its file or address has other pods.
            (false, true, true, true),
        ] {
            let absence = Absence { given, in_reach, disowned };
            assert_eq!(absence.is_removal(), removal, "{absence:?}");
        }
    }
}
