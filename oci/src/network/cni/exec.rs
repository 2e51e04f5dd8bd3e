//! One plugin's process: started in a cgroup of its pod's, spoken to over pipes, ended with all that it has started
//! when its time is over. Blocks, at most until the deadline and a moment; never called by the agent's loop.

use super::sys;
use crate::{error::Error, fsys, teardown};
use berth_core::network::cni::{TEXT_LEN_MAX_BYTES, failure};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    fs::OpenOptions,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// Where plugins find other programs, if the agent was not told.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Bytes of a plugin's complaints that are kept; the rest is read and forgotten.
const STDERR_LEN_MAX_BYTES: usize = 16 * 1024;
/// How long a killed process may take to be gone.
const DYING: Duration = Duration::from_secs(2);
/// Bytes taken from a pipe at one time.
const CHUNK_BYTES: usize = 16 * 1024;
/// So often before the other pipes have their turn; more than a pipe holds.
const CHUNKS_MAX: usize = 16;

/// A plugin to be executed.
pub(super) struct Call<'a> {
    pub(super) program: &'a Path,
    pub(super) variables: Vec<(&'static str, String)>,
    pub(super) input: Vec<u8>,
    pub(super) deadline: Instant,
    /// Made if it is not there; stays.
    pub(super) cgroup: &'a Path,
}

/// Executes it and returns what it said.
///
/// # Errors
/// It could not be started, ended badly or not in time: in words that fit behind its name.
pub(super) fn call(call: &Call<'_>) -> Result<Vec<u8>, String> {
    let mut child = spawn(call)?;
    let talked = Talk::begin(&mut child, &call.input).and_then(|talk| talk.until(call.deadline));
    let (ended, stdout, stderr) = match talked {
        Ok(Talked::Ended { stdout, stderr }) => {
            (child.wait().map_err(|error| format!("its end is not known: {error}"))?, stdout, stderr)
        }
        Ok(Talked::Overtime) => return Err(give_up(child, call.cgroup, "it did not come to an end in time")),
        Ok(Talked::Overlong) => {
            let why = format!("it answers more than {TEXT_LEN_MAX_BYTES} bytes");
            return Err(give_up(child, call.cgroup, &why));
        }
        Err(error) => {
            return Err(give_up(child, call.cgroup, &format!("it cannot be spoken to: {error}")));
        }
    };
    if ended.success() {
        return Ok(stdout);
    }
    Err(failure(&describe(ended), &stdout, &stderr))
}

fn spawn(call: &Call<'_>) -> Result<Child, String> {
    let text = |error: Error| error.to_string();
    fsys::make_dirs(call.cgroup, 0o755).map_err(text)?;
    let procs = call.cgroup.join("cgroup.procs");
    let procs =
        OpenOptions::new().write(true).open(&procs).map_err(|e| text(Error::io("open", &procs)(e)))?;
    let mut command = Command::new(call.program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| PATH_DEFAULT.into()))
        .envs(call.variables.iter().map(|(name, value)| (*name, value)))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    sys::confine(&mut command, procs);
    command.spawn().map_err(|error| format!("cannot execute {}: {error}", call.program.display()))
}

/// Kills all that it has started. `why` is returned.
fn give_up(mut child: Child, cgroup: &Path, why: &str) -> String {
    if teardown::kill(cgroup).is_err() {
        let _ = child.kill();
    }
    let end = Instant::now() + DYING;
    let gone = sys::end_of(&child).is_ok_and(|fd| wait_for(&fd, end));
    match gone {
        // Its status is of no interest, only that it has one.
        true => drop(child.wait()),
        false => tracing::warn!(pid = child.id(), "a killed CNI plugin does not die"),
    }
    why.to_owned()
}

