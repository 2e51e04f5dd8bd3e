//! The end of a cgroup: kill all that is in it, wait until it is empty, remove it and those below it.
//! Idempotent; a cgroup that is not there is done. Waits on the kernel's notice, not by looking again.

use crate::error::{Error, Result};
use berth_core::ids::{ContainerId, PodUid};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    fs::{self, File},
    io::{self, Read, Seek},
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A directory that was empty a moment ago and is busy still is tried again no sooner than this.
const BUSY_AGAIN_MS: u16 = 2;
/// Pids in a message.
const PIDS_SHOWN_MAX: usize = 8;

/// Kills every process in the cgroup and below; does not wait.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn kill(cgroup: &Path) -> Result<()> {
    match fs::write(cgroup.join("cgroup.kill"), "1") {
        Err(error) if !is_gone(&error) => Err(Error::io("kill the processes of", cgroup)(error)),
        _ => Ok(()),
    }
}

/// Kills, waits and removes, until `deadline` from now.
///
/// # Errors
/// [`Error::Busy`] with the processes that do not die; [`Error::Io`].
pub(crate) fn remove(cgroup: &Path, deadline: Duration) -> Result<()> {
    let end = Instant::now() + deadline;
    loop {
        kill(cgroup)?;
        wait_empty(cgroup, end)?;
        match remove_dirs(cgroup) {
            Ok(()) => return Ok(()),
            // Somebody was forked or moved in meanwhile, or the last exit is not quite through.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < end => {
                let _ = poll(&mut [], PollTimeout::from(BUSY_AGAIN_MS));
            }
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => return Err(busy(cgroup)),
            Err(error) => return Err(Error::io("remove the cgroup", cgroup)(error)),
        }
    }
}

/// Whether a process lives in the cgroup or below.
pub(crate) fn is_populated(cgroup: &Path) -> bool {
    let events = fs::read_to_string(cgroup.join("cgroup.events")).unwrap_or_default();
    value(&events, "populated") == Some(1)
}

/// How often the kernel's OOM killer struck in the cgroup and below; 0 if nobody counts.
pub(crate) fn oom_kills(cgroup: &Path) -> u64 {
    let events = fs::read_to_string(cgroup.join("memory.events")).unwrap_or_default();
    value(&events, "oom_kill").unwrap_or(0)
}

/// The cgroups of a container, under whatever pod.
pub(crate) fn find_container(kubepods: &Path, id: &ContainerId) -> Vec<PathBuf> {
    pods(kubepods).into_iter().map(|pod| pod.join(&*id.0)).filter(|path| path.is_dir()).collect()
}

/// The cgroups of a pod, of whatever class.
pub(crate) fn find_pod(kubepods: &Path, uid: &PodUid) -> Vec<PathBuf> {
    let name = format!("pod{uid}");
    pods(kubepods).into_iter().filter(|pod| pod.file_name().is_some_and(|it| *it == *name)).collect()
}

/// `kubepods/pod…` and `kubepods/<class>/pod…`.
fn pods(kubepods: &Path) -> Vec<PathBuf> {
    let is_pod =
        |dir: &PathBuf| dir.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"pod"));
    let (mut pods, classes): (Vec<_>, Vec<_>) = dirs(kubepods).into_iter().partition(is_pod);
    pods.extend(classes.iter().flat_map(|class| dirs(class)).filter(is_pod));
    pods
}

fn wait_empty(cgroup: &Path, end: Instant) -> Result<()> {
    let wrong = |error| Error::io("watch the cgroup", cgroup)(error);
    let mut events = match File::open(cgroup.join("cgroup.events")) {
        Err(error) if is_gone(&error) => return Ok(()),
        other => other.map_err(wrong)?,
    };
    loop {
        let mut text = String::new();
        match events.rewind().and_then(|()| events.read_to_string(&mut text)) {
            Err(error) if is_gone(&error) => return Ok(()),
            result => result.map_err(wrong)?,
        };
        if value(&text, "populated") != Some(1) {
            return Ok(());
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(busy(cgroup));
        }
        let timeout = PollTimeout::try_from(left.as_millis().max(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLPRI)], timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(wrong(errno.into())),
        }
    }
}

