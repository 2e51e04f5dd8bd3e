//! The descriptors of container slots: log pipes and staging pipes.

use crate::protocol::{CONTAINERS_MAX, FDS_MAX, LogFds};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    unistd::{Gid, Uid, fchown, pipe2},
};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Bytes of a pipe as the kernel makes it.
const PIPE_BYTES_AS_MADE: u32 = 65_536;

/// A slot's descriptors, in the order of [`LogFds`].
pub(super) struct SlotFds {
    pub(super) held: [OwnedFd; FDS_MAX],
    /// What the container gets, until the zygote has it.
    pub(super) ends: Option<[OwnedFd; 2]>,
}

/// By slot. Grows with use, like the table.
pub(super) struct Slots {
    all: heapless::Vec<Option<SlotFds>, CONTAINERS_MAX>,
}

impl Slots {
    pub(super) const fn new() -> Self {
        Self { all: heapless::Vec::new() }
    }

    pub(super) fn get(&self, slot: u16) -> Option<&SlotFds> {
        self.all.get(usize::from(slot)).and_then(Option::as_ref)
    }

    pub(super) fn get_mut(&mut self, slot: u16) -> Option<&mut SlotFds> {
        self.all.get_mut(usize::from(slot)).and_then(Option::as_mut)
    }

    /// Puts a slot's descriptors, or closes them.
    pub(super) fn set(&mut self, slot: u16, fds: Option<SlotFds>) {
        while self.all.len() <= usize::from(slot) && self.all.push(None).is_ok() {}
        if let Some(old) = self.all.get_mut(usize::from(slot)) {
            *old = fds;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &SlotFds> {
        self.all.iter().flatten()
    }
}

impl SlotFds {
    /// What the agent gets.
    pub(super) fn raw(&self) -> [RawFd; FDS_MAX] {
        self.held.each_ref().map(AsRawFd::as_raw_fd)
    }

    /// Makes a slot's pipes. The containers' ends block, so that a fast writer waits for its reader; all
    /// ends that are ours or the agent's do not.
    pub(super) fn open((uid, gid): (u32, u32), log_bytes: u32, stage_bytes: u32) -> Result<Self, Errno> {
        let (stdout, stdout_end) = log_pipe(uid, gid, log_bytes)?;
        let (stderr, stderr_end) = log_pipe(uid, gid, log_bytes)?;
        let stdout_stage = stage_pipe(stage_bytes)?;
        let stderr_stage = stage_pipe(stage_bytes)?;
        let held = [stdout, stderr, stdout_stage.0, stdout_stage.1, stderr_stage.0, stderr_stage.1];
        Ok(Self { held, ends: Some([stdout_end, stderr_end]) })
    }
}

const _: () = assert!(LogFds::StdoutStageRead as usize == 2 && LogFds::StderrStageRead as usize == 4);

fn log_pipe(uid: u32, gid: u32, bytes: u32) -> Result<(OwnedFd, OwnedFd), Errno> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(read.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    // So that a process that is not root may open /dev/stdout.
    fchown(write.as_raw_fd(), Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    resize(&write, bytes);
    Ok((read, write))
}

fn stage_pipe(bytes: u32) -> Result<(OwnedFd, OwnedFd), Errno> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    resize(&write, bytes);
    Ok((read, write))
}

/// A size that the kernel does not grant (a limit on pipe pages) is no reason to start nothing.
fn resize(pipe: &OwnedFd, bytes: u32) {
    if bytes != PIPE_BYTES_AS_MADE
        && let Ok(bytes) = i32::try_from(bytes)
    {
        let _ = fcntl(pipe.as_raw_fd(), FcntlArg::F_SETPIPE_SZ(bytes));
    }
}
