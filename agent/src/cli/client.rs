//! The client's end of the agent's socket: a request, then answers line by line, each wait with a deadline.
//! Knows the language (`api::wire`) and nothing of what is asked.

mod answers;
mod watch;

pub(crate) use answers::{Answers, Next};
pub(crate) use watch::Watch;

use super::failure::Failure;
use crate::api::wire::{REQUEST_LEN_MAX_BYTES, Request};
use nix::{
    errno::Errno,
    sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg},
};
use serde_json::Value;
use std::{
    io::{self, IoSlice},
    os::{
        fd::{AsRawFd, RawFd},
        unix::{fs::MetadataExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long an answer that needs no waiting for may take.
const CALL_TIMEOUT_S: u64 = 30;
/// How often a question is asked of agents that hang up over it.
const CALL_TRIES: u32 = 3;
/// How long a connection that is refused is tried again: the keeper starts a killed agent within this.
const CONNECT_RETRY_MAX_MS: u64 = 2_000;
/// Between two tries. Nothing tells when a socket is listened on again.
const CONNECT_RETRY_STEP_MS: u64 = 20;

/// Where the agent is to be asked.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    socket: PathBuf,
    /// How long a connection that is refused is tried again.
    patience: Duration,
}

impl Client {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket, patience: Duration::from_millis(CONNECT_RETRY_MAX_MS) }
    }

    /// Asks, and takes the one answer.
    ///
    /// # Errors
    /// Berth does not run, the user lacks the right, the agent says no, or nothing within 30 s.
    pub(crate) fn call(&self, request: &Request) -> Result<Value, Failure> {
        let deadline = Instant::now() + Duration::from_secs(CALL_TIMEOUT_S);
        // A question can be asked again; what changes something cannot.
        let tries = if matches!(request, Request::Upgrade { .. }) { 1 } else { CALL_TRIES };
        for _ in 0..tries {
            let answer = match self.stream(request, &[]) {
                Ok(mut answers) => answers.next(Some(deadline))?,
                Err(failure) if failure == self.hung_up() => Next::Closed,
                Err(failure) => return Err(failure),
            };
            match answer {
                Next::Data(value) => return Ok(value),
                Next::Timeout => {
                    let at = self.socket.display();
                    return Err(Failure::error(format!(
                        "the agent at {at} did not answer within {CALL_TIMEOUT_S} s"
                    )));
                }
                // It was killed between question and answer.
                Next::Closed => {}
            }
        }
        Err(self.hung_up())
    }

    /// Asks, with descriptors beside the request; answers are read from what is returned.
    ///
    /// # Errors
    /// Berth does not run, the user lacks the right, or the request is too long.
    pub(crate) fn stream(&self, request: &Request, fds: &[RawFd]) -> Result<Answers, Failure> {
        let mut line = serde_json::to_vec(request).map_err(Failure::error)?;
        line.push(b'\n');
        if line.len() > REQUEST_LEN_MAX_BYTES {
            return Err(Failure::error(format!(
                "the request has {} bytes; the agent takes at most {REQUEST_LEN_MAX_BYTES}",
                line.len()
            )));
        }
        let stream = self.connect()?;
        send(&stream, &line, fds).map_err(|_| self.hung_up())?;
        Ok(Answers::new(stream))
    }

    /// What to say when the agent goes away in mid-sentence.
    pub(crate) fn hung_up(&self) -> Failure {
        Failure::error(format!(
            "the agent at {} closed the connection without an answer; it may be restarting, try again",
            self.socket.display()
        ))
    }

    fn connect(&self) -> Result<UnixStream, Failure> {
        let give_up = Instant::now() + self.patience;
        loop {
            match UnixStream::connect(&self.socket) {
                Ok(stream) => return Ok(stream),
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused && Instant::now() < give_up => {
                    thread::sleep(Duration::from_millis(CONNECT_RETRY_STEP_MS));
                }
                Err(error) => return Err(Failure::Error(explain(&self.socket, &error))),
            }
        }
    }
}

/// Sends all of `line`, the descriptors beside its first byte. Never raises SIGPIPE.
fn send(stream: &UnixStream, line: &[u8], fds: &[RawFd]) -> nix::Result<()> {
    let mut rest = line;
    let mut beside = fds;
    while !rest.is_empty() {
        let rights = [ControlMessage::ScmRights(beside)];
        let control: &[ControlMessage<'_>] = if beside.is_empty() { &[] } else { &rights };
        match sendmsg::<UnixAddr>(
            stream.as_raw_fd(),
            &[IoSlice::new(rest)],
            control,
            MsgFlags::MSG_NOSIGNAL,
            None,
        ) {
            Ok(sent) => {
                rest = &rest[sent..];
                beside = &[];
            }
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Why the socket cannot be connected to, and what to do.
fn explain(socket: &Path, error: &io::Error) -> String {
    let at = socket.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "Berth does not run: there is no socket {at}. Start it (`systemctl start berth`), or name another \
             socket with --socket"
        ),
        io::ErrorKind::PermissionDenied => {
            let group = group_of(socket).map(|group| format!(" (now: {group})")).unwrap_or_default();
            format!(
                "no right to use {at}: be root, or a member of the group that apiSocketGroup in \
                 /etc/berth/config.yaml names{group}"
            )
        }
        io::ErrorKind::ConnectionRefused => format!(
            "Berth's agent does not listen on {at}: the service is stopped, or its agent fails at every start \
             (see the service's log)"
        ),
        _ => format!("cannot connect to Berth at {at}: {error}"),
    }
}

/// Name of the group that owns the socket, if that can be seen.
fn group_of(socket: &Path) -> Option<String> {
    let gid = std::fs::metadata(socket).ok()?.gid();
    nix::unistd::Group::from_gid(gid.into()).ok().flatten().map(|group| group.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Agent;

    fn message(path: &Path) -> String {
        let client = Client { socket: path.into(), patience: Duration::ZERO };
        match client.call(&Request::Images) {
            Err(Failure::Error(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_is_said_when_berth_does_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let missing = message(&dir.path().join("none.sock"));
        assert!(missing.starts_with("Berth does not run: there is no socket"), "{missing}");
        let dead = dir.path().join("dead.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        assert!(message(&dead).starts_with("Berth's agent does not listen on"));
    }

    #[test]
    fn it_is_said_when_the_right_is_missing() {
        let text = explain(Path::new("/nowhere"), &io::ErrorKind::PermissionDenied.into());
        assert!(text.contains("apiSocketGroup"), "{text}");
    }

    #[test]
    fn a_question_survives_an_agent_that_dies_over_it_and_a_command_does_not() {
        let answer = serde_json::json!({"items": []});
        let agent = || Agent::that_tells(vec![vec![], vec![answer.clone()]]);
        let first = agent();
        let client = Client::new(first.socket.clone());
        assert_eq!(client.call(&Request::Images), Ok(answer.clone()));
        let second = agent();
        let client = Client::new(second.socket.clone());
        assert_eq!(client.call(&Request::Upgrade { path: "/b".into() }), Err(client.hung_up()));
    }

    #[test]
    fn a_request_that_the_agent_would_refuse_is_not_sent() {
        let request = Request::Upgrade { path: "x".repeat(REQUEST_LEN_MAX_BYTES) };
        let Err(Failure::Error(message)) = Client::new("/nowhere".into()).call(&request) else { panic!() };
        assert!(message.contains("at most 65536"), "{message}");
    }
}
