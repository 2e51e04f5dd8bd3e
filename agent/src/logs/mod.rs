//! The containers' logs: from the pipes that the keeper holds into CRI log files below /var/log/pods, each
//! line exactly once however often the agent is killed. Never reads a log file, never talks to a container.

mod file;
mod format;
mod journal;
mod pump;
mod rotation;
mod sys;
mod task;
#[cfg(test)]
mod tests;

use crate::config::Config;
use berth_core::ids::ContainerId;
use berth_oci::paths::Roots;
use pump::{Calm, Limits, Pump, Scratch, Stream};
use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Arc, Mutex},
};
use tokio::sync::oneshot;

/// Descriptors that come with a container: see `berth_keeper::protocol::LogFds`.
const LOG_FDS: usize = 6;

/// Where one run of a container logs to.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// `…/<container>/<n>.log`.
    pub(crate) log: PathBuf,
    /// The pump's journal, on tmpfs.
    pub(crate) journal: PathBuf,
    /// The run's number.
    pub(crate) attempt: u32,
}

/// All pumps of this agent.
#[derive(Debug)]
pub(crate) struct Logs {
    scratch: Arc<Mutex<Scratch>>,
    limits: Limits,
    roots: Roots,
    /// To tell a pump that its container is dead.
    pumps: HashMap<ContainerId, oneshot::Sender<oneshot::Sender<()>>>,
}

impl Logs {
    /// # Errors
    /// When no pipe can be made.
    pub(crate) fn new(config: &Config, roots: &Roots) -> io::Result<Self> {
        Ok(Self {
            scratch: Arc::new(Mutex::new(Scratch::new()?)),
            limits: Limits {
                size_max_bytes: config.container_log_max_size.0,
                files_max: config.container_log_max_files,
                total_max_bytes: config.container_log_total_size.0,
                pods_dir: roots.pods_log(),
            },
            roots: roots.clone(),
            pumps: HashMap::new(),
        })
    }

    /// Begins to follow a container's output, going on exactly where another agent was stopped. Must be
    /// called within the runtime. While the file cannot be opened, the output stays in its pipes.
    ///
    /// # Errors
    /// When the descriptors are not those of a container.
    pub(crate) fn attach(&mut self, id: &ContainerId, place: &Place, fds: Vec<OwnedFd>) -> io::Result<()> {
        if self.pumps.contains_key(id) {
            return Ok(());
        }
        let streams = Arc::new(streams(fds)?);
        if place.log.parent().is_some_and(|dir| rotation::prune_attempts(dir, place.attempt))
            && let Err(error) = berth_oci::sandbox::drop_dangling_log_links(&self.roots)
        {
            tracing::warn!(%error, "links to removed logs stay");
        }
        let (finish, finished) = oneshot::channel();
        self.pumps.insert(id.clone(), finish);
        let (place, limits) = (place.clone(), self.limits.clone());
        let open = move || Pump::open(Arc::clone(&streams), &place.log, &place.journal, limits.clone(), Calm);
        tokio::spawn(task::run(open, Arc::clone(&self.scratch), finished));
        Ok(())
    }

    /// Takes what is left in the pipes of a dead container; the answer comes when it is in the file. None
    /// when the container is not followed.
    pub(crate) fn finish(&mut self, id: &ContainerId) -> Option<oneshot::Receiver<()>> {
        let (done, answer) = oneshot::channel();
        self.pumps.remove(id)?.send(done).ok()?;
        Some(answer)
    }
}

fn streams(fds: Vec<OwnedFd>) -> io::Result<[Stream; 2]> {
    let count = fds.len();
    let fds: [OwnedFd; LOG_FDS] = fds.try_into().map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the keeper gave {count} log descriptors, not {LOG_FDS}"),
        )
    })?;
    let [out, err, out_read, out_write, err_read, err_write] = fds;
    let stream =
        |source, stage_read, stage_write| Stream { source: Arc::new(source), stage_read, stage_write };
    // In the order of `StreamKind`.
    Ok([stream(out, out_read, out_write), stream(err, err_read, err_write)])
}
