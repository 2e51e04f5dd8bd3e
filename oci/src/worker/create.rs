//! Creates and starts a container from its bundle.

use super::{
    Fault, Warm, cover,
    executor::Confined,
    inside::Inside,
    mounts, rootfs,
    trouble::{Heard, Trouble},
};
use crate::{
    bundle::{self, WARNINGS, WorkerPlan},
    cgroup,
    error::Error,
    seccomp::Filter,
    spec::ROOTFS,
};
use berth_keeper::link::Fds;
use libcontainer::{
    container::{Container, ContainerStatus, builder::ContainerBuilder},
    notify_socket::{NOTIFY_FILE, NotifySocket},
    syscall::syscall::SyscallType,
    workload::Executor,
};
use nix::{
    sys::{
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::Pid,
};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::Arc,
};

/// How often what was begun is killed again until the cgroup is empty.
const KILL_ROUNDS_MAX: u32 = 64;

/// Standard streams of a container's process.
pub(crate) struct Streams {
    /// 0.
    pub(super) stdin: OwnedFd,
    /// 1.
    pub(super) stdout: OwnedFd,
    /// 2.
    pub(super) stderr: OwnedFd,
}

/// Creates and starts; the container's own program runs when this returns a pid.
pub(super) fn create(id: &str, bundle: &str, fds: Fds, inside: bool, warm: &Warm) -> Result<Pid, Fault> {
    let bundle = Path::new(bundle);
    let streams = streams(fds)?;
    let plan = bundle::read_plan(bundle)?;
    cover::enter(&plan.cgroup, inside)?;
    // Opened before it is hidden.
    let mut processes = File::open(plan.cgroup.join("cgroup.procs"))
        .map_err(Error::io("open the processes of", &plan.cgroup))?;
    // Opened while the worker is still in the box's own cgroup namespace.
    let (later, warnings) = cgroup::open(&plan.cgroup, &plan.writes_after)?;
    warn(bundle, &warnings);
    let result = prepare(bundle, &plan, warm).and_then(|()| launch(id, bundle, &plan, streams, later));
    if result.is_err() {
        kill_begun(&mut processes);
    }
    result
}

/// Streams from what came with the work: stdout and stderr; there is nothing to read.
fn streams(fds: Fds) -> Result<Streams, Fault> {
    let mut fds = fds.into_iter();
    let (Some(stdout), Some(stderr)) = (fds.next(), fds.next()) else {
        return Err(Fault::internal("the create came without the log pipes"));
    };
    let null = File::open("/dev/null").map_err(Error::io("open", "/dev/null"))?;
    Ok(Streams { stdin: null.into(), stdout, stderr })
}

/// All that must be there before libcontainer begins.
fn prepare(bundle: &Path, plan: &WorkerPlan, warm: &Warm) -> Result<(), Fault> {
    let held = mounts::hold(&plan.mounts)?;
    rootfs::own_mounts()?;
    let mut warnings = cgroup::apply(&plan.cgroup, &plan.writes_before)?;
    if let Some(rules) = &plan.devices {
        let dir = File::open(&plan.cgroup).map_err(Error::io("open", &plan.cgroup))?;
        match warm.confine(dir.as_fd(), rules) {
            Ok(()) => {}
            Err(error) if plan.devices_strict => return Err(Fault::runtime(error)),
            Err(error) => warnings.push(format!("device access is not confined: {error}")),
        }
    }
    let path = bundle.join(ROOTFS);
    let users = plan.users.as_ref().map(|users| File::open(users).map_err(Error::io("open", users)));
    let users = users.transpose()?.map(OwnedFd::from);
    if let Some(overlay) = &plan.overlay {
        rootfs::overlay(bundle, &path, overlay, users.as_ref())?;
    }
    rootfs::join(&plan.join)?;
    if plan.own_cgroup_view {
        rootfs::own_cgroup_view()?;
    }
    let root = Inside::open_root(&path)?;
    mounts::mount_all(&root, &plan.mounts, held, users.as_ref())?;
    plan.nodes.iter().try_for_each(|node| root.device(node))?;
    for path in &plan.mkdirs {
        root.directory(Path::new(path))?;
    }
    cover::cover(&plan.cgroup_mount, &plan.cgroup)?;
    warn(bundle, &warnings);
    Ok(())
}

