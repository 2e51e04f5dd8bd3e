//! Datagrams with descriptors beside them, over a `SOCK_SEQPACKET` socket: what agent, zygote, worker
//! and keeper talk with.
//!
//! Both functions block or not as the socket's own `O_NONBLOCK` says, never raise SIGPIPE, never
//! allocate, and never leave a received descriptor open that the caller does not get.

use crate::{
    codec::{DecodeError, Message},
    protocol::{FDS_MAX, MESSAGE_LEN_MAX},
    sys::socket,
};
use nix::errno::Errno;
use std::{
    fmt,
    os::fd::{AsFd, OwnedFd, RawFd},
};

/// Descriptors that came with a message: close-on-exec, in the sender's order.
pub type Fds = heapless::Vec<OwnedFd, FDS_MAX>;

/// Why nothing was sent or received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkError {
    /// Nothing to read, or no room to send; wait for the socket.
    WouldBlock,
    /// The other side is gone.
    Closed,
    /// A datagram longer than a message may be, or with more descriptors: it is dropped, the socket
    /// remains good.
    Truncated,
    /// A datagram that is no message: it is dropped, the socket remains good.
    Malformed(DecodeError),
    /// The system call failed.
    Os(Errno),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WouldBlock => write!(f, "the socket is not ready"),
            Self::Closed => write!(f, "the other side has closed the socket"),
            Self::Truncated => write!(f, "a datagram was longer than a message may be"),
            Self::Malformed(error) => write!(f, "{error}"),
            Self::Os(errno) => write!(f, "{errno}"),
        }
    }
}

impl std::error::Error for LinkError {}

impl From<Errno> for LinkError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::EAGAIN => Self::WouldBlock,
            Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN => Self::Closed,
            other => Self::Os(other),
        }
    }
}

/// Sends one message with at most [`FDS_MAX`] descriptors beside it. The caller keeps its descriptors.
///
/// # Errors
/// `WouldBlock`, `Closed`, `Os` (`ETOOMANYREFS`: too many descriptors under way, try again later;
/// `EINVAL`: more than [`FDS_MAX`] descriptors). Nothing was sent then.
pub fn send<M: Message>(socket: impl AsFd, message: &M, fds: &[RawFd]) -> Result<(), LinkError> {
    Ok(socket::send(socket.as_fd(), &message.encode(), fds)?)
}

/// Receives one message and the descriptors beside it.
///
/// # Errors
/// See [`LinkError`]; on `Truncated` and `Malformed` the datagram is gone and its descriptors are closed.
pub fn recv<M: Message>(socket: impl AsFd) -> Result<(M, Fds), LinkError> {
    let mut bytes = [0; MESSAGE_LEN_MAX];
    let received = socket::recv(socket.as_fd(), &mut bytes)?;
    if received.truncated {
        return Err(LinkError::Truncated);
    }
    match bytes.get(..received.len) {
        None | Some([]) => Err(LinkError::Closed),
        Some(datagram) => match M::decode(datagram) {
            Ok(message) => Ok((message, received.fds)),
            Err(error) => Err(LinkError::Malformed(error)),
        },
    }
}

/// A connected pair of `SOCK_SEQPACKET` sockets, both close-on-exec and blocking.
///
/// # Errors
/// Of socketpair(2).
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

#[cfg(test)]
mod tests;