fn describe(ended: ExitStatus) -> String {
    match (ended.code(), ended.signal()) {
        (Some(code), _) => format!("ended with {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

fn wait_for(fd: &OwnedFd, end: Instant) -> bool {
    loop {
        match poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout(end)) {
            Ok(0) => return false,
            Err(Errno::EINTR) => {}
            result => return result.is_ok(),
        }
    }
}

fn timeout(end: Instant) -> PollTimeout {
    let left = end.saturating_duration_since(Instant::now());
    // Rounded up, or the last millisecond would be spent turning.
    let left = left.as_millis() + u128::from(!left.is_zero());
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}

/// How it went.
enum Talked {
    Ended { stdout: Vec<u8>, stderr: Vec<u8> },
    Overtime,
    Overlong,
}

/// The conversation: nobody waits for anybody else's pipe.
struct Talk<'a> {
    end: OwnedFd,
    stdin: Option<ChildStdin>,
    input: &'a [u8],
    stdout: Pipe,
    stderr: Pipe,
}

/// One of its outputs.
struct Pipe {
    from: Option<OwnedFd>,
    bytes: Vec<u8>,
}

impl<'a> Talk<'a> {
    fn begin(child: &mut Child, input: &'a [u8]) -> io::Result<Self> {
        let stdin = child.stdin.take();
        if let Some(stdin) = &stdin {
            unblock(stdin)?;
        }
        let stdout = Pipe::new(child.stdout.take().map(OwnedFd::from))?;
        let stderr = Pipe::new(child.stderr.take().map(OwnedFd::from))?;
        Ok(Self { end: sys::end_of(child)?, stdin, input, stdout, stderr })
    }

    fn until(mut self, deadline: Instant) -> io::Result<Talked> {
        loop {
            let ended = self.wait(deadline)?;
            if ended.is_none() {
                return Ok(Talked::Overtime);
            }
            self.tell()?;
            self.stdout.read(TEXT_LEN_MAX_BYTES + 1)?;
            self.stderr.read(STDERR_LEN_MAX_BYTES)?;
            if self.stdout.bytes.len() > TEXT_LEN_MAX_BYTES {
                return Ok(Talked::Overlong);
            }
            // What it has started may hold the pipes for as long as it likes.
            if ended == Some(true) {
                return Ok(Talked::Ended { stdout: self.stdout.bytes, stderr: self.stderr.bytes });
            }
        }
    }

    /// Waits for anything: whether the process has ended; none when the time is over.
    fn wait(&self, deadline: Instant) -> io::Result<Option<bool>> {
        let mut fds = vec![PollFd::new(self.end.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.stdin.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLOUT)));
        let outputs = [&self.stdout, &self.stderr].into_iter().filter_map(|pipe| pipe.from.as_ref());
        fds.extend(outputs.map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)));
        match poll(&mut fds, timeout(deadline)) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(fds[0].any().unwrap_or(false))),
            Err(Errno::EINTR) => Ok(Some(false)),
            Err(errno) => Err(errno.into()),
        }
    }

    fn tell(&mut self) -> io::Result<()> {
        let Some(stdin) = &mut self.stdin else { return Ok(()) };
        while !self.input.is_empty() {
            match stdin.write(self.input) {
                Ok(0) => break,
                Ok(len) => self.input = self.input.get(len..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // It does not want to know.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                Err(error) => return Err(error),
            }
        }
        self.stdin = None;
        Ok(())
    }
}

impl Pipe {
    fn new(from: Option<OwnedFd>) -> io::Result<Self> {
        if let Some(fd) = &from {
            unblock(fd)?;
        }
        Ok(Self { from, bytes: Vec::new() })
    }

    /// Takes what is there, within reason; of more than `max` bytes the first ones are kept.
    fn read(&mut self, max: usize) -> io::Result<()> {
        let Some(fd) = &self.from else { return Ok(()) };
        let mut file = std::fs::File::from(fd.try_clone()?);
        let mut chunk = [0; CHUNK_BYTES];
        for _ in 0..CHUNKS_MAX {
            match file.read(&mut chunk) {
                Ok(0) => {
                    self.from = None;
                    break;
                }
                Ok(len) => {
                    let room = max.saturating_sub(self.bytes.len()).min(len);
                    self.bytes.extend(chunk.get(..room).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn unblock(fd: &impl AsFd) -> io::Result<()> {
    fcntl(fd.as_fd().as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(drop).map_err(Into::into)
}
