//! An agent for tests: listens on a socket in a temporary directory and answers as it is told.

use super::{client::Client, failure::Failure, session::Session};
use crate::api::wire::{Reply, Request};
use berth_core::time::{NS_PER_S, Wall};
use nix::{
    cmsg_space,
    sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg},
};
use serde_json::Value;
use std::{
    collections::VecDeque,
    io::{IoSliceMut, Write},
    os::{
        fd::{AsRawFd, RawFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    sync::Mutex,
    thread,
};

/// The moment at which tests take place: 1970-01-01T00:01:00Z.
pub(super) const NOW: Wall = Wall(60 * NS_PER_S);

/// See the module. Ends with the process of the test.
pub(super) struct Agent {
    pub(super) socket: PathBuf,
    _directory: tempfile::TempDir,
}

/// What is done with a request: the stream to answer on, and the descriptors that came beside it.
type Answer = dyn Fn(Request, &mut UnixStream, Vec<RawFd>) + Send + Sync;

impl Agent {
    pub(super) fn new(answer: impl Fn(Request, &mut UnixStream, Vec<RawFd>) + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("berth.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let answer: Box<Answer> = Box::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (request, fds) = receive(&stream);
                answer(request, &mut stream, fds);
            }
        });
        Self { socket, _directory: directory }
    }

    /// One that answers each request with the next of these lists of answers, then hangs up.
    pub(super) fn that_tells(connections: Vec<Vec<Value>>) -> Self {
        let connections = Mutex::new(VecDeque::from(connections));
        Self::new(move |_, stream, _| {
            for value in connections.lock().unwrap().pop_front().unwrap_or_default() {
                tell(stream, value);
            }
        })
    }

    /// One that answers by the request.
    pub(super) fn that_knows(knows: impl Fn(&Request) -> Value + Send + Sync + 'static) -> Self {
        Self::new(move |request, stream, _| tell(stream, knows(&request)))
    }
}

/// Sends one answer. A client that has enough may be gone.
pub(super) fn tell(stream: &mut UnixStream, value: Value) {
    let mut line = serde_json::to_vec(&Reply::Data(value)).unwrap();
    line.push(b'\n');
    let _ = stream.write_all(&line);
}

fn receive(stream: &UnixStream) -> (Request, Vec<RawFd>) {
    let mut text = Vec::new();
    let mut fds = Vec::new();
    while !text.ends_with(b"\n") {
        let mut chunk = [0; 4096];
        let mut parts = [IoSliceMut::new(&mut chunk)];
        let mut space = cmsg_space!([RawFd; 3]);
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<UnixAddr>(stream.as_raw_fd(), &mut parts, Some(&mut space), flags).unwrap();
        for control in message.cmsgs().unwrap() {
            if let ControlMessageOwned::ScmRights(received) = control {
                fds.extend(received);
            }
        }
        let len = message.bytes;
        assert!(len > 0, "the client hung up");
        text.extend_from_slice(&chunk[..len]);
    }
    (serde_json::from_slice(&text).unwrap(), fds)
}

/// What came of a verb.
pub(super) struct Ran {
    pub(super) result: Result<(), Failure>,
    pub(super) out: String,
    pub(super) err: String,
}

/// Runs a verb against an agent, at [`NOW`].
pub(super) fn run_verb(agent: &Agent, verb: impl FnOnce(&mut Session<'_>) -> Result<(), Failure>) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let client = Client::new(agent.socket.clone());
    let result = verb(&mut Session {
        client,
        out: &mut out,
        err: &mut err,
        progress: false,
        colour: false,
        now: || NOW,
    });
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { result, out: text(out), err: text(err) }
}
