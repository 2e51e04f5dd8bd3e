//! Dying, stopping, holding, and becoming another program.

use super::*;
use crate::protocol::EXIT_UNFIT;

#[test]
fn an_agent_that_can_never_run_is_not_started_again() {
    let mut b = Bench::started();
    b.dies(AGENT, EXIT_UNFIT, 0);
    let term = Effect::Signal { pid: ZYGOTE, signal: SIGTERM };
    assert_eq!(b.effects(), [Effect::Disconnect(Who::Agent), Effect::Front(FrontNews::Unfit), term]);
    b.dies(ZYGOTE, 0, 15);
    let rest = [Effect::Disconnect(Who::Zygote), Effect::Front(FrontNews::Held), Effect::Quit];
    assert_eq!(b.effects()[1..], rest);
}

#[test]
fn what_an_agent_says_by_its_end_is_heard_also_if_it_closes_its_socket_first() {
    let mut b = Bench::started();
    b.sup.closed(b.now, Who::Agent);
    assert_eq!(b.effects(), [Effect::Disconnect(Who::Agent)]);
    b.dies(AGENT, EXIT_UNFIT, 0);
    assert!(b.effects().contains(&Effect::Front(FrontNews::Unfit)));
}

#[test]
fn the_containers_of_an_agent_that_can_run_no_more_are_held_until_the_next_start() {
    let mut b = Bench::greeted();
    b.running(1, "a", 500);
    b.dies(AGENT, EXIT_UNFIT, 0);
    b.sup.tick(b.now);
    assert_eq!(b.effects(), [Effect::Disconnect(Who::Agent), Effect::Spawn(Who::Agent)], "it did run");
    b.sup.spawned(b.now, Who::Agent, 110);
    b.dies(110, EXIT_UNFIT, 0);
    b.dies(ZYGOTE, 0, 15);
    let effects = b.effects();
    assert_eq!(effects.last(), Some(&Effect::Front(FrontNews::Held)), "{effects:?}");
    assert_eq!((b.sup.deadline_ns(), b.sup.containers().len()), (None, 1));
    b.sup.attach(b.now, path("/new"));
    assert_eq!(b.effects(), [Effect::CheckProgram]);
}

#[test]
fn a_child_that_cannot_be_started_is_slowed_down_too() {
    let mut b = Bench::greeted();
    b.dies(AGENT, 1, 0);
    b.sup.tick(b.now);
    b.effects();
    b.sup.spawn_failed(b.now, Who::Agent);
    assert_eq!(b.sup.child(Who::Agent).due_ns(), Some(b.now + RESTART_DELAY_NS_MIN));
}

#[test]
fn deaths_of_agent_and_zygote_never_touch_a_running_container() {
    let mut b = Bench::greeted();
    b.running(1, "a", 500);
    for _ in 0..20 {
        for who in [Who::Agent, Who::Zygote] {
            let pid = b.sup.child(who).pid().unwrap();
            b.dies(pid, 1, 0);
            b.now = b.sup.child(who).due_ns().unwrap();
            b.sup.tick(b.now);
            let mut effects = b.effects();
            if who == Who::Zygote {
                assert_eq!(effects.remove(0), Effect::KillWorkers { zygote: pid });
            }
            assert_eq!(effects, [Effect::Disconnect(who), Effect::Spawn(who)]);
            b.sup.spawned(b.now, who, pid + 10);
        }
    }
    assert_eq!(b.sup.containers().by_pid(500), Some(0));
}

#[test]
fn a_child_that_closes_its_socket_and_stays_is_killed_and_comes_back() {
    let mut b = Bench::greeted();
    for (who, pid) in [(Who::Agent, AGENT), (Who::Zygote, ZYGOTE)] {
        b.sup.closed(b.now, who);
        assert_eq!(b.effects(), [Effect::Disconnect(who)]);
        assert_eq!(b.sup.deadline_ns(), Some(b.now + LEAVE_NS));
        b.now += LEAVE_NS;
        b.sup.tick(b.now);
        assert_eq!(b.effects(), [Effect::Signal { pid, signal: SIGKILL }]);
        b.dies(pid, 0, 9);
        b.sup.tick(b.now);
        assert!(b.effects().contains(&Effect::Spawn(who)));
        b.sup.spawned(b.now, who, pid + 10);
    }
    assert_eq!(b.notices(), []);
}

