//! What a cosign signature signs: a small JSON document that names an image and its digest ("simple signing",
//! containers-signature(5)). It is read only after its signature was found right. Pure.

use super::policy::Identity;
use crate::{digest::Digest, reference::Reference};
use serde::Deserialize;

/// The one kind of document that a signature of an image may be over.
const KIND: &str = "cosign container image signature";

#[derive(Debug, Deserialize)]
pub(super) struct Payload {
    critical: Critical,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    identity: Named,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    #[serde(rename = "docker-reference")]
    reference: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

impl Payload {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("what it signs is not understood: {error}"))
    }

    /// Whether it is about the image with one of these digests, under this name.
    pub(super) fn is_for(
        &self,
        wanted: &Reference,
        digests: &[Digest],
        identity: &Identity,
    ) -> Result<(), String> {
        let Critical { identity: named, image, kind } = &self.critical;
        if kind != KIND {
            return Err(format!("what it signs is a {kind:.80?}"));
        }
        if !digests.iter().any(|digest| digest.to_string() == image.digest) {
            return Err(format!("is for the image {:.80}", image.digest));
        }
        let other = || Err(format!("is for the name {:.200}", named.reference));
        let Ok(signed) = Reference::parse(&named.reference) else { return other() };
        let is = |expected: &str| Reference::parse(expected).is_ok_and(|expected| expected == signed);
        let exact =
            has_tag(&named.reference) && signed.name() == wanted.name() && signed.tag() == wanted.tag();
        let fits = match identity {
            Identity::MatchExact {} => wanted.digest().is_none() && exact,
            Identity::MatchRepoDigestOrExact {} if wanted.digest().is_none() => exact,
            Identity::MatchRepoDigestOrExact {} | Identity::MatchRepository {} => {
                signed.name() == wanted.name()
            }
            Identity::ExactReference { docker_reference } => is(docker_reference),
            Identity::ExactRepository { docker_repository } => {
                Reference::parse(docker_repository).is_ok_and(|expected| expected.name() == signed.name())
            }
        };
        if fits { Ok(()) } else { other() }
    }
}

/// `latest` is not assumed here: cosign leaves the tag out where it signs a digest of a repository.
fn has_tag(reference: &str) -> bool {
    let name = reference.split('@').next().unwrap_or_default();
    name.rsplit('/').next().is_some_and(|last| last.contains(':'))
}
