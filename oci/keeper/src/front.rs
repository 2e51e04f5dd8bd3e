//! The front: what `berth keeper` is to the service manager that runs it.
//!
//! Stopping the service must stop agent and zygote, leave the containers running, and lose neither their
//! exits nor the bytes in their pipes; so somebody must remain their parent, and that cannot be the process
//! whose end the service manager waits for. A process cannot give its children away either, and descriptors
//! parked with the service manager would save the pipes, but not the exits. Hence two processes: the
//! keeper, in a session of its own, and before it this front, which does nothing but wait. On SIGTERM it
//! has the keeper stop agent and zygote, and ends; the keeper ends too if no container is left, else it
//! holds them. The next front finds the keeper by its socket and hands it the program and the arguments
//! that it was started with, and the keeper becomes that program. It works alike under systemd
//! (`Type=notify`, `KillMode=process`), under any other manager, and by hand.
//!
//! A front that is killed takes nothing with it. It speaks to the service manager for the keeper: READY=1
//! when the agent serves, WATCHDOG=1 when asked for and as long as the agent answers. When the agent cannot
//! run here at all, and has said why, it ends with `EXIT_UNFIT`, so that the service is seen to have failed
//! and is not started again and again; the containers that run stay with the keeper all the same.

mod connect;
mod notify;

use crate::{
    config::KeeperConfig,
    control::{ToFront, ToKeeper},
    link::{self, LinkError},
    protocol::EXIT_UNFIT,
    settings::Settings,
    sys,
};
pub(crate) use connect::{listen, unlisten};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};
use notify::Notify;
use std::{
    os::fd::{AsFd as _, OwnedFd},
    time::{Duration, Instant},
};

/// How long a stop may take before the front ends without it: what the keeper gives agent and zygote,
/// and some more.
const HOLD_TIMEOUT: Duration = Duration::from_secs(15);

/// What the front waits for.
struct Front {
    keeper: OwnedFd,
    signals: SignalFd,
    notify: Notify,
    /// SIGTERM has come; when to end at the latest.
    stopping: Option<Instant>,
    next_ping: Option<Instant>,
    /// When the keeper was asked what it has not answered.
    asked: Option<Instant>,
    /// Exit status when the keeper holds.
    status: i32,
}

/// Becomes a front with nothing in its memory but itself: whoever called has read a configuration, and
/// what that took would stay for as long as the service runs. Returns only if that fails.
pub(crate) fn become_front(config: &KeeperConfig) -> i32 {
    let settings = match Settings::new(config) {
        Ok(settings) => settings,
        Err(why) => return fail(&why),
    };
    match settings.keeper(crate::FRONT, 0) {
        Some(command) => {
            let errno = sys::process::replace(&command);
            fail(&format!("cannot run {}: {errno}", settings.program()))
        }
        None => fail("too many arguments"),
    }
}

fn fail(why: &str) -> i32 {
    eprintln!("berth keeper: {why}");
    1
}

/// Runs until the service is stopped. Returns the exit status.
pub(crate) fn run(settings: &Settings) -> i32 {
    match begin(settings) {
        Ok(mut front) => loop {
            match front.turn() {
                Ok(None) => {}
                Ok(Some(status)) => return status,
                Err(why) => return fail(&why),
            }
        },
        Err(why) => fail(&why),
    }
}

fn begin(settings: &Settings) -> Result<Front, String> {
    let notify = Notify::take();
    let mut set = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        set.add(signal);
    }
    set.thread_block().map_err(|e| format!("cannot block signals: {e}"))?;
    let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(|e| format!("cannot make a signalfd: {e}"))?;
    // The keeper may be our child; its end is seen by its socket.
    sys::process::ignore(Signal::SIGCHLD as i32);
    let keeper = connect::join(settings)?;
    let next_ping = notify.ping_period().map(|period| Instant::now() + period);
    Ok(Front { keeper, signals, notify, stopping: None, next_ping, asked: None, status: 0 })
}

impl Front {
    /// Waits for one thing and does it. Some exit status at the end.
    fn turn(&mut self) -> Result<Option<i32>, String> {
        let mut table = [
            PollFd::new(self.keeper.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        let deadline = self.stopping.into_iter().chain(self.next_ping).min();
        let timeout = deadline.map_or(PollTimeout::NONE, |at| {
            let left = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        if poll(&mut table, timeout).is_err() {
            return Ok(None);
        }
        self.read_signals();
        self.ping();
        if self.stopping.is_some_and(|at| at <= Instant::now()) {
            return Err("the keeper has not stopped agent and zygote in time".into());
        }
        self.read_keeper()
    }

    fn read_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            let stop = [Signal::SIGTERM as u32, Signal::SIGINT as u32].contains(&info.ssi_signo);
            if stop && self.stopping.is_none() {
                self.stopping = Some(Instant::now() + HOLD_TIMEOUT);
                self.notify.say("STOPPING=1");
                // If it cannot be sent the keeper is gone, which the next read says.
                let _ = link::send(&self.keeper, &ToKeeper::Hold, &[]);
            }
        }
    }

    /// Asks; and a second time, half a period later, if there is no answer.
    fn ping(&mut self) {
        let now = Instant::now();
        if self.next_ping.is_some_and(|at| at <= now) {
            let _ = link::send(&self.keeper, &ToKeeper::Ping, &[]);
            self.asked.get_or_insert(now);
            self.next_ping = self.notify.ping_period().map(|period| now + period / 2);
        }
    }

    fn answered(&mut self) {
        self.notify.say("WATCHDOG=1");
        if let Some(asked) = self.asked.take() {
            self.next_ping = self.notify.ping_period().map(|period| asked + period);
        }
    }

    /// The agent has said what is wrong, the keeper stops it.
    fn unfit(&mut self) {
        eprintln!("berth keeper: the agent cannot run here, for the reason above; mend it and start again");
        self.status = EXIT_UNFIT;
        self.stopping.get_or_insert(Instant::now() + HOLD_TIMEOUT);
        self.notify.say("STOPPING=1");
    }

    fn read_keeper(&mut self) -> Result<Option<i32>, String> {
        match link::recv::<ToFront>(&self.keeper) {
            Ok((ToFront::Attached, _)) => {}
            Ok((ToFront::Ready, _)) => self.notify.say("READY=1"),
            Ok((ToFront::Pong, _)) => self.answered(),
            Ok((ToFront::Unfit, _)) => self.unfit(),
            // It was asked to, or somebody has stopped the keeper itself.
            Ok((ToFront::Held, _)) => return Ok(Some(self.status)),
            Ok((ToFront::Refused { why }, _)) => return Err(format!("the running keeper refuses: {why}")),
            Err(LinkError::WouldBlock) => {}
            Err(LinkError::Closed) if self.stopping.is_some() => return Ok(Some(self.status)),
            Err(LinkError::Closed) => {
                return Err("the keeper has died, and its containers are orphans".into());
            }
            Err(error) => return Err(format!("the keeper: {error}")),
        }
        Ok(None)
    }
}
