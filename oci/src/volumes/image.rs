//! An image as a volume: its layers as one tree that nobody can write to, mounted when the first container
//! that wants it starts, and unmounted with the sandbox.

use crate::{
    error::{Error, Result},
    fsys::{self, mounts::unmount_below},
    paths::Roots,
    users::ids,
    worker::{map_layers, overlay_path},
};
use berth_core::{action::ImageFacts, manifest::DesiredPod};
use nix::mount::{MsFlags, mount};
use std::{
    fs::File,
    path::{Path, PathBuf},
};

/// The kernel takes a page of options; its size is at least this on all machines.
const OPTIONS_LEN_MAX: usize = 4095;

/// Mounts the images on the volumes of these names, unless they are there. Blocking, idempotent.
///
/// # Errors
/// [`Error::Volume`].
pub fn mount_images(roots: &Roots, pod: &DesiredPod, images: &[(String, ImageFacts)]) -> Result<()> {
    for (volume, image) in images {
        let at = roots.pod_memory_volume(&pod.uid, volume);
        fsys::make_dirs(&at, 0o755)?;
        if !fsys::is_overlay_mount(&at) {
            one(roots, pod, image, &at)
                .map_err(|error| Error::Volume { volume: volume.clone(), message: error.to_string() })?;
        }
    }
    Ok(())
}

fn one(roots: &Roots, pod: &DesiredPod, image: &ImageFacts, at: &Path) -> Result<()> {
    // The kernel wants two layers at least.
    let empty = roots.pod_run(&pod.uid).join("empty");
    fsys::make_dirs(&empty, 0o755)?;
    let layers: Vec<&Path> = image.layers.iter().map(Path::new).collect();
    let mapped = ids::are_own(pod).then(|| Mapped::new(roots, pod, &layers)).transpose()?;
    let owned = mapped.as_ref().map(|mapped| mapped.layers.iter().map(PathBuf::as_path).collect());
    let mut layers: Vec<String> =
        owned.unwrap_or(layers).into_iter().map(|layer| overlay_path(layer, true)).collect();
    layers.push(overlay_path(&empty, true));
    let options = format!("lowerdir={}", layers.join(":"));
    if options.len() > OPTIONS_LEN_MAX {
        let message =
            format!("image {} has too many layers for a volume: {}", image.reference, layers.len() - 1);
        return Err(Error::Config(message));
    }
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(Some("overlay"), at, Some("overlay"), flags, Some(options.as_str()))
        .map_err(Error::sys("mount the image on", at))
}

/// The layers with the owners that they have for the pod's own users. An overlay has mounts of its own of its layers, so
/// that these go once it is made.
struct Mapped {
    dir: PathBuf,
    layers: Vec<PathBuf>,
}

impl Mapped {
    fn new(roots: &Roots, pod: &DesiredPod, layers: &[&Path]) -> Result<Self> {
        let path = roots.pod_ns(&pod.uid, "user");
        let users = File::open(&path).map_err(Error::io("open the namespace", &path))?;
        let dir = roots.pod_run(&pod.uid).join("layers");
        // What is mounted before something fails goes with it.
        let mut mapped = Self { dir, layers: Vec::new() };
        let names = map_layers(&mapped.dir, layers, &users.into())?;
        mapped.layers = names.iter().map(|name| mapped.dir.join(name)).collect();
        Ok(mapped)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if let Err(error) = unmount_below(&self.dir) {
            tracing::warn!(%error, "layers stay mounted until the pod goes");
        }
    }
}
