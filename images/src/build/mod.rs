//! Makes images: OCI layouts, OCI archives and docker archives, from lists of entries. For tests, tools and
//! the making of test appliances; nothing in the agent calls it. Its output is deterministic: the same calls
//! give the same bytes. It writes whatever it is told, hostile layers included, and checks nothing.

mod entry;
mod write;

pub use entry::{Entry, EntryKind};

use crate::{digest::Digest, error::Error};
use serde_json::{Value, json};
use std::{io::Write as _, path::Path};

/// How a layer, or a whole archive, is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not.
    None,
    /// gzip, the usual one.
    #[default]
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Compression {
    fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => "+gzip",
            Self::Zstd => "+zstd",
        }
    }

    /// `bytes` compressed.
    ///
    /// # Errors
    /// `Io`, if the compressor fails.
    pub fn apply(self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        match self {
            Self::None => Ok(bytes.to_vec()),
            Self::Gzip => {
                let level = flate2::Compression::default();
                // No name and no time in the header: the same input gives the same output.
                let mut encoder = flate2::GzBuilder::new().mtime(0).write(Vec::new(), level);
                encoder.write_all(bytes).and_then(|()| encoder.finish()).map_err(|e| Error::io("compress", e))
            }
            Self::Zstd => {
                let level = ruzstd::encoding::CompressionLevel::Fastest;
                Ok(ruzstd::encoding::compress_to_vec(bytes, level))
            }
        }
    }
}

/// One layer: its tar stream and how it is to be compressed.
#[derive(Debug, Clone)]
struct Layer {
    tar: Vec<u8>,
    compression: Option<Compression>,
}

/// An image in the making.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    platform: crate::Platform,
    layers: Vec<Layer>,
    config: serde_json::Map<String, Value>,
    names: Vec<String>,
    compression: Compression,
}

/// A blob with its digest and media type.
#[derive(Debug, Clone)]
struct Blob {
    media_type: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.media_type,
            "digest": Digest::of(&self.bytes).to_string(),
            "size": self.bytes.len(),
        })
    }
}

/// An image as blobs.
struct Rendered {
    manifest: Blob,
    config: Blob,
    layers: Vec<Blob>,
}

impl ImageBuilder {
    /// An image for `arch`, in the OCI's words: `amd64`, `arm64`, `arm/v7`.
    pub fn new(arch: &str) -> Self {
        Self {
            platform: crate::Platform::new(arch),
            layers: Vec::new(),
            config: serde_json::Map::new(),
            names: Vec::new(),
            compression: Compression::default(),
        }
    }

    /// One more layer, on top of those before.
    #[must_use]
    pub fn layer(self, entries: Vec<Entry>) -> Self {
        let tar = entry::tar(&entries);
        self.raw_layer(tar)
    }

    /// One more layer, its tar stream given as bytes.
    #[must_use]
    pub fn raw_layer(mut self, tar: Vec<u8>) -> Self {
        self.layers.push(Layer { tar, compression: None });
        self
    }

    /// The last layer is compressed so, whatever the others are.
    #[must_use]
    pub fn compressed(mut self, compression: Compression) -> Self {
        if let Some(layer) = self.layers.last_mut() {
            layer.compression = Some(compression);
        }
        self
    }

    /// All layers of OCI images are compressed so (default gzip). Docker archives hold plain layers.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// `Entrypoint`.
    #[must_use]
    pub fn entrypoint<S: Into<String>>(self, words: impl IntoIterator<Item = S>) -> Self {
        self.set("Entrypoint", strings(words))
    }

    /// `Cmd`.
    #[must_use]
    pub fn cmd<S: Into<String>>(self, words: impl IntoIterator<Item = S>) -> Self {
        self.set("Cmd", strings(words))
    }

    /// `Env`, each `NAME=value`.
    #[must_use]
    pub fn env<S: Into<String>>(self, pairs: impl IntoIterator<Item = S>) -> Self {
        self.set("Env", strings(pairs))
    }

