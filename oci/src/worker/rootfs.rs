//! The container's root file system: an overlay of the image's layers, mounted where nobody but this worker
//! and the container sees it. The kernel frees it with the last process that does.

use crate::{
    bundle::OverlayPlan,
    error::{Error, Result},
    fsys::sys::{open_below, open_path},
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, ResolveFlag},
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::stat::{Mode, mkdirat},
    unistd::chdir,
};
use std::{
    fs,
    os::{fd::AsRawFd, unix::fs::symlink},
    path::{Component, Path, PathBuf},
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

/// Mounts the overlay on `target`.
///
/// # Errors
/// [`Error::Io`], [`Error::Config`].
pub(super) fn overlay(bundle: &Path, target: &Path, plan: &OverlayPlan) -> Result<()> {
    if plan.lower.is_empty() {
        return Err(Error::Config("the image has no layers".into()));
    }
    let lower: Vec<&Path> = plan.lower.iter().map(Path::new).collect();
    let mut text = options(&lower, plan);
    if text.len() > OPTIONS_LEN_MAX {
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
    format!("lowerdir={},upperdir={upper},workdir={work}", layers.join(":"))
}

/// Overlayfs takes a comma, a backslash and (between layers) a colon as they are only behind a backslash.
fn escape(path: &Path, layer: bool) -> String {
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

/// Makes a directory and those above it below `root`, whose links are followed as the container will
/// follow them.
///
/// # Errors
/// [`Error::Config`]: something else is there.
pub(super) fn make_directory(root: &Path, path: &str) -> Result<()> {
    let wrong = |errno: Errno| {
        Error::Config(format!("working directory {path:?} cannot be made in the image: {}", errno.desc()))
    };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    let top = open_path(root, flags, ResolveFlag::empty()).map_err(wrong)?;
    let inside = Path::new(path).strip_prefix("/").unwrap_or(Path::new(path));
    let open = |path: &Path| open_below(&top, path, flags, ResolveFlag::RESOLVE_IN_ROOT);
    if inside.as_os_str().is_empty() || open(inside).is_ok() {
        return Ok(());
    }
    let mut so_far = PathBuf::new();
    for part in inside.components() {
        let above = if so_far.as_os_str().is_empty() { open(Path::new(".")) } else { open(&so_far) };
        let above = above.map_err(wrong)?;
        so_far.push(part);
        if let Component::Normal(name) = part
            && matches!(open(&so_far), Err(Errno::ENOENT))
        {
            mkdirat(Some(above.as_raw_fd()), name, Mode::from_bits_truncate(0o755)).map_err(wrong)?;
        }
    }
    open(inside).map(drop).map_err(wrong)
}
