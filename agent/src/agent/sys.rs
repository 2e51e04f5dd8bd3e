//! The raw calls of the agent.

use std::{io, os::fd::OwnedFd, sync::Arc};
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
