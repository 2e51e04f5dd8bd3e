//! A container's program (`tests/xtask/src/images/actor.sh`), from outside: found by its cgroup, reached through its root.

use super::{
    super::{Exit, InContainer},
    look::{named, statuses},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    fs, io,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// A process that was told to end has ended within this.
const REAPED_MAX: Duration = Duration::from_secs(60);
/// Between two looks whether it has.
const AGAIN: Duration = Duration::from_millis(20);

/// The first process of a container.
#[derive(Debug)]
pub(super) struct Process(Pid);

impl Process {
    /// Of the container of a pod that runs; of two revisions of the pod, of the one that has it.
    pub(super) fn find(list: &Value, pod: &str, container: &str) -> Result<Self, String> {
        let running = |status: &&Value| status["name"] == container && status["state"]["running"].is_object();
        let status = named(list, pod).find_map(|shown| statuses(shown).find(running));
        let id = status.and_then(|status| status["containerID"].as_str()?.rsplit('/').next());
        let id = id.ok_or_else(|| format!("{pod}/{container} does not run"))?;
        let processes = fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?.flatten();
        let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let read =
            |pid: i32, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let first = |pid: i32| {
            read(pid, "status").lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"))
        };
        let found = pids.find(|pid| read(*pid, "cgroup").trim_end().ends_with(id) && first(*pid));
        found
            .map(|pid| Self(Pid::from_raw(pid)))
            .ok_or_else(|| format!("no process of {pod}/{container} is there"))
    }

    /// A file of the container's.
    fn path(&self, path: &str) -> PathBuf {
        format!("/proc/{}/root{path}", self.0).into()
    }

    /// Has it end.
    pub(super) fn exits(&self, exit: &Exit) -> Result<(), String> {
        let how = if exit.oom { "oom".to_owned() } else { exit.code.to_string() };
        let written = || -> io::Result<()> {
            fs::write(self.path("/dev/termination-log"), &exit.message)?;
            fs::write(self.path("/end.new"), format!("{how}\n"))?;
            fs::rename(self.path("/end.new"), self.path("/end"))
        };
        written().map_err(|error| format!("process {}: {error}", self.0))?;
        kill(self.0, Signal::SIGUSR1).map_err(|error| format!("process {}: {error}", self.0))
    }

    /// Waits until its parent knows that it has ended: nothing tells anybody else.
    pub(super) fn reaped(&self) -> Result<(), String> {
        let until = Instant::now() + REAPED_MAX;
        while kill(self.0, None).is_ok() {
            if Instant::now() > until {
                return Err(format!("process {} does not end within {REAPED_MAX:?}", self.0));
            }
            thread::sleep(AGAIN);
        }
        Ok(())
    }

    /// Has a file be there or not.
    pub(super) fn file(&self, file: &InContainer) -> Result<(), String> {
        let path = self.path(&file.path);
        let done = if file.there { fs::write(&path, vec![b'x'; file.bytes]) } else { fs::remove_file(&path) };
        done.map_err(|error| format!("{}: {error}", path.display()))
    }
}
