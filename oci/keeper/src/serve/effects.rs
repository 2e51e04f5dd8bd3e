//! Carrying out what the supervisor wants.

use super::{Keeper, fds::SlotFds, nonblocking, now_ns, state};
use crate::{
    control::ToFront,
    link,
    protocol::PATH_LEN_MAX,
    say::{Cut, say},
    settings::Settings,
    supervise::{Effect, FrontNews, SIGKILL, STATE_VERSION, Who},
    sys::process::{self, Start},
};
use std::{
    fmt::Write as _,
    io::Write as _,
    os::fd::{AsFd as _, AsRawFd as _},
};

impl Keeper<'_> {
    /// Carries out all effects, and those that follow from them.
    pub(super) fn act(&mut self) {
        while let Some(effect) = self.sup.next_effect() {
            match effect {
                Effect::OpenPipes { slot, uid, gid } => self.open_pipes(slot, (uid, gid)),
                Effect::ClosePipes { slot } => self.slots.set(slot, None),
                Effect::KeepExecFds { session } => self.keep_exec(session),
                Effect::CloseExecFds { session } => self.close_exec(session),
                Effect::Signal { pid, signal } => {
                    if let Err(errno) = process::signal(pid, signal) {
                        say!("signal {signal} to {pid}: {errno}");
                    }
                }
                Effect::KillHung { pid } => {
                    say!("the agent {pid} does not answer; it is killed");
                    let _ = process::signal(pid, SIGKILL);
                }
                Effect::KillWorkers { zygote } => process::kill_group(zygote),
                Effect::KillCgroup { slot } => self.kill_cgroup(slot),
                Effect::Spawn(who) => self.spawn(who),
                Effect::Disconnect(Who::Agent) => self.agent = None,
                Effect::Disconnect(Who::Zygote) => self.zygote = None,
                Effect::CheckProgram => self.check_program(),
                Effect::ReplaceSelf => self.replace_self(),
                Effect::Front(FrontNews::Ready) => self.tell_front(&ToFront::Ready),
                Effect::Front(FrontNews::Alive) => self.tell_front(&ToFront::Pong),
                Effect::Front(FrontNews::Unfit) => self.tell_front(&ToFront::Unfit),
                Effect::Front(FrontNews::Held) => self.tell_front(&ToFront::Held),
                Effect::Front(FrontNews::Refused) => {
                    say!("{} does not read this keeper's state; it holds on", self.sup.program());
                    self.refuse(&"it does not read the state of the keeper that holds the containers");
                }
                Effect::Quit => {
                    crate::front::unlisten(&self.settings);
                    self.quit = true;
                }
            }
        }
    }

    fn open_pipes(&mut self, slot: u16, owner: (u32, u32)) {
        let (log, stage) = (self.settings.log_pipe_bytes(), self.settings.stage_pipe_bytes());
        match SlotFds::open(owner, log, stage) {
            Ok(fds) => self.slots.set(slot, Some(fds)),
            Err(errno) => {
                let mut why = Cut::<128>::default();
                let _ = write!(why, "the keeper cannot make log pipes: {errno}; raise its LimitNOFILE");
                self.sup.pipes_failed(slot, &why.0);
            }
        }
    }

    /// A cgroup that is gone has nothing left to kill.
    fn kill_cgroup(&mut self, slot: u16) {
        let Some(cgroup) = self.sup.cgroup(slot) else { return };
        let mut path = heapless::String::<{ PATH_LEN_MAX + 16 }>::new();
        if path.push_str(cgroup).is_err() || path.push_str("/cgroup.kill").is_err() {
            return;
        }
        let killed = std::fs::OpenOptions::new().write(true).open(path.as_str());
        match killed.and_then(|mut file| file.write_all(b"1")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => say!("{path}: {error}"),
            _ => {}
        }
    }

    fn spawn(&mut self, who: Who) {
        let command = match who {
            Who::Agent => self.settings.agent(),
            Who::Zygote => self.settings.zygote(),
        };
        let started = command.ok_or(nix::errno::Errno::E2BIG).and_then(|command| {
            let (ours, theirs) = link::pair()?;
            nonblocking(&ours);
            let start = Start {
                socket: Some(theirs.as_fd()),
                stdin: None,
                nofile: Some(self.nofile),
                // The zygote's is that of its workers, see `KillWorkers`.
                session: who == Who::Zygote,
            };
            process::spawn(&command, &start).map(|pid| (ours, pid))
        });
        match started {
            Ok((socket, pid)) => {
                *(match who {
                    Who::Agent => &mut self.agent,
                    Who::Zygote => &mut self.zygote,
                }) = Some(socket);
                self.sup.spawned(now_ns(), who, pid);
            }
            Err(errno) => {
                say!("cannot start {who:?}: {errno}");
                self.sup.spawn_failed(now_ns(), who);
            }
        }
    }

    /// Asks the program whether it reads our state; its exit status is the answer.
    fn check_program(&mut self) {
        if self.sup.is_serving() {
            self.next = self.settings.with_program(self.sup.program());
        }
        let command = self.next.as_ref().and_then(|next| next.check(STATE_VERSION));
        let start = Start { socket: None, stdin: None, nofile: Some(self.nofile), session: false };
        match command.map(|command| process::spawn(&command, &start)) {
            Some(Ok(pid)) => self.sup.check_spawned(pid),
            _ => self.sup.check_failed(now_ns()),
        }
    }

    /// Becomes the program; comes back only if that fails, with everything as before.
    fn replace_self(&mut self) {
        let Some(next) = self.next.take() else { return self.sup.replace_failed() };
        if let Err(errno) = self.become_program(&next) {
            say!("cannot become {}: {errno}", next.program());
        }
        self.sup.replace_failed();
    }

    fn become_program(&self, next: &Settings) -> nix::Result<()> {
        let memory = state::write(self)?;
        let command = next.keeper(crate::RESUME, memory.as_raw_fd()).ok_or(nix::errno::Errno::E2BIG)?;
        let survive = |on: bool| {
            for fd in state::fds(self).chain([memory.as_raw_fd()]) {
                let _ = process::set_cloexec(fd, !on);
            }
        };
        survive(true);
        let errno = process::replace(&command);
        survive(false);
        Err(errno)
    }
}
