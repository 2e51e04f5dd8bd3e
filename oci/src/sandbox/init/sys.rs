//! System calls of the first process of a pod.

use nix::errno::Errno;
use std::{
    fs::File,
    io,
    os::fd::{FromRawFd, OwnedFd},
};

/// An argument that is not used, as wide as the kernel reads it.
const NONE: libc::c_ulong = 0;
/// The last descriptor that there could be.
const LAST: libc::c_uint = libc::c_uint::MAX;

/// A pipe: its end to read from, and its end to write to.
pub(super) fn pipe() -> io::Result<(File, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: the kernel writes two descriptors into the array.
    Errno::result(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: the kernel has just made these descriptors for us.
    unsafe { Ok((File::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1]))) }
}

/// Forks; none in the child. The process must have one thread.
pub(super) fn fork() -> io::Result<Option<i32>> {
    // SAFETY: there is one thread, so the child may do all that its parent may.
    match Errno::result(unsafe { libc::fork() })? {
        0 => Ok(None),
        pid => Ok(Some(pid)),
    }
}

/// Never again more rights than now, and no looking into this process for those with as few.
pub(super) fn seal() -> io::Result<()> {
    let one: libc::c_ulong = 1;
    for (option, value) in [(libc::PR_SET_NO_NEW_PRIVS, one), (libc::PR_SET_DUMPABLE, NONE)] {
        // SAFETY: numbers only.
        Errno::result(unsafe { libc::prctl(option, value, NONE, NONE, NONE) })?;
    }
    Ok(())
}

/// Holds nothing and waits for ever; the kernel reaps for it.
pub(super) fn rest() -> ! {
    // SAFETY: nothing here uses a descriptor any more; SIG_IGN is a valid disposition. The first process of a
    // namespace gets no signal from inside that it has no handler for.
    unsafe {
        libc::syscall(libc::SYS_close_range, 0 as libc::c_uint, LAST, 0 as libc::c_uint);
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        loop {
            libc::pause();
        }
    }
}
