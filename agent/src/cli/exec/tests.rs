//! `exec` against an agent that runs the command in no container at all, with the descriptors it is sent.

use super::*;
use crate::cli::testing::{Agent, NOW, tell};
use clap::Parser;
use nix::{
    libc,
    pty::openpty,
    sys::{
        socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg},
        termios::{LocalFlags, tcgetattr},
    },
    unistd::write,
};
use serde_json::{Value, json};
use std::{
    io::{IoSlice, Read, Seek, Write},
    os::fd::RawFd,
    process::{Command, Stdio},
};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn pods() -> Value {
    json!({"items": [{
        "metadata": {"namespace": "default", "name": "web-box", "uid": "u"},
        "spec": {"nodeName": "box", "containers": [{"name": "c"}, {"name": "d"}]},
    }]})
}

/// Runs what it is asked to, as `sh` would, and tells how it ended.
fn agent() -> Agent {
    Agent::new(|request, stream, fds| match request {
        Request::Exec { command, tty, container, pod, .. } => {
            assert_eq!((container.as_deref(), pod.as_str()), (Some("c"), "web-box"));
            let mut child = Command::new(&command[0]);
            child.args(&command[1..]);
            let _terminal = if tty { Some(terminal(fds[0], &mut child)) } else { pipes(&fds, &mut child) };
            let mut child = child.spawn().unwrap();
            tell(stream, json!({"started": true}));
            let status = child.wait().unwrap();
            tell(stream, json!({"exitCode": status.code().unwrap()}));
        }
        _ => tell(stream, pods()),
    })
}

fn pipes(fds: &[RawFd], child: &mut Command) -> Option<OwnedFd> {
    let [stdin, stdout, stderr] = fds else { panic!("{fds:?}") };
    child
        .stdin(Stdio::from(sys::own(*stdin)))
        .stdout(Stdio::from(sys::own(*stdout)))
        .stderr(Stdio::from(sys::own(*stderr)));
    None
}

/// Sends a terminal's master to the console socket; the slave is the child's. What is returned keeps the
/// terminal until the child has ended.
fn terminal(console: RawFd, child: &mut Command) -> OwnedFd {
    let pty = openpty(None, None).unwrap();
    let console = sys::own(console);
    let rights = [pty.master.as_raw_fd()];
    let control = [ControlMessage::ScmRights(&rights)];
    sendmsg::<UnixAddr>(console.as_raw_fd(), &[IoSlice::new(b"x")], &control, MsgFlags::empty(), None)
        .unwrap();
    let stream = || Stdio::from(pty.slave.try_clone().unwrap());
    child.stdin(stream()).stdout(stream()).stderr(stream());
    pty.slave
}

struct Ended {
    result: Result<(), Failure>,
    out: String,
    err: String,
    notes: String,
}

fn file(text: &str) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}

fn exec(options: &[&str], command: &str, input: BorrowedFd<'_>) -> Ended {
    let tail = ["web", "--", "sh", "-c", command];
    let args = Line::parse_from(["exec"].iter().chain(options).chain(&tail)).args;
    let (mut output, mut error) = (file(""), file(""));
    let streams = Streams { input, output: output.as_fd(), error: error.as_fd() };
    let agent = agent();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let client = crate::cli::client::Client::new(agent.socket.clone());
    let mut session =
        Session { client, out: &mut out, err: &mut err, progress: false, colour: false, now: || NOW };
    let result = run_with(&args, &mut session, &streams);
    let text = |file: &mut File| {
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    };
    Ended { result, out: text(&mut output), err: text(&mut error), notes: String::from_utf8(err).unwrap() }
}

#[test]
fn output_and_exit_status_are_the_commands() {
    let ended = exec(&["-q"], "echo out; echo err >&2; exit 7", file("").as_fd());
    assert_eq!(ended.result, Err(Failure::Status(7)));
    assert_eq!((ended.out.as_str(), ended.err.as_str(), ended.notes.as_str()), ("out\n", "err\n", ""));
    let ended = exec(&[], "exit 3", file("").as_fd());
    assert!(ended.notes.ends_with("command terminated with exit code 3\n"), "{}", ended.notes);
}

