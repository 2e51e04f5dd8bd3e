//! berth-keeper: the parent of every container.
//!
//! The keeper starts the agent and the zygote and starts them again when they die, reaps every container
//! and keeps its exit until the agent has recorded it, holds the read ends of the containers' log pipes,
//! and re-executes itself for an upgrade without losing any of it. It never reads a manifest, never
//! touches an image, never waits for those whom it supervises, and allocates nothing after its start.
//!
//! `protocol`, `codec` and `link` are what agent, zygote and worker speak with it; `tables` and
//! `supervise` are its pure part; `serve` is the process around that; `front` is what a service manager
//! sees of it.

pub mod codec;
mod config;
mod control;
mod front;
pub mod link;
pub mod protocol;
mod say;
mod serve;
mod settings;
pub mod supervise;
mod sys;
pub mod tables;

pub use config::{
    AGENT_ARGS_MAX, KeeperConfig, LOG_PIPE_BYTES_DEFAULT, PIPE_BYTES_MAX, PIPE_BYTES_MIN, SETTINGS_LEN_MAX,
    STAGE_PIPE_BYTES_DEFAULT,
};
use serve::Origin;
pub use serve::is_serving;
use settings::Settings;
use std::ffi::OsString;

/// Goes on as the front: a zero, then the settings.
const FRONT: &str = "--front";
/// Begins a keeper that a front has started: descriptor of the socket to it, then the settings.
const SERVE: &str = "--serve";
/// Goes on as a keeper that has become this program: descriptor of the state, then the settings.
const RESUME: &str = "--resume";
/// Ends with 0 if this program reads states of the version that follows.
const CHECK_STATE: &str = "--check-state";
/// Exit status for arguments that are not understood.
const EXIT_USAGE: i32 = 2;

/// The applet `berth keeper`: starts the keeper in the background, or joins the one that runs, says
/// `READY=1` when the agent serves, and stays until SIGTERM. Then agent and zygote are
/// stopped and the containers left running, held by the keeper. It does so in a fresh image of the same
/// program (so the caller's memory is given back), and returns an exit status only if that fails. To be
/// called while the process has one thread.
pub fn run(config: &KeeperConfig) -> i32 {
    front::become_front(config)
}

/// For the applet `berth keeper`, before it looks at its arguments (those after the word `keeper`): if
/// they are the keeper's own (it starts itself with some), does what they say and returns the exit status.
/// To be called while the process has one thread.
pub fn internal(args: &[OsString]) -> Option<i32> {
    let (flag, rest) = args.split_first()?;
    let serve = |origin: fn(i32) -> Origin| match settings(rest) {
        Some((fd, settings)) => serve::serve(origin(fd), settings),
        None => EXIT_USAGE,
    };
    let front = || settings(rest).map_or(EXIT_USAGE, |(_, settings)| front::run(&settings));
    match flag.to_str()? {
        FRONT => Some(front()),
        SERVE => Some(serve(Origin::Front)),
        RESUME => Some(serve(Origin::State)),
        CHECK_STATE => {
            let version = rest.first().and_then(|arg| arg.to_str()).and_then(|arg| arg.parse().ok());
            Some(i32::from(!version.is_some_and(serve::reads)))
        }
        _ => None,
    }
}

fn settings(args: &[OsString]) -> Option<(i32, Settings)> {
    let (fd, words) = args.split_first()?;
    let words: Option<Vec<_>> = words.iter().map(|word| word.to_str()).collect();
    let settings = Settings::parse(&words?.join("\0")).ok()?;
    Some((fd.to_str()?.parse().ok()?, settings))
}
