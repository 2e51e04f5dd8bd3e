//! What the rest of Berth gets to see of an image.

use crate::error::Error;
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf};

/// An image, verified and unpacked, ready to be the root of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The reference by which it was asked for, in full form.
    pub reference: String,
    /// `sha256:…` of its config: the image's id.
    pub id: String,
    /// `sha256:…` of its manifest. A docker archive has none: there, of the manifest that would say the same.
    pub digest: String,
    /// What it says about running.
    pub config: ImageConfig,
    /// Directories of its unpacked layers, top first: the lowerdirs of an overlay.
    pub layers: Vec<PathBuf>,
    /// Bytes of file content of all layers, shared ones included.
    pub size_bytes: u64,
}

/// The `config` object of an image, as far as it matters here. Absent fields are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageConfig {
    /// `NAME=value`, in order.
    pub env: Vec<String>,
    /// The command's first words, which `command` of a manifest replaces.
    pub entrypoint: Vec<String>,
    /// The command's other words, which `args` of a manifest replaces.
    pub cmd: Vec<String>,
    /// Empty for `/`.
    pub working_dir: String,
    /// `name`, `uid`, `name:group`, `uid:gid`…; empty for root.
    pub user: String,
    /// A signal's name or number; empty for SIGTERM.
    pub stop_signal: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `80/tcp`…
    pub exposed_ports: Vec<String>,
    /// Paths declared as volumes.
    pub volumes: Vec<String>,
}

/// One line of `berth get images`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSummary {
    /// `sha256:…` of its config.
    pub id: String,
    /// `sha256:…` of its manifest.
    pub digest: String,
    /// Its names in full form, sorted; empty when another image has taken them all.
    pub names: Vec<String>,
    /// `linux/arm64/v8`.
    pub platform: String,
    /// Number of layers.
    pub layers: usize,
    /// Bytes of file content of all layers, shared ones included.
    pub size_bytes: u64,
    /// Of these, what no other image has: what its removal frees, file content only.
    pub unique_bytes: u64,
    /// Removed only when it is named.
    pub pinned: bool,
    /// In the vendor's read-only store: cannot be removed.
    pub vendor: bool,
    /// Where it was imported from.
    pub source: PathBuf,
}

/// All that the store knows of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDetails {
    /// As in the list.
    pub summary: ImageSummary,
    /// Names without tag of references by digest.
    pub repositories: Vec<String>,
    /// The digests that it can be asked for by: its manifest's and those of indexes above.
    pub digests: Vec<String>,
    /// Its config, as it came.
    pub config: serde_json::Value,
    /// Its layers, bottom first.
    pub layers: Vec<LayerDetails>,
}

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDetails {
    /// Of the uncompressed stream.
    pub diff_id: String,
    /// Bytes of file content.
    pub bytes: u64,
    /// Entries of the stream.
    pub entries: u64,
    /// The unpacked files.
    pub dir: PathBuf,
    /// The source that it was unpacked from.
    pub source: PathBuf,
    /// Its files are sealed by fs-verity: of one that the disk has changed reads fail.
    pub fs_verity: bool,
}

/// The config blob of an image, OCI or docker.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ConfigFile {
    pub(crate) os: String,
    pub(crate) architecture: String,
    pub(crate) variant: Option<String>,
    pub(crate) rootfs: RootFs,
    config: Option<RawConfig>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RootFs {
    pub(crate) diff_ids: Vec<String>,
}

/// As the tools write it: any field may be null or missing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct RawConfig {
    env: Option<Vec<String>>,
    entrypoint: Option<Words>,
    cmd: Option<Words>,
    working_dir: Option<String>,
    user: Option<String>,
    stop_signal: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
    volumes: Option<BTreeMap<String, serde_json::Value>>,
}

/// Very old images hold a string where a list belongs.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Words {
    Many(Vec<String>),
    One(String),
}

impl Words {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::Many(words) => words,
            Self::One(word) => vec![word],
        }
    }
}

impl ConfigFile {
    pub(crate) fn parse(what: &str, bytes: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(bytes)
            .map_err(|error| Error::corrupt(what, "an image config in JSON", error.to_string()))
    }

    pub(crate) fn platform(&self) -> crate::Platform {
        crate::Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone().unwrap_or_default(),
        }
    }

    pub(crate) fn image_config(&self) -> ImageConfig {
        let raw = self.config.clone().unwrap_or_default();
        let keys = |map: Option<BTreeMap<String, _>>| map.unwrap_or_default().into_keys().collect();
        ImageConfig {
            env: raw.env.unwrap_or_default(),
            entrypoint: raw.entrypoint.map(Words::into_vec).unwrap_or_default(),
            cmd: raw.cmd.map(Words::into_vec).unwrap_or_default(),
            working_dir: raw.working_dir.unwrap_or_default(),
            user: raw.user.unwrap_or_default(),
            stop_signal: raw.stop_signal.unwrap_or_default(),
            labels: raw.labels.unwrap_or_default(),
            exposed_ports: keys(raw.exposed_ports),
            volumes: keys(raw.volumes),
        }
    }
}
