//! What the agent asks for.

use super::{
    DEADLINE_MS_MAX, Effect, FrontNews, Greeting, REPLIES_MAX, Reply, Supervisor, ZYGOTE_GRACE_NS,
    phases::Mode,
};
use crate::{
    protocol::{FailClass, Id, NOBODY, Path, Request, VERSION},
    tables::{ContainerWork, Entry, Life, SessionWork},
};

/// Highest signal number of the kernel.
const SIGNAL_MAX: i32 = 64;
/// Descriptors beside an exec without a terminal: stdin, stdout, stderr.
const EXEC_FDS: usize = 3;
/// Descriptors beside an exec with a terminal: the console socket.
const EXEC_TTY_FDS: usize = 1;

/// Places in the queue of answers that no request may take: the answer to an upgrade comes later.
const REPLIES_RESERVED: usize = 1;

type Refusal = (FailClass, &'static str);

impl Supervisor {
    /// A request may be read from the agent's socket: there is room for its answer, and no list is
    /// being told.
    pub fn accepts_requests(&self) -> bool {
        let listing = !matches!(self.greeting, Greeting::None | Greeting::Greeted);
        !listing && self.replies.len() < REPLIES_MAX - REPLIES_RESERVED
    }

    /// The agent asks. `fds` is how many descriptors came beside the request; those of an exec are to be
    /// kept if `KeepExecFds` follows, else closed.
    pub fn request(&mut self, now_ns: u64, request: &Request, fds: usize) {
        self.agent_heard(now_ns);
        let (op, id, result) = match request {
            Request::Hello { version } => return self.hello(*version),
            Request::Ready => return self.agent_ready(now_ns),
            Request::Alive => return,
            Request::Create { op, id, bundle, cgroup, deadline_ms, log_uid, log_gid } => {
                let work = ContainerWork {
                    bundle: bundle.clone(),
                    cgroup: cgroup.clone(),
                    deadline_ms: (*deadline_ms).min(DEADLINE_MS_MAX),
                };
                (*op, id, self.create(now_ns, *op, id, work, (*log_uid, *log_gid)).map(|()| false))
            }
            Request::Exec { op, session, container, bundle, deadline_ms, tty } => {
                let work = SessionWork {
                    container: container.clone(),
                    bundle: bundle.clone(),
                    deadline_ms: (*deadline_ms).min(DEADLINE_MS_MAX),
                    tty: *tty,
                    orphan: false,
                    kill_at_ns: None,
                };
                (*op, session, self.exec(now_ns, *op, session, work, fds).map(|()| false))
            }
            Request::Signal { op, id, signal } => (*op, id, self.signal(id, *signal).map(|()| true)),
            Request::Release { op, id } => (*op, id, self.release(id).map(|()| true)),
            Request::Upgrade { op, path } => {
                (*op, &Id::new(), self.upgrade(now_ns, *op, path).map(|()| false))
            }
        };
        match result {
            Ok(true) => self.reply(op, id, None),
            Ok(false) => {}
            Err(refusal) => self.reply(op, id, Some(refusal)),
        }
    }

    /// A datagram came from the agent that is no request.
    pub fn bad_request(&mut self) {
        self.counters.bad_requests = self.counters.bad_requests.saturating_add(1);
        let refusal = (FailClass::Internal, "a datagram that is no request; agent and keeper may differ");
        self.reply(NOBODY, &Id::new(), Some(refusal));
    }

    pub(super) fn reply(&mut self, op: u64, id: &Id, failed: Option<Refusal>) {
        // There is room: requests are read only while `accepts_requests`, and the reserve is for the
        // one upgrade at a time.
        let _ = self.replies.push_back(Reply { op, id: id.clone(), failed });
    }

    fn hello(&mut self, version: u16) {
        self.greeting = if version == VERSION { Greeting::Welcome } else { Greeting::Mismatch };
    }

    /// Only an agent that knows what there is can serve.
    fn agent_ready(&mut self, now_ns: u64) {
        if self.greeting == Greeting::Greeted && !self.agent.ready {
            self.agent.ready = true;
            self.agent_heard(now_ns);
            self.push(Effect::Front(FrontNews::Ready));
        }
    }

    fn take_ticket(&mut self, deadline_ms: u32, now_ns: u64) -> (u64, u64) {
        self.ticket = self.ticket.saturating_add(1);
        let give_up_ns = now_ns + u64::from(deadline_ms) * 1_000_000 + ZYGOTE_GRACE_NS;
        (self.ticket, give_up_ns)
    }

    /// What holds for every request that makes something new.
    fn admit(&self, op: u64, id: &Id) -> Result<(), Refusal> {
        if self.mode != Mode::Serving {
            return Err((FailClass::Busy, "the keeper is stopping"));
        }
        if op == NOBODY || id.is_empty() {
            return Err((FailClass::Internal, "a request needs an op other than 0, and an id"));
        }
        if self.containers.find(id).is_some() || self.sessions.find(id).is_some() {
            return Err((FailClass::Exists, "the id has a slot or a session already"));
        }
        Ok(())
    }

    fn create(
        &mut self,
        now_ns: u64,
        op: u64,
        id: &Id,
        work: ContainerWork,
        (uid, gid): (u32, u32),
    ) -> Result<(), Refusal> {
        self.admit(op, id)?;
        let (ticket, give_up_ns) = self.take_ticket(work.deadline_ms, now_ns);
        let slot = self
            .containers
            .insert(Entry::new(id.clone(), work, op, ticket, give_up_ns))
            .map_err(|class| (class, "no free container slot; remove a pod"))?;
        self.push(Effect::OpenPipes { slot, uid, gid });
        Ok(())
    }

    fn exec(&mut self, now_ns: u64, op: u64, id: &Id, work: SessionWork, fds: usize) -> Result<(), Refusal> {
        self.admit(op, id)?;
        if fds != if work.tty { EXEC_TTY_FDS } else { EXEC_FDS } {
            return Err((FailClass::Internal, "an exec needs three descriptors, or one with a terminal"));
        }
        let container = self.containers.find(&work.container).and_then(|place| self.containers.get(place));
        if container.is_none_or(|entry| entry.pid().is_none()) {
            return Err((FailClass::NotFound, "the container does not run"));
        }
        let (ticket, give_up_ns) = self.take_ticket(work.deadline_ms, now_ns);
        let session = self
            .sessions
            .insert(Entry::new(id.clone(), work, op, ticket, give_up_ns))
            .map_err(|class| (class, "no free exec session; wait for another to end"))?;
        self.push(Effect::KeepExecFds { session });
        Ok(())
    }

    fn signal(&mut self, id: &Id, signal: i32) -> Result<(), Refusal> {
        if !(1..=SIGNAL_MAX).contains(&signal) {
            return Err((FailClass::Internal, "no such signal"));
        }
        let container = self.containers.find(id).and_then(|place| self.containers.get(place));
        let session = self.sessions.find(id).and_then(|place| self.sessions.get(place));
        let pid = match (container, session) {
            (Some(entry), _) if entry.is_creating() => {
                return Err((FailClass::Busy, "the container is being created"));
            }
            (Some(entry), _) => entry.pid(),
            (None, Some(entry)) => entry.pid(),
            (None, None) => None,
        };
        let pid = pid.ok_or((FailClass::NotFound, "nothing with this id runs"))?;
        self.push(Effect::Signal { pid, signal });
        Ok(())
    }

    fn release(&mut self, id: &Id) -> Result<(), Refusal> {
        let Some(slot) = self.containers.find(id) else { return Ok(()) };
        let Some(entry) = self.containers.get_mut(slot) else { return Ok(()) };
        let had_pipes = matches!(entry.life(), Life::Exited { .. });
        if !entry.release() {
            return Err((FailClass::Busy, "the container still runs or is being created"));
        }
        if had_pipes {
            self.push(Effect::ClosePipes { slot });
        }
        Ok(())
    }

    fn upgrade(&mut self, now_ns: u64, op: u64, path: &Path) -> Result<(), Refusal> {
        if self.mode != Mode::Serving || self.check.is_on() {
            return Err((FailClass::Busy, "the keeper is stopping, or another upgrade is on"));
        }
        if self.in_flight() {
            return Err((FailClass::Busy, "a create or exec is on; try again"));
        }
        self.begin_upgrade(now_ns, op, path.clone());
        Ok(())
    }

    /// The log pipes of a slot could not be made.
    pub fn pipes_failed(&mut self, slot: u16, why: &str) {
        self.fail_container(slot, FailClass::Internal, why);
    }
}
