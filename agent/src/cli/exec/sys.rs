//! The raw calls of a terminal: its size, asked for and set.

use nix::libc;
use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

/// Rows and columns of a terminal (and its size in pixels, if it knows).
pub(super) type Size = libc::winsize;

/// Size of the terminal `fd`.
///
/// # Errors
/// It is no terminal.
pub(super) fn size(fd: BorrowedFd<'_>) -> io::Result<Size> {
    let mut size = Size { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes a winsize to the address given, which is that of a live one; the descriptor is
    // open for as long as it is borrowed.
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(size) }
}

/// Tells the terminal `fd`, and so the processes in it, that it has this size.
///
/// # Errors
/// It is no terminal.
pub(super) fn set_size(fd: BorrowedFd<'_>, size: &Size) -> io::Result<()> {
    // SAFETY: TIOCSWINSZ reads a winsize from the address given, which is that of a live one; the descriptor is
    // open for as long as it is borrowed.
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSWINSZ, std::ptr::from_ref(size)) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes ownership of a descriptor that a message brought.
pub(super) fn own(received: RawFd) -> OwnedFd {
    // SAFETY: the kernel opened this descriptor for us when the message was received, and nothing else in this
    // process knows its number.
    unsafe { OwnedFd::from_raw_fd(received) }
}
