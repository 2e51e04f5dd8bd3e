//! The supervisor against scripted happenings. `Bench` plays the shell: it carries out nothing, it only
//! remembers what was asked.

mod bounds;
mod containers;
mod life;
mod pulse;
mod restarts;
mod sessions;

use super::*;
use crate::{
    codec::{Reader, Writer},
    protocol::{ExitStatus, LogFds, Notice, Request, SlotState, VERSION, Work, WorkReport},
    tables::Life,
};

pub(super) const AGENT: i32 = 100;
pub(super) const ZYGOTE: i32 = 101;
pub(super) const CHECKER: i32 = 102;
pub(super) const OWN: i32 = 50;
pub(super) const MS: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1_000_000_000;

pub(super) struct Bench {
    pub(super) sup: Box<Supervisor>,
    pub(super) now: u64,
}

impl Bench {
    /// Both children run, nobody has said anything.
    pub(super) fn started() -> Self {
        let mut bench = Self { sup: Box::new(Supervisor::new()), now: 10 * SECOND };
        bench.sup.start(bench.now, OWN);
        assert_eq!(bench.effects(), [Effect::Spawn(Who::Zygote), Effect::Spawn(Who::Agent)]);
        bench.sup.spawned(bench.now, Who::Zygote, ZYGOTE);
        bench.sup.spawned(bench.now, Who::Agent, AGENT);
        bench
    }

    /// The agent is greeted and serves.
    pub(super) fn greeted() -> Self {
        let mut bench = Self::started();
        bench.hello();
        bench
    }

    pub(super) fn hello(&mut self) -> Vec<Notice> {
        self.ask(&Request::Hello { version: VERSION });
        let told = self.notices();
        assert!(matches!(told.first(), Some(Notice::Welcome { version: VERSION, pid: OWN, .. })));
        assert_eq!(told.last(), Some(&Notice::ListEnd));
        self.ask(&Request::Ready);
        assert_eq!(self.effects(), [Effect::Front(FrontNews::Ready)]);
        told
    }

    pub(super) fn ask(&mut self, request: &Request) {
        assert!(self.sup.accepts_requests());
        self.sup.request(self.now, request, 0);
    }

    pub(super) fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.sup.next_effect()).collect()
    }

    /// All that is owed to the agent, sent.
    pub(super) fn notices(&mut self) -> Vec<Notice> {
        let mut all = vec![];
        while let Some((due, notice)) = self.sup.next_notice() {
            self.sup.notice_sent(due);
            all.push(notice);
        }
        all
    }

    /// All that is owed to the zygote, sent.
    pub(super) fn works(&mut self) -> Vec<Work> {
        let mut all = vec![];
        while let Some((due, work)) = self.sup.next_work() {
            self.sup.work_sent(due);
            all.push(work);
        }
        all
    }

    /// Ask for a container and give the work to the zygote; says the ticket.
    pub(super) fn creating(&mut self, op: u64, name: &str) -> u64 {
        self.ask(&create(op, name));
        assert!(matches!(self.effects()[..], [Effect::OpenPipes { uid: 1, gid: 2, .. }]));
        match &self.works()[..] {
            [Work::Create { ticket, id: got, .. }] if got == name => *ticket,
            other => panic!("{other:?}"),
        }
    }

    /// A container that runs, its start told.
    pub(super) fn running(&mut self, op: u64, name: &str, pid: i32) {
        let ticket = self.creating(op, name);
        self.report(WorkReport::Started { ticket, pid });
        let at_ns = self.now;
        assert_eq!(self.notices(), [Notice::Started { op, id: id(name), pid, at_ns }]);
    }

    pub(super) fn report(&mut self, report: WorkReport) {
        self.sup.report(self.now, &report);
    }

    pub(super) fn dies(&mut self, pid: i32, code: i32, signal: i32) -> ExitStatus {
        self.sup.reaped(self.now, pid, code, signal);
        ExitStatus { code, signal, at_ns: self.now }
    }

    /// The agent dies and its successor is there, not greeted.
    pub(super) fn new_agent(&mut self, pid: i32) {
        self.now += 2 * SECOND;
        self.dies(AGENT, 0, 9);
        self.sup.tick(self.now);
        assert!(self.effects().contains(&Effect::Spawn(Who::Agent)));
        self.sup.spawned(self.now, Who::Agent, pid);
    }
}

pub(super) fn id(name: &str) -> Id {
    Id::try_from(name).unwrap()
}

pub(super) fn path(name: &str) -> Path {
    Path::try_from(name).unwrap()
}

pub(super) fn create(op: u64, name: &str) -> Request {
    Request::Create {
        op,
        id: id(name),
        bundle: path("/b"),
        cgroup: path(&format!("/cg/{name}")),
        deadline_ms: 1_000,
        log_uid: 1,
        log_gid: 2,
    }
}

pub(super) fn exec(op: u64, session: &str, container: &str, tty: bool) -> Request {
    Request::Exec {
        op,
        session: id(session),
        container: id(container),
        bundle: path("/b"),
        deadline_ms: 1_000,
        tty,
    }
}

/// The class of the one `Failed` there is.
pub(super) fn refusal(notices: &[Notice]) -> FailClass {
    match notices {
        [Notice::Failed { class, .. }] => *class,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_log_descriptors_are_six() {
    assert_eq!(LogFds::StderrStageWrite as usize + 1, crate::protocol::FDS_MAX);
}

pub(super) fn saved_and_restored(sup: &Supervisor) -> Box<Supervisor> {
    let mut bytes = vec![0; 400_000];
    let mut writer = Writer::new(&mut bytes);
    sup.save_head(&mut writer);
    let places = |n: usize| 0..Place::try_from(n).unwrap();
    places(sup.containers().high_water()).for_each(|place| sup.save_container(place, &mut writer));
    places(sup.sessions().high_water()).for_each(|place| sup.save_session(place, &mut writer));
    let mut reader = Reader::new(writer.written().unwrap());
    let mut new = Box::new(Supervisor::new());
    let (containers, sessions) = new.restore_head(&mut reader).unwrap();
    (0..containers).for_each(|_| new.restore_container(&mut reader).unwrap());
    (0..sessions).for_each(|_| new.restore_session(&mut reader).unwrap());
    reader.end().unwrap();
    new
}
