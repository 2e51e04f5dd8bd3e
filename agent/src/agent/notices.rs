//! What the keeper says, and what that means for what is under way.

use super::{
    flights::Purpose,
    inventory,
    run::{self, Told},
};
use crate::{agent::Agent, logs};
use berth_core::{
    event::{Event, Exit, FailReason, Failure, Outcome},
    ids::{ActionId, ContainerId},
    time::Mono,
};
use berth_keeper::protocol::{ExitStatus, FailClass, NOBODY, Notice, Request};
use berth_oci::{clock, container};
use serde_json::json;
use std::{os::fd::OwnedFd, path::PathBuf, time::Duration};

impl Agent {
    pub(super) fn notice(&mut self, notice: Notice, fds: Vec<OwnedFd>) {
        tracing::trace!(?notice, "the keeper says");
        match notice {
            Notice::Started { op, id, pid, at_ns } => self.started(op, id.as_str(), pid, at_ns, fds),
            Notice::Failed { op, id, class, text } => {
                self.request_failed(op, id.as_str(), class, text.as_str())
            }
            Notice::Done { op } => self.request_done(op),
            Notice::Exited { id, exit } => self.exited(id.as_str(), exit),
            Notice::Ping => self.ask_keeper(Request::Alive, Vec::new()),
            // The keeper's new program presents itself.
            Notice::Welcome { pid, .. } => {
                self.keeper_pid = pid;
                if let Some(answer) = self.flights.end_upgrade() {
                    let _ = answer.send(Ok(json!({"keeperPid": pid, "agentPid": std::process::id()})));
                    self.leave();
                }
            }
            // Its table, told again: nothing in it is new to an agent that was there all the time.
            Notice::Slot { .. } | Notice::ListEnd => {}
        }
    }

