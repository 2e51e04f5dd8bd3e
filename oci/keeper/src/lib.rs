//! berth-keeper: the parent of every container.
//!
//! The keeper starts the agent and the zygote and starts them again when they die, reaps every container
//! and keeps its exit until the agent has recorded it, holds the read ends of the containers' log pipes,
//! and re-executes itself for an upgrade without losing any of it. It never reads a manifest, never
//! touches an image, never waits for those whom it supervises, and allocates nothing after its start.

pub mod codec;
mod config;
pub mod link;
pub mod protocol;
pub mod supervise;
mod sys;
pub mod tables;

pub use config::{KeeperConfig, LOG_PIPE_BYTES_DEFAULT, STAGE_PIPE_BYTES_DEFAULT};
use std::ffi::OsString;

/// The applet `berth keeper`: starts the keeper in the background, or joins the one that runs, says
/// `READY=1` when the agent has said its first word, and stays until SIGTERM. Returns the exit status.
pub fn run(config: &KeeperConfig) -> i32 {
    let _ = config;
    1
}

/// For the applet `berth keeper`, before it reads its arguments (those after the word `keeper`): if they
/// are the keeper's own (it starts itself with some), does what they say and returns the exit status.
pub fn internal(args: &[OsString]) -> Option<i32> {
    let _ = args;
    None
}
