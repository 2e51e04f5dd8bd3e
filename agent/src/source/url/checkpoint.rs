//! The last good answer of an address on disk, so that a boot without network has its pods. With everything that it
//! has, Secrets too, or its pods could not start: only root may read it. Beside these files lies one with the digests of
//! the images that the pods of all addresses run, which are known only when the images are there.

use super::super::sealed;
use berth_core::manifest::{DesiredPod, identity::written_name, keepsake::Images};
use berth_images::Digest;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Begins the first line of an answer; the number is the form's.
const MAGIC: &str = "berth-url-checkpoint 1";
/// As [`MAGIC`], of the digests.
const IMAGES_MAGIC: &str = "berth-url-images 1";
/// Name of the file with the digests.
const IMAGES: &str = "images";
/// Characters of a digest that make a file's name.
const NAME_LEN: usize = 32;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Kept {
    pub(crate) url: String,
    /// Nanoseconds since 1970.
    pub(crate) received_ns: u64,
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
    /// As it came.
    #[serde(skip)]
    pub(crate) body: Vec<u8>,
}

/// What the pods of all addresses run: by namespace/name as written the revision, and its images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Digests(pub(crate) BTreeMap<String, (String, Images)>);

/// The pod's key in [`Digests`].
pub(crate) fn name(pod: &DesiredPod) -> String {
    format!("{}/{}", pod.key.namespace, written_name(pod))
}

/// Where all of it is kept.
pub(crate) fn dir(state: &Path) -> PathBuf {
    state.join("urls")
}

/// The files of answers that are there, by name; of a write that was cut too.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| *path != dir.join(IMAGES)).collect();
    paths.sort();
    Ok(paths)
}

/// Where what an address said is kept.
pub(crate) fn path(dir: &Path, url: &str) -> PathBuf {
    dir.join(&Digest::of(url.as_bytes()).hex()[..NAME_LEN])
}

/// Keeps it, durably.
pub(crate) fn write(path: &Path, kept: &Kept) -> Result<(), berth_oci::Error> {
    sealed::write(path, &sealed::seal(MAGIC, kept, &kept.body))
}

/// What is kept of `url`; None if there is nothing.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn read_of(path: &Path, url: &str) -> Result<Option<Kept>, String> {
    match read(path)? {
        Some(kept) if kept.url != url => Err(format!("it is of {}", kept.url)),
        kept => Ok(kept),
    }
}

/// What the file has; None if it is not there.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(path: &Path) -> Result<Option<Kept>, String> {
    let read = sealed::read::<Kept>(path, MAGIC)?;
    Ok(read.map(|(kept, body)| Kept { body, ..kept }))
}

/// Where the digests are kept, and their file's content.
pub(super) fn sealed_digests(dir: &Path, digests: &Digests) -> (PathBuf, Vec<u8>) {
    (dir.join(IMAGES), sealed::seal(IMAGES_MAGIC, digests, &[]))
}

/// The digests that are kept; without a whole file none.
pub(crate) fn digests(dir: &Path) -> Digests {
    let read = sealed::read::<Digests>(&dir.join(IMAGES), IMAGES_MAGIC);
    read.ok().flatten().map(|(digests, _)| digests).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        let etag = Some("\"a\"".to_owned());
        Kept {
            url: "http://a/".into(),
            received_ns: 7,
            etag,
            last_modified: None,
            body: b"a\nb\n\xff".to_vec(),
        }
    }

    #[test]
    fn what_is_kept_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(&dir.path().join("urls"), "http://a/");
        assert_eq!(read_of(&path, "http://a/"), Ok(None));
        write(&path, &kept()).unwrap();
        assert_eq!(read_of(&path, "http://a/"), Ok(Some(kept())));
        read_of(&path, "http://b/").unwrap_err();
    }

    #[test]
    fn digests_are_kept_beside_the_answers() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(digests(dir.path()), Digests::default());
        let images = Images::from([("i:1".to_owned(), "sha256:0".to_owned())]);
        let known = Digests(BTreeMap::from([("default/web".to_owned(), ("uid".to_owned(), images))]));
        let (path, content) = sealed_digests(dir.path(), &known);
        sealed::write(&path, &content).unwrap();
        assert_eq!(digests(dir.path()), known);
        assert_eq!(list(dir.path()).unwrap(), Vec::<PathBuf>::new());
    }
}
