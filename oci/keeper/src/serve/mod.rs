//! The keeper proper: one thread around the supervisor, with its descriptors and its poll loop.
//!
//! The loop never waits for anybody in particular: every socket is non-blocking, every message is sent
//! when there is room for it. After the start it allocates nothing.
//!
//! Order matters in one place. A worker reports its container's pid and then exits, and only by that the
//! container becomes our child. So when a child is seen to have ended (and is still a zombie), all reports
//! in the zygote's socket are read before the death is booked: its pid is then known, and it is no
//! other's.

mod effects;
mod fds;
mod links;
mod state;
mod wait;

use crate::{
    link::Fds,
    protocol::EXECS_MAX,
    say::say,
    settings::Settings,
    supervise::{Supervisor, Who},
    sys,
};
use fds::Slots;
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg, OFlag},
    sys::{
        resource::{Resource, getrlimit, rlim_t, setrlimit},
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
    time::{ClockId, clock_gettime},
};
pub(crate) use state::reads;
use std::{
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::fs::OpenOptionsExt as _,
    },
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Descriptors that full tables need: six a container and two until its work is sent, three an exec,
/// and some for ourselves.
const FDS_NEEDED: rlim_t = 8 * crate::protocol::CONTAINERS_MAX as rlim_t + 3 * EXECS_MAX as rlim_t + 64;
/// Children reaped in one turn of the loop; with more, the sockets get their turn in between.
const REAP_MAX: usize = 256;

/// In static memory, which costs nothing until it is touched; a box would be filled on the stack first.
static SUPERVISOR: Mutex<Supervisor> = Mutex::new(Supervisor::new());
static SERVING: AtomicBool = AtomicBool::new(false);

/// The start is over: this process is a keeper in its loop and must not allocate. For the test that
/// checks it with an allocator of its own.
pub fn is_serving() -> bool {
    SERVING.load(Ordering::Relaxed)
}

/// See the module.
struct Keeper<'a> {
    sup: &'a mut Supervisor,
    settings: Settings,
    /// Of the program that is being asked or run instead of ours.
    next: Option<Settings>,
    /// Soft limit of descriptors that we were started with and our children get.
    nofile: rlim_t,
    signals: SignalFd,
    lock: Flock<OwnedFd>,
    listener: OwnedFd,
    front: Option<OwnedFd>,
    agent: Option<OwnedFd>,
    zygote: Option<OwnedFd>,
    /// A send found the kernel short of something; not before this time again.
    retry_ns: Option<u64>,
    slots: Slots,
    /// By session: what came with the request, until the zygote has it.
    execs: heapless::Vec<Fds, EXECS_MAX>,
    /// What came with the request that is being looked at.
    request_fds: Fds,
    quit: bool,
}

/// Whence a keeper begins.
pub(crate) enum Origin {
    /// A front has started it; this is the socket to it.
    Front(RawFd),
    /// A keeper has become this program; this is its state.
    State(RawFd),
}

/// `CLOCK_BOOTTIME`, nanoseconds.
fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map(std::time::Duration::from).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// Serves until nothing is left to do. Returns the exit status.
pub(crate) fn serve(origin: Origin, settings: Settings) -> i32 {
    let mut guard = SUPERVISOR.lock().unwrap_or_else(PoisonError::into_inner);
    let begun = match origin {
        Origin::Front(fd) => begin(&mut guard, settings, fd),
        Origin::State(fd) => resume(&mut guard, settings, fd),
    };
    match begun {
        Ok(mut keeper) => {
            SERVING.store(true, Ordering::Relaxed);
            keeper.run();
            SERVING.store(false, Ordering::Relaxed);
            0
        }
        Err(why) => {
            say!("{why}");
            1
        }
    }
}

fn begin(sup: &mut Supervisor, settings: Settings, front: RawFd) -> Result<Keeper<'_>, String> {
    let front = sys::fd::adopt(front).map_err(|e| format!("the front's socket {front}: {e}"))?;
    nonblocking(&front);
    let run_dir = settings.run_dir();
    std::fs::create_dir_all(run_dir).map_err(|e| format!("cannot make {run_dir}: {e}"))?;
    let lock = lock(&settings)?;
    let listener = crate::front::listen(&settings)?;
    let (nofile, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1_024, 1_024));
    let keeper = Keeper {
        sup,
        settings,
        next: None,
        nofile,
        signals: signals()?,
        lock,
        listener,
        front: Some(front),
        agent: None,
        zygote: None,
        retry_ns: None,
        slots: Slots::new(),
        execs: heapless::Vec::new(),
        request_fds: Fds::new(),
        quit: false,
    };
    let _ = setrlimit(Resource::RLIMIT_NOFILE, FDS_NEEDED.max(nofile).min(hard), hard);
    set_subreaper()?;
    Ok(keeper)
}

