//! What the keeper is told at its start. It reads no file: the applet `berth keeper` fills this in.

use std::{ffi::OsString, path::PathBuf};

/// Bytes of a container's log pipe if nothing else is said: the kernel's own default.
pub const LOG_PIPE_BYTES_DEFAULT: u32 = 65_536;
/// Bytes of a staging pipe if nothing else is said.
pub const STAGE_PIPE_BYTES_DEFAULT: u32 = 65_536;
/// Least bytes of a pipe: one page.
pub const PIPE_BYTES_MIN: u32 = 4_096;
/// Most bytes of a pipe: the kernel's `fs.pipe-max-size` as it comes.
pub const PIPE_BYTES_MAX: u32 = 1_048_576;
/// Arguments for the agent.
pub const AGENT_ARGS_MAX: usize = 32;
/// Bytes of all settings together, the agent's arguments included.
pub const SETTINGS_LEN_MAX: usize = 1_536;

/// What the keeper is told at its start. All of it is UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperConfig {
    /// The program that is run as keeper, agent and zygote: usually where `/proc/self/exe` leads.
    pub program: PathBuf,
    /// Arguments for the agent, after the word `agent`; at most [`AGENT_ARGS_MAX`], and with all the
    /// rest at most [`SETTINGS_LEN_MAX`] bytes.
    pub agent_args: Vec<OsString>,
    /// Directory of `keeper.sock` and `keeper.lock`; made if it is not there.
    pub run_dir: PathBuf,
    /// Bytes of each container's stdout and stderr pipe, [`PIPE_BYTES_MIN`] to [`PIPE_BYTES_MAX`].
    pub log_pipe_bytes: u32,
    /// Bytes of each staging pipe, likewise.
    pub stage_pipe_bytes: u32,
}
