//! The containers' logs: from the pipes that the keeper holds into CRI log files below /var/log/pods, each
//! line exactly once however often the agent is killed. All file work is done on a thread of its own, so that a
//! disk that stands still holds up logs and nothing else. Never reads a log file, never talks to a container.

mod file;
mod format;
mod half;
mod journal;
mod last_words;
mod pump;
mod rotation;
mod sys;
mod task;
#[cfg(test)]
mod tests;
mod thread;

use crate::config::Config;
use berth_core::{ids::ContainerId, manifest::DesiredPod};
use berth_oci::paths::Roots;
pub(crate) use last_words::read as last_words;
use pump::{Limits, Stream};
use std::{collections::HashMap, io, os::fd::OwnedFd, path::PathBuf, sync::Arc};
use tokio::sync::{mpsc, oneshot};

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
    /// When it fails and left no termination message, the end of its log is that.
    pub(crate) speaks: bool,
}

impl Place {
    /// Of one run of a container.
    pub(crate) fn of(
        roots: &Roots,
        pod: &DesiredPod,
        container: &str,
        attempt: u32,
        id: &ContainerId,
    ) -> Self {
        let spec = pod.pod.spec.container(container);
        let policy = spec.and_then(|spec| spec.termination_message_policy.as_deref());
        Self {
            log: roots.log_file(pod, container, attempt),
            journal: roots.bundle(id).join("log"),
            attempt,
            speaks: policy == Some("FallbackToLogsOnError"),
        }
    }

    /// Whether the log is asked for the termination message of a run that ended so, and left this one.
    pub(crate) fn is_asked(&self, code: i32, message: &str) -> bool {
        self.speaks && code != 0 && message.is_empty()
    }
}

/// All pumps of this agent.
#[derive(Debug)]
pub(crate) struct Logs {
    orders: mpsc::Sender<thread::Order>,
    /// To tell a pump that its container is dead.
    pumps: HashMap<ContainerId, oneshot::Sender<oneshot::Sender<()>>>,
}

impl Logs {
    /// Starts the thread of the pumps.
    ///
    /// # Errors
    /// When there can be no thread, no pipe or no epoll for it.
    pub(crate) fn new(config: &Config, roots: &Roots) -> io::Result<Self> {
        let limits = Limits {
            size_max_bytes: config.container_log_max_size.0,
            files_max: config.container_log_max_files,
            total_max_bytes: config.container_log_total_size.0,
            pods_dir: roots.pods_log(),
        };
        Ok(Self { orders: thread::begin(limits, roots.clone())?, pumps: HashMap::new() })
    }

    /// Begins to follow a container's output, going on exactly where another agent was stopped. While the file
    /// cannot be opened, the output stays in its pipes.
    ///
    /// # Errors
    /// When the descriptors are not those of a container, or [`thread::ORDERS_MAX`] containers wait already for a
    /// disk that stands still.
    pub(crate) fn attach(&mut self, id: &ContainerId, place: &Place, fds: Vec<OwnedFd>) -> io::Result<()> {
        if self.pumps.contains_key(id) {
            return Ok(());
        }
        let (finish, finished) = oneshot::channel();
        let order = thread::Order { place: place.clone(), streams: streams(fds)?, finished };
        self.orders
            .try_send(order)
            .map_err(|error| io::Error::other(format!("the logs' thread: {error}")))?;
        self.pumps.insert(id.clone(), finish);
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
