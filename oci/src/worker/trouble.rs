//! What goes wrong in the processes that libcontainer makes: its errors reach its caller without their
//! cause, but each is also an event with it. The first event, and what the executor has to say, come back
//! to the worker through a pipe, which also tells when the container's own program has taken over: then
//! the kernel closes the last writing end.

use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::{pipe2, read},
};
use std::{
    fmt::{self, Write as _},
    os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd},
    sync::atomic::{AtomicI32, Ordering},
};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};

/// Begins what the executor says when it cannot run the program.
const FATAL: char = '\u{1}';
/// Bytes taken from the pipe.
const LEN_MAX: usize = 4096;
const NONE: RawFd = -1;

/// Where events go: the pipe's writing end, in whichever process has it.
static SINK: AtomicI32 = AtomicI32::new(NONE);

/// The reading end, in the worker.
pub(super) struct Trouble {
    pipe: OwnedFd,
}

/// What came through the pipe.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// The executor could not run the program, because of this.
    pub(super) fatal: Option<String>,
    /// The first event of libcontainer's.
    pub(super) first: Option<String>,
}

/// Has events of errors written to whatever pipe there is. Once per process; without a pipe they are lost,
/// as without a subscriber.
pub(crate) fn install() {
    // There is one already: then events go there.
    let _ = tracing::subscriber::set_global_default(Errors);
}

impl Trouble {
    /// Opens the pipe; from now on events of this process and of those that it makes go there.
    pub(super) fn open() -> Result<Self, Errno> {
        let (pipe, sink) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        SINK.store(sink.into_raw_fd(), Ordering::Relaxed);
        Ok(Self { pipe })
    }

    /// Closes this process' writing end: the rest is other processes'.
    pub(super) fn detach(&self) {
        let sink = SINK.swap(NONE, Ordering::Relaxed);
        if sink != NONE {
            let _ = nix::unistd::close(sink);
        }
    }

    /// Takes what is there now.
    pub(super) fn now(&self) -> Heard {
        let mut bytes = Vec::new();
        while self.take(&mut bytes) == Ok(true) {}
        parse(&bytes)
    }

    /// Waits until nobody can write any more: the program has taken over, or the process has ended.
    pub(super) fn until_closed(&self) -> Heard {
        let mut bytes = Vec::new();
        loop {
            match self.take(&mut bytes) {
                Ok(true) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    let mut fds = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
                    // The zygote keeps the time.
                    let _ = poll(&mut fds, PollTimeout::NONE);
                }
                Ok(false) | Err(_) => return parse(&bytes),
            }
        }
    }

    /// False at the end.
    fn take(&self, bytes: &mut Vec<u8>) -> Result<bool, Errno> {
        let mut buffer = [0; 512];
        let len = read(self.pipe.as_raw_fd(), &mut buffer)?;
        let room = LEN_MAX.saturating_sub(bytes.len());
        bytes.extend_from_slice(&buffer[..len.min(room)]);
        Ok(len > 0)
    }
}

/// By the executor: the program cannot be run.
pub(super) fn fatal(message: &str) {
    write(&format!("{FATAL}{message}\n"));
}

fn write(line: &str) {
    let sink = SINK.load(Ordering::Relaxed);
    if sink != NONE {
        // A full pipe has enough to tell.
        let _ = super::sys::write(sink, line.as_bytes());
    }
}

fn parse(bytes: &[u8]) -> Heard {
    let text = String::from_utf8_lossy(bytes);
    let mut heard = Heard::default();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix(FATAL) {
            Some(line) => heard.fatal = heard.fatal.or_else(|| Some(line.to_owned())),
            None => heard.first = heard.first.or_else(|| Some(line.to_owned())),
        }
    }
    heard
}

/// Takes events of errors, and nothing else.
struct Errors;

impl Subscriber for Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        if SINK.load(Ordering::Relaxed) == NONE {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let mut text = line.message;
        text.push_str(&line.fields);
        write(&(text.replace('\n', " ") + "\n"));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// An event as text: the message, then the fields that are not in it already.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, ", {name} {value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_executor_says_stands_apart_from_events() {
        assert_eq!(parse(b""), Heard::default());
        let heard = parse(b"first, err ENOENT\nsecond\n\x01exec: no\n\x01again\n");
        assert_eq!(
            (heard.fatal.as_deref(), heard.first.as_deref()),
            (Some("exec: no"), Some("first, err ENOENT"))
        );
    }
}
