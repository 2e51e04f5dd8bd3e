//! Whether a hung agent is noticed, and a healthy one left alone.

use super::*;

const KILL: Effect = Effect::KillHung { pid: AGENT };
const ALIVE: Effect = Effect::Front(FrontNews::Alive);

fn passes(b: &mut Bench, ns: u64) -> Vec<Effect> {
    b.now += ns;
    b.sup.tick(b.now);
    b.effects()
}

#[test]
fn a_silent_agent_is_asked_and_killed_if_it_stays_silent() {
    let mut b = Bench::greeted();
    assert_eq!(b.sup.deadline_ns(), Some(b.now + SILENCE_NS));
    assert_eq!((passes(&mut b, SILENCE_NS - 1), b.notices()), (vec![], vec![]));
    assert_eq!((passes(&mut b, 1), b.notices()), (vec![], vec![Notice::Ping]));
    assert_eq!(b.sup.deadline_ns(), Some(b.now + ANSWER_NS));
    b.ask(&Request::Alive);
    assert_eq!(b.sup.deadline_ns(), Some(b.now + SILENCE_NS), "it has answered");
    passes(&mut b, SILENCE_NS);
    assert_eq!(passes(&mut b, ANSWER_NS), [KILL]);
    assert_eq!((passes(&mut b, ANSWER_NS), b.sup.deadline_ns()), (vec![], None), "once");
    b.dies(AGENT, 0, SIGKILL);
    assert_eq!(passes(&mut b, 0), [Effect::Disconnect(Who::Agent), Effect::Spawn(Who::Agent)]);
}

#[test]
fn a_question_that_finds_no_room_counts_all_the_same() {
    let mut b = Bench::greeted();
    passes(&mut b, SILENCE_NS);
    assert_eq!(passes(&mut b, ANSWER_NS), [KILL]);
}

#[test]
fn every_word_is_a_sign_of_life() {
    let mut b = Bench::greeted();
    for _ in 0..3 {
        assert_eq!(passes(&mut b, SILENCE_NS - 1), []);
        b.ask(&Request::Release { op: 1, id: id("x") });
        assert_eq!(b.notices(), [Notice::Done { op: 1 }]);
    }
}

#[test]
fn a_start_up_has_its_own_bound() {
    let mut b = Bench::started();
    b.ask(&Request::Hello { version: VERSION });
    b.notices();
    assert_eq!(passes(&mut b, START_NS - 1), []);
    assert_eq!(passes(&mut b, 1), [KILL]);
}

#[test]
fn the_watchdog_hears_the_agent_and_not_only_the_keeper() {
    let mut b = Bench::greeted();
    b.sup.front_asks(b.now);
    assert_eq!((b.effects(), b.notices()), (vec![], vec![Notice::Ping]));
    b.ask(&Request::Alive);
    assert_eq!(b.effects(), [ALIVE]);
    b.sup.front_asks(b.now);
    b.sup.front_asks(b.now);
    assert_eq!(b.effects(), [KILL], "the second question comes when the answer is late");
    b.dies(AGENT, 0, SIGKILL);
    passes(&mut b, 0);
    b.sup.spawned(b.now, Who::Agent, 110);
    b.ask(&Request::Hello { version: VERSION });
    b.notices();
    b.ask(&Request::Ready);
    assert_eq!(b.effects(), [ALIVE, Effect::Front(FrontNews::Ready)]);
}

#[test]
fn the_watchdog_waits_for_an_agent_that_starts_but_not_for_ever() {
    let mut b = Bench::started();
    b.sup.front_asks(b.now);
    assert_eq!(b.effects(), [ALIVE]);
    b.now += START_NS;
    b.sup.front_asks(b.now);
    assert_eq!(b.effects(), []);
}
