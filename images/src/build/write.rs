//! Lays rendered images out as the members of a layout or an archive, and writes them. Members stand in a
//! fixed order with fixed metadata, so that the same images give the same bytes.

use super::{Blob, Compression, Entry, ImageBuilder, Rendered, entry};
use crate::{
    digest::Digest,
    error::{Doing as _, Error},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path};

/// Path in the layout or archive → content.
type Members = BTreeMap<String, Vec<u8>>;

/// The annotation by which an OCI layout names an image.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

pub(super) fn oci_members(images: &[&ImageBuilder], nested: bool) -> Result<Members, Error> {
    let mut members = Members::new();
    let mut descriptors = Vec::new();
    for image in images {
        let Rendered { manifest, config, layers } = image.render(false)?;
        let mut descriptor = manifest.descriptor();
        let mut platform = serde_json::Map::new();
        image.set_platform(&mut platform);
        descriptor["platform"] = Value::Object(platform);
        for blob in layers.into_iter().chain([config, manifest]) {
            add_blob(&mut members, blob);
        }
        if nested {
            descriptors.push(descriptor);
        } else {
            descriptors.extend(named(&descriptor, &image.names));
        }
    }
    if nested {
        let index = Blob {
            media_type: "application/vnd.oci.image.index.v1+json".into(),
            bytes: index_json(descriptors),
        };
        let names = images.first().map_or(&[][..], |first| &first.names);
        descriptors = named(&index.descriptor(), names);
        add_blob(&mut members, index);
    }
    members.insert("index.json".into(), index_json(descriptors));
    members.insert("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
    Ok(members)
}

fn index_json(manifests: Vec<Value>) -> Vec<u8> {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    })
    .to_string()
    .into_bytes()
}

/// The descriptor once for each name, or once without any.
fn named(descriptor: &Value, names: &[String]) -> Vec<Value> {
    if names.is_empty() {
        return vec![descriptor.clone()];
    }
    let annotate = |name: &String| {
        let mut copy = descriptor.clone();
        copy["annotations"] = json!({ REF_NAME: name });
        copy
    };
    names.iter().map(annotate).collect()
}

fn add_blob(members: &mut Members, blob: Blob) {
    members.insert(format!("blobs/sha256/{}", Digest::of(&blob.bytes).hex()), blob.bytes);
}

pub(super) fn docker_members(images: &[&ImageBuilder]) -> Result<Members, Error> {
    let mut members = Members::new();
    let mut list = Vec::new();
    for image in images {
        let rendered = image.render(true)?;
        let config = format!("{}.json", Digest::of(&rendered.config.bytes).hex());
        let mut layers = Vec::new();
        for layer in rendered.layers {
            let name = format!("{}.tar", Digest::of(&layer.bytes).hex());
            members.insert(name.clone(), layer.bytes);
            layers.push(name);
        }
        let tags: Value = if image.names.is_empty() { Value::Null } else { image.names.clone().into() };
        list.push(json!({"Config": config, "RepoTags": tags, "Layers": layers}));
        members.insert(config, rendered.config.bytes);
    }
    members.insert("manifest.json".into(), Value::Array(list).to_string().into_bytes());
    Ok(members)
}

pub(super) fn layout(dir: &Path, members: &Members) -> Result<(), Error> {
    for (path, bytes) in members {
        let file = dir.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).doing(|| format!("create {}", parent.display()))?;
        }
        fs::write(&file, bytes).doing(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

pub(super) fn archive(file: &Path, members: &Members, compression: Compression) -> Result<(), Error> {
    let entries: Vec<Entry> =
        members.iter().map(|(path, bytes)| Entry::file(path, 0o644, bytes.clone())).collect();
    let bytes = compression.apply(&entry::tar(&entries))?;
    fs::write(file, bytes).doing(|| format!("write {}", file.display()))
}
