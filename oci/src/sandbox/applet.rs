//! This program once more, as another process with a purpose of its own. It gets none of the agent's environment, and
//! is spoken with over its standard streams.

use std::process::{Command, Stdio};

/// The command that runs it as `name`, with pipes to all three streams.
pub(super) fn command(name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(name).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
