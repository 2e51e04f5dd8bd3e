//! The user's terminal while a command has it: raw, restored on every way out, its size passed on.

use super::{super::client::Answers, sys};
use nix::{
    cmsg_space,
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
        socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg},
        termios::{self, SetArg, Termios},
    },
};
use std::{
    io::{self, IoSliceMut},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

/// What a terminal takes for the end of its input (Ctrl-D).
pub(super) const END_OF_INPUT: &[u8] = b"\x04";

/// The terminal is raw for as long as this lives.
#[derive(Debug)]
pub(super) struct Raw<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> Raw<'a> {
    /// # Errors
    /// It is no terminal.
    pub(super) fn enter(terminal: BorrowedFd<'a>) -> io::Result<Self> {
        let before = termios::tcgetattr(terminal)?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(terminal, SetArg::TCSADRAIN, &raw)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        // The terminal may have gone; then there is nothing to restore.
        let _ = termios::tcsetattr(self.terminal, SetArg::TCSADRAIN, &self.before);
    }
}

/// What a signal asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The user's terminal has another size.
    Resize,
    /// End, with this status, the terminal restored.
    End(i32),
}

/// Signals that are read instead of taken: none may end this process before the terminal is restored.
#[derive(Debug)]
pub(super) struct Signals(SignalFd);

impl Signals {
    /// Blocks them until the process ends.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(super) fn block() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGWINCH, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
            set.add(signal);
        }
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// The next signal, if there is one.
    pub(super) fn next(&self) -> Option<Asked> {
        let info = self.0.read_signal().ok().flatten()?;
        let number = i32::try_from(info.ssi_signo).ok()?;
        Some(if number == Signal::SIGWINCH as i32 { Asked::Resize } else { Asked::End(128 + number) })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Gives the command's terminal the size of the user's. A user's terminal without a size is left alone.
pub(super) fn pass_size(from: BorrowedFd<'_>, to: BorrowedFd<'_>) {
    if let Ok(size) = sys::size(from)
        && size.ws_row > 0
    {
        // A command that has ended needs no size.
        let _ = sys::set_size(to, &size);
    }
}

/// Waits for the command's terminal. None when the agent has something to say and no terminal came before it.
///
/// # Errors
/// Of the socket.
pub(super) fn receive(console: &UnixStream, answers: &mut Answers) -> io::Result<Option<OwnedFd>> {
    loop {
        let mut fds = [
            PollFd::new(console.as_fd(), PollFlags::POLLIN),
            PollFd::new(answers.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let (came, said) = (fds[0].any().unwrap_or(false), fds[1].any().unwrap_or(false));
        // A command may be over before we look: its terminal is looked for first.
        if came {
            return descriptor(console);
        }
        if said {
            return Ok(None);
        }
    }
}

/// The descriptor beside the next message; None at the end.
fn descriptor(socket: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0; 64];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!([i32; 1]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = loop {
        match recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            received => break received?,
        }
    };
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control {
            return Ok(fds.first().map(|fd| sys::own(*fd)));
        }
    }
    Ok(None)
}
