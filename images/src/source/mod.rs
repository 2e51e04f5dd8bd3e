//! Where images come from: directories that hold OCI layouts, OCI archives and docker archives. A source is
//! only read. What it says is checked by digest before it is used; an entry that cannot be read is reported
//! and hides no other.
//!
//! Names. An OCI descriptor's `io.containerd.image.name` annotation, or its `org.opencontainers.image.ref.name`
//! when that is a full reference (it has a `/`, `:` or `@`). A `ref.name` that is one bare word is a tag, as
//! skopeo and umoci write it: of `io.containerd.image.name` if there is one, else of the file's own name. In a
//! docker archive, `RepoTags`. Whatever has no name at all is known by its file's: `foo.tar.gz` is `foo:latest`.

mod archive;
mod cache;
mod docker;
mod names;
mod oci;
mod scan;
mod signatures;

pub(crate) use archive::{Fill, Opened, Part};
pub(crate) use cache::{Sources, is_hidden};
use oci::LayerKind;
pub(crate) use oci::{INDEX_TYPES, MANIFEST_TYPES};
pub(crate) use scan::scan;
pub(crate) use signatures::signatures;

use crate::{digest::Digest, error::Error, image::ConfigFile, platform::Platform, reference::Reference};
use std::path::PathBuf;

/// What one entry of a source directory holds.
#[derive(Debug, Clone)]
pub(crate) struct Scanned {
    pub(crate) path: PathBuf,
    pub(crate) images: Vec<Offer>,
}

/// One image that a source offers.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) names: Vec<Reference>,
    pub(crate) target: Target,
}

impl Offer {
    /// What tells images of one source apart: the descriptor's digest, or the config's path.
    fn root(&self) -> &str {
        match &self.target {
            Target::Oci(descriptor) => &descriptor.digest,
            Target::Docker(item) => &item.config,
        }
    }
}

impl Scanned {
    /// All names that this source gives the image.
    pub(crate) fn names_of<'a>(&'a self, resolved: &'a Resolved) -> impl Iterator<Item = &'a Reference> {
        let same = self.images.iter().filter(|offer| resolved.roots.iter().any(|root| root == offer.root()));
        same.flat_map(|offer| &offer.names)
    }
}

/// Where in its source an image begins.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A manifest or index of an OCI layout.
    Oci(oci::Descriptor),
    /// An entry of a docker archive's `manifest.json`.
    Docker(docker::Item),
}

/// An image, resolved to one platform; manifest and config verified, layers not yet.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) manifest: Vec<u8>,
    pub(crate) manifest_digest: Digest,
    /// Digests by which the image can be asked for: its manifest's, and of the indexes above.
    pub(crate) digests: Vec<Digest>,
    pub(crate) config: Vec<u8>,
    pub(crate) config_digest: Digest,
    pub(crate) config_file: ConfigFile,
    pub(crate) platform: Platform,
    pub(crate) layers: Vec<Layer>,
    /// The offers that lead to it, see [`Offer::root`].
    roots: Vec<String>,
}

/// A layer and where its stream is.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    /// Of the stream as stored; None in a docker archive, where only the diff ID is known.
    pub(crate) digest: Option<Digest>,
    /// Bytes as stored.
    pub(crate) size: Option<u64>,
    pub(crate) diff_id: Digest,
    pub(crate) kind: LayerKind,
    /// Path in the source.
    pub(crate) member: String,
}

/// Resolves one offer, or the best of several offers under one name, for a platform; with `wanted`, only what
/// has this digest or is listed in an index that has it.
///
/// # Errors
/// `Corrupt`, `Unsupported` (also when none of them is for the platform), `Limit`, `Io`.
pub(crate) fn resolve(
    opened: &Opened,
    offers: &[&Offer],
    platform: &Platform,
    wanted: Option<&Digest>,
) -> Result<Resolved, Error> {
    let mut items = offers.iter().filter_map(|offer| match &offer.target {
        Target::Docker(item) => Some(item),
        Target::Oci(_) => None,
    });
    let roots = offers.iter().filter_map(|offer| match &offer.target {
        Target::Oci(descriptor) => Some(descriptor),
        Target::Docker(_) => None,
    });
    let resolved = match (items.next(), wanted) {
        (None, _) => oci::resolve(opened, roots, platform, wanted)?,
        (Some(item), None) => docker::resolve(opened, item)?,
        (Some(item), Some(digest)) => {
            let mut all = std::iter::once(item).chain(items).map(|item| docker::resolve(opened, item));
            let found = all.find(|r| r.as_ref().is_ok_and(|r| r.digests.contains(digest)));
            let what = || format!("the image in {}", opened.path().display());
            found.unwrap_or_else(|| Err(Error::unsupported(what(), "it has another digest")))?
        }
    };
    if platform.rank(&resolved.platform).is_none() {
        let why = format!("it is for {}, this node is {platform}", resolved.platform);
        return Err(Error::unsupported(format!("the image in {}", opened.path().display()), why));
    }
    Ok(resolved)
}
