//! The one raw call of the log pump.

use nix::libc;
use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Bytes that wait in a pipe.
///
/// # Errors
/// Of `ioctl`.
pub(super) fn waiting(pipe: BorrowedFd<'_>) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int through the pointer, which is valid for the call.
    let result = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(count).unwrap_or(0))
}
