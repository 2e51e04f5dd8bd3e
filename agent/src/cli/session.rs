//! What every verb works with: the agent, the output, the clock. Tests hand in their own.

use super::{client::Client, failure::Failure};
use crate::config::Config;
use berth_core::time::Wall;
use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

/// What a verb works with.
pub(crate) struct Session<'a> {
    /// The agent.
    pub(crate) client: Client,
    /// Standard output.
    pub(crate) out: &'a mut dyn Write,
    /// Standard error: warnings and notes.
    pub(crate) err: &'a mut dyn Write,
    /// Standard error is a terminal: how far long work is may be drawn there.
    pub(crate) progress: bool,
    /// Colours are wanted.
    pub(crate) colour: bool,
    /// The wall clock.
    pub(crate) now: fn() -> Wall,
}

impl Session<'_> {
    /// Runs `verb` with this process' standard streams; reports its failure.
    pub(super) fn on_terminal(
        socket: Option<PathBuf>,
        verb: impl FnOnce(&mut Session<'_>) -> Result<(), Failure>,
    ) -> ExitCode {
        let colour =
            io::stdout().is_terminal() && colours(std::env::var_os("NO_COLOR"), std::env::var_os("TERM"));
        // Verbs that wait for something flush before they do.
        let mut out = io::BufWriter::new(io::stdout().lock());
        let mut err = io::stderr().lock();
        let client = Client::new(socket_path(socket));
        let progress = err.is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let mut session = Session { client, out: &mut out, err: &mut err, progress, colour, now };
        let result = verb(&mut session).and_then(|()| session.out.flush().map_err(Failure::from));
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                let _ = session.out.flush();
                failure.report(session.err)
            }
        }
    }
}

/// Whether a terminal wants colours, by the two variables that say so.
fn colours(no_color: Option<OsString>, term: Option<OsString>) -> bool {
    no_color.is_none_or(|value| value.is_empty()) && term.is_some_and(|term| term != "dumb")
}

/// The socket asked for, else that of the environment, else that of the configuration.
fn socket_path(option: Option<PathBuf>) -> PathBuf {
    let from_environment = || std::env::var_os("BERTH_SOCKET").filter(|v| !v.is_empty()).map(PathBuf::from);
    // A broken configuration file is not this command's matter; the agent would not run with it.
    let from_file = || Config::load(None).unwrap_or_default().socket();
    option.or_else(from_environment).unwrap_or_else(from_file)
}

/// The wall clock; 1970 if it stands before.
fn now() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_environment() {
        let os = |text: Option<&str>| text.map(OsString::from);
        for (no_color, term, wanted) in [
            (None, Some("xterm"), true),
            (Some(""), Some("xterm"), true),
            (Some("1"), Some("xterm"), false),
            (None, Some("dumb"), false),
            (None, None, false),
        ] {
            assert_eq!(colours(os(no_color), os(term)), wanted, "{no_color:?} {term:?}");
        }
    }

    #[test]
    fn the_option_wins() {
        assert_eq!(socket_path(Some("/a".into())), PathBuf::from("/a"));
    }
}
