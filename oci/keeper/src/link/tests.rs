//! Real socket pairs: descriptors arrive and work, wrong datagrams are dropped without leaking.

use super::*;
use crate::protocol::{Id, Notice, Request, WorkReport};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use std::{
    io::{Read, Write},
    os::fd::AsRawFd,
};

fn nonblocking(fd: &OwnedFd) {
    fcntl(fd.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
}

fn file(fd: OwnedFd) -> std::fs::File {
    std::fs::File::from(fd)
}

#[test]
fn a_message_carries_descriptors() {
    let (a, b) = pair().unwrap();
    let (read, write) = nix::unistd::pipe().unwrap();
    let message = Request::Release { op: 1, id: Id::try_from("c").unwrap() };
    send(&a, &message, &[read.as_raw_fd(), write.as_raw_fd()]).unwrap();
    drop((read, write));
    let (got, fds) = recv::<Request>(&b).unwrap();
    assert_eq!(got, message);
    let flags = fcntl(fds[0].as_raw_fd(), FcntlArg::F_GETFD).unwrap();
    assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
    let mut fds = fds.into_iter();
    let (read, write) = (fds.next().unwrap(), fds.next().unwrap());
    assert!(fds.next().is_none());
    file(write).write_all(b"hi").unwrap();
    let mut text = String::new();
    file(read).read_to_string(&mut text).unwrap();
    assert_eq!(text, "hi");
}

#[test]
fn an_empty_socket_would_block_and_a_closed_one_says_so() {
    let (a, b) = pair().unwrap();
    nonblocking(&a);
    assert_eq!(recv::<Notice>(&a).unwrap_err(), LinkError::WouldBlock);
    drop(b);
    assert_eq!(recv::<Notice>(&a).unwrap_err(), LinkError::Closed);
    assert_eq!(send(&a, &Notice::ListEnd, &[]).unwrap_err(), LinkError::Closed);
}

#[test]
fn a_full_socket_would_block_and_loses_nothing() {
    let (a, b) = pair().unwrap();
    nonblocking(&a);
    let mut sent = 0_u64;
    while send(&a, &Notice::Done { op: sent }, &[]).is_ok() {
        sent += 1;
    }
    assert_eq!(send(&a, &Notice::Done { op: sent }, &[]).unwrap_err(), LinkError::WouldBlock);
    for op in 0..sent {
        assert_eq!(recv::<Notice>(&b).unwrap().0, Notice::Done { op });
    }
}

#[test]
fn a_datagram_that_is_too_long_or_no_message_is_dropped() {
    let (a, b) = pair().unwrap();
    let mut raw = file(a.try_clone().unwrap());
    raw.write_all(&[1; MESSAGE_LEN_MAX + 1]).unwrap();
    raw.write_all(b"\xfe").unwrap();
    send(&a, &WorkReport::Ready, &[]).unwrap();
    assert_eq!(recv::<WorkReport>(&b).unwrap_err(), LinkError::Truncated);
    assert_eq!(recv::<WorkReport>(&b).unwrap_err(), LinkError::Malformed(DecodeError::Tag(0xfe)));
    assert_eq!(recv::<WorkReport>(&b).unwrap().0, WorkReport::Ready);
}

#[test]
fn descriptors_of_a_dropped_datagram_are_closed() {
    let (a, b) = pair().unwrap();
    let (read, write) = nix::unistd::pipe().unwrap();
    crate::sys::socket::send(a.as_fd(), b"\xfe", &[write.as_raw_fd()]).unwrap();
    drop(write);
    assert_eq!(recv::<WorkReport>(&b).unwrap_err(), LinkError::Malformed(DecodeError::Tag(0xfe)));
    let mut text = String::new();
    file(read).read_to_string(&mut text).unwrap();
    assert_eq!(text, "", "the write end is closed, so the pipe is at its end");
}

#[test]
fn too_many_descriptors_are_refused_by_the_sender() {
    let (a, _b) = pair().unwrap();
    let fd = a.as_raw_fd();
    assert_eq!(send(&a, &WorkReport::Ready, &[fd; FDS_MAX + 1]).unwrap_err(), LinkError::Os(Errno::EINVAL));
}