fn launch(
    id: &str,
    bundle: &Path,
    plan: &WorkerPlan,
    streams: Streams,
    later: cgroup::Opened,
) -> Result<Pid, Fault> {
    score(bundle, plan.oom_score_adj);
    let filter = plan.seccomp.as_deref().map(Filter::read).transpose()?.map(Arc::new);
    let trouble = Trouble::open().map_err(|errno| Fault::internal(format!("cannot make a pipe: {errno}")))?;
    let executor =
        Confined { capabilities: plan.capabilities, filter, labels: plan.labels.clone().into(), users: None };
    let built = bare_create(id, bundle, &plan.state_root, Some(streams), executor);
    trouble.detach();
    let mut container = built.map_err(|error| Fault::runtime(describe(&error, trouble.now())))?;
    let pid = container.pid().ok_or_else(|| Fault::internal("libcontainer names no process"))?;
    // What `Container::start` does, with what nobody waits for after the start and not before it.
    NotifySocket::new(container.root.join(NOTIFY_FILE))
        .notify_container_start()
        .map_err(|error| Fault::runtime(describe(&error, trouble.now())))?;
    let saved = container.set_status(ContainerStatus::Running).save();
    saved.map_err(|error| Fault::runtime(describe(&error, trouble.now())))?;
    later.write()?;
    match trouble.until_closed().fatal {
        Some(message) => Err(Fault::runtime(message)),
        None => Ok(pid),
    }
}

/// libcontainer's own part: everything up to the executor, which waits.
pub(crate) fn bare_create(
    id: &str,
    bundle: &Path,
    state_root: &Path,
    streams: Option<Streams>,
    executor: impl Executor + 'static,
) -> Result<Container, libcontainer::error::LibcontainerError> {
    let mut builder = ContainerBuilder::new(id.to_owned(), SyscallType::Linux)
        .with_root_path(state_root)?
        .with_executor(executor);
    if let Some(streams) = streams {
        builder = builder.with_stdin(streams.stdin).with_stdout(streams.stdout).with_stderr(streams.stderr);
    }
    builder.as_init(bundle).with_systemd(false).with_detach(true).as_sibling(false).build()
}

/// How willingly the processes that this one makes are killed when memory runs out. Itself too, but it has
/// not long to live. The spec does not say so, for then a score that may not be set would be an error.
pub(super) fn score(bundle: &Path, value: i32) {
    if let Err(error) = fs::write("/proc/self/oom_score_adj", value.to_string()) {
        warn(bundle, &[format!("oom_score_adj={value} has no effect: {error}")]);
    }
}

/// One line for people. What libcontainer returns says where it failed, the event says why.
pub(super) fn describe(error: &dyn std::error::Error, heard: Heard) -> String {
    if let Some(message) = heard.fatal {
        return message;
    }
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    // Its clean-up cannot remove the cgroup in which the worker still is; that is the agent's to do.
    let text = text.split(". error during cleanup").next().unwrap_or_default();
    match heard.first {
        None => text.to_owned(),
        Some(first) => {
            let step = text.rsplit(": ").next().unwrap_or_default();
            if first.contains(step) { first } else { format!("{first} ({step})") }
        }
    }
}

/// What could not be done as wished, for `berth describe`. That it cannot be told is no reason to fail.
fn warn(bundle: &Path, warnings: &[String]) {
    if warnings.is_empty() {
        return;
    }
    let file = fs::OpenOptions::new().create(true).append(true).open(bundle.join(WARNINGS));
    let _ = file.and_then(|mut file| file.write_all((warnings.join("\n") + "\n").as_bytes()));
}

/// After a failure: kills all in the cgroup but this process, and reaps what is its own.
fn kill_begun(processes: &mut File) {
    let own = nix::unistd::getpid();
    for _ in 0..KILL_ROUNDS_MAX {
        let others = others(processes, own).unwrap_or_default();
        if others.is_empty() {
            break;
        }
        for pid in others {
            let _ = kill(pid, Signal::SIGKILL);
        }
        while waitpid(None, None).is_ok() {}
    }
    // The zygote kills a worker that waits for what does not die.
    while waitpid(None, None).is_ok() {}
}

fn others(processes: &mut File, own: Pid) -> io::Result<Vec<Pid>> {
    let mut text = String::new();
    processes.rewind()?;
    processes.read_to_string(&mut text)?;
    Ok(text
        .lines()
        .filter_map(|line| line.parse().ok().map(Pid::from_raw))
        .filter(|pid| *pid != own)
        .collect())
}
