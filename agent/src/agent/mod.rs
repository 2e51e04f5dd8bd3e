//! The main loop: gathers news, lets the core decide, has the plan carried out. Decides nothing itself.

pub(crate) mod sys;

use std::{path::PathBuf, process::ExitCode};

/// What `berth agent` was called with.
#[derive(Debug, Default)]
pub(crate) struct Args {
    /// `--config FILE`; the default path when absent.
    pub(crate) config: Option<PathBuf>,
}

/// The applet `berth agent`: runs until SIGTERM, or until the keeper's socket closes. Without a keeper on
/// descriptor 3 it becomes the keeper (exec, same arguments), which starts an agent of its own.
pub(crate) fn main(_args: Args) -> ExitCode {
    ExitCode::SUCCESS
}
