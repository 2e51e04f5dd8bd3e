//! The one raw question of the applets: what is on the keeper's descriptor.

use berth_keeper::protocol::KEEPER_FD;
use nix::sys::socket::{SockType, getsockopt, sockopt};
use std::os::fd::BorrowedFd;

/// Whether this process was started by a keeper: its socket is there. Anything else on that descriptor (an
/// open file of a shell, a systemd socket) is of another type.
pub(super) fn has_keeper() -> bool {
    // SAFETY: the borrow ends in this function, and nothing here closes a descriptor; that the number is
    // no open descriptor is an error of getsockopt and nothing worse.
    let fd = unsafe { BorrowedFd::borrow_raw(KEEPER_FD) };
    getsockopt(&fd, sockopt::SockType).is_ok_and(|kind| kind == SockType::SeqPacket)
}
