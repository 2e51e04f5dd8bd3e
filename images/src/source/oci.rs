//! OCI layouts, in a directory or an archive: index, nested indexes, manifest. Docker's media types mean the
//! same and are taken too. Everything but the layout's own `index.json` is verified by digest as it is read.

use super::{Layer, Opened, Part, Resolved, archive::blob_path};
use crate::{
    digest::Digest,
    error::Error,
    image::ConfigFile,
    limits::{INDEX_DEPTH_MAX_LEVELS, INDEX_MAX_ENTRIES, JSON_MAX_BYTES, LAYERS_MAX_COUNT},
    platform::Platform,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Points to a blob.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) platform: Option<Platform>,
    #[serde(default)]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

/// `index.json`, or an index blob.
#[derive(Debug, Deserialize)]
pub(super) struct Index {
    #[serde(default)]
    pub(super) manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// How a layer says that it is packed. What it is in truth is seen from its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LayerKind(pub(crate) String);

pub(crate) const INDEX_TYPES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
pub(crate) const MANIFEST_TYPES: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
const CONFIG_TYPES: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
const LAYER_TYPES: [&str; 6] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
];

/// A manifest on the way to being chosen.
struct Candidate {
    rank: usize,
    descriptor: Descriptor,
    /// Indexes above it.
    above: Vec<Digest>,
}

/// Chooses the manifest that fits the platform best, and reads it and its config.
pub(super) fn resolve<'a>(
    opened: &Opened,
    roots: impl Iterator<Item = &'a Descriptor>,
    platform: &Platform,
    wanted: Option<&Digest>,
) -> Result<Resolved, Error> {
    let mut found = Found { opened, platform, candidates: Vec::new(), others: Vec::new(), entries: 0 };
    for root in roots {
        found.collect(root, &[])?;
    }
    if let Some(wanted) = wanted {
        let text = wanted.to_string();
        found.candidates.retain(|c| c.descriptor.digest == text || c.above.contains(wanted));
        found.others.clear();
    }
    // The first of equals wins: `min_by_key` gives it.
    let Some(best) = found.candidates.into_iter().min_by_key(|candidate| candidate.rank) else {
        let why = match found.others.is_empty() {
            true => "it holds no such image manifest".to_owned(),
            false => format!("it is for {}; this node is {platform}", found.others.join(", ")),
        };
        return Err(Error::unsupported(format!("the image in {}", opened.path().display()), why));
    };
    read(opened, &best)
}

struct Found<'a> {
    opened: &'a Opened,
    platform: &'a Platform,
    candidates: Vec<Candidate>,
    /// Platforms that do not fit, for the message.
    others: Vec<String>,
    entries: usize,
}

impl Found<'_> {
    fn collect(&mut self, descriptor: &Descriptor, above: &[Digest]) -> Result<(), Error> {
        let what = || self.opened.what(&descriptor.digest);
        self.entries += 1;
        if self.entries > INDEX_MAX_ENTRIES {
            return Err(Error::limit(what(), "INDEX_MAX_ENTRIES", INDEX_MAX_ENTRIES as u64));
        }
        if above.len() > INDEX_DEPTH_MAX_LEVELS {
            return Err(Error::limit(what(), "INDEX_DEPTH_MAX_LEVELS", INDEX_DEPTH_MAX_LEVELS as u64));
        }
        let rank = match &descriptor.platform {
            // An index of indexes, or a tool that leaves it out.
            None => Some(usize::MAX),
            Some(platform) => self.platform.rank(platform),
        };
        let Some(rank) = rank else {
            self.others.extend(descriptor.platform.as_ref().map(ToString::to_string));
            return Ok(());
        };
        let media_type = descriptor.media_type.as_str();
        if INDEX_TYPES.contains(&media_type) {
            let digest = Digest::parse(&descriptor.digest)?;
            let index = parse_index(&what(), &self.opened.blob(&digest, Part::Manifest, JSON_MAX_BYTES)?)?;
            let above = [above, &[digest]].concat();
            return index.manifests.iter().try_for_each(|child| self.collect(child, &above));
        }
        if !MANIFEST_TYPES.contains(&media_type) {
            return Err(Error::unsupported(what(), format!("media type {media_type:.100} is not an image")));
        }
        self.candidates.push(Candidate { rank, descriptor: descriptor.clone(), above: above.to_vec() });
        Ok(())
    }
}

