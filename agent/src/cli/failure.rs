//! How a command ends that does not end well.

use std::{fmt, io, process::ExitCode};

/// Exit status of an error.
pub(crate) const EXIT_ERROR: u8 = 1;
/// Exit status of a mistake in the command line.
pub(crate) const EXIT_USAGE: u8 = 2;
/// Exit status when nobody reads our output any more: that of a process ended by SIGPIPE.
const EXIT_BROKEN_PIPE: u8 = 128 + 13;

/// Why a command did not succeed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Something went wrong: the text names the object and what to do.
    Error(String),
    /// The command line makes no sense although it parses.
    Usage(String),
    /// All is said already; exit with this status.
    Status(u8),
}

impl Failure {
    /// An [`Failure::Error`].
    pub(crate) fn error(message: impl fmt::Display) -> Self {
        Self::Error(message.to_string())
    }

    /// Tells people, and says how to exit.
    pub(crate) fn report(&self, err: &mut dyn io::Write) -> ExitCode {
        let (status, message) = match self {
            Self::Status(status) => return ExitCode::from(*status),
            Self::Error(message) => (EXIT_ERROR, message),
            Self::Usage(message) => (EXIT_USAGE, message),
        };
        // That stderr cannot be written to can be told to nobody.
        let _ = writeln!(err, "error: {message}");
        ExitCode::from(status)
    }
}

/// Only for our own output: errors of anything else are given words where they happen.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Status(EXIT_BROKEN_PIPE),
            _ => Self::Error(format!("cannot write the output: {error}")),
        }
    }
}
