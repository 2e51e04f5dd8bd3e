//! From records back to what the container wrote, with what the user wants to see beside it.

use super::{
    super::{age, failure::Failure},
    record::Record,
};
use berth_core::time::Wall;
use std::io::Write;

/// Bytes that may still be printed, over all containers.
#[derive(Debug)]
pub(super) struct Limit(Option<u64>);

impl Limit {
    pub(super) fn new(bytes: Option<u64>) -> Self {
        Self(bytes)
    }

    pub(super) fn reached(&self) -> bool {
        self.0 == Some(0)
    }

    /// As much of `bytes` as may be printed.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(left) = &mut self.0 else { return bytes };
        let len = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= len as u64;
        &bytes[..len]
    }
}

/// How one container's records are shown.
#[derive(Debug)]
pub(super) struct Printer {
    /// Nothing older.
    since: Option<Wall>,
    timestamps: bool,
    prefix: String,
    /// In the midst of a line: of stdout, of stderr.
    open: [bool; 2],
}

impl Printer {
    pub(super) fn new(since: Option<Wall>, timestamps: bool, prefix: String) -> Self {
        Self { since, timestamps, prefix, open: [false; 2] }
    }

    /// Prints one line of a log file; false when the limit is reached.
    ///
    /// # Errors
    /// Of the output.
    pub(super) fn print(
        &mut self,
        line: &[u8],
        limit: &mut Limit,
        out: &mut dyn Write,
    ) -> Result<bool, Failure> {
        let Some(record) = Record::parse(line) else {
            // Not of ours; better shown than lost.
            out.write_all(limit.take(&[line, b"\n"].concat()))?;
            return Ok(!limit.reached());
        };
        let too_old = |since: Wall| age::parse_rfc3339(record.time).is_some_and(|time| time.0 < since.0);
        if self.since.is_some_and(too_old) {
            return Ok(true);
        }
        // All that follows is younger.
        self.since = None;
        let open = &mut self.open[usize::from(record.is_stderr)];
        let mut text = Vec::with_capacity(line.len() + self.prefix.len() + 1);
        if !*open {
            text.extend_from_slice(self.prefix.as_bytes());
            if self.timestamps {
                text.extend_from_slice(record.time.as_bytes());
                text.push(b' ');
            }
        }
        text.extend_from_slice(record.text);
        if record.is_full {
            text.push(b'\n');
        }
        *open = !record.is_full;
        out.write_all(limit.take(&text))?;
        Ok(!limit.reached())
    }
}