#[test]
fn a_stop_without_containers_ends_the_keeper() {
    let mut b = Bench::greeted();
    b.sup.hold(b.now);
    let term = |pid| Effect::Signal { pid, signal: SIGTERM };
    assert_eq!(b.effects(), [term(AGENT), term(ZYGOTE)]);
    b.dies(AGENT, 0, 15);
    assert_eq!(b.effects(), [Effect::Disconnect(Who::Agent)]);
    b.dies(ZYGOTE, 0, 15);
    let rest = [Effect::Disconnect(Who::Zygote), Effect::Front(FrontNews::Held), Effect::Quit];
    assert_eq!(b.effects()[1..], rest);
    assert_eq!(b.sup.deadline_ns(), None);
}

#[test]
fn a_stop_kills_what_does_not_stop() {
    let mut b = Bench::greeted();
    b.sup.hold(b.now);
    b.effects();
    assert_eq!(b.sup.deadline_ns(), Some(b.now + STOP_NS));
    b.now += STOP_NS;
    b.sup.tick(b.now);
    let kill = |pid| Effect::Signal { pid, signal: SIGKILL };
    assert_eq!(b.effects(), [kill(AGENT), kill(ZYGOTE)]);
    b.sup.tick(b.now + STOP_NS);
    assert_eq!(b.effects(), []);
}

fn held() -> Bench {
    let mut b = Bench::greeted();
    b.running(1, "a", 500);
    b.running(2, "b", 501);
    b.sup.hold(b.now);
    b.dies(AGENT, 0, 15);
    b.dies(ZYGOTE, 0, 15);
    let effects = b.effects();
    assert_eq!(effects.last(), Some(&Effect::Front(FrontNews::Held)), "{effects:?}");
    assert!(!effects.contains(&Effect::Quit));
    b
}

#[test]
fn a_holder_keeps_exits_and_starts_nobody() {
    let mut b = held();
    b.dies(500, 7, 0);
    b.sup.tick(b.now + 100 * SECOND);
    assert_eq!((b.effects(), b.sup.deadline_ns()), (vec![], None));
    assert_eq!(b.sup.containers().len(), 2);
}

#[test]
fn a_stop_lets_the_zygote_finish_its_work() {
    let mut b = Bench::greeted();
    let ticket = b.creating(1, "a");
    b.sup.hold(b.now);
    assert_eq!(b.effects(), [Effect::Signal { pid: AGENT, signal: SIGTERM }]);
    b.ask(&create(2, "late"));
    assert_eq!(refusal(&b.notices()), FailClass::Busy);
    b.report(WorkReport::Started { ticket, pid: 500 });
    assert_eq!(b.effects(), [Effect::Signal { pid: ZYGOTE, signal: SIGTERM }]);
    b.dies(ZYGOTE, 0, 15);
    b.dies(AGENT, 0, 15);
    assert!(!b.effects().contains(&Effect::Quit));
    assert_eq!(b.sup.containers().by_pid(500), Some(0));
}

#[test]
fn a_front_that_attaches_wakes_the_holder_as_its_program() {
    let mut b = held();
    let exit = b.dies(500, 7, 0);
    b.sup.attach(b.now, path("/new"));
    assert_eq!((b.effects(), b.sup.program()), (vec![Effect::CheckProgram], "/new"));
    b.sup.check_spawned(CHECKER);
    b.dies(CHECKER, 0, 0);
    assert_eq!(b.effects(), [Effect::ReplaceSelf]);
    b.sup = saved_and_restored(&b.sup);
    b.sup.start(b.now, OWN);
    assert_eq!(b.effects(), [Effect::Spawn(Who::Zygote), Effect::Spawn(Who::Agent)]);
    b.sup.spawned(b.now, Who::Agent, 110);
    let list = b.hello();
    assert!(
        list.iter().any(
            |n| matches!(n, Notice::Slot { state: SlotState::Exited { exit: e, .. }, .. } if *e == exit)
        )
    );
    assert!(
        list.iter().any(|n| matches!(n, Notice::Slot { state: SlotState::Running { pid: 501, .. }, .. }))
    );
}

#[test]
fn a_front_that_attaches_during_a_stop_waits_for_its_end() {
    let mut b = Bench::greeted();
    b.sup.hold(b.now);
    b.sup.attach(b.now, path("/new"));
    b.dies(AGENT, 0, 15);
    b.effects();
    b.dies(ZYGOTE, 0, 15);
    assert_eq!(b.effects()[1..], [Effect::Disconnect(Who::Zygote), Effect::CheckProgram], "and no Quit");
}

