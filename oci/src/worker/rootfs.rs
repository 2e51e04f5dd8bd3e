//! The container's root file system: an overlay of the image's layers, mounted where nobody but this worker
//! and the container sees it. The kernel frees it with the last process that does.

use crate::{
    bundle::OverlayPlan,
    error::{Error, Result},
    worker::mounts,
};
use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
    unistd::chdir,
};
use std::{
    fs::{self, File},
    os::{fd::OwnedFd, unix::fs::symlink},
    path::{Path, PathBuf},
};

/// The kernel takes a page of options; its size is at least this on all machines.
const OPTIONS_LEN_MAX: usize = 4095;
/// Short names for layers, in the bundle, when their paths are too long together.
const LINKS: &str = "l";

/// From now on this process' mounts are its own, and none comes in from outside.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn own_mounts() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(Error::sys("unshare", "the mount namespace"))?;
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).map_err(Error::sys("make private", "/"))
}

/// Joins the pod's namespaces: what is mounted here shows their network and message queues.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn join(namespaces: &[PathBuf]) -> Result<()> {
    for path in namespaces {
        let file = File::open(path).map_err(Error::io("open the namespace", path))?;
        setns(file, CloneFlags::empty()).map_err(Error::sys("join the namespace", path))?;
    }
    Ok(())
}

/// From now on this process' own cgroup is the root of what it, and the container, see of the hierarchy.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn own_cgroup_view() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWCGROUP).map_err(Error::sys("unshare", "the cgroup namespace"))
}

/// Mounts the overlay on `target`.
///
/// # Errors
/// [`Error::Io`], [`Error::Config`].
pub(crate) fn overlay(
    bundle: &Path,
    target: &Path,
    plan: &OverlayPlan,
    users: Option<&OwnedFd>,
) -> Result<()> {
    if plan.lower.is_empty() {
        return Err(Error::Config("the image has no layers".into()));
    }
    let lower: Vec<&Path> = plan.lower.iter().map(Path::new).collect();
    let mut text = options(&lower, plan);
    if let Some(users) = users {
        let mapped = mounts::map_layers(&bundle.join(LINKS), &lower, users)?;
        let short: Vec<PathBuf> = mapped.iter().map(|name| Path::new(LINKS).join(name)).collect();
        text = options(&short.iter().map(PathBuf::as_path).collect::<Vec<_>>(), plan);
        chdir(bundle).map_err(Error::sys("change the directory to", bundle))?;
    } else if text.len() > OPTIONS_LEN_MAX {
        let short = short_names(bundle, &lower)?;
        text = options(&short.iter().map(PathBuf::as_path).collect::<Vec<_>>(), plan);
        chdir(bundle).map_err(Error::sys("change the directory to", bundle))?;
    }
    if text.len() > OPTIONS_LEN_MAX {
        return Err(Error::Config(format!("the image has too many layers: {}", plan.lower.len())));
    }
    let mounted = match try_mount(target, &text, plan.volatile) {
        // A kernel before 5.10 does not know `volatile`.
        Err(Errno::EINVAL) if plan.volatile => try_mount(target, &text, false),
        result => result,
    };
    chdir("/").map_err(Error::sys("change the directory to", "/"))?;
    mounted.map_err(|errno| {
        let missing = lower.iter().find(|layer| !layer.is_dir());
        match missing {
            Some(layer) => Error::Config(format!("the image's layer {} is missing", layer.display())),
            None => Error::sys("mount the overlay on", target)(errno),
        }
    })
}

fn try_mount(target: &Path, options: &str, volatile: bool) -> std::result::Result<(), Errno> {
    let options = if volatile { format!("{options},volatile") } else { options.to_owned() };
    mount(Some("overlay"), target, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
}

fn options(lower: &[&Path], plan: &OverlayPlan) -> String {
    let layers: Vec<String> = lower.iter().map(|layer| escape(layer, true)).collect();
    let (upper, work) = (escape(&plan.upper, false), escape(&plan.work, false));
    // Quoted: a level has commas.
    let label = plan.label.as_ref().map(|label| format!(",context=\"{label}\"")).unwrap_or_default();
    format!("lowerdir={},upperdir={upper},workdir={work}{label}", layers.join(":"))
}

/// Overlayfs takes a comma, a backslash and (between layers) a colon as they are only behind a backslash.
pub(crate) fn escape(path: &Path, layer: bool) -> String {
    let mut text = String::new();
    for c in path.to_string_lossy().chars() {
        if matches!(c, ',' | '\\') || (layer && c == ':') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// Links `l/0`, `l/1`… in the bundle, relative to it.
fn short_names(bundle: &Path, lower: &[&Path]) -> Result<Vec<PathBuf>> {
    let dir = bundle.join(LINKS);
    crate::fsys::remove::remove_tree(&dir)?;
    fs::create_dir(&dir).map_err(Error::io("create the directory", &dir))?;
    let mut short = Vec::with_capacity(lower.len());
    for (index, layer) in lower.iter().enumerate() {
        let link = dir.join(index.to_string());
        symlink(layer, &link).map_err(Error::io("link a layer at", &link))?;
        short.push(Path::new(LINKS).join(index.to_string()));
    }
    Ok(short)
}
