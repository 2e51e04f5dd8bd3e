//! Copies between the user's streams and the command's, in one thread, until the agent tells the exit status
//! and all that the command had written by then is printed.

use super::{
    super::{
        client::{Answers, Next},
        failure::Failure,
        json,
    },
    terminal::{self, Asked, Signals},
};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::{read, write},
};
use serde_json::Value;
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

/// Bytes copied at one time.
const CHUNK_LEN_BYTES: usize = 32 << 10;

/// From the command to the user.
#[derive(Debug)]
pub(super) struct Output<'a> {
    /// None when it is at its end.
    from: Option<OwnedFd>,
    to: BorrowedFd<'a>,
}

impl<'a> Output<'a> {
    pub(super) fn new(from: OwnedFd, to: BorrowedFd<'a>) -> Self {
        Self { from: Some(from), to }
    }

    /// Copies what is there; false when there is nothing (more).
    fn copy(&mut self) -> Result<bool, Failure> {
        let Some(from) = &self.from else { return Ok(false) };
        let mut chunk = [0; CHUNK_LEN_BYTES];
        match read(from.as_raw_fd(), &mut chunk) {
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(false),
            // A terminal whose last process has closed it reads as EIO.
            Ok(0) | Err(_) => {
                self.from = None;
                Ok(false)
            }
            Ok(len) => {
                let mut rest = &chunk[..len];
                while !rest.is_empty() {
                    match write(self.to, rest) {
                        Ok(written) => rest = &rest[written..],
                        Err(Errno::EINTR) => {}
                        Err(Errno::EAGAIN) => wait_writable(self.to),
                        Err(error) => return Err(io::Error::from(error).into()),
                    }
                }
                Ok(true)
            }
        }
    }
}

/// Someone made our output non-blocking (it is shared with other processes): wait as a blocking one would.
fn wait_writable(fd: BorrowedFd<'_>) {
    let _ = poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], PollTimeout::NONE);
}

/// See the module.
#[derive(Debug)]
pub(super) struct Relay<'a> {
    input: BorrowedFd<'a>,
    /// To the command; None when it gets no (more) input.
    sink: Option<OwnedFd>,
    /// Read and not yet written.
    pending: Vec<u8>,
    /// The user's input is at its end.
    ended: bool,
    /// Written to the command at the end of input; empty: its input is closed then.
    pub(super) end_of_input: &'static [u8],
    outputs: Vec<Output<'a>>,
}

impl<'a> Relay<'a> {
    /// # Errors
    /// The descriptors cannot be made non-blocking.
    pub(super) fn new(
        input: BorrowedFd<'a>,
        sink: Option<OwnedFd>,
        outputs: Vec<Output<'a>>,
    ) -> io::Result<Self> {
        for fd in sink.iter().chain(outputs.iter().filter_map(|output| output.from.as_ref())) {
            fcntl(fd.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self { input, sink, pending: Vec::new(), ended: false, end_of_input: b"", outputs })
    }

    /// Copies until the command has ended; its exit status. `signals`: this is a terminal.
    ///
    /// # Errors
    /// The agent says no or goes away, or the user's output is closed.
    pub(super) fn run(&mut self, mut answers: Answers, signals: Option<&Signals>) -> Result<i32, Failure> {
        self.resize(signals);
        loop {
            self.wait(&answers, signals)?;
            while let Some(asked) = signals.and_then(Signals::next) {
                match asked {
                    Asked::Resize => self.resize(signals),
                    Asked::End(status) => return Ok(status),
                }
            }
            self.feed();
            for output in &mut self.outputs {
                output.copy()?;
            }
            match answers.ready() {
                Ok(Next::Timeout) => {}
                Ok(Next::Data(answer)) => {
                    if let Some(status) = exit_code(&answer) {
                        self.drain()?;
                        return Ok(status);
                    }
                }
                Ok(Next::Closed) => {
                    self.drain()?;
                    return Err(Failure::error(
                        "the agent went away; what became of the command is not known (it may still run)",
                    ));
                }
                Err(failure) => {
                    self.drain()?;
                    return Err(failure);
                }
            }
        }
    }

    /// Until something can be copied or was said.
    fn wait(&self, answers: &Answers, signals: Option<&Signals>) -> Result<(), Failure> {
        let mut fds = vec![PollFd::new(answers.as_fd(), PollFlags::POLLIN)];
        fds.extend(signals.map(|signals| PollFd::new(signals.as_fd(), PollFlags::POLLIN)));
        for from in self.outputs.iter().filter_map(|output| output.from.as_ref()) {
            fds.push(PollFd::new(from.as_fd(), PollFlags::POLLIN));
        }
        if let Some(sink) = &self.sink {
            fds.push(if self.pending.is_empty() {
                PollFd::new(self.input, PollFlags::POLLIN)
            } else {
                PollFd::new(sink.as_fd(), PollFlags::POLLOUT)
            });
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(Failure::error(format!("cannot wait for the command: {error}"))),
        }
    }

    /// Passes input on, as much as is there and as the command takes.
    fn feed(&mut self) {
        let Some(sink) = &self.sink else { return };
        if self.pending.is_empty() && !self.ended && readable(self.input) {
            let mut chunk = [0; CHUNK_LEN_BYTES];
            match read(self.input.as_raw_fd(), &mut chunk) {
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Ok(0) | Err(_) => {
                    self.ended = true;
                    self.pending.extend_from_slice(self.end_of_input);
                }
                Ok(len) => self.pending.extend_from_slice(&chunk[..len]),
            }
        }
        match write(sink, &self.pending) {
            Ok(written) => drop(self.pending.drain(..written)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // The command reads no more; that is no error of ours.
            Err(_) => self.sink = None,
        }
        if self.ended && self.pending.is_empty() {
            self.sink = None;
        }
    }

    /// Prints what the command had written when it ended. Whoever it left behind is not waited for.
    fn drain(&mut self) -> Result<(), Failure> {
        for output in &mut self.outputs {
            while output.copy()? {}
        }
        Ok(())
    }

    fn resize(&self, signals: Option<&Signals>) {
        let master = self.outputs.first().and_then(|output| output.from.as_ref());
        if let (Some(_), Some(master)) = (signals, master) {
            terminal::pass_size(self.input, master.as_fd());
        }
    }
}

/// Whether a read would not block.
fn readable(fd: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// The exit status that an answer tells, if it does.
pub(super) fn exit_code(answer: &Value) -> Option<i32> {
    answer.get("exitCode")?;
    i32::try_from(json::number(answer, "/exitCode")).ok()
}
