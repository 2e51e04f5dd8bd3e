//! Which images pods are to have that start from a checkpoint, and which must not be removed for that. Pure.

use berth_core::{ids::PodUid, manifest::keepsake::Images};
use std::collections::{BTreeMap, BTreeSet};

/// What the sources know of images by digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pins {
    /// Of pods whose source has said nothing since the start.
    by_pod: BTreeMap<PodUid, Images>,
    /// All images that a checkpoint names, `name@sha256:…`.
    kept: BTreeSet<String>,
    /// Pods that run only because they are kept.
    held: BTreeSet<PodUid>,
}

impl Pins {
    pub(super) fn pin(&mut self, pod: &PodUid, images: &Images) {
        self.by_pod.insert(pod.clone(), images.clone());
    }

    pub(super) fn keep(&mut self, images: &Images) {
        self.kept.extend(images.iter().map(|(reference, digest)| at(reference, digest)));
    }

    pub(super) fn hold(&mut self, pod: &PodUid) {
        self.held.insert(pod.clone());
    }

    /// By which digest the pod is to have the image, as a reference; none if it is as free as any.
    pub(crate) fn of(&self, pod: &PodUid, reference: &str) -> Option<String> {
        self.by_pod.get(pod)?.get(reference).map(|digest| at(reference, digest))
    }

    /// All that must stay.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().map(String::as_str)
    }

    /// Whether the pod runs only because it is kept.
    pub(crate) fn is_held(&self, pod: &PodUid) -> bool {
        self.held.contains(pod)
    }

    /// How many of these there are.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }
}

/// The reference with this digest and no other.
fn at(reference: &str, digest: &str) -> String {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    format!("{name}@{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_pinned_for_its_pod_only() {
        let (a, b) = (PodUid("a".into()), PodUid("b".into()));
        let images = |list: &[(&str, &str)]| -> Images {
            list.iter().map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned())).collect()
        };
        let mut pins = Pins::default();
        pins.pin(&a, &images(&[("app:1", "sha256:1"), ("app@sha256:2", "sha256:2")]));
        pins.keep(&images(&[("app:1", "sha256:1")]));
        pins.hold(&a);
        assert_eq!(pins.of(&a, "app:1").as_deref(), Some("app:1@sha256:1"));
        assert_eq!(pins.of(&a, "app@sha256:2").as_deref(), Some("app@sha256:2"));
        assert_eq!((pins.of(&a, "app:2"), pins.of(&b, "app:1")), (None, None));
        assert_eq!(pins.kept().collect::<Vec<_>>(), ["app:1@sha256:1"]);
        assert_eq!((pins.is_held(&a), pins.is_held(&b), pins.held()), (true, false, 1));
    }
}
