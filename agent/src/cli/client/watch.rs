//! A watch that outlives the agent: when the agent goes away it is asked again, as soon as it is back.

use super::{Answers, Client, Next};
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
    /// Nothing was heard on this connection yet.
    silent: bool,
}

impl Watch {
    /// # Errors
    /// Berth does not run, or the user lacks the right.
    pub(crate) fn begin(client: &Client, request: Request) -> Result<Self, Failure> {
        let answers = client.stream(&request, &[])?;
        Ok(Self { client: client.clone(), request, answers, silent: true })
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
                    self.silent = false;
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
                    self.silent = false;
                    newest = Some(value);
                }
                Next::Timeout => return Ok(newest),
                // Asked again the next time.
                Next::Closed if newest.is_some() => return Ok(newest),
                Next::Closed => self.again()?,
            }
        }
    }

    /// Asks again. An agent that hung up without a word is not asked a second time at once.
    fn again(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.silent, false) {
            return Err(self.client.hung_up());
        }
        self.answers = self.client.stream(&self.request, &[])?;
        self.silent = true;
        Ok(())
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.answers.as_fd()
    }
}
