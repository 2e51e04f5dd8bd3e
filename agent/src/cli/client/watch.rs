//! A watch that outlives the agent: when the agent goes away it is asked again, as soon as it is back.

use super::{Answers, CALL_TRIES, Client, Next};
use crate::{api::wire::Request, cli::failure::Failure};
use serde_json::Value;
use std::{
    os::fd::{AsFd, BorrowedFd},
    thread,
    time::{Duration, Instant},
};

/// Between two tries to reach an agent that is away for longer than a restart.
const AGAIN_MS: u64 = 100;

/// See the module.
#[derive(Debug)]
pub(crate) struct Watch {
    client: Client,
    request: Request,
    answers: Answers,
    /// Connections in a row on which nothing was heard, the present one among them.
    silent: u32,
}

impl Watch {
    /// # Errors
    /// Berth does not run, or the user lacks the right.
    pub(crate) fn begin(client: &Client, request: Request) -> Result<Self, Failure> {
        let answers = client.stream(&request, &[])?;
        Ok(Self { client: client.clone(), request, answers, silent: 1 })
    }

    /// The next answer; None when there was none until `deadline`. With a deadline an agent that stays away is
    /// waited for until then; without one only for as long as a restart takes.
    ///
    /// # Errors
    /// The agent says no, or does not come back.
    pub(crate) fn next(&mut self, deadline: Option<Instant>) -> Result<Option<Value>, Failure> {
        loop {
            match self.answers.next(deadline)? {
                Next::Data(value) => {
                    self.silent = 0;
                    return Ok(Some(value));
                }
                Next::Timeout => return Ok(None),
                Next::Closed => match self.again() {
                    Ok(()) => {}
                    Err(_) if deadline.is_some_and(|deadline| Instant::now() < deadline) => {
                        thread::sleep(Duration::from_millis(AGAIN_MS));
                    }
                    Err(_) if deadline.is_some() => return Ok(None),
                    Err(failure) => return Err(failure),
                },
            }
        }
    }

    /// The newest of the answers that are there already.
    ///
    /// # Errors
    /// As [`Watch::next`] without a deadline.
    pub(crate) fn newest(&mut self) -> Result<Option<Value>, Failure> {
        let mut newest = None;
        loop {
            match self.answers.ready()? {
                Next::Data(value) => {
                    self.silent = 0;
                    newest = Some(value);
                }
                Next::Timeout => return Ok(newest),
                // Asked again the next time.
                Next::Closed if newest.is_some() => return Ok(newest),
                Next::Closed => self.again()?,
            }
        }
    }

    /// Asks again. Not at once when the agent hung up without a word: it is just being killed, and its socket
    /// with it. Nor for ever: then it hangs up over the question.
    fn again(&mut self) -> Result<(), Failure> {
        if self.silent >= CALL_TRIES {
            self.silent = 0;
            return Err(self.client.hung_up());
        }
        if self.silent > 0 {
            thread::sleep(Duration::from_millis(AGAIN_MS));
        }
        self.silent += 1;
        match self.client.stream(&self.request, &[]) {
            Ok(answers) => self.answers = answers,
            // The next try comes at once, and finds the old connection closed.
            Err(failure) if failure == self.client.hung_up() => {}
            Err(failure) => return Err(failure),
        }
        Ok(())
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.answers.as_fd()
    }
}
