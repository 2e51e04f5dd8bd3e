//! An image as a volume: its layers as one tree that nobody can write to, mounted when the first container
//! that wants it starts, and unmounted with the sandbox.

use crate::{
    error::{Error, Result},
    fsys,
    paths::Roots,
    worker::overlay_path,
};
use berth_core::{action::ImageFacts, manifest::DesiredPod};
use nix::mount::{MsFlags, mount};
use std::path::Path;

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
    let mut layers: Vec<String> =
        image.layers.iter().map(|layer| overlay_path(Path::new(layer), true)).collect();
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
