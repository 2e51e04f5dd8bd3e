//! When a child that has died is started again.

use super::*;

/// How a child comes to its end.
#[derive(Clone, Copy)]
enum End {
    /// By itself, in its start-up.
    Young,
    /// By itself, after it was ready.
    Ready,
    /// By a SIGKILL in its start-up.
    Killed,
}
use End::{Killed, Ready, Young};

/// Delays after each of a row of deaths.
fn delays_ms(who: Who, ends: &[End]) -> Vec<u64> {
    let mut b = Bench::started();
    let mut pid = b.sup.child(who).pid().unwrap();
    let mut delays = vec![];
    for end in ends {
        match (who, end) {
            (_, Young | Killed) => {}
            (Who::Agent, Ready) => _ = b.hello(),
            (Who::Zygote, Ready) => b.report(WorkReport::Ready),
        }
        b.dies(pid, i32::from(!matches!(end, Killed)), if matches!(end, Killed) { SIGKILL } else { 0 });
        assert!(b.effects().contains(&Effect::Disconnect(who)));
        let due = b.sup.child(who).due_ns().unwrap();
        delays.push((due - b.now) / MS);
        b.sup.tick(due.saturating_sub(1).max(b.now));
        assert_eq!(b.effects().contains(&Effect::Spawn(who)), due == b.now, "not before it is due");
        if due != b.now {
            b.now = due;
            b.sup.tick(due);
            assert_eq!(b.effects(), [Effect::Spawn(who)]);
        }
        b.sup.tick(b.now);
        assert_eq!(b.effects(), [], "once");
        pid += 10;
        b.sup.spawned(b.now, who, pid);
    }
    delays
}

#[test]
fn a_child_that_got_ready_or_was_killed_is_back_at_once_and_one_that_dies_young_is_slowed_down() {
    for who in [Who::Agent, Who::Zygote] {
        assert_eq!(delays_ms(who, &[Ready; 100]), [0; 100]);
        assert_eq!(delays_ms(who, &[Killed; 100]), [0; 100]);
        assert_eq!(delays_ms(who, &[Young; 9]), [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(delays_ms(who, &[Young, Young, Ready, Young, Killed, Young]), [50, 100, 0, 50, 0, 50]);
    }
}

#[test]
fn one_that_always_dies_is_slowed_down_however_it_dies() {
    let quick = usize::try_from(QUICK_RESTARTS_MAX).unwrap();
    for end in [Ready, Killed] {
        let delays = delays_ms(Who::Agent, &vec![end; quick + 10]);
        assert!(delays[..quick].iter().all(|delay| *delay == 0));
        assert_eq!(delays[quick..], [QUICK_RESTART_NS / MS; 10]);
    }
}
