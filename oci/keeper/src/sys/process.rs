//! Starting, replacing, signalling and reaping processes.

use crate::settings::{COMMAND_WORDS_MAX, Command};
use nix::errno::Errno;
use std::{
    mem,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    ptr,
};

/// Highest signal number.
const SIGNAL_MAX: libc::c_int = 64;
/// Exit status of a child whose program could not be run, as shells have it.
const EXIT_NOT_RUN: libc::c_int = 127;

/// How a child is started.
pub(crate) struct Start<'a> {
    /// Becomes descriptor 3; nothing else above stderr is passed on.
    pub(crate) socket: Option<BorrowedFd<'a>>,
    /// Becomes stdin.
    pub(crate) stdin: Option<BorrowedFd<'a>>,
    /// Soft limit of open descriptors.
    pub(crate) nofile: Option<libc::rlim_t>,
    /// In a session of its own, away from any terminal.
    pub(crate) session: bool,
}

/// A child that has ended, still a zombie if only looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) pid: i32,
    /// Exit status if `signal` is 0.
    pub(crate) code: i32,
    pub(crate) signal: i32,
}

type Pointers = [*const libc::c_char; COMMAND_WORDS_MAX + 1];

/// The words of a command as execve(2) wants them; they point into the command.
fn pointers(command: &Command) -> Pointers {
    let mut pointers = [ptr::null(); COMMAND_WORDS_MAX + 1];
    for (pointer, start) in pointers.iter_mut().zip(&command.starts) {
        if let Some(word) = command.bytes.get(*start..) {
            *pointer = word.as_ptr().cast();
        }
    }
    pointers
}

/// Starts a program with our environment and default signals.
pub(crate) fn spawn(command: &Command, start: &Start<'_>) -> Result<i32, Errno> {
    let argv = pointers(command);
    // SAFETY: this process has one thread, so the child may go on as it likes; it makes only
    // async-signal-safe calls all the same and ends by execve(2) or _exit(2).
    match unsafe { libc::fork() } {
        -1 => Err(Errno::last()),
        0 => {
            // SAFETY: we are the child.
            unsafe {
                prepare(start);
                exec(&argv);
                libc::_exit(EXIT_NOT_RUN)
            }
        }
        pid => Ok(pid),
    }
}

/// Turns a forked child into what `Start` says.
///
/// # Safety
/// Only in a forked child: it changes the process's descriptors, signals and limits.
unsafe fn prepare(start: &Start<'_>) {
    // SAFETY: plain system calls on values of our own; see the function's contract.
    unsafe {
        if start.session {
            libc::setsid();
        }
        if let Some(stdin) = start.stdin {
            libc::dup2(stdin.as_raw_fd(), 0);
        }
        if let Some(socket) = start.socket {
            if socket.as_raw_fd() == crate::protocol::KEEPER_FD {
                libc::fcntl(crate::protocol::KEEPER_FD, libc::F_SETFD, 0);
            } else {
                libc::dup2(socket.as_raw_fd(), crate::protocol::KEEPER_FD);
            }
        }
        // What we were started with and never opened ourselves may lack close-on-exec. Kernels before 5.9
        // have no such call; all that is ours is close-on-exec anyway.
        let first = crate::protocol::KEEPER_FD + libc::c_int::from(start.socket.is_some());
        libc::syscall(libc::SYS_close_range, first as libc::c_uint, libc::c_uint::MAX, 0);
        if let Some(soft) = start.nofile {
            let mut limit: libc::rlimit = mem::zeroed();
            libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
            limit.rlim_cur = soft.min(limit.rlim_max);
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
        for signal in 1..=SIGNAL_MAX {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

unsafe extern "C" {
    static environ: *const *const libc::c_char;
}

fn exec(argv: &Pointers) -> Errno {
    let [program, ..] = argv;
    if program.is_null() {
        return Errno::EINVAL;
    }
    // SAFETY: all words end with NUL and live in the caller's command, the list ends with null, and
    // nobody else changes the environment of this single-threaded process.
    unsafe { libc::execve(*program, argv.as_ptr(), environ) };
    Errno::last()
}

/// Becomes another program; returns only if that fails.
pub(crate) fn replace(command: &Command) -> Errno {
    exec(&pointers(command))
}

/// The next child that has ended: any one, left a zombie (`None`), or one that was looked at so, reaped.
/// The one place where this package waits for children.
pub(crate) fn ended(reap: Option<i32>) -> Option<Ended> {
    let (kind, pid, flags) = match reap {
        None => (libc::P_ALL, 0, libc::WNOWAIT),
        Some(pid) => (libc::P_PID, pid, 0),
    };
    // SAFETY: siginfo_t is plain data for which zeroes are valid.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    let all = libc::WEXITED | libc::WNOHANG | libc::__WALL | flags;
    // SAFETY: `info` is a live siginfo_t.
    let result = unsafe { libc::waitid(kind, pid as libc::id_t, &raw mut info, all) };
    // SAFETY: waitid(2) fills these fields, or leaves the zeroes if there is no such child.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if result != 0 || pid == 0 {
        return None;
    }
    let exited = info.si_code == libc::CLD_EXITED;
    Some(Ended { pid, code: if exited { status } else { 0 }, signal: if exited { 0 } else { status } })
}

/// Signals a process by number, real-time signals included.
pub(crate) fn signal(pid: i32, signal: i32) -> Result<(), Errno> {
    if pid <= 1 {
        return Err(Errno::EINVAL);
    }
    // SAFETY: a plain system call.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Kills a process group. That of a dead leader is often empty.
pub(crate) fn kill_group(leader: i32) {
    if leader > 1 {
        // SAFETY: a plain system call.
        unsafe { libc::kill(-leader, libc::SIGKILL) };
    }
}

/// Makes an inherited descriptor survive execve(2), or not.
pub(crate) fn set_cloexec(fd: RawFd, on: bool) -> Result<(), Errno> {
    let flags = if on { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: a plain system call on a number.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_SETFD, flags) }).map(drop)
}

/// Makes stdout and stderr lead where these do.
pub(crate) fn redirect(stdout: BorrowedFd<'_>, stderr: BorrowedFd<'_>) {
    // SAFETY: plain system calls; descriptors 1 and 2 are owned by nobody in this package.
    unsafe {
        libc::dup2(stdout.as_raw_fd(), 1);
        libc::dup2(stderr.as_raw_fd(), 2);
    }
}

/// Removes a variable from the environment.
pub(crate) fn forget_variable(name: &str) {
    // SAFETY: `berth keeper` has one thread, and calls this before anything else.
    unsafe { std::env::remove_var(name) };
}

/// Ignores a signal, or takes children's deaths without a wait.
pub(crate) fn ignore(signal: i32) {
    // SAFETY: SIG_IGN runs no code.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}
