//! The agent's answers to one request, read from a socket that may also be waited for together with others.

use super::super::failure::Failure;
use crate::api::wire::Reply;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use serde_json::Value;
use std::{
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    time::Instant,
};

/// Bytes in one line of an answer; an agent that says more is not listened to.
const REPLY_LEN_MAX_BYTES: usize = 64 << 20;
/// Bytes read in one system call.
const READ_LEN_BYTES: usize = 64 << 10;

/// What came next.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// An answer.
    Data(Value),
    /// Nothing until the deadline; more may come.
    Timeout,
    /// The agent has no more to say.
    Closed,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Answers {
    stream: UnixStream,
    /// Read and not yet returned.
    buffer: Vec<u8>,
    /// This much of the buffer is known to have no line's end in it.
    searched: usize,
}

impl Answers {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, buffer: Vec::new(), searched: 0 }
    }

    /// Waits for the next answer, at most until `deadline`.
    ///
    /// # Errors
    /// The agent says no, or what it says cannot be understood.
    pub(crate) fn next(&mut self, deadline: Option<Instant>) -> Result<Next, Failure> {
        loop {
            if let Some(line) = self.line() {
                return parse(&line);
            }
            if self.buffer.len() > REPLY_LEN_MAX_BYTES {
                return Err(Failure::error(format!(
                    "an answer of the agent has over {REPLY_LEN_MAX_BYTES} bytes"
                )));
            }
            if !self.wait(deadline)? {
                return Ok(Next::Timeout);
            }
            if !self.fill()? {
                return Ok(Next::Closed);
            }
        }
    }

    /// The next answer if it is there; for callers that wait on [`AsFd`] themselves.
    pub(crate) fn ready(&mut self) -> Result<Next, Failure> {
        self.next(Some(Instant::now()))
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.drain(..=self.searched + end).collect();
        self.searched = 0;
        Some(line)
    }

    /// Whether something is there to be read.
    fn wait(&self, deadline: Option<Instant>) -> Result<bool, Failure> {
        loop {
            let mut fds = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout(deadline)) {
                Ok(0) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(Failure::error(format!("cannot wait for the agent: {error}"))),
            }
        }
    }

    /// Reads what is there; false at the end.
    fn fill(&mut self) -> Result<bool, Failure> {
        let mut chunk = vec![0; READ_LEN_BYTES];
        match self.stream.read(&mut chunk) {
            Ok(0) => Ok(false),
            Ok(read) => {
                self.buffer.extend_from_slice(&chunk[..read]);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            // The agent was killed: for us the same as that it closed.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(Failure::error(format!("cannot read the agent's answer: {error}"))),
        }
    }
}

impl AsFd for Answers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// `poll`'s timeout until `deadline`, rounded up; at most what it can express.
pub(crate) fn timeout(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else { return PollTimeout::NONE };
    let left = deadline.saturating_duration_since(Instant::now());
    let ms = left.as_micros().div_ceil(1000);
    PollTimeout::try_from(i32::try_from(ms).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
}

fn parse(line: &[u8]) -> Result<Next, Failure> {
    match serde_json::from_slice(line) {
        Ok(Reply::Data(value)) => Ok(Next::Data(value)),
        Ok(Reply::Error { message, .. }) => Err(Failure::Error(message)),
        Err(error) => Err(Failure::error(format!(
            "the agent's answer cannot be understood ({error}); is it of another version? See `berth version`"
        ))),
    }
}
