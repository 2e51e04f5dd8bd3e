//! Docker archives, as `docker save` and `skopeo copy docker-archive:` write them. They have no manifest in
//! the OCI's sense and no digests of their layers as stored: the config's diff IDs vouch for the content, and
//! the config's own digest is the image's id. A manifest that says the same is made, so that the store holds
//! every image in one form.

use super::{Layer, LayerKind, Opened, Resolved, oci::check_count};
use crate::{
    digest::Digest,
    error::Error,
    image::ConfigFile,
    limits::{JSON_MAX_BYTES, SOURCE_IMAGES_MAX_COUNT},
};
use serde::Deserialize;
use serde_json::json;

/// One image of `manifest.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Item {
    pub(crate) config: String,
    #[serde(default)]
    pub(crate) repo_tags: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) layers: Option<Vec<String>>,
}

/// Reads `manifest.json`.
pub(super) fn parse(what: &str, bytes: &[u8]) -> Result<Vec<Item>, Error> {
    let items: Vec<Item> = serde_json::from_slice(bytes)
        .map_err(|error| Error::corrupt(what, "a docker archive's manifest.json", error.to_string()))?;
    if items.len() > SOURCE_IMAGES_MAX_COUNT {
        return Err(Error::limit(what, "SOURCE_IMAGES_MAX_COUNT", SOURCE_IMAGES_MAX_COUNT as u64));
    }
    Ok(items)
}

pub(super) fn resolve(opened: &Opened, item: &Item) -> Result<Resolved, Error> {
    let config = opened.bytes(&item.config, JSON_MAX_BYTES)?;
    let config_digest = Digest::of(&config);
    let what = opened.what(&item.config);
    // The file is named after its digest; only very old archives name it otherwise.
    if let Some(stated) = named_digest(&item.config) {
        stated.expect(&what, &config_digest)?;
    }
    let config_file = ConfigFile::parse(&what, &config)?;
    let members = item.layers.clone().unwrap_or_default();
    let diffs = &config_file.rootfs.diff_ids;
    check_count(&what, members.len(), diffs.len())?;
    let layer = |(member, diff): (&String, &String)| {
        Ok(Layer {
            digest: None,
            size: None,
            diff_id: Digest::parse(diff)?,
            kind: LayerKind(PLAIN_LAYER.to_owned()),
            member: member.clone(),
        })
    };
    let layers = members.iter().zip(diffs).map(layer).collect::<Result<Vec<_>, Error>>()?;
    let manifest = manifest(opened, &config_digest, config.len(), &layers)?;
    let manifest_digest = Digest::of(&manifest);
    Ok(Resolved {
        manifest,
        manifest_digest,
        digests: vec![manifest_digest],
        config,
        config_digest,
        platform: config_file.platform(),
        config_file,
        layers,
        roots: vec![item.config.clone()],
    })
}

const PLAIN_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// `<hex>.json`, or `blobs/sha256/<hex>`.
fn named_digest(member: &str) -> Option<Digest> {
    let name = member.rsplit('/').next()?;
    Digest::from_hex(name.strip_suffix(".json").unwrap_or(name))
}

/// The manifest that the archive would have as an OCI image with plain layers.
fn manifest(
    opened: &Opened,
    config: &Digest,
    config_size: usize,
    layers: &[Layer],
) -> Result<Vec<u8>, Error> {
    let mut list = Vec::new();
    for layer in layers {
        let (_, size) = opened.stream(&layer.member)?;
        list.push(json!({"mediaType": PLAIN_LAYER, "digest": layer.diff_id.to_string(), "size": size}));
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config.to_string(),
            "size": config_size,
        },
        "layers": list,
    });
    Ok(manifest.to_string().into_bytes())
}
