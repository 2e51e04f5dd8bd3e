//! The node's own devices, for privileged containers.

use crate::error::{Error, Result};
use libcontainer::oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

/// Most devices that a privileged container is given.
const DEVICES_MAX: usize = 4096;
/// Directories in one another below `/dev`.
const DEPTH_MAX: u32 = 8;
/// What containers have of their own, or what only names other things.
const LEFT_OUT: [&str; 9] = [
    "/dev/pts",
    "/dev/shm",
    "/dev/fd",
    "/dev/mqueue",
    "/dev/console",
    "/dev/ptmx",
    "/dev/.lxc",
    "/dev/.lxd-mounts",
    "/dev/.udev",
];

/// A device node of the node's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceNode {
    /// Where, the same in the container.
    pub path: PathBuf,
    /// Block device instead of character device.
    pub block: bool,
    /// Numbers.
    pub number: (u32, u32),
    /// Permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl DeviceNode {
    pub(crate) fn to_oci(&self) -> LinuxDevice {
        let kind = if self.block { LinuxDeviceType::B } else { LinuxDeviceType::C };
        let mut device = LinuxDevice::default();
        device
            .set_path(self.path.clone())
            .set_typ(kind)
            .set_major(i64::from(self.number.0))
            .set_minor(i64::from(self.number.1))
            .set_file_mode(Some(self.mode))
            .set_uid(Some(self.uid))
            .set_gid(Some(self.gid));
        device
    }
}

/// Lists the device nodes below `/dev`; at most [`DEVICES_MAX`].
///
/// # Errors
/// [`Error::Io`]: `/dev` cannot be listed.
pub fn host_devices() -> Result<Vec<DeviceNode>> {
    let mut found = Vec::new();
    let dev = Path::new("/dev");
    list(dev, DEPTH_MAX, &mut found).map_err(Error::io("list", dev))?;
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn list(dir: &Path, depth: u32, found: &mut Vec<DeviceNode>) -> io::Result<()> {
    for entry in fs::read_dir(dir)?.flatten() {
        let path = entry.path();
        if LEFT_OUT.iter().any(|left_out| path == Path::new(left_out)) {
            continue;
        }
        let Ok(meta) = entry.metadata() else { continue };
        let kind = meta.file_type();
        if kind.is_dir() && depth > 0 {
            // A directory that disappears meanwhile is no loss.
            let _ = list(&path, depth - 1, found);
        } else if (kind.is_char_device() || kind.is_block_device()) && found.len() < DEVICES_MAX {
            found.push(DeviceNode {
                path,
                block: kind.is_block_device(),
                number: (libc::major(meta.rdev()), libc::minor(meta.rdev())),
                mode: meta.mode() & 0o7777,
                uid: meta.uid(),
                gid: meta.gid(),
            });
        }
    }
    Ok(())
}
