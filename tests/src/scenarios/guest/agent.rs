//! Questions to the agent over its socket, in the words of the command line: one JSON document a line, answers until it
//! closes. An agent that is away is waited for.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Write},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

const SOCKET: &str = "/run/berth/berth.sock";
/// Between two tries to reach an agent that is away: nothing tells when it listens again.
const AGAIN: Duration = Duration::from_millis(20);
/// An answer that needs no waiting for, and an agent that is started again, are there within this.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// What came of waiting.
#[derive(Debug)]
pub(super) enum Asked {
    Answer(Value),
    /// Nothing until the time was over.
    Nothing,
    /// The agent is gone.
    Closed,
}

/// Answers to one question, as they come.
#[derive(Debug)]
pub(super) struct Watch {
    lines: BufReader<UnixStream>,
    /// What there is of a line so far.
    half: Vec<u8>,
}

impl Watch {
    /// Asks; none if there is no agent until then.
    pub(super) fn begin(question: &Value, until: Instant) -> Result<Option<Self>, String> {
        loop {
            let asked = UnixStream::connect(SOCKET).and_then(|mut stream| {
                stream.write_all(format!("{question}\n").as_bytes())?;
                Ok(stream)
            });
            match asked {
                Ok(stream) => return Ok(Some(Self { lines: BufReader::new(stream), half: Vec::new() })),
                Err(_) if Instant::now() < until => thread::sleep(AGAIN),
                Err(_) => return Ok(None),
            }
        }
    }

    pub(super) fn next(&mut self, until: Instant) -> Result<Asked, String> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Asked::Nothing);
        }
        self.lines.get_ref().set_read_timeout(Some(left)).map_err(|error| error.to_string())?;
        match self.lines.read_until(b'\n', &mut self.half) {
            Ok(_) if self.half.ends_with(b"\n") => {
                let line = std::mem::take(&mut self.half);
                let mut reply: Value = serde_json::from_slice(&line).map_err(|error| error.to_string())?;
                match reply.get_mut("data").map(Value::take) {
                    Some(data) => Ok(Asked::Answer(data)),
                    None => Err(format!("the agent says {reply}")),
                }
            }
            Ok(_) => Ok(Asked::Closed),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(Asked::Nothing)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Asked::Nothing),
            // Killed with what it had not read yet.
            Err(_) => Ok(Asked::Closed),
        }
    }
}

/// One answer.
pub(super) fn ask(question: &Value) -> Result<Value, String> {
    let until = Instant::now() + ANSWER_MAX;
    loop {
        let mut watch = Watch::begin(question, until)?.ok_or("there is no agent")?;
        match watch.next(until)? {
            Asked::Answer(answer) => return Ok(answer),
            Asked::Nothing => return Err(format!("no answer within {ANSWER_MAX:?}")),
            Asked::Closed => {}
        }
    }
}

/// Kills the process of Berth that does this, which the keeper starts again.
pub(super) fn killed(applet: &str) -> Result<(), String> {
    let pid = pid(applet)?;
    kill(pid, Signal::SIGKILL).map_err(|error| format!("kill {pid}: {error}"))
}

fn pid(applet: &str) -> Result<Pid, String> {
    let processes = fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?.flatten();
    let does = |pid: &i32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        words.next().is_some_and(|program| program.ends_with(b"berth"))
            && words.any(|word| word == applet.as_bytes())
    };
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(does).map(Pid::from_raw).ok_or_else(|| format!("there is no {applet}"))
}
