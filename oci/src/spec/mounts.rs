//! What is mounted into a container, in order: the kernel's file systems, then the pod's volumes and files.

use super::SpecInput;
use crate::{container::mounts::Propagation, error::Result, paths::utf8, worker::mounts::MAPPED};
use libcontainer::oci_spec::runtime::Mount;
use std::path::Path;

/// The group of terminals.
const TERMINALS: u32 = 5;

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
    // What is mounted before the container is there is owned by ids of the node.
    let root = input.ids.map(|ids| ids.on_node(0));
    let owner = root.map(|root| [format!("uid={root}"), format!("gid={root}")]);
    let terminals = input.ids.map(|ids| [format!("gid={}", ids.on_node(TERMINALS))]);
    let mut mounts: Vec<Mount> = Vec::with_capacity(defaults.len() + input.binds.len() + 1);
    for (destination, kind, source, options) in defaults {
        if !taken(destination) {
            let owned: &[String] = match kind {
                "tmpfs" => owner.as_ref().map_or(&[], |options| options.as_slice()),
                "devpts" => terminals.as_ref().map_or(&[], |options| options.as_slice()),
                _ => &[],
            };
            let mut options: Vec<&str> = options.to_vec();
            if !owned.is_empty() {
                options.retain(|option| !option.starts_with("gid="));
                options.extend(owned.iter().map(String::as_str));
            }
            let label = input.label.filter(|_| matches!(kind, "tmpfs" | "devpts"));
            let label = label.map(|label| format!("context={label}"));
            options.extend(label.as_deref());
            mounts.push(mount(destination, kind, source, &options));
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
        let mut options = [&["rbind", propagation, access][..], &bind.restrictions].concat();
        if bind.mapped {
            options.push(MAPPED);
        }
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
