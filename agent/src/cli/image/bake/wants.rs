//! Which images a baked store must have: those that manifests name, and those whose digest a recipe pins. Pure.

use berth_core::manifest::LoadOutput;
use berth_images::{ImageSummary, Reference};
use std::collections::BTreeSet;

/// An image that must be there.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Want {
    /// As it was written.
    reference: String,
    /// Who wants it: a manifest's file; empty for the command line.
    file: String,
    /// Name and digest must be the same image's.
    pinned: bool,
}

/// The images that the pods of a manifest name, each once.
pub(super) fn of_manifest(file: &str, output: &LoadOutput) -> BTreeSet<Want> {
    let want =
        |reference: &str| Want { reference: reference.to_owned(), file: file.to_owned(), pinned: false };
    let of_pod = output.pods.iter().flat_map(|desired| {
        let spec = &desired.pod.spec;
        let containers = spec.all_containers().map(|container| container.image.as_str());
        let volumes = spec.volumes.iter().filter_map(|volume| volume.image.as_ref());
        containers.chain(volumes.map(|image| image.reference.as_str())).collect::<Vec<_>>()
    });
    of_pod.map(want).collect()
}

impl Want {
    /// `NAME@DIGEST` of the command line.
    pub(super) fn expected(text: &str) -> Self {
        Self { reference: text.to_owned(), file: String::new(), pinned: true }
    }

    /// Why `images` are not enough; None when they are.
    pub(super) fn unmet(&self, images: &[ImageSummary]) -> Option<String> {
        let reference = match Reference::parse(&self.reference) {
            Ok(reference) => reference,
            Err(error) => return Some(self.complaint(&error.to_string())),
        };
        let digest = reference.digest().map(ToString::to_string);
        if self.pinned && digest.is_none() {
            return Some(self.complaint("is no NAME@DIGEST"));
        }
        let named =
            |image: &&ImageSummary| reference.tagged().is_some_and(|name| image.names.contains(&name));
        let of_digest = |image: &&ImageSummary| digest.as_deref() == Some(&*image.digest);
        match (images.iter().find(of_digest), images.iter().find(named)) {
            (Some(image), _) if !self.pinned || reference.tag().is_none() || named(&image) => None,
            (None, Some(_)) if digest.is_none() => None,
            (_, Some(other)) => Some(self.complaint(&format!("is {} in the store", other.digest))),
            _ => Some(self.complaint("is not in the store: bake its archive too")),
        }
    }

    fn complaint(&self, what: &str) -> String {
        match self.file.as_str() {
            "" => format!("{} {what}", self.reference),
            file => format!("{file}: image {} {what}", self.reference),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_core::manifest::{Format, LoadInput, load};

    fn digest(of: char) -> String {
        format!("sha256:{}", of.to_string().repeat(64))
    }

    fn image(name: &str, of: char) -> ImageSummary {
        ImageSummary {
            id: digest('0'),
            digest: digest(of),
            names: vec![name.to_owned()],
            platform: "linux/arm64".into(),
            layers: 1,
            size_bytes: 1,
            unique_bytes: 1,
            pinned: false,
            vendor: false,
            source: "a.tar".into(),
        }
    }

    #[test]
    fn what_is_pinned_must_be_just_that() {
        let store = [image("docker.io/library/web:1", 'a'), image("x.test/db:2", 'b')];
        for (text, unmet) in [
            (format!("web:1@{}", digest('a')), None),
            (format!("x.test/db@{}", digest('b')), None),
            (format!("web:1@{}", digest('c')), Some(format!("is {} in the store", digest('a')))),
            (format!("web:1@{}", digest('b')), Some(format!("is {} in the store", digest('a')))),
            (format!("web:2@{}", digest('c')), Some("is not in the store: bake its archive too".into())),
            ("web:1".into(), Some("is no NAME@DIGEST".into())),
        ] {
            let expected = unmet.map(|why| format!("{text} {why}"));
            assert_eq!(Want::expected(&text).unmet(&store), expected, "{text}");
        }
        assert!(Want::expected("A b").unmet(&store).is_some());
    }

    #[test]
    fn every_image_of_a_manifest_must_be_there() {
        let bytes = b"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  volumes: [{name: v, image: {reference: 'x.test/db:2'}}]\n  initContainers: [{name: i, image: web:1}]\n  containers: [{name: m, image: web:1}, {name: o, image: other}]\n";
        let output =
            load(&LoadInput { file: "a.yaml", bytes, format: Format::Yaml, node: "n", source: "file" });
        assert_eq!(output.problems, []);
        let store = [image("docker.io/library/web:1", 'a'), image("x.test/db:2", 'b')];
        let unmet: Vec<_> =
            of_manifest("a.yaml", &output).iter().filter_map(|want| want.unmet(&store)).collect();
        assert_eq!(unmet, ["a.yaml: image other is not in the store: bake its archive too"]);
    }
}