    /// `User`.
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        self.set("User", user.into())
    }

    /// `WorkingDir`.
    #[must_use]
    pub fn workdir(self, dir: &str) -> Self {
        self.set("WorkingDir", dir.into())
    }

    /// `StopSignal`.
    #[must_use]
    pub fn stop_signal(self, signal: &str) -> Self {
        self.set("StopSignal", signal.into())
    }

    /// Any other field of the image's `config` object.
    #[must_use]
    pub fn set(mut self, field: &str, value: Value) -> Self {
        self.config.insert(field.to_owned(), value);
        self
    }

    /// One more name of the image. A tag is added if there is none (`web` becomes `web:latest`): a bare word
    /// in an OCI layout would be read as a tag.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        let familiar = crate::Reference::parse(name).map(|reference| reference.familiar());
        self.annotation(&familiar.unwrap_or_else(|_| name.to_owned()))
    }

    /// One more name of the image, written into the annotation or `RepoTags` as it is.
    #[must_use]
    pub fn annotation(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    /// Takes all names off again.
    #[must_use]
    pub fn nameless(mut self) -> Self {
        self.names.clear();
        self
    }

    /// Writes an OCI layout into the directory `dir`, which is made.
    ///
    /// # Errors
    /// `Io` or `NoSpace`.
    pub fn write_layout(&self, dir: &Path) -> Result<(), Error> {
        write::layout(dir, &write::oci_members(&[self], false)?)
    }

    /// Writes an OCI archive, plain, as skopeo and podman do.
    ///
    /// # Errors
    /// `Io` or `NoSpace`.
    pub fn write_oci_archive(&self, file: &Path) -> Result<(), Error> {
        self.write_oci_archive_as(file, Compression::None)
    }

    /// Writes an OCI archive, compressed as a whole.
    ///
    /// # Errors
    /// `Io` or `NoSpace`.
    pub fn write_oci_archive_as(&self, file: &Path, compression: Compression) -> Result<(), Error> {
        write::archive(file, &write::oci_members(&[self], false)?, compression)
    }

    /// Writes a docker archive, plain, as `docker save` did before it wrote OCI layouts.
    ///
    /// # Errors
    /// `Io` or `NoSpace`.
    pub fn write_docker_archive(&self, file: &Path) -> Result<(), Error> {
        write_docker_archive(file, &[self], Compression::None)
    }

    fn set_platform(&self, target: &mut serde_json::Map<String, Value>) {
        target.insert("architecture".into(), self.platform.architecture.clone().into());
        target.insert("os".into(), self.platform.os.clone().into());
        if !self.platform.variant.is_empty() {
            target.insert("variant".into(), self.platform.variant.clone().into());
        }
    }

    fn render(&self, docker: bool) -> Result<Rendered, Error> {
        let mut config = serde_json::Map::new();
        self.set_platform(&mut config);
        config.insert("config".into(), Value::Object(self.config.clone()));
        let diffs: Vec<String> = self.layers.iter().map(|l| Digest::of(&l.tar).to_string()).collect();
        config.insert("rootfs".into(), json!({"type": "layers", "diff_ids": diffs}));
        let config = Blob {
            media_type: "application/vnd.oci.image.config.v1+json".into(),
            bytes: Value::Object(config).to_string().into_bytes(),
        };
        let mut layers = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let compression =
                if docker { Compression::None } else { layer.compression.unwrap_or(self.compression) };
            layers.push(Blob {
                media_type: format!("application/vnd.oci.image.layer.v1.tar{}", compression.suffix()),
                bytes: compression.apply(&layer.tar)?,
            });
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config.descriptor(),
            "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
        });
        let manifest = Blob {
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            bytes: manifest.to_string().into_bytes(),
        };
        Ok(Rendered { manifest, config, layers })
    }
}

/// Writes one OCI layout of several images. With `nested`, they become the platforms of one image index,
/// named as the first of them is; without, each stands in the layout's own index.
///
/// # Errors
/// `Io` or `NoSpace`.
pub fn write_layout(dir: &Path, images: &[&ImageBuilder], nested: bool) -> Result<(), Error> {
    write::layout(dir, &write::oci_members(images, nested)?)
}

/// Writes one OCI archive of several images; `nested` as for [`write_layout`].
///
/// # Errors
/// `Io` or `NoSpace`.
pub fn write_oci_archive(
    file: &Path,
    images: &[&ImageBuilder],
    nested: bool,
    compression: Compression,
) -> Result<(), Error> {
    write::archive(file, &write::oci_members(images, nested)?, compression)
}

/// Writes one docker archive of several images.
///
/// # Errors
/// `Io` or `NoSpace`.
pub fn write_docker_archive(
    file: &Path,
    images: &[&ImageBuilder],
    compression: Compression,
) -> Result<(), Error> {
    write::archive(file, &write::docker_members(images)?, compression)
}

fn strings<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Value {
    Value::Array(words.into_iter().map(|w| Value::String(w.into())).collect())
}

/// The tar stream of `entries`, as a layer would hold it.
pub fn entry_tar(entries: &[Entry]) -> Vec<u8> {
    entry::tar(entries)
}
