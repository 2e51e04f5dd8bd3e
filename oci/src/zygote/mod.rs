//! The zygote: one thread, small, warm. It forks a worker for each operation, keeps its time and says to the
//! keeper when it was lost. It never calls libcontainer itself: that changes and leaks too much, and would
//! deadlock beside other threads.

mod seal;
mod sys;
mod table;
mod warm;

use crate::worker::{self, Warm, report, trouble};
use berth_keeper::{
    link::{self, Fds, LinkError},
    protocol::{FailClass, Work, WorkReport},
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask},
        signalfd::{SfdFlags, SignalFd},
        stat::{Mode, umask},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, chdir},
};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
    time::{Duration, Instant},
};
use table::{Job, Slot, Table};

/// Workers at one time for each processor; more would only fight for it.
const WORKERS_PER_CPU: usize = 2;
/// And never more than this.
const WORKERS_MAX: usize = 16;

/// The applet `berth zygote`; descriptor 3 is the socket to the keeper. Ends when the keeper is gone.
pub fn run() -> ! {
    seal::reexec_read_only();
    let status = match Zygote::start().and_then(|mut zygote| zygote.serve()) {
        Ok(()) => 0,
        Err(errno) => {
            eprintln!("zygote: {errno}: ends, the keeper starts another");
            1
        }
    };
    worker::sys::exit(status)
}

struct Zygote {
    signals: SignalFd,
    table: Table,
    warm: Warm,
}

impl Zygote {
    /// Makes the process what its workers shall inherit, and warms it up.
    fn start() -> Result<Self, Errno> {
        // libcontainer would pass descriptors on that are not the container's.
        sys::unset_env(c"LISTEN_FDS");
        sys::unset_env(c"LISTEN_PID");
        chdir("/")?;
        umask(Mode::from_bits_truncate(0o022));
        sys::set_dumpable(false);
        trouble::install();
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        warm::warm_up();
        let table = Table::new((cpus * WORKERS_PER_CPU).min(WORKERS_MAX));
        Ok(Self { signals, table, warm: Warm::make() })
    }

    fn serve(&mut self) -> Result<(), Errno> {
        if report::send(&WorkReport::Ready).is_err() {
            return Ok(());
        }
        loop {
            let now = Instant::now();
            self.enforce_deadlines(now);
            self.fork_waiting();
            match self.wait(now)? {
                Woken::Gone => return Ok(()),
                Woken::Work => {
                    if !self.receive() {
                        return Ok(());
                    }
                }
                Woken::Other => {}
            }
            self.reap();
        }
    }

