//! System calls of the zygote that need `unsafe`.

use nix::{errno::Errno, unistd::Pid};
use std::{
    ffi::CStr,
    mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    path::Path,
    ptr,
};

/// `struct clone_args`, as far as the cgroup.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// An argument that is not used, as wide as the kernel reads it.
const NONE: libc::c_ulong = 0;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const MOUNT_ATTR_RDONLY: u64 = 1;

/// Which side of a fork this is.
pub(super) enum Fork {
    /// The worker; `inside` the cgroup that was named.
    Child {
        /// As said.
        inside: bool,
    },
    /// The zygote, with the worker's pid.
    Parent(Pid),
}

/// The lowest priority for this process and those that it will fork. That it stays as it is does no harm.
pub(super) fn give_way() {
    const NICE_MAX: libc::c_int = 19;
    // SAFETY: takes integers only; 0 is the calling process.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE_MAX) };
}

/// Forks, if it can be into the cgroup (an open directory). The process must have one thread.
pub(super) fn fork_into(cgroup: Option<RawFd>) -> Result<Fork, Errno> {
    if let Some(cgroup) = cgroup
        && let Ok(fork) = clone_into(cgroup)
    {
        return Ok(fork);
    }
    // SAFETY: there is one thread, so the child may do all that its parent may.
    match Errno::result(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child { inside: false }),
        pid => Ok(Fork::Parent(Pid::from_raw(pid))),
    }
}

fn clone_into(cgroup: RawFd) -> Result<Fork, Errno> {
    let args = CloneArgs {
        flags: CLONE_INTO_CGROUP,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: u64::try_from(cgroup).map_err(|_| Errno::EBADF)?,
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM this is a fork: the child runs on a copy of this stack. There is one thread,
    // so no lock of the C library is held that its own fork would have to release.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, mem::size_of::<CloneArgs>()) };
    match Errno::result(pid)? {
        0 => Ok(Fork::Child { inside: true }),
        pid => Ok(Fork::Parent(Pid::from_raw(libc::pid_t::try_from(pid).map_err(|_| Errno::EOVERFLOW)?))),
    }
}

/// Takes a variable out of the environment. One thread.
pub(super) fn unset_env(name: &CStr) {
    // SAFETY: there is one thread, so nobody reads the environment meanwhile.
    unsafe { libc::unsetenv(name.as_ptr()) };
}

/// Puts a variable into the environment. One thread.
pub(super) fn set_env(name: &CStr, value: &CStr) {
    // SAFETY: as above; the C library copies both strings.
    unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) };
}

/// Whether others of the same user may look into this process.
pub(super) fn set_dumpable(dumpable: bool) {
    // SAFETY: prctl with numbers only.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(dumpable), NONE, NONE, NONE) };
}

/// `struct mount_attr`.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// The file, as seen through a mount of its own that is read-only and nowhere in the tree.
pub(super) fn read_only_view(path: &Path) -> Result<OwnedFd, Errno> {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Errno::EINVAL)?;
    let flags = libc::OPEN_TREE_CLOEXEC | libc::OPEN_TREE_CLONE;
    // SAFETY: the path ends in 0 and lives over the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    let fd = libc::c_int::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us.
    let view = unsafe { OwnedFd::from_raw_fd(fd) };
    let attr = MountAttr { set: MOUNT_ATTR_RDONLY, clear: 0, propagation: 0, userns: 0 };
    // SAFETY: `attr` lives over the call and says its own size; the empty path ends in 0.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            view.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attr,
            mem::size_of::<MountAttr>(),
        )
    };
    Errno::result(set)?;
    Ok(view)
}

/// Becomes the program behind the descriptor, with the same arguments and environment; returns only if
/// that fails.
pub(super) fn exec_fd(program: &OwnedFd, args: &[&CStr]) -> Errno {
    let args: Vec<*const libc::c_char> = args.iter().map(|arg| arg.as_ptr()).chain([ptr::null()]).collect();
    // SAFETY: the list ends in a null pointer, its strings and the environment live over the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            args.as_ptr(),
            libc::environ,
            libc::AT_EMPTY_PATH,
        );
    }
    Errno::last()
}
