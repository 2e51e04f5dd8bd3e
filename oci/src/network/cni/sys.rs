//! What a plugin's process is before it becomes the plugin, and how its end is awaited.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command},
};

/// Has the command run in the cgroup whose `cgroup.procs` is open here, and die with the thread that starts it.
pub(super) fn confine(command: &mut Command, procs: File) {
    // SAFETY: between fork and exec only system calls are made and memory that exists already is read.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // "0": whoever writes.
            match libc::write(procs.as_raw_fd(), c"0".as_ptr().cast(), 1) {
                1 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
    }
}

/// A descriptor that becomes readable when the child ends.
pub(super) fn end_of(child: &Child) -> io::Result<OwnedFd> {
    let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    // SAFETY: no pointer is passed.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us, nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