pub(super) fn parse_index(what: &str, bytes: &[u8]) -> Result<Index, Error> {
    let index: Index = serde_json::from_slice(bytes)
        .map_err(|error| Error::corrupt(what, "an image index in JSON", error.to_string()))?;
    if index.manifests.len() > INDEX_MAX_ENTRIES {
        return Err(Error::limit(what, "INDEX_MAX_ENTRIES", INDEX_MAX_ENTRIES as u64));
    }
    Ok(index)
}

fn read(opened: &Opened, chosen: &Candidate) -> Result<Resolved, Error> {
    let manifest_digest = Digest::parse(&chosen.descriptor.digest)?;
    let manifest = sized(opened, &chosen.descriptor, &manifest_digest, Part::Manifest)?;
    let what = opened.what(&manifest_digest.to_string());
    let parsed: Manifest = serde_json::from_slice(&manifest)
        .map_err(|error| Error::corrupt(&what, "an image manifest in JSON", error.to_string()))?;
    if !CONFIG_TYPES.contains(&parsed.config.media_type.as_str()) {
        let why = format!(
            "its config has media type {:.100}: this is no container image",
            parsed.config.media_type
        );
        return Err(Error::unsupported(what, why));
    }
    let config_digest = Digest::parse(&parsed.config.digest)?;
    let config = sized(opened, &parsed.config, &config_digest, Part::Blob)?;
    let config_file = ConfigFile::parse(&opened.what(&config_digest.to_string()), &config)?;
    let layers = layers(&what, &parsed, &config_file)?;
    let mut digests = chosen.above.clone();
    digests.push(manifest_digest);
    // Old configs for ARM leave the variant to the index.
    let mut platform = config_file.platform();
    if let (true, Some(stated)) = (platform.variant.is_empty(), &chosen.descriptor.platform)
        && stated.architecture == platform.architecture
    {
        platform.variant.clone_from(&stated.variant);
    }
    let roots = digests.iter().map(Digest::to_string).collect();
    Ok(Resolved {
        manifest,
        manifest_digest,
        digests,
        config,
        config_digest,
        config_file,
        platform,
        layers,
        roots,
    })
}

/// A blob of the size that its descriptor states.
fn sized(opened: &Opened, descriptor: &Descriptor, digest: &Digest, part: Part) -> Result<Vec<u8>, Error> {
    let bytes = opened.blob(digest, part, JSON_MAX_BYTES)?;
    if bytes.len() as u64 == descriptor.size {
        return Ok(bytes);
    }
    let expected = format!("{} bytes", descriptor.size);
    Err(Error::corrupt(opened.what(&descriptor.digest), expected, format!("{} bytes", bytes.len())))
}

fn layers(what: &str, manifest: &Manifest, config: &ConfigFile) -> Result<Vec<Layer>, Error> {
    let diffs = &config.rootfs.diff_ids;
    check_count(what, manifest.layers.len(), diffs.len())?;
    let pairs = manifest.layers.iter().zip(diffs);
    let layer = |(layer, diff): (&Descriptor, &String)| {
        let media_type = layer.media_type.as_str();
        if !LAYER_TYPES.contains(&media_type) {
            let foreign = media_type.contains("foreign") || media_type.contains("nondistributable");
            let why = if foreign { "such layers are not part of the image" } else { "it is not a layer" };
            return Err(Error::unsupported(what, format!("media type {media_type:.100}: {why}")));
        }
        let digest = Digest::parse(&layer.digest)?;
        Ok(Layer {
            digest: Some(digest),
            size: Some(layer.size),
            diff_id: Digest::parse(diff)?,
            kind: LayerKind(media_type.to_owned()),
            member: blob_path(&digest),
        })
    };
    pairs.map(layer).collect()
}

/// Layers and diff IDs belong together one by one.
pub(super) fn check_count(what: &str, layers: usize, diffs: usize) -> Result<(), Error> {
    if layers != diffs {
        return Err(Error::corrupt(what, format!("{diffs} layers, as its config says"), format!("{layers}")));
    }
    if layers > LAYERS_MAX_COUNT {
        return Err(Error::limit(what, "LAYERS_MAX_COUNT", LAYERS_MAX_COUNT as u64));
    }
    if layers == 0 {
        return Err(Error::unsupported(what, "it has no layers: there is nothing to run"));
    }
    Ok(())
}
