//! A container's way, and all that can cut it short.

use super::*;

fn slots(notices: &[Notice]) -> Vec<(String, SlotState)> {
    let slot = |notice: &Notice| match notice {
        Notice::Slot { id, state } => Some((id.to_string(), *state)),
        _ => None,
    };
    notices.iter().filter_map(slot).collect()
}

#[test]
fn from_create_to_release() {
    let mut b = Bench::greeted();
    let ticket = b.creating(7, "a");
    b.now += 5 * MS;
    let started_ns = b.now;
    b.report(WorkReport::Started { ticket, pid: 500 });
    let (due, notice) = b.sup.next_notice().unwrap();
    assert_eq!(notice, Notice::Started { op: 7, id: id("a"), pid: 500, at_ns: started_ns });
    assert_eq!(b.sup.log_slot(due), Some(0), "its log descriptors go with the answer");
    b.sup.notice_sent(due);
    assert_eq!(b.notices(), []);
    b.now += SECOND;
    let exit = b.dies(500, 3, 0);
    assert_eq!(b.notices(), [Notice::Exited { id: id("a"), exit }]);
    assert_eq!(b.effects(), []);
    b.ask(&Request::Release { op: 8, id: id("a") });
    assert_eq!(b.effects(), [Effect::ClosePipes { slot: 0 }]);
    assert_eq!(b.notices(), [Notice::Done { op: 8 }]);
    assert!(b.sup.containers().is_empty());
    assert_eq!(b.sup.deadline_ns(), b.sup.pulse_due_ns(), "idle is idle");
}

#[test]
fn an_exit_right_after_the_report_comes_after_the_start() {
    let mut b = Bench::greeted();
    let ticket = b.creating(7, "a");
    b.report(WorkReport::Started { ticket, pid: 500 });
    let exit = b.dies(500, 0, 9);
    let at_ns = b.now;
    let expected =
        [Notice::Started { op: 7, id: id("a"), pid: 500, at_ns }, Notice::Exited { id: id("a"), exit }];
    assert_eq!(b.notices(), expected);
}

#[test]
fn a_refusal_by_the_runtime_frees_the_slot_once_told() {
    let mut b = Bench::greeted();
    let ticket = b.creating(7, "a");
    b.report(WorkReport::Failed { ticket, class: FailClass::Runtime, text: text("no such file") });
    assert_eq!(b.effects(), [Effect::KillCgroup { slot: 0 }, Effect::ClosePipes { slot: 0 }]);
    assert_eq!(b.sup.cgroup(0), Some("/cg/a"));
    let failed = Notice::Failed { op: 7, id: id("a"), class: FailClass::Runtime, text: text("no such file") };
    assert_eq!(b.notices(), [failed]);
    assert!(b.sup.containers().is_empty());
    b.creating(8, "a");
}

