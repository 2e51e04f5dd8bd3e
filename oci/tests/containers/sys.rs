//! What of the tests needs `unsafe`.

use std::os::fd::{FromRawFd, OwnedFd};

/// A descriptor that came by SCM_RIGHTS.
pub(crate) fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
