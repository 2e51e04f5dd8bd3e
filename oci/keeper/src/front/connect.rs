//! How front and keeper find each other: a socket in the run directory that only our own user may open.

use crate::{
    control::{CONTROL_VERSION, ToFront, ToKeeper},
    link::{self, LinkError},
    settings::Settings,
    sys::process::{self, Start},
};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        socket::{
            AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen as start_listening,
            socket,
        },
        stat::{Mode, umask},
    },
};
use std::{
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    time::{Duration, Instant},
};

const SOCKET: &str = "keeper.sock";
/// Fronts that wait to be heard.
const BACKLOG: i32 = 4;
/// How long a front looks for a keeper: one that is just ending must be gone first.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two tries.
const JOIN_PAUSE: Duration = Duration::from_millis(20);

fn seqpacket() -> Result<OwnedFd, Errno> {
    socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
}

fn address(settings: &Settings) -> Result<UnixAddr, String> {
    let path = settings.run_file(SOCKET).ok_or("the run directory's path is too long")?;
    UnixAddr::new(path.as_str()).map_err(|e| format!("{path}: {e}: use a shorter run directory"))
}

/// The keeper's side. To be called under the lock, so what is there is a dead keeper's.
pub(crate) fn listen(settings: &Settings) -> Result<OwnedFd, String> {
    let address = address(settings)?;
    unlisten(settings);
    let listening = seqpacket().and_then(|fd| {
        let before = umask(Mode::from_bits_truncate(0o177));
        let bound = bind(fd.as_raw_fd(), &address);
        umask(before);
        bound?;
        start_listening(&fd, Backlog::new(BACKLOG)?)?;
        fcntl(fd.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(fd)
    });
    listening.map_err(|e| format!("cannot listen on {}/{SOCKET}: {e}", settings.run_dir()))
}

/// Removes the socket's name.
pub(crate) fn unlisten(settings: &Settings) {
    if let Some(path) = settings.run_file(SOCKET) {
        let _ = std::fs::remove_file(path.as_str());
    }
}

/// The front's side: the keeper that runs, or a new one, attached.
pub(super) fn join(settings: &Settings) -> Result<OwnedFd, String> {
    let deadline = Instant::now() + JOIN_TIMEOUT;
    let mut last = String::new();
    while Instant::now() < deadline {
        let keeper = match call(settings)? {
            Some(keeper) => keeper,
            None => start(settings)?,
        };
        match attach(&keeper, settings, deadline) {
            Ok(()) => return Ok(keeper),
            // It was just ending, or another front was a moment faster in starting one.
            Err(LinkError::Closed) => "it ends before it answers; see its own messages".clone_into(&mut last),
            Err(error) => return Err(format!("the keeper: {error}")),
        }
        std::thread::sleep(JOIN_PAUSE);
    }
    Err(format!("cannot start or find a keeper: {last}"))
}

/// A keeper that listens, if there is one.
fn call(settings: &Settings) -> Result<Option<OwnedFd>, String> {
    let address = address(settings)?;
    let fd = seqpacket().map_err(|e| format!("cannot make a socket: {e}"))?;
    match connect(fd.as_raw_fd(), &address) {
        Ok(()) => Ok(Some(fd)),
        Err(Errno::ENOENT | Errno::ECONNREFUSED | Errno::ECONNRESET) => Ok(None),
        Err(errno) => Err(format!("cannot connect to {}/{SOCKET}: {errno}", settings.run_dir())),
    }
}

fn start(settings: &Settings) -> Result<OwnedFd, String> {
    let (ours, theirs) = link::pair().map_err(|e| format!("cannot make a socket: {e}"))?;
    let command = settings.keeper(crate::SERVE, crate::protocol::KEEPER_FD).ok_or("too many arguments")?;
    let null = std::fs::File::open("/dev/null").map_err(|e| format!("/dev/null: {e}"))?;
    let start =
        Start { socket: Some(theirs.as_fd()), stdin: Some(null.as_fd()), nofile: None, session: true };
    process::spawn(&command, &start).map_err(|e| format!("cannot start the keeper: {e}"))?;
    Ok(ours)
}

/// Says who we are and waits for the first answer.
fn attach(keeper: &OwnedFd, settings: &Settings, deadline: Instant) -> Result<(), LinkError> {
    let message = ToKeeper::Attach { version: CONTROL_VERSION, settings: settings.line().clone() };
    match link::send(keeper, &message, &[1, 2]) {
        // It may have refused us already, and let go of us: see what it said.
        Ok(()) | Err(LinkError::Closed) => {}
        Err(error) => return Err(error),
    }
    let left = deadline.saturating_duration_since(Instant::now());
    let mut table = [PollFd::new(keeper.as_fd(), PollFlags::POLLIN)];
    let answered = poll(&mut table, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX))?;
    if answered == 0 {
        return Err(LinkError::Os(Errno::ETIMEDOUT));
    }
    fcntl(keeper.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    // A peer that closes before it has read everything is told first, what it has said afterwards.
    let first = link::recv::<ToFront>(keeper).or_else(|_| link::recv::<ToFront>(keeper));
    match first? {
        (ToFront::Refused { why }, _) => {
            eprintln!("berth keeper: the running keeper refuses: {why}");
            Err(LinkError::Os(Errno::EBUSY))
        }
        _ => Ok(()),
    }
}