    /// Makes room for an agent of the keeper's new program, once the answer is on its way.
    fn leave(&self) {
        let told = self.told.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(LEAVE_AFTER_MS)).await;
            let _ = told.send(Told::Leave).await;
        });
    }

    fn started(&mut self, op: u64, id: &str, pid: i32, at_ns: u64, fds: Vec<OwnedFd>) {
        let (pid, at) = (u32::try_from(pid).unwrap_or(0), inventory::moment(at_ns, clock::now()));
        match self.flights.end(op) {
            Some(Purpose::Start(action, id)) => {
                self.follow(&id, fds);
                self.read_warnings(&id);
                self.done(action, Outcome::Started { pid, at });
                self.get_ahead();
            }
            Some(Purpose::Exec(session)) => self.exec_started(&session),
            // A predecessor had asked; or this agent had, and has given up waiting.
            _ if op == NOBODY || !fds.is_empty() => {
                let id = ContainerId(id.into());
                self.follow(&id, fds);
                self.news.push(Event::Started { id, pid, at });
            }
            _ => tracing::debug!(op, id, "started too late"),
        }
    }

    fn request_failed(&mut self, op: u64, id: &str, class: FailClass, text: &str) {
        let failure = Failure { reason: reason(class), message: text.to_owned() };
        match self.flights.end(op) {
            Some(Purpose::Start(action, _)) => self.done(action, Outcome::Failed(failure)),
            // Gone already is as good as signalled.
            Some(Purpose::Signal(action)) if class == FailClass::NotFound => self.done(action, Outcome::Ok),
            Some(Purpose::Signal(action)) => self.done(action, Outcome::Failed(failure)),
            // Its processes are gone, only its end is not told yet.
            Some(Purpose::Release(action, id)) if class == FailClass::Busy => {
                let deadline = clock::now().mono.plus_s(EXIT_WITHIN_S);
                self.releasing.insert(id, (action, deadline));
            }
            Some(Purpose::Release(action, _)) => self.done(action, Outcome::Failed(failure)),
            Some(Purpose::Exec(session)) => self.exec_failed(&session, text),
            Some(Purpose::Upgrade(answer)) => run::refuse(answer, text),
            Some(Purpose::Nobody) => {}
            None if op == NOBODY && !id.is_empty() => {
                self.news.push(Event::StartFailed { id: ContainerId(id.into()), failure });
            }
            None => tracing::debug!(op, text, "failed too late"),
        }
    }

    fn request_done(&mut self, op: u64) {
        match self.flights.end(op) {
            Some(Purpose::Signal(action)) => self.done(action, Outcome::Ok),
            Some(Purpose::Release(action, id)) => {
                self.places.remove(&id);
                self.done(action, Outcome::Ok);
            }
            _ => {}
        }
    }

    fn exited(&mut self, id: &str, status: ExitStatus) {
        if self.exec_exited(id, status) {
            return;
        }
        let id = ContainerId(id.into());
        let exit = inventory::exit(status, clock::now(), container::oom_killed(&self.env.roots, &id));
        let mut message = container::termination_message(&self.env.roots, &id);
        let log = self.places.get(&id).filter(|place| place.is_asked(exit.code, &message));
        let log = log.map(|place| place.log.clone());
        if let Some((action, deadline)) = self.releasing.remove(&id) {
            // All that it said is in its log already.
            message = log.map_or(message, |log| logs::last_words(&log));
            self.release(action, id.clone(), deadline);
        } else if let Some(log) = log {
            return self.ask_log(id, exit, log);
        }
        self.news.push(Event::Exited { id, exit, message });
    }

    /// Tells of an end when all that the container said is in its log, with the last of that.
    fn ask_log(&mut self, id: ContainerId, exit: Exit, log: PathBuf) {
        // What it left behind shares its outputs.
        if let Err(error) = container::kill(&self.env.roots, &id) {
            tracing::warn!(container = %id, %error, "cannot kill");
        }
        let emptied = self.logs.finish(&id);
        let told = self.told.clone();
        tokio::spawn(async move {
            if let Some(emptied) = emptied {
                let _ = emptied.await;
            }
            // Fails when the agent ends.
            let message = tokio::task::spawn_blocking(move || logs::last_words(&log)).await;
            let message = message.unwrap_or_default();
            let _ = told.send(Told::Ended(Box::new(Event::Exited { id, exit, message }))).await;
        });
    }

    /// The last step of a removal: the keeper forgets the container, and with it its exit.
    pub(super) fn release(&mut self, action: ActionId, id: ContainerId, deadline: Mono) {
        let Ok(slot) = berth_keeper::protocol::Id::try_from(&*id.0) else {
            return self.failed(action, FailReason::Internal, format!("{id} is no container's id"));
        };
        let op = self.flights.begin(Purpose::Release(action, id), deadline);
        self.ask_keeper(Request::Release { op, id: slot }, Vec::new());
    }

    /// Sends a request; if the keeper is gone the loop is about to hear that itself.
    pub(crate) fn ask_keeper(&mut self, request: Request, fds: Vec<OwnedFd>) {
        if let Err(error) = self.link.send(request, fds) {
            tracing::warn!(%error, "a request does not reach the keeper");
        }
    }

    /// Begins or goes on to pump a container's output.
    pub(super) fn follow(&mut self, id: &ContainerId, fds: Vec<OwnedFd>) {
        let Some(place) = self.places.get(id) else {
            tracing::warn!(container = %id, "output of a container that is not known stays in its pipes");
            return;
        };
        if let Err(error) = self.logs.attach(id, place, fds) {
            tracing::error!(container = %id, log = %place.log.display(), %error, "output stays in its pipes");
        }
    }
}

/// Milliseconds between the answer to an exchange of the program and this agent's end.
const LEAVE_AFTER_MS: u64 = 100;
/// Seconds in which the keeper must tell the end of a container whose processes are gone.
const EXIT_WITHIN_S: u64 = 10;

/// What Kubernetes calls it.
fn reason(class: FailClass) -> FailReason {
    match class {
        FailClass::Full | FailClass::Machine => FailReason::CreateContainerError,
        FailClass::Runtime => FailReason::RunContainerError,
        FailClass::Timeout => FailReason::Timeout,
        FailClass::Lost => FailReason::Lost,
        FailClass::Exists | FailClass::NotFound | FailClass::Busy | FailClass::Internal => {
            FailReason::Internal
        }
    }
}
