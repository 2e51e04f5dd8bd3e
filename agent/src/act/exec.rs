//! Commands in running containers: hands the client's descriptors on, remembers who waits for the end. No byte
//! of the command's input or output passes through here.

use crate::{
    agent::{Agent, Purpose},
    api::ask::{ExecAsk, Refusal, Session},
};
use berth_core::ids::ContainerId;
use berth_keeper::protocol::{EXECS_MAX, ExitStatus, Id, Path as KeeperPath, Request};
use berth_oci::{bundle::ExecPlan, clock};
use std::path::PathBuf;
use tokio::sync::oneshot;

/// Seconds until a command must have begun.
const EXEC_WITHIN_S: u64 = 30;
/// Milliseconds of it that the worker is given.
const EXEC_WORK_MS: u32 = 29_000;
/// Exit status of a command that was ended by signal n is this and n, as a shell has it.
const SIGNALLED: i32 = 128;

/// A command that runs, or is about to.
#[derive(Debug)]
pub(crate) struct Running {
    /// What the worker reads; removed at the end.
    file: PathBuf,
    /// Who waits for the beginning.
    begin: Option<oneshot::Sender<Result<Session, Refusal>>>,
    /// Who waits for the end.
    end: oneshot::Sender<i32>,
    /// What he is given at the beginning.
    exit: Option<oneshot::Receiver<i32>>,
}

impl Agent {
    /// Has the keeper run a command in a container.
    pub(crate) fn exec(&mut self, what: ExecAsk, answer: oneshot::Sender<Result<Session, Refusal>>) {
        if self.sessions.len() >= EXECS_MAX {
            let _ = answer.send(Err(Refusal::conflict(format!("{EXECS_MAX} commands run already"))));
            return;
        }
        let container = ContainerId(what.container.as_str().into());
        let bundle = self.env.roots.bundle(&container);
        // Two agents never use the same: the clock goes on over a restart.
        let session = format!("x{:x}-{:x}", clock::now().mono.0, self.sessions.len());
        let file = bundle.join(format!("exec-{session}.json"));
        if let Err(why) = describe(&file, &what) {
            let _ = answer.send(Err(Refusal::internal(format!("cannot prepare the command: {why}"))));
            return;
        }
        let ids = (Id::try_from(&*session), Id::try_from(&*what.container));
        let path = bundle.to_str().and_then(|bundle| KeeperPath::try_from(bundle).ok());
        let ((Ok(session_id), Ok(container)), Some(bundle)) = (ids, path) else {
            let _ = answer.send(Err(Refusal::internal("the container's bundle has too long a path")));
            return;
        };
        let (end, exit) = oneshot::channel();
        self.sessions.insert(session.clone(), Running { file, begin: Some(answer), end, exit: Some(exit) });
        let op = self.flights.begin(Purpose::Exec(session), clock::now().mono.plus_s(EXEC_WITHIN_S));
        let request = Request::Exec {
            op,
            session: session_id,
            container,
            bundle,
            deadline_ms: EXEC_WORK_MS,
            tty: what.tty,
        };
        self.ask_keeper(request, what.fds);
    }

    /// The command runs.
    pub(crate) fn exec_started(&mut self, session: &str) {
        let Some(running) = self.sessions.get_mut(session) else { return };
        if let (Some(begin), Some(exit)) = (running.begin.take(), running.exit.take()) {
            // A client that has gone meanwhile closed its descriptors: the command finds that out.
            let _ = begin.send(Ok(Session { id: session.to_owned(), exit }));
        }
    }

    /// The command does not run.
    pub(crate) fn exec_failed(&mut self, session: &str, why: &str) {
        let Some(running) = self.sessions.remove(session) else { return };
        let _ = std::fs::remove_file(running.file);
        if let Some(begin) = running.begin {
            let _ = begin.send(Err(Refusal::internal(why)));
        }
    }

    /// A session ended; false if this is no session's id.
    pub(crate) fn exec_exited(&mut self, session: &str, status: ExitStatus) -> bool {
        self.exec_started(session);
        let Some(running) = self.sessions.remove(session) else { return false };
        let _ = std::fs::remove_file(running.file);
        let code = if status.signal == 0 { status.code } else { SIGNALLED + status.signal };
        let _ = running.end.send(code);
        true
    }

    /// The client has gone: the command is told as a terminal would tell it.
    pub(crate) fn exec_hung_up(&mut self, session: &str) {
        self.exec_signal(session, nix::libc::SIGHUP);
    }

    /// The command has had its time.
    pub(crate) fn exec_kill(&mut self, session: &str) {
        self.exec_signal(session, nix::libc::SIGKILL);
    }

    fn exec_signal(&mut self, session: &str, signal: i32) {
        if !self.sessions.contains_key(session) {
            return;
        }
        let Ok(id) = Id::try_from(session) else { return };
        let op = self.flights.begin(Purpose::Nobody, clock::now().mono.plus_s(EXEC_WITHIN_S));
        self.ask_keeper(Request::Signal { op, id, signal }, Vec::new());
    }
}

/// Writes what the worker is to run.
fn describe(file: &std::path::Path, what: &ExecAsk) -> std::io::Result<()> {
    let plan = ExecPlan { args: what.command.clone(), terminal: what.tty };
    std::fs::write(file, serde_json::to_vec(&plan)?)
}
