//! Full tables, full queues, and arbitrary happenings.

use super::*;
use crate::protocol::{CONTAINERS_MAX, EXECS_MAX};
use proptest::prelude::*;

#[test]
fn a_full_table_refuses_and_keeps_every_exit() {
    let mut b = Bench::greeted();
    for n in 0..CONTAINERS_MAX {
        let pid = 1_000 + i32::try_from(n).unwrap();
        b.running(1, &format!("c{n}"), pid);
        b.dies(pid, 0, 0);
        b.notices();
    }
    b.ask(&create(2, "one-more"));
    assert_eq!(refusal(&b.notices()), FailClass::Full);
    assert_eq!(b.effects(), []);
    b.new_agent(110);
    assert_eq!(b.hello().len(), CONTAINERS_MAX + 2);
}

#[test]
fn the_worst_death_of_the_zygote_fits_the_effect_queue() {
    let mut b = Bench::greeted();
    b.running(1, "c", 500);
    for n in 1..CONTAINERS_MAX {
        b.ask(&create(1, &format!("c{n}")));
        b.effects();
    }
    for n in 0..EXECS_MAX {
        b.sup.request(b.now, &exec(1, &format!("s{n}"), "c", false), 3);
        b.effects();
    }
    assert_eq!(b.works().len(), CONTAINERS_MAX - 1 + EXECS_MAX);
    b.sup.request(b.now, &exec(1, "one-more", "c", false), 3);
    assert_eq!(refusal(&b.notices()), FailClass::Full);
    b.now = u64::MAX / 2;
    b.sup.tick(b.now);
    b.dies(ZYGOTE, 0, 9);
    b.dies(AGENT, 0, 9);
    assert!(b.effects().len() > 2 * (CONTAINERS_MAX - 1));
    assert_eq!(b.sup.counters().effects_lost, 0);
}

#[test]
fn requests_are_not_read_while_their_answers_have_no_room() {
    let mut b = Bench::greeted();
    let mut asked = 0;
    while b.sup.accepts_requests() {
        b.ask(&Request::Release { op: asked, id: id("nobody") });
        asked += 1;
        assert!(asked <= REPLIES_MAX as u64);
    }
    assert_eq!(b.notices(), (0..asked).map(|op| Notice::Done { op }).collect::<Vec<_>>());
    assert!(b.sup.accepts_requests());
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let long = "é".repeat(crate::protocol::TEXT_LEN_MAX);
    let short = text(&long);
    assert_eq!(short.len(), crate::protocol::TEXT_LEN_MAX);
    assert!(long.starts_with(short.as_str()));
}

#[derive(Debug, Clone)]
enum Happening {
    Create(u8),
    Exec(u8, u8),
    Signal(u8),
    Release(u8),
    Upgrade,
    Hello,
    Started(u8),
    Failed(u8),
    Dies(u8),
    AgentDies,
    ZygoteDies,
    CheckerEnds(bool),
    Time(u32),
    Hold,
    Attach,
    Send(u8),
    Work(u8),
    Restore,
}

fn happening() -> impl Strategy<Value = Happening> {
    let n = || 0_u8..6;
    prop_oneof![
        4 => n().prop_map(Happening::Create),
        2 => (n(), n()).prop_map(|(s, c)| Happening::Exec(s, c)),
        1 => n().prop_map(Happening::Signal),
        3 => n().prop_map(Happening::Release),
        1 => Just(Happening::Upgrade),
        2 => Just(Happening::Hello),
        5 => n().prop_map(Happening::Started),
        1 => n().prop_map(Happening::Failed),
        4 => n().prop_map(Happening::Dies),
        1 => Just(Happening::AgentDies),
        1 => Just(Happening::ZygoteDies),
        1 => any::<bool>().prop_map(Happening::CheckerEnds),
        2 => (0_u32..20_000).prop_map(Happening::Time),
        1 => Just(Happening::Hold),
        2 => Just(Happening::Attach),
        6 => n().prop_map(Happening::Send),
        4 => n().prop_map(Happening::Work),
        1 => Just(Happening::Restore),
    ]
}

