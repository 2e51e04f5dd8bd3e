//! libcontainer moves each process that it makes into the cgroup by a write to `cgroup.procs`, for which the
//! kernel waits for a grace period of all processors: milliseconds. A worker that was born in the cgroup has
//! nothing to move, so it hides the file from libcontainer: in the worker's own mounts it is /dev/null.

use crate::error::{Error, Result};
use nix::mount::{MsFlags, mount};
use std::path::Path;

/// Where libcontainer looks for the hierarchy, whatever the configuration says.
const EXPECTED: &str = "/sys/fs/cgroup";
/// `cgroup.kill` too: after a failed create libcontainer would kill the worker itself.
const HIDDEN: [&str; 2] = ["cgroup.procs", "cgroup.kill"];

/// Brings the hierarchy to where libcontainer expects it, and hides what it must not write to if this
/// process is in the cgroup already.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn cover(cgroup_mount: &Path, cgroup: &Path, inside: bool) -> Result<()> {
    let expected = Path::new(EXPECTED);
    let bind = |source: &Path, target: &Path| {
        mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .map_err(Error::sys("bind-mount on", target))
    };
    if cgroup_mount != expected {
        bind(cgroup_mount, expected)?;
    }
    if inside {
        let below = cgroup.strip_prefix(cgroup_mount).unwrap_or(cgroup);
        for file in HIDDEN {
            let target = expected.join(below).join(file);
            // The root has no `cgroup.kill`, old kernels have it nowhere.
            if target.exists() {
                bind(Path::new("/dev/null"), &target)?;
            }
        }
    }
    Ok(())
}