#[test]
fn a_front_that_attaches_to_a_serving_keeper_hears_that_it_is_ready() {
    let mut b = Bench::started();
    b.sup.attach(b.now, path("/new"));
    assert_eq!(b.effects(), []);
    b.hello();
    b.sup.attach(b.now, path("/new"));
    assert_eq!(b.effects(), [Effect::Front(FrontNews::Ready)]);
}

#[test]
fn a_program_that_does_not_read_our_state_is_refused() {
    let mut b = held();
    b.sup.attach(b.now, path("/new"));
    b.sup.check_spawned(CHECKER);
    b.effects();
    b.dies(CHECKER, 1, 0);
    assert_eq!(b.effects(), [Effect::Front(FrontNews::Refused)]);
    assert_eq!(b.sup.containers().len(), 2);
    b.sup.attach(b.now, path("/newer"));
    assert_eq!(b.effects(), [Effect::CheckProgram], "another may try");
}

#[test]
fn a_stop_during_a_resume_calls_it_off_and_a_later_front_starts_it_anew() {
    let mut b = held();
    b.sup.attach(b.now, path("/new"));
    b.sup.check_spawned(CHECKER);
    b.effects();
    b.sup.hold(b.now);
    let kill = Effect::Signal { pid: CHECKER, signal: SIGKILL };
    assert_eq!(b.effects(), [kill, Effect::Front(FrontNews::Held)]);
    b.sup.attach(b.now, path("/new"));
    assert_eq!(b.effects(), [], "the first is not dead yet");
    b.dies(CHECKER, 0, 9);
    assert_eq!(b.effects(), [Effect::CheckProgram]);
}

fn upgrade_asked(b: &mut Bench) {
    b.ask(&Request::Upgrade { op: 9, path: path("/new") });
    assert_eq!((b.effects(), b.sup.program()), (vec![Effect::CheckProgram], "/new"));
    b.sup.check_spawned(CHECKER);
}

#[test]
fn an_upgrade_keeps_the_agent_and_renews_the_zygote() {
    let mut b = Bench::greeted();
    b.running(1, "a", 500);
    upgrade_asked(&mut b);
    b.dies(CHECKER, 0, 0);
    assert_eq!(b.effects(), [Effect::ReplaceSelf]);
    b.sup = saved_and_restored(&b.sup);
    b.now += 2 * SECOND;
    b.sup.start(b.now, OWN);
    let kill = Effect::Signal { pid: ZYGOTE, signal: SIGKILL };
    assert_eq!(b.effects(), [Effect::Disconnect(Who::Zygote), kill]);
    assert_eq!(b.notices(), [Notice::Welcome { version: VERSION, pid: OWN, slots: 0 }]);
    b.dies(ZYGOTE, 0, 9);
    b.sup.tick(b.now);
    assert!(b.effects().contains(&Effect::Spawn(Who::Zygote)));
    b.sup.spawned(b.now, Who::Zygote, 111);
    let exit = b.dies(500, 0, 0);
    assert_eq!(b.notices(), [Notice::Exited { id: id("a"), exit }]);
    b.creating(10, "b");
}

#[test]
fn upgrades_that_are_refused() {
    type Case = (&'static str, fn(&mut Bench), FailClass);
    let cases: [Case; 4] = [
        ("state not read", |b| _ = b.dies(CHECKER, 1, 0), FailClass::Runtime),
        (
            "hangs",
            |b| {
                b.now += CHECK_NS;
                b.sup.tick(b.now);
                assert_eq!(b.effects(), [Effect::Signal { pid: CHECKER, signal: SIGKILL }]);
                b.dies(CHECKER, 0, 9);
            },
            FailClass::Runtime,
        ),
        (
            "a create came in between",
            |b| {
                b.creating(10, "b");
                b.dies(CHECKER, 0, 0);
            },
            FailClass::Busy,
        ),
        (
            "exec(2) fails",
            |b| {
                b.dies(CHECKER, 0, 0);
                assert_eq!(b.effects(), [Effect::ReplaceSelf]);
                b.sup.replace_failed();
            },
            FailClass::Internal,
        ),
    ];
    for (name, happens, class) in cases {
        let mut b = Bench::greeted();
        upgrade_asked(&mut b);
        happens(&mut b);
        b.effects();
        assert_eq!(refusal(&b.notices()), class, "{name}");
        b.running(20, "still-serving", 600);
    }
}

#[test]
fn a_second_upgrade_waits_its_turn() {
    let mut b = Bench::greeted();
    upgrade_asked(&mut b);
    b.ask(&Request::Upgrade { op: 10, path: path("/other") });
    assert_eq!(refusal(&b.notices()), FailClass::Busy);
    assert_eq!(b.sup.program(), "/new");
}