/// A world around the supervisor that remembers what must come out.
struct World {
    b: Bench,
    pids: i32,
    checker: Option<i32>,
    replace: bool,
    quit: bool,
    op: u64,
    /// Exits of containers that nobody has released: id and exit.
    exits: Vec<(String, ExitStatus)>,
    /// What the present agent was told of them.
    told: Vec<(String, ExitStatus)>,
}

impl World {
    fn new() -> Self {
        let b = Bench::started();
        Self {
            b,
            pids: 1_000,
            checker: None,
            replace: false,
            quit: false,
            op: 0,
            exits: vec![],
            told: vec![],
        }
    }

    fn pid(&mut self) -> i32 {
        self.pids += 1;
        self.pids
    }

    fn effects(&mut self) {
        for effect in self.b.effects() {
            match effect {
                Effect::Spawn(who) => {
                    let pid = self.pid();
                    self.b.sup.spawned(self.b.now, who, pid);
                    if who == Who::Agent {
                        self.told.clear();
                    }
                }
                Effect::CheckProgram => {
                    let pid = self.pid();
                    assert_eq!(self.checker.replace(pid), None, "one check at a time");
                    self.b.sup.check_spawned(pid);
                }
                Effect::ReplaceSelf => self.replace = true,
                Effect::Quit => self.quit = true,
                _ => {}
            }
        }
        assert!(!self.quit || self.b.sup.containers().is_empty(), "quits with containers");
    }

    fn ask(&mut self, request: &Request, fds: usize) {
        if self.b.sup.child(Who::Agent).pid().is_some() && self.b.sup.accepts_requests() {
            self.b.sup.request(self.b.now, request, fds);
        }
    }

    fn send_one(&mut self) -> bool {
        let Some((due, notice)) = self.b.sup.next_notice() else { return false };
        self.b.sup.notice_sent(due);
        let told = match notice {
            Notice::Exited { id, exit } if id.starts_with('c') => (id.to_string(), exit),
            Notice::Slot { id, state: SlotState::Exited { exit, .. } } => (id.to_string(), exit),
            _ => return true,
        };
        assert!(self.exits.contains(&told), "an exit that never was: {told:?}");
        self.told.push(told);
        true
    }

    fn dies(&mut self, pid: i32) {
        let place = self.b.sup.containers().by_pid(pid);
        let name = place.map(|place| self.b.sup.containers().get(place).unwrap().id.to_string());
        let exit = self.b.dies(pid, pid, 0);
        self.exits.extend(name.map(|name| (name, exit)));
    }

    fn ticket(&self, n: u8) -> Option<u64> {
        let containers = self.b.sup.containers().used().filter(|(_, e)| e.is_creating() && e.sent);
        let sessions = self.b.sup.sessions().used().filter(|(_, e)| e.is_creating() && e.sent);
        let mut all = containers.map(|(_, e)| e.ticket).chain(sessions.map(|(_, e)| e.ticket));
        all.nth(usize::from(n))
    }

    fn release(&mut self, name: &str) {
        if self.exits.iter().any(|(id, _)| id == name) && self.told.iter().any(|(id, _)| id == name) {
            self.ask(&Request::Release { op: self.op, id: id(name) }, 0);
            if self.b.sup.containers().find(name).is_none() {
                self.exits.retain(|(id, _)| id != name);
                self.told.retain(|(id, _)| id != name);
            }
        }
    }

