//! sendmsg(2) and recvmsg(2) with SCM_RIGHTS out of fixed buffers: the ready-made wrappers allocate.

use crate::{link::Fds, protocol::FDS_MAX};
use nix::errno::Errno;
use std::{
    mem,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

/// Bytes for one control message with [`FDS_MAX`] descriptors, header and padding included.
const CONTROL_LEN: usize = 64;
const FD_LEN: usize = mem::size_of::<RawFd>();
/// Larger than any header (16 bytes on 64-bit) and its padding.
const HEADER_ROOM: usize = 32;
const _: () = assert!(HEADER_ROOM + FDS_MAX * FD_LEN <= CONTROL_LEN);

/// Control messages must be aligned like their header.
#[repr(C)]
union Control {
    bytes: [u8; CONTROL_LEN],
    _header: libc::cmsghdr,
}

/// What recvmsg(2) gave.
#[derive(Debug)]
pub(crate) struct Received {
    /// Bytes written into the buffer; 0 at the end.
    pub(crate) len: usize,
    /// The datagram or its descriptors did not fit.
    pub(crate) truncated: bool,
    /// The descriptors.
    pub(crate) fds: Fds,
}

/// Sends a datagram; `EINVAL` if there are too many descriptors.
pub(crate) fn send(socket: BorrowedFd<'_>, data: &[u8], fds: &[RawFd]) -> Result<(), Errno> {
    if fds.len() > FDS_MAX {
        return Err(Errno::EINVAL);
    }
    let mut control = Control { bytes: [0; CONTROL_LEN] };
    let mut iov = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    // SAFETY: msghdr is plain data for which zeroes are valid.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut iov;
    header.msg_iovlen = 1;
    if !fds.is_empty() {
        let len = mem::size_of_val(fds) as libc::c_uint;
        header.msg_control = (&raw mut control).cast();
        // SAFETY: pure arithmetic.
        header.msg_controllen = unsafe { libc::CMSG_SPACE(len) } as _;
        // SAFETY: msg_control points to CONTROL_LEN aligned bytes, and FDS_MAX descriptors with their
        // header fit into them (asserted above), so the first header and its data are inside.
        unsafe {
            let first = libc::CMSG_FIRSTHDR(&raw const header);
            (*first).cmsg_level = libc::SOL_SOCKET;
            (*first).cmsg_type = libc::SCM_RIGHTS;
            (*first).cmsg_len = libc::CMSG_LEN(len) as _;
            ptr::copy_nonoverlapping(fds.as_ptr().cast(), libc::CMSG_DATA(first), mem::size_of_val(fds));
        }
    }
    loop {
        // SAFETY: the header points to live buffers of the lengths it states.
        let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) };
        match Errno::result(sent) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Receives a datagram.
pub(crate) fn recv(socket: BorrowedFd<'_>, data: &mut [u8]) -> Result<Received, Errno> {
    let mut control = Control { bytes: [0; CONTROL_LEN] };
    let mut iov = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: msghdr is plain data for which zeroes are valid.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut iov;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = CONTROL_LEN as _;
    let len = loop {
        // SAFETY: the header points to live buffers of the lengths it states.
        let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
        match Errno::result(got) {
            Ok(len) => break usize::try_from(len).unwrap_or(0),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    };
    let (fds, all_fit) = take_fds(&header);
    let cut = header.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0;
    Ok(Received { len: len.min(data.len()), truncated: cut || !all_fit, fds })
}

/// Takes ownership of all descriptors in the control messages; those that do not fit are closed.
fn take_fds(header: &libc::msghdr) -> (Fds, bool) {
    let mut fds = Fds::new();
    let mut all_fit = true;
    // SAFETY: the kernel has filled the control buffer and set msg_controllen; the CMSG macros walk
    // inside it. Each descriptor in an SCM_RIGHTS message is new to this process and owned by nobody else.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(ptr::from_ref(header));
        while !message.is_null() {
            if (*message).cmsg_level == libc::SOL_SOCKET && (*message).cmsg_type == libc::SCM_RIGHTS {
                let bytes = ((*message).cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
                for index in 0..bytes / FD_LEN {
                    let at = libc::CMSG_DATA(message).add(index * FD_LEN).cast::<RawFd>();
                    all_fit &= fds.push(OwnedFd::from_raw_fd(at.read_unaligned())).is_ok();
                }
            }
            message = libc::CMSG_NXTHDR(ptr::from_ref(header), message);
        }
    }
    (fds, all_fit)
}