#[test]
fn input_reaches_the_command_only_if_asked_for() {
    let big = "0123456789".repeat(100_000);
    let ended = exec(&["-i"], "cat", file(&big).as_fd());
    assert_eq!(ended.result, Ok(()));
    assert!(ended.out == big, "{} of {} bytes", ended.out.len(), big.len());
    assert_eq!(exec(&[], "cat", file("secret").as_fd()).out, "");
}

#[test]
fn a_command_that_reads_nothing_and_one_that_leaves_somebody_behind() {
    let big = "0123456789".repeat(100_000);
    assert_eq!(exec(&["-i"], "exec 0<&-; echo done", file(&big).as_fd()).out, "done\n");
    let ended = exec(&[], "sleep 1000 & echo $!", file("").as_fd());
    assert_eq!(ended.result, Ok(()));
    let pid: i32 = ended.out.trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[test]
fn anybody_in_the_container_can_open_its_output_again() {
    let ended = exec(&[], "stat -Lc %a /proc/self/fd/1 /proc/self/fd/2", file("").as_fd());
    assert_eq!(ended.out, "666\n666\n");
}

#[test]
fn a_terminal_with_its_size_restored_afterwards() {
    let pty =
        openpty(Some(&libc::winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 }), None).unwrap();
    let cooked = tcgetattr(&pty.slave).unwrap();
    write(&pty.master, b"hello\r").unwrap();
    let ended =
        exec(&["-it", "-q"], "test -t 0 && read line; stty size; echo got $line; exit 5", pty.slave.as_fd());
    assert_eq!(ended.result, Err(Failure::Status(5)), "{}", ended.notes);
    assert!(ended.out.contains("33 77") && ended.out.contains("got hello"), "{}", ended.out);
    let after = tcgetattr(&pty.slave).unwrap();
    assert_eq!(after.local_flags, cooked.local_flags);
    assert!(after.local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO));
}

#[test]
fn the_end_of_input_ends_what_reads_a_terminal() {
    let agent = agent();
    let client = crate::cli::client::Client::new(agent.socket.clone());
    let (ours, theirs) = UnixStream::pair().unwrap();
    let request = Request::Exec {
        namespace: "default".into(),
        pod: "web-box".into(),
        container: Some("c".into()),
        command: vec!["cat".into()],
        tty: true,
    };
    let mut answers = client.stream(&request, &[theirs.as_raw_fd()]).unwrap();
    let master = terminal::receive(&ours, &mut answers).unwrap().unwrap();
    let (input, output) = (file("typed\n"), file(""));
    let sink = master.try_clone().unwrap();
    let mut relay = Relay::new(input.as_fd(), Some(sink), vec![Output::new(master, output.as_fd())]).unwrap();
    relay.end_of_input = terminal::END_OF_INPUT;
    assert_eq!(relay.run(answers, None), Ok(0));
}

#[test]
fn no_terminal_is_made_of_a_file() {
    let ended = exec(&["-it", "-q"], "test -t 0 || echo none", file("").as_fd());
    assert_eq!(ended.out, "none\n");
    assert!(ended.notes.contains("Unable to use a TTY"), "{}", ended.notes);
}

#[test]
fn what_the_agent_refuses_is_told() {
    let agent = Agent::new(|request, stream, _| match request {
        Request::Pods { .. } => tell(stream, pods()),
        _ => {
            let reply = json!({"error": {"reason": "Conflict", "message": "container \"c\" does not run"}});
            writeln!(stream, "{reply}").unwrap();
        }
    });
    for options in [&["-q"][..], &["-q", "-it"]] {
        let pty = openpty(None, None).unwrap();
        let line = ["exec"].iter().chain(options).chain(&["web", "--", "true"]).copied();
        let args = Line::parse_from(line).args;
        let streams =
            Streams { input: pty.slave.as_fd(), output: pty.slave.as_fd(), error: pty.slave.as_fd() };
        let ran = crate::cli::testing::run_verb(&agent, |session| run_with(&args, session, &streams));
        assert_eq!(ran.result, Err(Failure::Error("container \"c\" does not run".into())));
    }
}