    fn step(&mut self, happening: &Happening) {
        self.op += 1;
        self.b.now += MS;
        let op = self.op;
        match *happening {
            Happening::Create(n) => self.ask(&create(op, &format!("c{n}")), 0),
            Happening::Exec(s, c) => self.ask(&exec(op, &format!("s{s}"), &format!("c{c}"), false), 3),
            Happening::Signal(n) => self.ask(&Request::Signal { op, id: id(&format!("c{n}")), signal: 9 }, 0),
            Happening::Release(n) => self.release(&format!("c{n}")),
            Happening::Upgrade => self.ask(&Request::Upgrade { op, path: path("/new") }, 0),
            Happening::Hello => self.ask(&Request::Hello { version: VERSION }, 0),
            Happening::Started(n) => {
                let pid = self.pid();
                if let Some(ticket) = self.ticket(n) {
                    self.b.report(WorkReport::Started { ticket, pid });
                }
            }
            Happening::Failed(n) => {
                if let Some(ticket) = self.ticket(n) {
                    self.b.report(WorkReport::Failed { ticket, class: FailClass::Runtime, text: text("x") });
                }
            }
            Happening::Dies(n) => {
                let containers = self.b.sup.containers().used().filter_map(|(_, e)| e.pid());
                let sessions = self.b.sup.sessions().used().filter_map(|(_, e)| e.pid());
                let pid = containers.chain(sessions).nth(usize::from(n));
                pid.into_iter().for_each(|pid| self.dies(pid));
            }
            Happening::AgentDies => self.child_dies(Who::Agent),
            Happening::ZygoteDies => self.child_dies(Who::Zygote),
            Happening::CheckerEnds(good) => {
                if let Some(pid) = self.checker.take() {
                    self.b.dies(pid, i32::from(!good), 0);
                }
            }
            Happening::Time(ms) => {
                self.b.now += u64::from(ms) * MS;
                self.b.sup.tick(self.b.now);
            }
            Happening::Hold => self.b.sup.hold(self.b.now),
            Happening::Attach => self.b.sup.attach(self.b.now, path("/new")),
            Happening::Send(n) => (0..=n).for_each(|_| _ = self.send_one()),
            Happening::Work(n) => {
                for _ in 0..=n {
                    if let Some((due, _)) = self.b.sup.next_work() {
                        self.b.sup.work_sent(due);
                    }
                }
            }
            Happening::Restore => {
                if std::mem::take(&mut self.replace) {
                    self.b.sup = saved_and_restored(&self.b.sup);
                    self.b.sup.start(self.b.now, OWN);
                }
            }
        }
        self.effects();
    }

    fn child_dies(&mut self, who: Who) {
        if let Some(pid) = self.b.sup.child(who).pid() {
            self.b.dies(pid, 1, 0);
        }
    }

    /// Faults are over: everybody does what is expected. All that ended must be told, all work answered.
    fn settle(&mut self) {
        if std::mem::take(&mut self.replace) {
            self.b.sup.replace_failed();
        }
        for _ in 0..30 {
            if let Some(pid) = self.checker.take() {
                self.b.dies(pid, 1, 0);
                self.effects();
            }
            while let Some((due, _)) = self.b.sup.next_work() {
                self.b.sup.work_sent(due);
            }
            while let Some(ticket) = self.ticket(0) {
                self.b.report(WorkReport::Lost { ticket, class: FailClass::Lost });
            }
            self.effects();
            while self.send_one() {}
            self.ask(&Request::Ready, 0);
            self.ask(&Request::Alive, 0);
            self.effects();
            self.b.now = self.b.sup.deadline_ns().unwrap_or(self.b.now).max(self.b.now);
            self.b.sup.tick(self.b.now);
            self.effects();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever happens, in whatever order: no exit is lost or invented, the books agree, and when the
    /// faults are over nothing hangs.
    #[test]
    fn arbitrary_happenings(happenings in proptest::collection::vec(happening(), 1..120)) {
        let mut world = World::new();
        for happening in &happenings {
            if world.quit { return Ok(()); }
            world.step(happening);
            let kept = world.b.sup.containers().used()
                .filter(|(_, entry)| matches!(entry.life(), Life::Exited { .. })).count();
            prop_assert_eq!(kept, world.exits.len());
            prop_assert_eq!(world.b.sup.counters().effects_lost, 0);
        }
        if world.replace { return Ok(()); }
        world.settle();
        if world.quit || world.b.sup.child(Who::Agent).pid().is_none() { return Ok(()); }
        world.step(&Happening::Hello);
        world.settle();
        prop_assert!(!world.b.sup.in_flight());
        for exit in &world.exits {
            prop_assert!(world.told.contains(exit), "not told: {:?}", exit);
        }
        // What is left to be done is to ask the agent whether it lives.
        prop_assert_eq!(world.b.sup.deadline_ns(), world.b.sup.pulse_due_ns());
    }
}
