//! What the supervisor wants done by the hand that owns the descriptors and makes the system calls.

use crate::tables::Place;

/// One of the two children that are started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// `berth agent`.
    Agent,
    /// `berth zygote`.
    Zygote,
}

/// News for the process that a service manager watches (see `front`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrontNews {
    /// The agent has taken over what it found and serves.
    Ready,
    /// The agent has answered, or has time yet to get ready.
    Alive,
    /// The agent says that it can never run on this machine or with its configuration: agent and zygote are
    /// being stopped, `Held` follows.
    Unfit,
    /// Agent and zygote are stopped; containers that are left are held.
    Held,
    /// The front's program cannot read this keeper's state; the keeper holds on.
    Refused,
}

/// To be done at once and in order; none of these may wait for anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Make a slot's log pipes, owned by this user and group; on failure call `pipes_failed`.
    OpenPipes {
        /// The slot.
        slot: Place,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// Close a slot's log pipes.
    ClosePipes {
        /// The slot.
        slot: Place,
    },
    /// Keep the descriptors that came with the request for a session.
    KeepExecFds {
        /// The session.
        session: Place,
    },
    /// Close a session's descriptors.
    CloseExecFds {
        /// The session.
        session: Place,
    },
    /// Signal a child that is not yet reaped (so the pid is certainly its).
    Signal {
        /// The child.
        pid: i32,
        /// Signal number.
        signal: i32,
    },
    /// Kill the agent, which does not answer, and say so.
    KillHung {
        /// Pid of the agent.
        pid: i32,
    },
    /// Kill the process group of a zygote that has died and is not reaped yet: its workers, who would go on
    /// and make what nobody knows of. What they have made is in sessions of its own by then.
    KillWorkers {
        /// Pid of the zygote, and of its process group.
        zygote: i32,
    },
    /// Kill all that is in the slot's cgroup (`Supervisor::cgroup`, readable although the slot is free).
    KillCgroup {
        /// The slot.
        slot: Place,
    },
    /// Start a child with a new socket; then call `spawned` or `spawn_failed`.
    Spawn(Who),
    /// Close the socket to a child.
    Disconnect(Who),
    /// Run the program of `Supervisor::program`, asking whether it reads our state; then call
    /// `check_spawned` or `check_failed`.
    CheckProgram,
    /// Become that program; if that fails call `replace_failed`.
    ReplaceSelf,
    /// Tell the front, if there is one.
    Front(FrontNews),
    /// Nothing is left to do: end.
    Quit,
}
