//! One image of a registry: its root manifest first, the rest as it is asked for. Of several places that may
//! have it, the first that gives the root is asked for everything, the others after it.

use super::{
    download::{self, Wanted},
    session::{Ask, Session},
};
use crate::{
    digest::Digest,
    error::{Doing as _, Error, Trouble},
    limits::JSON_MAX_BYTES,
    reference::Reference,
    source::{Fill, INDEX_TYPES, MANIFEST_TYPES, Part},
};
use serde::Deserialize;
use std::{fs, io::Read as _, path::Path, sync::Arc};

/// The header in which a registry tells a manifest's digest.
const DIGEST_HEADER: &str = "docker-content-digest";

/// An image as registries have it.
#[derive(Debug, Clone)]
pub(crate) struct RemoteImage {
    sessions: Vec<Arc<Session>>,
    wanted: Reference,
}

/// A manifest or index as it came.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    media_type: Option<String>,
}

fn accept() -> String {
    [INDEX_TYPES, MANIFEST_TYPES].concat().join(", ")
}

impl RemoteImage {
    pub(super) fn new(sessions: Vec<Arc<Session>>, wanted: Reference) -> Self {
        Self { sessions, wanted }
    }

    /// The digest that the image has now; None when the registry does not say it without the manifest.
    ///
    /// # Errors
    /// `Registry`.
    pub(crate) fn digest(&self) -> Result<Option<Digest>, Error> {
        if let Some(digest) = self.wanted.digest() {
            return Ok(Some(*digest));
        }
        let (path, accept) = (self.path_of_root(), accept());
        let ask = Ask { path: &path, accept: &accept, from: 0, head: true };
        self.first(|session| {
            let answer = session.get(ask)?;
            let told = answer.headers().get(DIGEST_HEADER).and_then(|value| value.to_str().ok());
            Ok(told.and_then(|text| Digest::parse(text).ok()))
        })
        .map(|(_, digest)| digest)
    }

    /// Fetches the manifest or index that the reference names into the layout at `dir`; from then on the place that
    /// gave it is the first to be asked.
    ///
    /// # Errors
    /// `Registry`, `Corrupt`, `Limit`, `Io`, `NoSpace`.
    pub(crate) fn root(&mut self, dir: &Path) -> Result<Root, Error> {
        let path = self.path_of_root();
        let (place, root) = self.first(|session| manifest(session, &path, self.wanted.digest(), dir))?;
        self.sessions.swap(0, place);
        Ok(root)
    }

    /// The manifest of signatures for this digest, if there is one, fetched into the layout at `dir`.
    ///
    /// # Errors
    /// As [`RemoteImage::root`].
    pub(crate) fn signatures(&self, digest: &Digest, dir: &Path) -> Result<Option<Root>, Error> {
        let path = format!("manifests/sha256-{}.sig", digest.hex());
        match self.first(|session| manifest(session, &path, None, dir)) {
            Ok((_, root)) => Ok(Some(root)),
            Err(Error::Registry { trouble: Trouble::Missing, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn path_of_root(&self) -> String {
        match self.wanted.digest() {
            Some(digest) => format!("manifests/{digest}"),
            None => format!("manifests/{}", self.wanted.tag().unwrap_or("latest")),
        }
    }

    /// The answer of the first place that has one, and which it is. When none has, the last one's error: that of
    /// the registry itself.
    fn first<T>(&self, ask: impl Fn(&Session) -> Result<T, Error>) -> Result<(usize, T), Error> {
        let mut last = None;
        for (place, session) in self.sessions.iter().enumerate() {
            match ask(session) {
                Ok(answer) => return Ok((place, answer)),
                Err(error @ (Error::NoSpace { .. } | Error::Io { .. })) => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            Error::unsupported(self.wanted.to_string(), "no registry is to be asked for it")
        }))
    }
}

impl Fill for RemoteImage {
    fn fill(&self, digest: &Digest, part: Part, max: u64, target: &Path) -> Result<(), Error> {
        let (path, accept) = match part {
            Part::Manifest => (format!("manifests/{digest}"), accept()),
            Part::Blob => (format!("blobs/{digest}"), "*/*".to_owned()),
        };
        let wanted = Wanted { path: &path, accept: &accept, digest, max };
        self.first(|session| download::blob(session, wanted, target)).map(|_| ())
    }
}

/// A manifest of which only the name is known, or its digest.
fn manifest(session: &Session, path: &str, expected: Option<&Digest>, dir: &Path) -> Result<Root, Error> {
    let answer = session.get(Ask { path, accept: &accept(), from: 0, head: false })?;
    let header = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
    let header = header.map(|text| text.split(';').next().unwrap_or(text).trim().to_owned());
    let mut bytes = Vec::new();
    let mut body = answer.into_body().into_with_config().limit(JSON_MAX_BYTES + 1).reader();
    body.read_to_end(&mut bytes)
        .map_err(|error| session.error(Trouble::Unreachable, format!("{path}: {error}")))?;
    let what = || format!("{path} of {}", session.name());
    if bytes.len() as u64 > JSON_MAX_BYTES {
        return Err(Error::limit(what(), "JSON_MAX_BYTES", JSON_MAX_BYTES));
    }
    let digest = Digest::of(&bytes);
    if let Some(expected) = expected {
        expected.expect(&what(), &digest)?;
    }
    let target = dir.join("blobs/sha256").join(digest.hex());
    fs::write(&target, &bytes).doing(|| format!("write {}", target.display()))?;
    // What it says of itself is of the digest, the header is not.
    let own = serde_json::from_slice::<Typed>(&bytes).ok().and_then(|typed| typed.media_type);
    Ok(Root { digest, media_type: own.or(header).unwrap_or_default(), size: bytes.len() as u64 })
}
