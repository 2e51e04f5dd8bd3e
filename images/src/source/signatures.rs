//! Finds the signatures that lie beside an image in its layout or archive, as cosign stores them: a manifest
//! under the tag `sha256-<digest>.sig` (what `cosign copy` and `skopeo copy` of that tag give), or one annotated
//! by `cosign save`; each of its layers is a signed document with its signature in an annotation. Nothing is
//! believed here: whether a signature is right is `signature`'s question.

use super::{Offer, Opened, Part, Scanned, Target, oci::Descriptor};
use crate::{
    digest::Digest,
    error::Error,
    limits::{JSON_MAX_BYTES, SIGNATURE_PAYLOAD_MAX_BYTES, SIGNATURES_MAX_COUNT},
    signature::Signature,
};
use serde::Deserialize;

/// The media type of a signed document.
const PAYLOAD_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Where its signature is.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// How `cosign save` marks what the entries of a layout are.
const KIND: &str = "kind";
const KIND_SIGNATURES: &str = "dev.cosignproject.cosign/sigs";

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Descriptor>,
}

impl Offer {
    /// It is no image to run: signatures (or an attestation) of another one.
    pub(crate) fn is_signature(&self) -> bool {
        let tagged = self.names.iter().filter_map(|name| name.tag()).any(is_tag_of_some);
        let Target::Oci(descriptor) = &self.target else { return false };
        tagged || annotation(descriptor, KIND).is_some_and(|kind| kind == KIND_SIGNATURES)
    }
}

/// `sha256-<64 hex digits>.sig`, `.att` or `.sbom`.
fn is_tag_of_some(tag: &str) -> bool {
    let hex = tag.strip_prefix("sha256-").and_then(|rest| rest.split_once('.'));
    hex.is_some_and(|(hex, _)| Digest::from_hex(hex).is_some())
}

/// The signatures for any of these digests; those that `cosign save` wrote for others are among them.
///
/// # Errors
/// `Corrupt`, `Limit`, `Io`: a signature that is there must be readable.
pub(crate) fn signatures(
    opened: &Opened,
    scanned: &Scanned,
    digests: &[Digest],
) -> Result<Vec<Signature>, Error> {
    let tags: Vec<String> = digests.iter().map(|digest| format!("sha256-{}.sig", digest.hex())).collect();
    let mut found = Vec::new();
    for offer in scanned.images.iter().filter(|offer| offer.is_signature()) {
        let Target::Oci(descriptor) = &offer.target else { continue };
        let saved = annotation(descriptor, KIND).is_some_and(|kind| kind == KIND_SIGNATURES);
        let tagged =
            offer.names.iter().filter_map(|name| name.tag()).any(|tag| tags.iter().any(|t| t == tag));
        if !saved && !tagged {
            continue;
        }
        let digest = Digest::parse(&descriptor.digest)?;
        let what = opened.what(&descriptor.digest);
        let manifest: Manifest =
            serde_json::from_slice(&opened.blob(&digest, Part::Manifest, JSON_MAX_BYTES)?).map_err(
                |error| Error::corrupt(&what, "a manifest of signatures in JSON", error.to_string()),
            )?;
        for layer in &manifest.layers {
            found.extend(one(opened, layer)?);
            if found.len() > SIGNATURES_MAX_COUNT {
                return Err(Error::limit(what, "SIGNATURES_MAX_COUNT", SIGNATURES_MAX_COUNT as u64));
            }
        }
    }
    Ok(found)
}

fn one(opened: &Opened, layer: &Descriptor) -> Result<Option<Signature>, Error> {
    let Some(signature) = annotation(layer, SIGNATURE).filter(|_| layer.media_type == PAYLOAD_TYPE) else {
        return Ok(None);
    };
    let what = opened.what(&layer.digest);
    if layer.size > SIGNATURE_PAYLOAD_MAX_BYTES || signature.len() as u64 > SIGNATURE_PAYLOAD_MAX_BYTES {
        return Err(Error::limit(what, "SIGNATURE_PAYLOAD_MAX_BYTES", SIGNATURE_PAYLOAD_MAX_BYTES));
    }
    let payload = opened.blob(&Digest::parse(&layer.digest)?, Part::Blob, SIGNATURE_PAYLOAD_MAX_BYTES)?;
    // JSON is UTF-8; what is not cannot be what an image's signature signs.
    let payload = String::from_utf8(payload).ok();
    Ok(payload.map(|payload| Signature { payload, signature: signature.to_owned() }))
}

fn annotation<'a>(descriptor: &'a Descriptor, key: &str) -> Option<&'a str> {
    descriptor.annotations.as_ref()?.get(key).map(String::as_str)
}
