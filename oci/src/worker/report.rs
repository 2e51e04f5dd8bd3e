//! The socket to the keeper, descriptor 3 of zygote and workers alike.

use berth_keeper::{
    link::{self, LinkError},
    protocol::{KEEPER_FD, WorkReport},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::BorrowedFd;

/// Milliseconds that the keeper may be too busy to take an answer.
const ROOM_MS_MAX: u16 = 10_000;

/// Sends an answer; waits for room if the socket is full.
///
/// # Errors
/// The keeper is gone, or busy for too long.
pub(crate) fn send(report: &WorkReport) -> Result<(), LinkError> {
    let socket = super::sys::keeper_socket();
    loop {
        match link::send(socket, report, &[]) {
            Err(LinkError::WouldBlock) => wait_for_room(socket)?,
            result => return result,
        }
    }
}

fn wait_for_room(socket: BorrowedFd<'_>) -> Result<(), LinkError> {
    let mut fds = [PollFd::new(socket, PollFlags::POLLOUT)];
    match poll(&mut fds, PollTimeout::from(ROOM_MS_MAX)) {
        Ok(0) => Err(LinkError::WouldBlock),
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(errno) => Err(LinkError::Os(errno)),
    }
}

const _: () = assert!(KEEPER_FD == 3);
