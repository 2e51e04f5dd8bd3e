//! A keeper under test: its front, and the sockets of its agents, which the test speaks for.

use berth_keeper::{
    link::{self, Fds},
    protocol::{Id, Notice, Path, Request, SlotState, VERSION},
};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{Signal, kill},
        socket::{
            ControlMessage, ControlMessageOwned, MsgFlags, SetSockOpt as _, recvmsg, sendmsg,
            sockopt::ReceiveTimeout,
        },
        time::{TimeVal, TimeValLike as _},
        wait::{WaitStatus, waitpid},
    },
    unistd::{Pid, getgid, getuid, mkfifo},
};
use std::{
    io::{IoSlice, IoSliceMut, Read as _, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Nothing here takes that long; a test that waits longer has failed.
const PATIENCE_S: i32 = 30;

pub(crate) fn send_fd(to: &UnixStream, text: &[u8], fd: BorrowedFd<'_>) {
    let fds = [fd.as_raw_fd()];
    let control = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(to.as_raw_fd(), &[IoSlice::new(text)], &control, MsgFlags::empty(), None).unwrap();
}

pub(crate) fn close_on_exec(fd: &OwnedFd) {
    fcntl(fd.as_raw_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
}

fn patient(fd: &impl std::os::fd::AsFd) {
    ReceiveTimeout.set(fd, &TimeVal::seconds(PATIENCE_S.into())).unwrap();
}

/// An agent's seat, in which the test sits.
pub(crate) struct Agent {
    pub(crate) pid: i32,
    /// Its open descriptors by number.
    pub(crate) fds: String,
    /// Names of its variables.
    pub(crate) variables: String,
    keeper: OwnedFd,
    /// It ends when this is closed, or with the status that is written to it.
    life: UnixStream,
}

impl Agent {
    pub(crate) fn ask(&self, request: &Request) {
        link::send(&self.keeper, request, &[]).unwrap();
    }

    pub(crate) fn ask_with(&self, request: &Request, fds: &[&OwnedFd]) {
        let fds: Vec<_> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
        link::send(&self.keeper, request, &fds).unwrap();
    }

    pub(crate) fn hear(&self) -> (Notice, Fds) {
        link::recv(&self.keeper).unwrap()
    }

    /// Says Hello; gives the keeper's pid and the slots.
    pub(crate) fn hello(&self) -> (i32, Vec<(Id, SlotState, Fds)>) {
        self.ask(&Request::Hello { version: VERSION });
        let (Notice::Welcome { version: VERSION, pid, slots }, _) = self.hear() else { panic!("no Welcome") };
        let mut list = vec![];
        loop {
            match self.hear() {
                (Notice::Slot { id, state }, fds) => list.push((id, state, fds)),
                (Notice::ListEnd, _) => break,
                (other, _) => panic!("{other:?} in the list"),
            }
        }
        assert_eq!(list.len(), usize::from(slots));
        (pid, list)
    }

    /// Says Hello, and that it serves; gives the keeper's pid and the slots.
    pub(crate) fn serve(&self) -> (i32, Vec<(Id, SlotState, Fds)>) {
        let told = self.hello();
        self.ask(&Request::Ready);
        told
    }

    /// Stops it as it stands.
    pub(crate) fn freeze(&self) {
        kill(Pid::from_raw(self.pid), Signal::SIGSTOP).unwrap();
    }

    /// Has it end by itself.
    pub(crate) fn ends(self, status: u8) {
        (&self.life).write_all(&[status]).unwrap();
    }

    /// Starts a script as a container; gives its log descriptors.
    pub(crate) fn start(&self, name: &str, script: &str) -> Vec<OwnedFd> {
        self.ask(&create(1, name, script));
        match self.hear() {
            (Notice::Started { op: 1, id, .. }, fds) if id == name => fds.into_iter().collect(),
            (other, _) => panic!("{other:?}"),
        }
    }

    /// The exit of a container: status and signal.
    pub(crate) fn exit(&self, name: &str) -> (i32, i32) {
        match self.hear() {
            (Notice::Exited { id, exit }, _) if id == name => (exit.code, exit.signal),
            (other, _) => panic!("{other:?}"),
        }
    }

    pub(crate) fn kill(self) {
        kill(Pid::from_raw(self.pid), Signal::SIGKILL).unwrap();
    }
}

pub(crate) fn create(op: u64, name: &str, script: &str) -> Request {
    Request::Create {
        op,
        id: Id::try_from(name).unwrap(),
        bundle: Path::try_from(script).unwrap(),
        cgroup: Path::try_from("/nonexistent").unwrap(),
        deadline_ms: 20_000,
        log_uid: getuid().as_raw(),
        log_gid: getgid().as_raw(),
    }
}

/// Reads a pipe to its end: all writers are gone then.
pub(crate) fn read_all(pipe: OwnedFd) -> String {
    let mut pipe = std::fs::File::from(pipe);
    let mut all = vec![];
    loop {
        let mut table = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(PATIENCE_S * 1_000).unwrap();
        assert_eq!(poll(&mut table, timeout), Ok(1), "the pipe has not ended");
        let mut part = [0; 4_096];
        match pipe.read(&mut part).unwrap() {
            0 => return String::from_utf8(all).unwrap(),
            len => all.extend_from_slice(&part[..len]),
        }
    }
}

/// A run directory and the fronts that come and go over it.
pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
    agents: UnixListener,
    front: Option<Child>,
    pub(crate) variables: Vec<(String, String)>,
}

impl Rig {
    /// Nothing runs yet.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let agents = UnixListener::bind(dir.path().join("test.sock")).unwrap();
        patient(&agents);
        Self { dir, agents, front: None, variables: vec![] }
    }

    /// A front and its keeper are started.
    pub(crate) fn new() -> Self {
        let mut rig = Self::empty();
        rig.begin();
        rig
    }

    pub(crate) fn front_command(&self) -> Command {
        let mut front = Command::new(std::env::current_exe().unwrap());
        front
            .args(["keeper", "front"])
            .arg(self.dir.path().join("run"))
            .arg(self.dir.path().join("test.sock"));
        front.envs(self.variables.iter().cloned());
        front
    }

    pub(crate) fn begin(&mut self) {
        self.front = Some(self.front_command().spawn().unwrap());
    }

    /// The exit status of a front that ends by itself.
    pub(crate) fn front_ends(&mut self) -> Option<i32> {
        ended(self.front.take().unwrap())
    }

    /// SIGTERM to the front, and its exit status.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let front = self.front.take().unwrap();
        kill(Pid::from_raw(front.id().cast_signed()), Signal::SIGTERM).unwrap();
        ended(front)
    }

    pub(crate) fn kill_front(&mut self) {
        let mut front = self.front.take().unwrap();
        front.kill().unwrap();
        front.wait().unwrap();
    }

    /// The next agent that the keeper starts.
    pub(crate) fn agent(&self) -> Agent {
        let (life, _) = self.agents.accept().unwrap();
        patient(&life);
        let mut text = [0; 16_384];
        let mut control = nix::cmsg_space!(i32);
        let (len, fd) = {
            let mut iov = [IoSliceMut::new(&mut text)];
            let got =
                recvmsg::<()>(life.as_raw_fd(), &mut iov, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)
                    .unwrap();
            let fd = match got.cmsgs().unwrap().next() {
                Some(ControlMessageOwned::ScmRights(fds)) => fds[0],
                other => panic!("{other:?}"),
            };
            (got.bytes, fd)
        };
        let keeper = crate::sys::fd_by_number(fd);
        patient(&keeper);
        let text = std::str::from_utf8(&text[..len]).unwrap();
        let mut lines = text.lines().map(str::to_owned);
        let mut line = || lines.next().unwrap();
        Agent { pid: line().parse().unwrap(), fds: line(), variables: line(), keeper, life }
    }

    /// The next agent, greeted; there is nothing yet.
    pub(crate) fn greeted(&self) -> Agent {
        let agent = self.agent();
        assert!(agent.hello().1.is_empty());
        agent
    }

    /// A FIFO on which a script can wait: `read < FIFO`; opening and closing it lets the script go on.
    pub(crate) fn gate(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        path
    }
}

