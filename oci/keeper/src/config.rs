//! What the keeper is told at its start. It reads no file: the applet `berth keeper` fills this in.

use std::{ffi::OsString, path::PathBuf};

/// Bytes of a container's log pipe if nothing else is said: the kernel's own default.
pub const LOG_PIPE_BYTES_DEFAULT: u32 = 65_536;
/// Bytes of a staging pipe if nothing else is said.
pub const STAGE_PIPE_BYTES_DEFAULT: u32 = 65_536;

/// What the keeper is told at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperConfig {
    /// The program that is run as keeper, agent and zygote: usually where `/proc/self/exe` leads.
    pub program: PathBuf,
    /// Arguments for the agent, after the word `agent`; at most 32, together at most 2,048 bytes.
    pub agent_args: Vec<OsString>,
    /// Directory of `keeper.sock` and `keeper.lock`; made (mode 0700) if it is not there.
    pub run_dir: PathBuf,
    /// Bytes of each container's stdout and stderr pipe; 4,096 to 1,048,576.
    pub log_pipe_bytes: u32,
    /// Bytes of each staging pipe; 4,096 to 1,048,576.
    pub stage_pipe_bytes: u32,
}
