//! Exec sessions: they belong to the agent that asked.

use super::*;

const SESSION_PID: i32 = 700;

fn with_container() -> Bench {
    let mut b = Bench::greeted();
    b.running(1, "c", 500);
    b
}

fn asked(b: &mut Bench, tty: bool) -> u64 {
    b.sup.request(b.now, &exec(2, "s", "c", tty), if tty { 1 } else { 3 });
    assert_eq!(b.effects(), [Effect::KeepExecFds { session: 0 }]);
    match &b.works()[..] {
        [Work::Exec { ticket, tty: got, .. }] if *got == tty => *ticket,
        other => panic!("{other:?}"),
    }
}

fn running() -> Bench {
    let mut b = with_container();
    let ticket = asked(&mut b, false);
    b.report(WorkReport::Started { ticket, pid: SESSION_PID });
    assert!(matches!(b.notices()[..], [Notice::Started { op: 2, pid: SESSION_PID, .. }]));
    b
}

#[test]
fn from_exec_to_exit() {
    let mut b = running();
    b.ask(&Request::Signal { op: 3, id: id("s"), signal: 2 });
    assert_eq!(b.effects(), [Effect::Signal { pid: SESSION_PID, signal: 2 }]);
    assert_eq!(b.notices(), [Notice::Done { op: 3 }]);
    let exit = b.dies(SESSION_PID, 42, 0);
    assert_eq!(b.notices(), [Notice::Exited { id: id("s"), exit }]);
    assert!(b.sup.sessions().is_empty(), "freed when told");
}

#[test]
fn the_number_of_descriptors_must_fit() {
    for (tty, fds, fits) in
        [(false, 3, true), (false, 1, false), (true, 1, true), (true, 3, false), (false, 0, false)]
    {
        let mut b = with_container();
        b.sup.request(b.now, &exec(2, "s", "c", tty), fds);
        assert_eq!(b.effects() == [Effect::KeepExecFds { session: 0 }], fits, "tty {tty}, {fds}");
        assert_eq!(b.sup.sessions().is_empty(), !fits);
    }
}

#[test]
fn only_a_running_container_and_a_new_id_will_do() {
    let mut b = running();
    b.sup.request(b.now, &exec(5, "t", "nobody", false), 3);
    assert_eq!(refusal(&b.notices()), FailClass::NotFound);
    b.sup.request(b.now, &exec(5, "s", "c", false), 3);
    assert_eq!(refusal(&b.notices()), FailClass::Exists);
    b.sup.request(b.now, &exec(5, "c", "c", false), 3);
    assert_eq!(refusal(&b.notices()), FailClass::Exists);
    b.dies(500, 0, 0);
    b.notices();
    b.sup.request(b.now, &exec(5, "t", "c", false), 3);
    assert_eq!(refusal(&b.notices()), FailClass::NotFound);
}

#[test]
fn a_lost_exec_closes_its_descriptors_and_leaves_the_container_alone() {
    let mut b = with_container();
    let ticket = asked(&mut b, true);
    b.report(WorkReport::Lost { ticket, class: FailClass::Timeout });
    assert_eq!(b.effects(), [Effect::CloseExecFds { session: 0 }]);
    assert_eq!(refusal(&b.notices()), FailClass::Timeout);
    assert!(b.sup.sessions().is_empty());
}

#[test]
fn a_running_session_ends_with_its_agent() {
    let mut b = running();
    b.dies(AGENT, 0, 9);
    assert!(b.effects().contains(&Effect::Signal { pid: SESSION_PID, signal: SIGHUP }));
    b.sup.tick(b.now + ORPHAN_KILL_NS);
    assert!(b.effects().contains(&Effect::Signal { pid: SESSION_PID, signal: SIGKILL }));
    b.sup.tick(b.now + 2 * ORPHAN_KILL_NS);
    assert!(!b.effects().iter().any(|e| matches!(e, Effect::Signal { .. })), "once");
    b.sup.spawned(b.now, Who::Agent, 110);
    b.hello();
    b.dies(SESSION_PID, 0, 9);
    assert_eq!(b.notices(), [], "a new agent does not hear of it");
    assert!(b.sup.sessions().is_empty());
}

#[test]
fn a_session_that_is_being_made_is_killed_when_it_starts() {
    let mut b = with_container();
    let ticket = asked(&mut b, false);
    b.new_agent(110);
    b.hello();
    b.report(WorkReport::Started { ticket, pid: SESSION_PID });
    assert_eq!(b.effects(), [Effect::Signal { pid: SESSION_PID, signal: SIGKILL }]);
    b.dies(SESSION_PID, 0, 9);
    assert_eq!(b.notices(), []);
    assert!(b.sup.sessions().is_empty());
}

#[test]
fn a_session_that_no_zygote_has_is_dropped_with_its_agent() {
    let mut b = with_container();
    b.sup.request(b.now, &exec(2, "s", "c", false), 3);
    b.effects();
    b.dies(AGENT, 0, 9);
    assert!(b.effects().contains(&Effect::CloseExecFds { session: 0 }));
    assert_eq!(b.works(), []);
}

#[test]
fn an_exit_that_was_not_told_to_its_agent_is_nobodys() {
    let mut b = running();
    b.dies(SESSION_PID, 0, 0);
    b.new_agent(110);
    assert_eq!(b.hello().len(), 3, "Welcome, the container, ListEnd");
    assert!(b.sup.sessions().is_empty());
}
