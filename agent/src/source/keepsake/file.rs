//! One kept pod as a file that only root reads: the pod and the digests of its images in the head, its objects as a
//! manifest behind it.

use super::super::sealed;
use berth_core::{
    manifest::{
        DesiredPod,
        identity::written_name,
        keepsake::{Images, Keepsake},
    },
    time::Wall,
};
use berth_images::Digest;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Begins the first line; the number is the form's.
const MAGIC: &str = "berth-pod-checkpoint 1";
/// Characters of a digest that make a file's name.
const NAME_LEN: usize = 32;
/// Files that are looked at: more pods than any configuration can have.
const FILES_MAX: usize = 4096;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    /// Nanoseconds since 1970.
    written_ns: u64,
    images: Images,
    pod: DesiredPod,
}

/// What a file has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filed {
    pub(crate) written: Wall,
    pub(crate) keepsake: Keepsake,
}

/// Where all of them are.
pub(crate) fn dir(state: &Path) -> PathBuf {
    state.join("kept")
}

/// Where the pod is kept, whatever the node's name is.
pub(crate) fn path(dir: &Path, pod: &DesiredPod) -> PathBuf {
    path_of(dir, &pod.key.namespace, written_name(pod))
}

/// Where the pod with this namespace and name, as written, is kept.
pub(super) fn path_of(dir: &Path, namespace: &str, name: &str) -> PathBuf {
    dir.join(&Digest::of(format!("{namespace}/{name}").as_bytes()).hex()[..NAME_LEN])
}

/// All files, by name, but for what a write that was cut has left.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths = entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_none());
    let mut paths: Vec<PathBuf> = paths.take(FILES_MAX).collect();
    paths.sort();
    Ok(paths)
}

/// The file's content.
///
/// # Errors
/// What could not be read again: its objects are too many or too large for one manifest.
pub(super) fn content(filed: &Filed) -> Result<Vec<u8>, String> {
    let Keepsake { pod, images, .. } = &filed.keepsake;
    let head = Head { written_ns: filed.written.0, images: images.clone(), pod: pod.clone() };
    let objects = filed.keepsake.objects_manifest();
    with_objects(pod.clone(), images.clone(), "its objects", &objects)?;
    Ok(sealed::seal(MAGIC, &head, &objects))
}

fn with_objects(pod: DesiredPod, images: Images, file: &str, objects: &[u8]) -> Result<Keepsake, String> {
    Keepsake::with_objects(pod, images, file, objects)
        .map_err(|problems| problems.first().map(ToString::to_string).unwrap_or_default())
}

/// What the file has; None if it is not there.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(path: &Path) -> Result<Option<Filed>, String> {
    let Some((head, objects)) = sealed::read::<Head>(path, MAGIC)? else { return Ok(None) };
    let Head { written_ns, images, pod } = head;
    let keepsake = with_objects(pod, images, &path.to_string_lossy(), &objects)
        .map_err(|why| format!("this Berth cannot read its objects: {why}"))?;
    Ok(Some(Filed { written: Wall(written_ns), keepsake }))
}