fn resume(sup: &mut Supervisor, settings: Settings, state: RawFd) -> Result<Keeper<'_>, String> {
    let state = sys::fd::adopt(state).map_err(|e| format!("the state {state}: {e}"))?;
    let saved = state::read(sup, state).map_err(|e| format!("the state of the keeper before: {e}"))?;
    set_subreaper()?;
    Ok(Keeper {
        sup,
        settings,
        next: None,
        nofile: saved.nofile,
        signals: signals()?,
        lock: hold_lock(saved.lock).map_err(|e| format!("the lock of the keeper before: {e}"))?,
        listener: saved.listener,
        front: saved.front,
        agent: saved.agent,
        zygote: None,
        retry_ns: None,
        slots: saved.slots,
        execs: heapless::Vec::new(),
        request_fds: Fds::new(),
        quit: false,
    })
}

fn set_subreaper() -> Result<(), String> {
    nix::sys::prctl::set_child_subreaper(true).map_err(|e| format!("cannot become the subreaper: {e}"))
}

/// One keeper for a run directory. The lock lives as long as the descriptor, over a change of program too.
fn lock(settings: &Settings) -> Result<Flock<OwnedFd>, String> {
    let path = settings.run_file("keeper.lock").ok_or("the run directory's path is too long")?;
    let file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path.as_str());
    let file = file.map_err(|e| format!("cannot open {path}: {e}"))?;
    hold_lock(file.into()).map_err(|errno| match errno {
        Errno::EWOULDBLOCK => format!("another keeper holds {path}"),
        errno => format!("cannot lock {path}: {errno}"),
    })
}

fn hold_lock(fd: OwnedFd) -> Result<Flock<OwnedFd>, Errno> {
    Flock::lock(fd, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)
}

/// The signals that wake the loop. They stay blocked over a change of program, so none is lost.
fn signals() -> Result<SignalFd, String> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        set.add(signal);
    }
    set.thread_block().map_err(|e| format!("cannot block signals: {e}"))?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(|e| format!("cannot make a signalfd: {e}"))
}

fn nonblocking(fd: &OwnedFd) {
    let _ = nix::fcntl::fcntl(fd.as_raw_fd(), nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
}

impl Keeper<'_> {
    fn run(&mut self) {
        let own_pid = i32::try_from(std::process::id()).unwrap_or(0);
        self.sup.start(now_ns(), own_pid);
        // What died before our signalfd was there has left no signal in it.
        let mut died = true;
        loop {
            self.act();
            if died {
                died = self.reap();
            }
            self.flush();
            if self.quit {
                return;
            }
            let ready = self.wait(died);
            if ready.signals {
                died |= self.read_signals();
            }
            if ready.zygote {
                self.drain_zygote();
            }
            if ready.agent {
                self.read_requests();
            }
            if ready.front {
                self.read_front();
            }
            if ready.listener {
                self.accept_front();
            }
            self.sup.tick(now_ns());
        }
    }

    /// True if children may have died.
    fn read_signals(&mut self) -> bool {
        let mut died = false;
        while let Ok(Some(info)) = self.signals.read_signal() {
            match i32::try_from(info.ssi_signo).unwrap_or(0).try_into() {
                Ok(Signal::SIGCHLD) => died = true,
                Ok(signal @ (Signal::SIGTERM | Signal::SIGINT)) => {
                    say!("{signal}: agent and zygote are stopped, containers are held");
                    self.sup.hold(now_ns());
                }
                _ => {}
            }
        }
        died
    }

    /// Books and reaps the dead. True if some may be left.
    fn reap(&mut self) -> bool {
        for _ in 0..REAP_MAX {
            let Some(dead) = sys::process::ended(None) else { return false };
            self.drain_zygote();
            for who in [Who::Agent, Who::Zygote] {
                if self.sup.child(who).pid() == Some(dead.pid) {
                    say!("{who:?} {} ended: exit status {}, signal {}", dead.pid, dead.code, dead.signal);
                }
            }
            self.sup.reaped(now_ns(), dead.pid, dead.code, dead.signal);
            self.act();
            sys::process::ended(Some(dead.pid));
        }
        true
    }
}