/// The exit status of a process that ends by itself.
fn ended(mut child: Child) -> Option<i32> {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(child.wait().ok().and_then(|status| status.code())));
    told.recv_timeout(Duration::from_secs(PATIENCE_S.unsigned_abs().into()))
        .unwrap_or_else(|_| panic!("it has not ended"))
}

pub(crate) fn open_gate(gate: &PathBuf) {
    drop(std::fs::OpenOptions::new().write(true).open(gate).unwrap());
}

/// Waits until a keeper whose front has ended is gone too: it is the test's child then, the test being
/// its subreaper, or was gone before its front.
pub(crate) fn await_end(keeper: i32) {
    match waitpid(Pid::from_raw(keeper), None) {
        Ok(WaitStatus::Exited(_, 0)) | Err(Errno::ECHILD) => {}
        other => panic!("{other:?}"),
    }
}

/// Kills what has both words in its command line, this process apart.
fn kill_all(run: &str, word: &str) {
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        let pid = process.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(pid) = pid
            && line.contains(run)
            && line.contains(word)
            && pid != std::process::id().cast_signed()
        {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // With the run directory's keeper, everything that it has started ends too.
        if let Some(mut front) = self.front.take() {
            let _ = front.kill();
            let _ = front.wait();
        }
        let run = self.dir.path().to_str().unwrap().to_owned();
        // The keeper first: it would start the others again.
        kill_all(&run, "keeper");
        // They are the test's children by now, itself being their subreaper; zygotes end by themselves. What the
        // keeper began in the moment of its death is found once the keeper itself is reaped.
        loop {
            kill_all(&run, "");
            if waitpid(None, None).is_err() {
                break;
            }
        }
    }
}

/// Standard streams of an exec: the caller's ends, then the session's.
pub(crate) fn streams() -> ([OwnedFd; 3], [OwnedFd; 3]) {
    let pipe = || nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let (stdin_read, stdin_write) = pipe();
    let (stdout_read, stdout_write) = pipe();
    let (stderr_read, stderr_write) = pipe();
    ([stdin_write, stdout_read, stderr_read], [stdin_read, stdout_write, stderr_write])
}

pub(crate) fn output(mut command: Command) -> (Option<i32>, String) {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}
