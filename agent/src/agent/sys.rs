//! The raw calls of the agent.

use berth_keeper::protocol::KEEPER_FD;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    sync::Arc,
};
use tokio::io::{Interest, unix::AsyncFd};

/// Has the runtime tell when `fd` can be read from or written to. Must be called within the runtime.
///
/// # Errors
/// When epoll does not take the descriptor.
pub(crate) fn watched(fd: Arc<OwnedFd>, interest: Interest) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    // SAFETY: the descriptor is owned by what is registered, so it stays open and the same for as long
    // as it is registered.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(Into::into)
}

/// Takes the socket to the keeper that this process was started with. To be called once, by `agent::main`.
///
/// # Errors
/// When there is no such descriptor.
pub(crate) fn keeper_socket() -> io::Result<OwnedFd> {
    fcntl(KEEPER_FD, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: the descriptor is open, as the call above has shown; the keeper put it there for this process,
    // and nothing else in it takes or closes it.
    let socket = unsafe { OwnedFd::from_raw_fd(KEEPER_FD) };
    fcntl(socket.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(socket)
}
