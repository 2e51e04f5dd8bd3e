//! The agent: gathers news, lets the core decide, has the plan carried out. Decides nothing itself, and may be
//! killed at any instruction: whatever it knows, the next one finds again.

mod ahead;
mod amounts;
mod asks;
mod boot;
mod flights;
mod image_gc;
mod inventory;
mod memory;
mod notices;
mod revisions;
mod run;
mod settings;
mod settle;
pub(crate) mod sys;
#[cfg(test)]
mod tests;
mod warned;

pub(crate) use boot::{Env, cni_settings};
pub(crate) use flights::Purpose;
pub(crate) use run::{Agent, Told, tell_unheld};

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

/// Threads for what blocks: images, sandboxes, removals, checkpoints.
const BLOCKING_THREADS_MAX: usize = 4;
/// Milliseconds that an idle thread stays: idle, the agent has none.
const THREAD_KEEP_ALIVE_MS: u64 = 500;
/// Bytes of such a thread's stack.
const THREAD_STACK_BYTES: usize = 512 * 1024;

/// What `berth agent` was called with.
#[derive(Debug, Default)]
pub(crate) struct Args {
    /// `--config FILE`; the default path when absent.
    pub(crate) config: Option<PathBuf>,
}

/// Exit status when the configuration or the machine is not fit: starting again would not help.
pub(crate) fn unfit() -> ExitCode {
    u8::try_from(berth_keeper::protocol::EXIT_UNFIT).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// The applet `berth agent`, with the keeper's socket on descriptor 3: runs until it is killed, the keeper is
/// gone or has become another program. SIGTERM is as good an end as any, and not caught.
pub(crate) fn main(args: Args) -> ExitCode {
    let started = Instant::now();
    let fit = boot::prepare(args.config.as_deref());
    let (env, socket) = match fit.and_then(|env| Ok((env, sys::keeper_socket()?))) {
        Ok(fit) => fit,
        Err(error) => {
            eprintln!("berth agent: {error}");
            return if error.is_lasting() { unfit() } else { ExitCode::FAILURE };
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_keep_alive(Duration::from_millis(THREAD_KEEP_ALIVE_MS))
        .thread_stack_size(THREAD_STACK_BYTES)
        .build();
    let ended = runtime.map_err(boot::Unfit::from).and_then(|runtime| {
        let ended = runtime.block_on(run::run(env, socket, started));
        // What threads are at is undone or completed by the next agent.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the agent ends");
            ExitCode::FAILURE
        }
    }
}
