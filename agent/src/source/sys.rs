//! Read leases: how to know that nobody is writing a file, and to keep it so while it is read.

use nix::libc;
use std::{fs::File, os::fd::AsRawFd};

/// `F_SETSIG` of <linux/fcntl.h>, the same on all architectures in question; the libc crate lacks it.
const F_SETSIG: libc::c_int = 10;

/// What the kernel said to a read lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lease {
    /// Nobody has the file open for writing, and who wants to waits until it is given back.
    Held,
    /// Somebody has it open for writing.
    Writers,
    /// This file system has no leases; nothing is known.
    Unknown,
}

impl Lease {
    /// Takes a read lease on `file`. To be held for microseconds: a writer waits meanwhile.
    pub(super) fn take(file: &File) -> Self {
        // Who breaks the lease makes the kernel signal its holder: with a signal that is ignored by default.
        if fcntl(file, F_SETSIG, libc::SIGURG) != 0 {
            return Self::Unknown;
        }
        match fcntl(file, libc::F_SETLEASE, libc::F_RDLCK) {
            0 => Self::Held,
            libc::EAGAIN => Self::Writers,
            _ => Self::Unknown,
        }
    }

    /// Gives it back, if there is one; closing the file would too.
    pub(super) fn give_back(self, file: &File) {
        if self == Self::Held {
            fcntl(file, libc::F_SETLEASE, libc::F_UNLCK);
        }
    }
}

/// 0 or the errno.
fn fcntl(file: &File, command: libc::c_int, argument: libc::c_int) -> libc::c_int {
    // SAFETY: both commands take an int and no pointer; the descriptor is open.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
    if result >= 0 { 0 } else { std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) }
}
