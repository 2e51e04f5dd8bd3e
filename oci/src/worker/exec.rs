//! Runs a further process in a running container, as confined as the container's own.

use super::{
    Fault, cover,
    create::{Streams, describe, score},
    executor::Confined,
    rootfs,
    trouble::Trouble,
};
use crate::{
    bundle::{self, WorkerPlan},
    error::Error,
    fsys::remove::remove_tree,
    seccomp::Filter,
};
use berth_keeper::link::Fds;
use libcontainer::{
    container::builder::ContainerBuilder, error::LibcontainerError, syscall::syscall::SyscallType,
};
use nix::unistd::Pid;
use std::{
    fs,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixListener,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

/// The socket on which libcontainer hands out a terminal.
const CONSOLE: &str = "console";

/// Where the process' input and output are.
enum Ends {
    Streams(Streams),
    /// The client's socket, which gets the terminal's master.
    Console(OwnedFd),
}

/// Runs what `exec-<session>.json` in the bundle says.
pub(super) fn exec(
    session: &str,
    container: &str,
    bundle: &str,
    tty: bool,
    fds: Fds,
    inside: bool,
) -> Result<Pid, Fault> {
    let bundle = Path::new(bundle);
    let ends = ends(tty, fds)?;
    let plan = bundle::read_plan(bundle)?;
    let mut process = bundle::exec_process(bundle, session)?;
    process.set_terminal(Some(tty));
    let scratch = Scratch::make(bundle, session, container, &plan)?;
    let json = scratch.dir.join("process.json");
    bundle::put(&json, &process)?;
    cover::enter(&plan.cgroup, inside)?;
    let users = plan.users.as_ref().map(|users| fs::File::open(users).map_err(Error::io("open", users)));
    let users = users.transpose()?.map(|users| Arc::new(OwnedFd::from(users)));
    rootfs::own_mounts()?;
    cover::cover(&plan.cgroup_mount, &plan.cgroup)?;
    score(bundle, plan.oom_score_adj);
    let filter = plan.seccomp.as_deref().map(Filter::read).transpose()?.map(Arc::new);
    let executor =
        Confined { capabilities: plan.capabilities, filter, labels: plan.labels.clone().into(), users };
    let trouble = Trouble::open().map_err(|errno| Fault::internal(format!("cannot make a pipe: {errno}")))?;
    let console = match &ends {
        Ends::Console(_) => Some(scratch.listen()?),
        Ends::Streams(_) => None,
    };
    let built = build(&scratch, container, &json, executor, &ends, console.is_some());
    trouble.detach();
    let pid = built.map_err(|error| Fault::runtime(describe(&error, trouble.now())))?;
    if let Some(message) = trouble.until_closed().fatal {
        return Err(Fault::runtime(message));
    }
    if let (Some(listener), Ends::Console(client)) = (&console, &ends) {
        super::sys::pass_on(listener, client.as_fd())
            .map_err(|errno| Fault::runtime(format!("cannot hand the terminal over: {errno}")))?;
    }
    Ok(pid)
}

fn ends(tty: bool, fds: Fds) -> Result<Ends, Fault> {
    let mut fds = fds.into_iter();
    let missing = || Fault::internal("the exec came without its descriptors");
    let first = fds.next().ok_or_else(missing)?;
    if tty {
        return Ok(Ends::Console(first));
    }
    let (stdout, stderr) = fds.next().zip(fds.next()).ok_or_else(missing)?;
    Ok(Ends::Streams(Streams { stdin: first, stdout, stderr }))
}

fn build(
    scratch: &Scratch,
    container: &str,
    process: &Path,
    executor: Confined,
    ends: &Ends,
    console: bool,
) -> Result<Pid, LibcontainerError> {
    let mut builder = ContainerBuilder::new(container.to_owned(), SyscallType::Linux)
        .with_root_path(&scratch.dir)?
        .with_executor(executor);
    if let Ends::Streams(streams) = ends {
        let own = |fd: &OwnedFd| super::sys::duplicate(fd.as_fd()).map_err(LibcontainerError::OtherSyscall);
        builder = builder
            .with_stdin(own(&streams.stdin)?)
            .with_stdout(own(&streams.stdout)?)
            .with_stderr(own(&streams.stderr)?);
    }
    builder
        .with_console_socket(console.then(|| scratch.console()))
        .as_tenant()
        .with_process(Some(process))
        .with_detach(true)
        .as_sibling(false)
        .build()
}

/// A directory of the session's own, in the place of libcontainer's directory of states: the sockets that
/// libcontainer leaves behind for each exec disappear with it.
struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    fn make(bundle: &Path, session: &str, container: &str, plan: &WorkerPlan) -> Result<Self, Fault> {
        let scratch = Self { dir: bundle.join(format!("exec-{session}.d")) };
        let own = scratch.dir.join(container);
        crate::fsys::make_dirs(&own, 0o700)?;
        let state = plan.state_root.join(container).join("state.json");
        fs::copy(&state, own.join("state.json")).map_err(Error::io("read", &state))?;
        Ok(scratch)
    }

    fn console(&self) -> PathBuf {
        self.dir.join(CONSOLE)
    }

    fn listen(&self) -> Result<UnixListener, Fault> {
        // By its name alone: the whole path may be longer than a socket's may be.
        let wrong = |error| Fault::from(Error::io("listen at", self.console())(error));
        std::env::set_current_dir(&self.dir).map_err(wrong)?;
        let listener = UnixListener::bind(CONSOLE).map_err(wrong)?;
        std::env::set_current_dir("/").map_err(wrong)?;
        Ok(listener)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed with the bundle.
        let _ = remove_tree(&self.dir);
    }
}
