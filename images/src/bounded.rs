//! A stream that may not be longer than a named limit: passing it is an error, not an early end.

use crate::{error::Error, tarstream::Input};
use std::io::{self, Read};

/// Passes at most so many bytes through.
pub(crate) struct Bounded<R> {
    inner: R,
    left: u64,
    what: &'static str,
    limit: &'static str,
    max: u64,
}

impl<R: Read> Bounded<R> {
    /// `what` and `limit` stand in the error.
    pub(crate) fn new(inner: R, what: &'static str, limit: &'static str, max: u64) -> Self {
        Self { inner, left: max, what, limit, max }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let over = || Error::limit(self.what, self.limit, self.max).into_io();
        self.left = self.left.checked_sub(count as u64).ok_or_else(over)?;
        Ok(count)
    }
}

impl<R: Read> Input for Bounded<R> {}
