//! Whether the kernel takes a device filter: the very one that containers get, loaded and dropped, never attached.

use super::Trial;
use berth_oci::devices::{DeviceError, Program, default_rules};
use nix::errno::Errno;

/// Loads a filter that is never attached, and drops it.
pub(super) fn load_filter() -> Trial {
    match Program::load(&default_rules()) {
        Ok(_) => Trial::Works,
        Err(DeviceError::Load(error)) => match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
            Errno::EPERM | Errno::EACCES => Trial::Unknown("only root can try".into()),
            errno => Trial::Fails(errno.desc().to_lowercase()),
        },
        Err(error) => Trial::Fails(error.to_string()),
    }
}
