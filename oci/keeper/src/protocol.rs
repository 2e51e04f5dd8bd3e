//! The messages between keeper, agent, zygote and worker. Each is one datagram on a `SOCK_SEQPACKET`
//! socket, at most [`MESSAGE_LEN_MAX`] bytes, little-endian, with file descriptors beside it where said.
//!
//! The agent's socket is descriptor [`KEEPER_FD`] of the agent, the zygote's likewise of the zygote
//! (workers inherit it and answer the keeper directly).

use heapless::String;

/// Raised with every change of a message; the agent refuses a keeper that speaks another.
pub const VERSION: u16 = 2;
/// Exit status of an agent (and then of `berth keeper`) that cannot run with its configuration or on this
/// machine, however often it is started: `EX_CONFIG` of sysexits.h.
pub const EXIT_UNFIT: i32 = 78;
/// The descriptor on which an agent, a zygote or a worker finds its socket to the keeper.
pub const KEEPER_FD: i32 = 3;
/// Containers, running or not yet acknowledged. A further create is refused with `Full`.
pub const CONTAINERS_MAX: usize = 256;
/// Exec sessions at one time. A further one is refused with `Full`.
pub const EXECS_MAX: usize = 32;
/// Bytes in a container's or exec session's id.
pub const ID_LEN_MAX: usize = 64;
/// Bytes in a path.
pub const PATH_LEN_MAX: usize = 256;
/// Bytes in an error message; longer ones are cut.
pub const TEXT_LEN_MAX: usize = 512;
/// Bytes in a datagram.
pub const MESSAGE_LEN_MAX: usize = 2048;
/// Descriptors beside a datagram.
pub const FDS_MAX: usize = 6;

/// The `op` of an answer whose asker is dead: a create outlives the agent that asked for it, and the next
/// agent numbers its requests anew. No agent may choose it.
pub const NOBODY: u64 = 0;

/// A container's or exec session's id.
pub type Id = String<ID_LEN_MAX>;
/// A path.
pub type Path = String<PATH_LEN_MAX>;
/// An error message.
pub type Text = String<TEXT_LEN_MAX>;

/// From the agent to the keeper. `op` is chosen by the agent and comes back in the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)]
pub enum Request {
    /// First message of each new agent. Answer: `Welcome`, one `Slot` per used slot (each with its log
    /// descriptors if it has some), `ListEnd`.
    Hello {
        /// [`VERSION`] of the agent.
        version: u16,
    },
    /// Create and start a container from a bundle. Answer: `Started` with its log descriptors, or
    /// `Failed`. A second create of an id that has a slot fails with `Exists`.
    Create {
        /// Comes back in the answer.
        op: u64,
        /// Id of the slot.
        id: Id,
        /// Bundle directory: `config.json` and `berth.json` in it.
        bundle: Path,
        /// The container's leaf cgroup, absolute (`/sys/fs/cgroup/…`): killed if the worker is lost.
        cgroup: Path,
        /// Milliseconds until the worker is killed and the create has failed.
        deadline_ms: u32,
        /// Owner of the pipes, so that a non-root process can re-open `/dev/stdout`.
        log_uid: u32,
        /// Group of the pipes.
        log_gid: u32,
    },
    /// Run a further process in a running container. Beside it: stdin, stdout and stderr, or for a
    /// terminal the one console socket (`SOCK_STREAM`, receives the pty's master). Answer: `Started`
    /// (`id` is the session's) or `Failed`, later `Exited` with the session's id.
    Exec {
        /// Comes back in the answer.
        op: u64,
        /// Id of the session.
        session: Id,
        /// The running container.
        container: Id,
        /// The container's bundle directory; `exec-<session>.json` in it says what to run.
        bundle: Path,
        /// Milliseconds until the worker is killed and the exec has failed.
        deadline_ms: u32,
        /// A terminal is wanted.
        tty: bool,
    },
    /// Signal the init of a container or the process of a session. Answer: `Done`, or `Failed` with `NotFound`.
    Signal {
        /// Comes back in the answer.
        op: u64,
        /// Container or session.
        id: Id,
        /// Signal number.
        signal: i32,
    },
    /// The exit of this id is recorded: free the slot and its pipes. Answer: `Done` (also when there is
    /// no such slot), or `Failed` with `Busy` while it runs.
    Release {
        /// Comes back in the answer.
        op: u64,
        /// Container.
        id: Id,
    },
    /// Replace the keeper's program by the file at `path` (re-exec); containers stay its children. The
    /// agent's socket survives. Answer: `Failed`, or `Welcome` from the new program.
    Upgrade {
        /// Comes back in the answer.
        op: u64,
        /// The program.
        path: Path,
    },
    /// The agent has taken over all that the list told and serves. After `Hello`, once. No answer.
    Ready,
    /// The agent's loop turns. The answer to [`Notice::Ping`], and said unasked now and then. No answer.
    Alive,
}

