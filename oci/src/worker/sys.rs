//! System calls of zygote, worker and executor that need `unsafe`.

use crate::spec::capabilities::CapabilitySet;
use berth_keeper::protocol::KEEPER_FD;
use nix::{
    errno::Errno,
    sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg},
};
use std::{
    ffi::CString,
    io::{IoSlice, IoSliceMut},
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::net::UnixListener,
    },
    ptr,
};

const CAP_SYS_ADMIN: u64 = 1 << 21;
/// `_LINUX_CAPABILITY_VERSION_3`.
const CAP_VERSION: u32 = 0x2008_0522;
/// An argument that is not used, as wide as the kernel reads it.
const NONE: libc::c_ulong = 0;
/// Signals, real-time ones included.
const SIGNALS_MAX: i32 = 64;

/// The socket to the keeper.
pub(crate) fn keeper_socket() -> BorrowedFd<'static> {
    // SAFETY: whoever starts a zygote gives it this descriptor, and nobody closes it.
    unsafe { BorrowedFd::borrow_raw(KEEPER_FD) }
}

/// Ends the process, without running anything that its parent had prepared for its own end.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: _exit(2) ends the process.
    unsafe { libc::_exit(status) }
}

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Limits the thread to these capabilities (as far as it has them): bounding, permitted and effective;
/// nothing inheritable, nothing ambient. `keep_admin` leaves CAP_SYS_ADMIN permitted and effective beyond
/// the set, for a last privileged step: the next execve(2) takes it away, for it is not in the bounding set.
pub(super) fn limit_capabilities(set: CapabilitySet, keep_admin: bool) -> Result<(), Errno> {
    // SAFETY: prctl with numbers only.
    let prctl = |option, argument: libc::c_ulong| unsafe { libc::prctl(option, argument, NONE, NONE, NONE) };
    // Kernels without ambient capabilities have none to clear.
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong);
    for number in 0..u64::from(u64::BITS) {
        match prctl(libc::PR_CAPBSET_READ, number as libc::c_ulong) {
            1 if set.0 & (1 << number) == 0 => {
                Errno::result(prctl(libc::PR_CAPBSET_DROP, number as libc::c_ulong))?;
            }
            -1 => break,
            _ => {}
        }
    }
    let header = CapHeader { version: CAP_VERSION, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: header and data are what version 3 of the call takes, and live over it.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) })?;
    let had = u64::from(data[0].permitted) | u64::from(data[1].permitted) << 32;
    let wanted = had & (set.0 | if keep_admin { CAP_SYS_ADMIN } else { 0 });
    for (index, half) in data.iter_mut().enumerate() {
        // The halves of a 64-bit set.
        let bits = (wanted >> (32 * index)) as u32;
        *half = CapData { effective: bits, permitted: bits, inheritable: 0 };
    }
    // SAFETY: as above.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}

/// All signals do again what they do by default, and none is blocked: what this process ignored or
/// blocked, or was made to by whoever started it, is not the container's.
pub(super) fn reset_signals() {
    // `struct sigaction` as the kernel has it: zeroes are the default action without flags.
    let default = [0_u64; 8];
    for signal in 1..=SIGNALS_MAX {
        // SAFETY: the kernel reads less than `default` has, and a set of 8 bytes; the C library's own wrapper
        // would leave two signals out. Those that cannot be set are refused.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), ptr::null::<u64>(), 8);
        }
    }
    unblock_signals();
}

/// Blocks no signal.
pub(crate) fn unblock_signals() {
    // SAFETY: the set is initialised by sigemptyset and lives over the call.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Becomes another program; returns only if that fails.
pub(super) fn execve(program: &CString, args: &[CString], env: &[CString]) -> Errno {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both lists end in a null pointer, their strings end in 0 and live over the call.
    unsafe { libc::execve(program.as_ptr(), args.as_ptr(), env.as_ptr()) };
    Errno::last()
}

/// Whether the thread, with its effective identity, may run the file.
pub(super) fn may_execute(path: &CString) -> Result<(), Errno> {
    // SAFETY: the path ends in 0 and lives over the call.
    let result = unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::X_OK, libc::AT_EACCESS) };
    Errno::result(result).map(drop)
}

/// The descriptor, as one that an interface wants to own although it only passes it on.
pub(super) fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let raw = nix::fcntl::fcntl(fd.as_raw_fd(), nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(KEEPER_FD + 1))?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Writes to a descriptor that is known by its number only.
pub(super) fn write(fd: i32, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the bytes live over the call; the descriptor is the pipe that this module's user opened.
    let len = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    Errno::result(len).map(isize::cast_unsigned)
}

/// Takes the terminal's master from the one who connected to `listener`, and gives it to `client`.
pub(super) fn pass_on(listener: &UnixListener, client: BorrowedFd<'_>) -> Result<(), Errno> {
    let errno = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    let (stream, _) = listener.accept().map_err(errno)?;
    let mut bytes = [0; 64];
    let mut space = nix::cmsg_space!(RawFd);
    let mut iov = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut iov, Some(&mut space), flags)?;
    let fds = message.cmsgs()?.filter_map(|cmsg| match cmsg {
        ControlMessageOwned::ScmRights(fds) => Some(fds),
        _ => None,
    });
    // SAFETY: the kernel has just made these descriptors for us.
    let fds: Vec<OwnedFd> = fds.flatten().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect();
    let master = fds.first().ok_or(Errno::ENOMSG)?.as_raw_fd();
    let rights = [master];
    let control = [ControlMessage::ScmRights(&rights)];
    sendmsg::<()>(client.as_raw_fd(), &[IoSlice::new(&[0])], &control, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// Makes an empty file in a directory; it must not be there yet.
pub(super) fn create_file(dir: &OwnedFd, name: &std::path::Path) -> Result<(), Errno> {
    use nix::{fcntl::OFlag, sys::stat::Mode};
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let fd = nix::fcntl::openat(Some(dir.as_raw_fd()), name, flags, Mode::from_bits_truncate(0o644))?;
    // SAFETY: the kernel has just made this descriptor for us.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}
