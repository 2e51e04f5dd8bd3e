//! What is mounted into a container, in order: the kernel's file systems, then the pod's volumes and files.

use super::SpecInput;
use crate::{container::mounts::Propagation, error::Result, paths::utf8};
use libcontainer::oci_spec::runtime::Mount;
use std::path::Path;

/// Makes the mounts of a container.
pub(super) fn mounts(input: &SpecInput<'_>) -> Result<Vec<Mount>> {
    let privileged = input.container.is_privileged();
    // A bind of the pod's takes the place of a default at the same path.
    let taken = |at: &str| input.binds.iter().any(|bind| Path::new(&bind.destination) == Path::new(at));
    let writable = if privileged { "rw" } else { "ro" };
    let defaults = [
        ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"][..]),
        ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        (
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", writable]),
        ("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", writable]),
    ];
    let mut mounts: Vec<Mount> = Vec::with_capacity(defaults.len() + input.binds.len() + 1);
    for (destination, kind, source, options) in defaults {
        if !taken(destination) {
            mounts.push(mount(destination, kind, source, options));
        }
    }
    if !taken("/dev/shm") {
        let shm = utf8(input.shm)?;
        mounts.push(mount("/dev/shm", "bind", shm, &["rbind", "rprivate", "nosuid", "noexec", "nodev"]));
    }
    for bind in input.binds {
        let access = match (bind.read_only, bind.recursive_read_only) {
            (true, true) => "rro",
            (true, false) => "ro",
            (false, _) => "rw",
        };
        let propagation = match bind.propagation {
            Propagation::None => "rprivate",
            Propagation::HostToContainer => "rslave",
            Propagation::Bidirectional => "rshared",
        };
        let options = [&["rbind", propagation, access][..], &bind.restrictions].concat();
        mounts.push(mount(&bind.destination, "bind", utf8(&bind.source)?, &options));
    }
    Ok(mounts)
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    let mut mount = Mount::default();
    mount
        .set_destination(destination.into())
        .set_typ(Some(kind.to_owned()))
        .set_source(Some(source.into()))
        .set_options(Some(options.iter().map(|option| (*option).to_owned()).collect()));
    mount
}