/// Bottom-up: a container may have made cgroups of its own.
fn remove_dirs(cgroup: &Path) -> io::Result<()> {
    for below in dirs(cgroup) {
        remove_dirs(&below)?;
    }
    match fs::remove_dir(cgroup) {
        Err(error) if !is_gone(&error) => Err(error),
        _ => Ok(()),
    }
}

fn dirs(cgroup: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cgroup).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

fn busy(cgroup: &Path) -> Error {
    let mut pids = Vec::new();
    collect_pids(cgroup, &mut pids);
    let message = format!(
        "processes {} do not die (state D hangs in the kernel: look at /proc/<pid>/stack)",
        pids.join(", ")
    );
    Error::Busy { path: cgroup.to_owned(), message }
}

fn collect_pids(cgroup: &Path, pids: &mut Vec<String>) {
    let procs = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    pids.extend(procs.lines().map(str::to_owned));
    for below in dirs(cgroup) {
        collect_pids(&below, pids);
    }
    pids.truncate(PIDS_SHOWN_MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_their_whole_name() {
        let text = "low 1\noom 5\noom_kill 2\noom_group_kill 7\n";
        assert_eq!(value(text, "oom_kill"), Some(2));
        assert_eq!(value(text, "oom"), Some(5));
        assert_eq!(value(text, "max"), None);
    }

    #[test]
    fn a_cgroup_that_is_not_there_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let none = dir.path().join("none");
        kill(&none).unwrap();
        remove(&none, Duration::ZERO).unwrap();
        assert_eq!(oom_kills(&none), 0);
    }

    #[test]
    fn processes_that_outlive_the_deadline_are_named() {
        crate::testing::with_roots(|roots| {
            let cgroup = roots.cgroup.join(&roots.cgroup_root).join("c");
            fs::create_dir_all(cgroup.join("below")).unwrap();
            let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
            fs::write(cgroup.join("below/cgroup.procs"), child.id().to_string()).unwrap();
            assert!(is_populated(&cgroup));
            let error =
                wait_empty(&cgroup, Instant::now() + Duration::from_millis(1)).unwrap_err().to_string();
            assert!(
                error.contains("c is still in use") && error.contains(&child.id().to_string()),
                "{error}"
            );
            // Killed from elsewhere: the kernel's notice ends the wait.
            std::thread::scope(|scope| {
                scope.spawn(|| wait_empty(&cgroup, Instant::now() + Duration::from_secs(60)).unwrap());
                kill(&cgroup).unwrap();
            });
            child.wait().unwrap();
            remove(&cgroup, Duration::ZERO).unwrap();
            assert!(!cgroup.exists());
        });
    }

    #[test]
    fn cgroups_are_found_whatever_their_class() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["pod1/a", "burstable/pod2/b", "besteffort/pod3/c", "besteffort/pod3/c/a/deep"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        let container = |name: &str| find_container(dir.path(), &ContainerId(name.into()));
        for (name, path) in [("a", "pod1/a"), ("b", "burstable/pod2/b"), ("c", "besteffort/pod3/c")] {
            assert_eq!(container(name), [dir.path().join(path)], "{name}");
        }
        assert!(container("deep").is_empty() && container("pod2").is_empty());
        let pod = |name: &str| find_pod(dir.path(), &PodUid(name.into()));
        assert_eq!(pod("1"), [dir.path().join("pod1")]);
        assert_eq!(pod("3"), [dir.path().join("besteffort/pod3")]);
        assert!(pod("4").is_empty() && find_pod(&dir.path().join("none"), &PodUid("1".into())).is_empty());
    }
}