/// From the keeper to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)]
pub enum Notice {
    /// Answer to `Hello`.
    Welcome {
        /// [`VERSION`] of the keeper.
        version: u16,
        /// Pid of the keeper.
        pid: i32,
        /// How many `Slot` messages follow.
        slots: u16,
    },
    /// A slot in use. Descriptors beside it: see [`LogFds`].
    Slot {
        /// The container.
        id: Id,
        /// Its state.
        state: SlotState,
    },
    /// All slots are told.
    ListEnd,
    /// A create or exec succeeded. For a create, descriptors beside it: see [`LogFds`].
    Started {
        /// Of the request, or [`NOBODY`] if an agent that has died since had asked.
        op: u64,
        /// Container or session.
        id: Id,
        /// Pid on the host.
        pid: i32,
        /// `CLOCK_BOOTTIME`, nanoseconds.
        at_ns: u64,
    },
    /// A request failed. After a failed create the slot is gone.
    Failed {
        /// Of the request, or [`NOBODY`] if an agent that has died since had asked.
        op: u64,
        /// Container or session, so that an agent can place the failure of a create that its predecessor
        /// asked for; empty where the request had none.
        id: Id,
        /// Kind of failure.
        class: FailClass,
        /// For people.
        text: Text,
    },
    /// A request is done.
    Done {
        /// Of the request.
        op: u64,
    },
    /// Say `Alive`, or be taken for hung and killed.
    Ping,
    /// A container's init or a session's process ended. A container's slot stays until `Release`.
    Exited {
        /// Container or session.
        id: Id,
        /// How.
        exit: ExitStatus,
    },
}

/// Order of the descriptors beside `Slot` and `Started`: read ends of the container's stdout and stderr,
/// then for each a staging pipe (read end, write end) that nobody but the agent uses. The keeper holds
/// all of them open, so that bytes survive the agent: see `agent/src/logs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum LogFds {
    /// Read end of stdout.
    Stdout = 0,
    /// Read end of stderr.
    Stderr = 1,
    /// Staging for stdout, read end.
    StdoutStageRead = 2,
    /// Staging for stdout, write end.
    StdoutStageWrite = 3,
    /// Staging for stderr, read end.
    StderrStageRead = 4,
    /// Staging for stderr, write end.
    StderrStageWrite = 5,
}

/// State of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// A worker is at it.
    Creating,
    /// Running.
    Running {
        /// Pid on the host.
        pid: i32,
        /// Since, `CLOCK_BOOTTIME` nanoseconds.
        started_ns: u64,
    },
    /// Ended and not yet released.
    Exited {
        /// Since when it had run.
        started_ns: u64,
        /// How it ended.
        exit: ExitStatus,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus {
    /// Exit status if `signal` is 0.
    pub code: i32,
    /// Signal that ended it, or 0.
    pub signal: i32,
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub at_ns: u64,
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FailClass {
    /// No free slot.
    Full = 1,
    /// The id has a slot already.
    Exists = 2,
    /// No such container or session, or it has ended.
    NotFound = 3,
    /// It still runs.
    Busy = 4,
    /// The runtime refused; the text says why.
    Runtime = 5,
    /// The deadline passed; all that was begun is killed.
    Timeout = 6,
    /// Worker or zygote died over it; all that was begun is killed.
    Lost = 7,
    /// A message that cannot be read, or a failing system call in the keeper.
    Internal = 8,
    /// The runtime refused because the machine was short of something; the text says of what. Another try
    /// may succeed.
    Machine = 9,
}

/// From the keeper to the zygote. Beside `Create`: write ends of stdout and stderr. Beside `Exec`: as in
/// [`Request::Exec`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)]
pub enum Work {
    /// See [`Request::Create`].
    Create {
        /// Comes back in the answer; unique while the keeper lives (not the agent's).
        ticket: u64,
        /// The container.
        id: Id,
        /// Its bundle.
        bundle: Path,
        /// Its leaf cgroup.
        cgroup: Path,
        /// Milliseconds until the zygote kills the worker.
        deadline_ms: u32,
    },
    /// See [`Request::Exec`].
    Exec {
        /// Comes back in the answer.
        ticket: u64,
        /// The session.
        session: Id,
        /// The container.
        container: Id,
        /// The container's bundle.
        bundle: Path,
        /// Milliseconds until the zygote kills the worker.
        deadline_ms: u32,
        /// A terminal is wanted.
        tty: bool,
    },
}

/// From the zygote or a worker to the keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)]
pub enum WorkReport {
    /// The zygote takes work.
    Ready,
    /// By the worker: the process runs; it becomes the keeper's child when the worker exits.
    Started {
        /// Of the work.
        ticket: u64,
        /// Pid on the host.
        pid: i32,
    },
    /// By the worker: refused by the runtime. Nothing of it is left running.
    Failed {
        /// Of the work.
        ticket: u64,
        /// `Runtime`, `Machine` or `Internal`.
        class: FailClass,
        /// For people.
        text: Text,
    },
    /// By the zygote: the worker ended without a report, or was killed at its deadline (`Timeout`).
    Lost {
        /// Of the work.
        ticket: u64,
        /// `Lost` or `Timeout`.
        class: FailClass,
    },
}