    fn wait(&self, now: Instant) -> Result<Woken, Errno> {
        let timeout = match self.table.next_deadline() {
            None => PollTimeout::NONE,
            // Rounded up, so that the deadline has passed when it is looked at.
            Some(deadline) => {
                let ms = deadline.saturating_duration_since(now).as_millis() + 1;
                PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX)
            }
        };
        let keeper = worker::sys::keeper_socket();
        let mut fds =
            [PollFd::new(keeper, PollFlags::POLLIN), PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => return Ok(Woken::Other),
            result => result?,
        };
        let events = fds[0].revents().unwrap_or(PollFlags::empty());
        if events.contains(PollFlags::POLLIN) {
            return Ok(Woken::Work);
        }
        Ok(if events.is_empty() { Woken::Other } else { Woken::Gone })
    }

    /// One message; false if the keeper is gone.
    fn receive(&mut self) -> bool {
        match link::recv::<Work>(worker::sys::keeper_socket()) {
            Ok((work, fds)) => self.accept(work, fds),
            Err(LinkError::Closed | LinkError::Os(_)) => return false,
            Err(LinkError::WouldBlock) => {}
            // Without its ticket nobody can be told; the keeper's own deadline ends it.
            Err(error) => eprintln!("zygote: {error}"),
        }
        true
    }

    fn accept(&mut self, work: Work, fds: Fds) {
        let deadline = Instant::now() + Duration::from_millis(u64::from(deadline_ms(&work)));
        if let Err(job) = self.table.push(Job { work, fds, deadline }) {
            let text = worker::cut("the zygote has too much to do already");
            let class = FailClass::Internal;
            self.tell(&WorkReport::Failed { ticket: ticket(&job.work), class, text });
        }
    }

    fn fork_waiting(&mut self) {
        while let Some(job) = self.table.pop() {
            let cgroup = job_cgroup(&job.work);
            match sys::fork_into(cgroup.as_ref().map(|dir| dir.as_raw_fd())) {
                Ok(sys::Fork::Child { inside }) => {
                    worker::sys::unblock_signals();
                    let status = worker::run(&job.work, job.fds, inside, &self.warm);
                    worker::sys::exit(status)
                }
                Ok(sys::Fork::Parent(pid)) => {
                    let slot =
                        Slot { pid, ticket: ticket(&job.work), deadline: job.deadline, timed_out: false };
                    self.table.started(slot);
                }
                Err(errno) => {
                    let text = worker::cut(&format!("the zygote cannot fork a worker: {errno}"));
                    let class = FailClass::Internal;
                    self.tell(&WorkReport::Failed { ticket: ticket(&job.work), class, text });
                }
            }
        }
    }

    /// Kills workers whose time is over, and drops work that nobody had time to begin.
    fn enforce_deadlines(&mut self, now: Instant) {
        for slot in self.table.overdue(now) {
            // What it has made does not die with it: its children first, before they are nobody's.
            for child in children(slot) {
                let _ = kill(child, Signal::SIGKILL);
            }
            let _ = kill(slot, Signal::SIGKILL);
        }
        for job in self.table.expired(now) {
            self.tell(&WorkReport::Lost { ticket: ticket(&job.work), class: FailClass::Timeout });
        }
    }

    fn reap(&mut self) {
        while matches!(self.signals.read_signal(), Ok(Some(_))) {}
        loop {
            let (pid, reported) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) => (pid, status == 0),
                Ok(WaitStatus::Signaled(pid, _, _)) => (pid, false),
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(_) => continue,
            };
            let Some(slot) = self.table.ended(pid) else { continue };
            if !reported {
                let class = if slot.timed_out { FailClass::Timeout } else { FailClass::Lost };
                self.tell(&WorkReport::Lost { ticket: slot.ticket, class });
            }
        }
    }

    /// A keeper that is gone is noticed by the loop.
    fn tell(&self, report: &WorkReport) {
        if let Err(error) = report::send(report) {
            eprintln!("zygote: cannot answer the keeper: {error}");
        }
    }
}

enum Woken {
    Work,
    Gone,
    Other,
}

fn ticket(work: &Work) -> u64 {
    match work {
        Work::Create { ticket, .. } | Work::Exec { ticket, .. } => *ticket,
    }
}

fn deadline_ms(work: &Work) -> u32 {
    match work {
        Work::Create { deadline_ms, .. } | Work::Exec { deadline_ms, .. } => *deadline_ms,
    }
}

/// The cgroup that the worker is to be born in, opened; made if it is a new container's. None if that does
/// not work: then libcontainer moves its processes there, which takes longer.
fn job_cgroup(work: &Work) -> Option<File> {
    let open = |path: &Path| -> io::Result<File> {
        OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path)
    };
    match work {
        Work::Create { cgroup, .. } => {
            let path = Path::new(cgroup.as_str());
            match fs::create_dir(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => None,
                _ => open(path).ok(),
            }
        }
        Work::Exec { bundle, .. } => {
            let plan = crate::bundle::read_plan(Path::new(bundle.as_str())).ok()?;
            open(&plan.cgroup).ok()
        }
    }
}

fn children(pid: Pid) -> Vec<Pid> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok().map(Pid::from_raw)).collect()
}
