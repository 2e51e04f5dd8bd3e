//! Descriptors that came by number, from whoever started us.

use nix::errno::Errno;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Takes over an open descriptor that this process was started with, and makes it close-on-exec.
/// To be called once for each number, with numbers that only the program before us may have opened.
pub(crate) fn adopt(fd: RawFd) -> Result<OwnedFd, Errno> {
    super::process::set_cloexec(fd, true)?;
    // SAFETY: the descriptor is open (the call above says so) and was handed to this program by
    // whoever ran it, so nobody else here owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Writes a line to stderr if that needs no waiting; whoever reads it may be stuck.
pub(crate) fn say(line: &[u8]) {
    let mut poll = libc::pollfd { fd: 2, events: libc::POLLOUT, revents: 0 };
    // SAFETY: `poll` is live and `line` is readable for its length.
    unsafe {
        if libc::poll(&raw mut poll, 1, 0) == 1 && poll.revents & libc::POLLOUT != 0 {
            let sent =
                libc::send(2, line.as_ptr().cast(), line.len(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
            if sent < 0 && Errno::last() == Errno::ENOTSOCK {
                libc::write(2, line.as_ptr().cast(), line.len());
            }
        }
    }
}