#[test]
fn ways_of_losing_the_work() {
    type Case = (&'static str, fn(&mut Bench, u64), FailClass);
    let cases: [Case; 4] = [
        (
            "worker dead",
            |b, ticket| b.report(WorkReport::Lost { ticket, class: FailClass::Lost }),
            FailClass::Lost,
        ),
        (
            "deadline",
            |b, ticket| b.report(WorkReport::Lost { ticket, class: FailClass::Timeout }),
            FailClass::Timeout,
        ),
        ("zygote dead", |b, _| _ = b.dies(ZYGOTE, 0, 11), FailClass::Lost),
        (
            "a pid that is ours",
            |b, ticket| b.report(WorkReport::Started { ticket, pid: OWN }),
            FailClass::Internal,
        ),
    ];
    for (name, lose, class) in cases {
        let mut b = Bench::greeted();
        b.running(6, "other", 400);
        let ticket = b.creating(7, "a");
        lose(&mut b, ticket);
        let effects = b.effects();
        assert!(effects.contains(&Effect::KillCgroup { slot: 1 }), "{name}: {effects:?}");
        assert!(effects.contains(&Effect::ClosePipes { slot: 1 }), "{name}: {effects:?}");
        assert!(!effects.contains(&Effect::KillCgroup { slot: 0 }), "{name}: the other is left alone");
        assert_eq!(refusal(&b.notices()), class, "{name}");
        assert_eq!(b.sup.containers().len(), 1, "{name}");
    }
}

#[test]
fn a_silent_zygote_is_killed_after_the_deadline_and_its_grace() {
    let mut b = Bench::greeted();
    b.creating(7, "a");
    let give_up = b.now + SECOND + ZYGOTE_GRACE_NS;
    assert_eq!(b.sup.deadline_ns(), Some(give_up));
    b.sup.tick(give_up - 1);
    assert_eq!((b.effects(), b.notices()), (vec![], vec![]));
    b.now = give_up;
    b.sup.tick(b.now);
    assert!(b.effects().contains(&Effect::Signal { pid: ZYGOTE, signal: SIGKILL }));
    assert_eq!(refusal(&b.notices()), FailClass::Timeout);
}

#[test]
fn work_that_no_zygote_has_waits_for_the_next_one() {
    let mut b = Bench::greeted();
    b.dies(ZYGOTE, 1, 0);
    b.effects();
    b.ask(&create(7, "a"));
    assert_eq!(b.works(), [], "there is no zygote");
    b.now += SECOND;
    b.sup.tick(b.now);
    b.sup.spawned(b.now, Who::Zygote, ZYGOTE + 10);
    assert_eq!(b.works().len(), 1);
    assert_eq!(b.notices(), []);
}

#[test]
fn work_that_never_gets_a_zygote_fails_and_kills_nothing() {
    let mut b = Bench::greeted();
    b.dies(ZYGOTE, 1, 0);
    b.effects();
    b.ask(&create(7, "a"));
    b.effects();
    b.now = b.sup.containers().get(0).unwrap().give_up_ns;
    b.sup.tick(b.now);
    let effects = b.effects();
    assert!(
        !effects.iter().any(|e| matches!(e, Effect::KillCgroup { .. } | Effect::Signal { .. })),
        "{effects:?}"
    );
    assert_eq!(refusal(&b.notices()), FailClass::Timeout);
}

#[test]
fn a_start_whose_ticket_was_given_up_is_killed() {
    let mut b = Bench::greeted();
    let ticket = b.creating(7, "a");
    b.dies(ZYGOTE, 0, 9);
    b.notices();
    b.effects();
    b.report(WorkReport::Started { ticket, pid: 600 });
    assert_eq!(b.effects(), [Effect::Signal { pid: 600, signal: SIGKILL }]);
    b.dies(600, 0, 9);
    assert_eq!((b.sup.counters().late_starts, b.sup.counters().unknown_exits), (1, 1));
    assert_eq!(b.notices(), []);
}

#[test]
fn a_second_word_on_the_same_ticket_changes_nothing() {
    let mut b = Bench::greeted();
    let ticket = b.creating(7, "a");
    b.report(WorkReport::Started { ticket, pid: 500 });
    b.notices();
    b.report(WorkReport::Lost { ticket, class: FailClass::Lost });
    b.report(WorkReport::Started { ticket, pid: 500 });
    assert_eq!((b.effects(), b.notices()), (vec![], vec![]));
    assert_eq!(b.sup.counters().bad_reports, 2);
    assert_eq!(b.sup.containers().by_pid(500), Some(0));
}

#[test]
fn requests_that_are_refused() {
    let mut b = Bench::greeted();
    b.running(1, "runs", 500);
    b.creating(2, "begins");
    let signal = |name: &str, signal| Request::Signal { op: 9, id: id(name), signal };
    let release = |name: &str| Request::Release { op: 9, id: id(name) };
    let table = [
        (create(9, "runs"), FailClass::Exists),
        (create(9, "begins"), FailClass::Exists),
        (create(0, "x"), FailClass::Internal),
        (create(9, ""), FailClass::Internal),
        (signal("nobody", 15), FailClass::NotFound),
        (signal("begins", 15), FailClass::Busy),
        (signal("runs", 0), FailClass::Internal),
        (signal("runs", 65), FailClass::Internal),
        (signal("runs", -9), FailClass::Internal),
        (release("runs"), FailClass::Busy),
        (release("begins"), FailClass::Busy),
        (exec(9, "s", "nobody", false), FailClass::Internal),
        (Request::Upgrade { op: 9, path: path("/p") }, FailClass::Busy),
    ];
    for (request, class) in table {
        b.ask(&request);
        assert_eq!(refusal(&b.notices()), class, "{request:?}");
        assert_eq!(b.effects(), [], "{request:?}");
    }
    b.ask(&release("nobody"));
    assert_eq!(b.notices(), [Notice::Done { op: 9 }]);
    b.dies(500, 0, 0);
    b.notices();
    b.ask(&signal("runs", 9));
    assert_eq!(refusal(&b.notices()), FailClass::NotFound, "it has ended: its pid may be another's soon");
}

#[test]
fn a_signal_goes_to_the_process() {
    let mut b = Bench::greeted();
    b.running(1, "a", 500);
    b.ask(&Request::Signal { op: 2, id: id("a"), signal: 15 });
    assert_eq!(b.effects(), [Effect::Signal { pid: 500, signal: 15 }]);
    assert_eq!(b.notices(), [Notice::Done { op: 2 }]);
}

#[test]
fn pipes_that_cannot_be_made_fail_the_create() {
    let mut b = Bench::greeted();
    b.ask(&create(7, "a"));
    b.sup.pipes_failed(0, "EMFILE");
    assert_eq!(refusal(&b.notices()), FailClass::Internal);
    assert_eq!(b.works(), []);
    assert!(b.sup.containers().is_empty());
}

#[test]
fn a_new_agent_is_told_everything_again() {
    let mut b = Bench::greeted();
    b.running(1, "runs", 500);
    b.running(2, "ended", 501);
    b.running(3, "told", 502);
    let told = b.dies(502, 4, 0);
    b.notices();
    let started_ns = b.now;
    let ticket = b.creating(4, "begins");
    let exit = b.dies(501, 0, 15);
    b.new_agent(110);
    assert_eq!(b.notices(), [], "nothing before its Hello");
    let list = b.hello();
    assert_eq!(list[0], Notice::Welcome { version: VERSION, pid: OWN, slots: 4 });
    let expected = [
        ("runs".into(), SlotState::Running { pid: 500, started_ns }),
        ("ended".into(), SlotState::Exited { started_ns, exit }),
        ("told".into(), SlotState::Exited { started_ns, exit: told }),
        ("begins".into(), SlotState::Creating),
    ];
    assert_eq!(slots(&list), expected);
    b.report(WorkReport::Started { ticket, pid: 503 });
    let at_ns = b.now;
    let op = crate::protocol::NOBODY;
    assert_eq!(b.notices(), [Notice::Started { op, id: id("begins"), pid: 503, at_ns }]);
}

#[test]
fn a_create_that_fails_without_an_agent_is_simply_gone() {
    let mut b = Bench::greeted();
    let early = b.creating(1, "early");
    let late = b.creating(2, "late");
    b.report(WorkReport::Lost { ticket: early, class: FailClass::Lost });
    b.new_agent(110);
    b.report(WorkReport::Lost { ticket: late, class: FailClass::Lost });
    b.effects();
    assert_eq!(slots(&b.hello()), []);
    assert_eq!(b.notices(), []);
}

#[test]
fn an_exit_during_the_list_is_told_once() {
    let mut b = Bench::greeted();
    b.running(1, "a", 500);
    b.running(2, "b", 501);
    b.new_agent(110);
    b.ask(&Request::Hello { version: VERSION });
    let mut told = vec![];
    for _ in 0..2 {
        let (due, notice) = b.sup.next_notice().unwrap();
        b.sup.notice_sent(due);
        told.push(notice);
    }
    assert!(!b.sup.accepts_requests(), "the list is told whole before anything else is heard");
    let first = b.dies(500, 1, 0);
    let second = b.dies(501, 2, 0);
    told.extend(b.notices());
    let exits: Vec<_> = told.iter().filter(|n| matches!(n, Notice::Exited { .. })).collect();
    assert_eq!(exits, [&Notice::Exited { id: id("a"), exit: first }]);
    assert!(
        told.iter().any(
            |n| matches!(n, Notice::Slot { state: SlotState::Exited { exit, .. }, .. } if *exit == second)
        )
    );
}

#[test]
fn another_version_gets_only_our_version() {
    let mut b = Bench::started();
    b.ask(&Request::Hello { version: VERSION + 1 });
    assert_eq!(b.notices(), [Notice::Welcome { version: VERSION, pid: OWN, slots: 0 }]);
    assert_eq!(b.effects(), []);
}

#[test]
fn unknown_exits_are_counted() {
    let mut b = Bench::greeted();
    b.dies(999, 0, 0);
    assert_eq!(b.sup.counters().unknown_exits, 1);
    assert_eq!((b.effects(), b.notices()), (vec![], vec![]));
}
