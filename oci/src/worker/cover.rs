//! libcontainer moves each process that it makes into the cgroup by a write to `cgroup.procs`, for which the
//! kernel waits for a grace period of all processors: milliseconds. A worker is in the cgroup from its birth and
//! has nothing to move, so it hides the file from libcontainer: in the worker's own mounts it is /dev/null.

use crate::error::{Error, Result};
use nix::mount::{MsFlags, mount};
use std::path::Path;

/// Where libcontainer looks for the hierarchy, whatever the configuration says.
const EXPECTED: &str = "/sys/fs/cgroup";
/// `cgroup.kill` too: after a failed create libcontainer would kill the worker itself.
const HIDDEN: [&str; 2] = ["cgroup.procs", "cgroup.kill"];

/// Moves this process into the cgroup if it was not born there.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn enter(cgroup: &Path, inside: bool) -> Result<()> {
    if inside {
        return Ok(());
    }
    crate::fsys::make_dirs(cgroup, 0o755)?;
    let procs = cgroup.join("cgroup.procs");
    std::fs::write(&procs, "0").map_err(Error::io("move a process to", &procs))
}

/// Brings the hierarchy to where libcontainer expects it, and hides what it must not write to.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn cover(cgroup_mount: &Path, cgroup: &Path) -> Result<()> {
    let expected = Path::new(EXPECTED);
    let bind = |source: &Path, target: &Path| {
        mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .map_err(Error::sys("bind-mount on", target))
    };
    if cgroup_mount != expected {
        bind(cgroup_mount, expected)?;
    }
    let below = cgroup.strip_prefix(cgroup_mount).unwrap_or(cgroup);
    for file in HIDDEN {
        let target = expected.join(below).join(file);
        // Kernels before 5.14 have no `cgroup.kill`.
        if file == HIDDEN[0] || target.exists() {
            bind(Path::new("/dev/null"), &target)?;
        }
    }
    Ok(())
}
