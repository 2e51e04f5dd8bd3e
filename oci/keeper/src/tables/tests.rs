//! Every state against every step, and the table's bounds.

use super::*;
use crate::protocol::{ExitStatus, Text};

const EXIT: ExitStatus = ExitStatus { code: 3, signal: 0, at_ns: 9 };

fn entry(id: &str, ticket: u64) -> Entry<()> {
    Entry::new(Id::try_from(id).unwrap(), (), 7, ticket, 100)
}

fn lives() -> [Life; 5] {
    [
        Life::Free,
        Life::Creating,
        Life::Running { pid: 5, started_ns: 1 },
        Life::Exited { pid: 5, started_ns: 1, exit: EXIT },
        Life::Failed { class: FailClass::Lost, text: Text::new() },
    ]
}

#[test]
fn every_step_in_every_state() {
    type Step = (&'static str, fn(&mut Entry<()>) -> bool, fn(&Life) -> Option<Life>);
    let steps: [Step; 5] = [
        (
            "started",
            |e| e.started(5, 1, true),
            |life| match life {
                Life::Creating => Some(Life::Running { pid: 5, started_ns: 1 }),
                _ => None,
            },
        ),
        (
            "failed",
            |e| e.failed(FailClass::Lost, Text::new(), true),
            |life| match life {
                Life::Creating => Some(Life::Failed { class: FailClass::Lost, text: Text::new() }),
                _ => None,
            },
        ),
        (
            "failed, untold",
            |e| e.failed(FailClass::Lost, Text::new(), false),
            |life| match life {
                Life::Creating => Some(Life::Free),
                _ => None,
            },
        ),
        (
            "exited",
            |e| e.exited(EXIT, true),
            |life| match life {
                Life::Running { .. } => Some(Life::Exited { pid: 5, started_ns: 1, exit: EXIT }),
                _ => None,
            },
        ),
        ("release", Entry::release, |life| match life {
            Life::Exited { .. } | Life::Failed { .. } => Some(Life::Free),
            _ => None,
        }),
    ];
    for (name, step, expected) in steps {
        for life in lives() {
            let mut e = entry("a", 1);
            e.life = life.clone();
            let before = e.clone();
            let legal = step(&mut e);
            assert_eq!(legal, expected(&life).is_some(), "{name} in {life:?}");
            match expected(&life) {
                Some(after) => assert_eq!(e.life, after, "{name} in {life:?}"),
                None => assert_eq!(e, before, "{name} in {life:?} must change nothing"),
            }
        }
    }
}

#[test]
fn what_is_owed_follows_the_steps() {
    let mut e = entry("a", 1);
    assert!(e.started(5, 1, true));
    assert_eq!(e.owed, Owed { answer: true, exit: false });
    assert!(e.exited(EXIT, true));
    assert_eq!(e.owed, Owed { answer: true, exit: true });
    assert!(e.release());
    assert_eq!(e.owed, Owed::default());
}

#[test]
fn a_full_table_refuses_and_evicts_nothing() {
    let mut table = Table::<(), 3>::new();
    for (ticket, id) in [(1, "a"), (2, "b"), (3, "c")] {
        assert_eq!(table.insert(entry(id, ticket)), Ok(Place::try_from(ticket - 1).unwrap()));
    }
    for (place, pid) in [(0, 10), (1, 11), (2, 12)] {
        assert!(table.get_mut(place).unwrap().started(pid, 1, true));
        assert!(table.get_mut(place).unwrap().exited(EXIT, true));
    }
    assert_eq!(table.insert(entry("d", 4)), Err(FailClass::Full));
    assert_eq!(table.insert(entry("b", 4)), Err(FailClass::Exists));
    assert_eq!(table.len(), 3);
    assert!(table.get_mut(1).unwrap().release());
    assert_eq!(table.insert(entry("d", 4)), Ok(1), "the free place is taken, the others stay where they are");
    assert_eq!((table.find("a"), table.find("b"), table.find("d")), (Some(0), None, Some(1)));
}

#[test]
fn look_ups_see_only_entries_in_the_right_state() {
    let mut table = Table::<(), 3>::new();
    table.insert(entry("a", 1)).unwrap();
    assert_eq!((table.by_ticket(1), table.by_pid(5)), (Some(0), None));
    assert!(table.get_mut(0).unwrap().started(5, 1, true));
    assert_eq!((table.by_ticket(1), table.by_pid(5)), (None, Some(0)));
    assert!(table.get_mut(0).unwrap().exited(EXIT, true));
    assert_eq!((table.by_ticket(1), table.by_pid(5), table.find("a")), (None, None, Some(0)));
    assert!(table.get_mut(0).unwrap().release());
    assert_eq!((table.find("a"), table.is_empty(), table.high_water()), (None, true, 1));
    assert!(table.get(0).is_none());
    assert_eq!(table.last(0).unwrap().id, "a");
}
