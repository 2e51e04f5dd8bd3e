//! The cases. Each awaits what it wants to see, with the patience of the sockets; none sleeps.

mod service;

use crate::harness::{Rig, await_end, create, open_gate, read_all, streams};
use berth_keeper::protocol::{FailClass, Id, LogFds, Notice, Path, Request, SlotState};
pub(crate) use service::*;
use std::{
    fs::File,
    io::{Read as _, Write as _},
};

pub(crate) fn exits_are_reported() {
    let rig = Rig::new();
    let agent = rig.greeted();
    let table = [("exit 7", (7, 0)), ("kill -9 $$", (0, 9)), ("kill -40 $$", (0, 40)), ("exit 0", (0, 0))];
    for (n, (script, expected)) in table.into_iter().enumerate() {
        let name = format!("c{n}");
        agent.start(&name, script);
        assert_eq!(agent.exit(&name), expected, "{script}");
    }
    let release = Request::Release { op: 3, id: Id::try_from("c0").unwrap() };
    agent.ask(&release);
    assert_eq!(agent.hear().0, Notice::Done { op: 3 });
    assert_eq!(agent.hello().1.len(), 3, "the others wait for their release");
}

pub(crate) fn many_at_once() {
    let rig = Rig::new();
    let agent = rig.greeted();
    for n in 0..40 {
        agent.ask(&create(n + 1, &format!("c{n}"), &format!("exit {n}")));
    }
    let (mut started, mut exits) = (0, vec![]);
    while started < 40 || exits.len() < 40 {
        match agent.hear().0 {
            Notice::Started { .. } => started += 1,
            Notice::Exited { id, exit } => exits.push((id.to_string(), exit.code)),
            other => panic!("{other:?}"),
        }
    }
    exits.sort();
    let mut expected: Vec<_> = (0..40).map(|n| (format!("c{n}"), n)).collect();
    expected.sort();
    assert_eq!(exits, expected);
}

pub(crate) fn a_signal_reaches_the_process() {
    let rig = Rig::new();
    let agent = rig.greeted();
    let gate = rig.gate("gate");
    agent.start("c", &format!("read x < {}", gate.display()));
    agent.ask(&Request::Signal { op: 5, id: Id::try_from("c").unwrap(), signal: 15 });
    assert_eq!(agent.hear().0, Notice::Done { op: 5 });
    assert_eq!(agent.exit("c"), (0, 15));
}

pub(crate) fn a_killed_agent_loses_neither_logs_nor_exits() {
    let rig = Rig::new();
    let agent = rig.greeted();
    let (gate, other) = (rig.gate("gate"), rig.gate("other"));
    let script = format!("echo before; echo error >&2; read x < {}; echo after; exit 5", gate.display());
    let fds = agent.start("c", &script);
    agent.start("other", &format!("read x < {}; exit 6", other.display()));
    let mut stage = File::from(fds.into_iter().nth(LogFds::StdoutStageWrite as usize).unwrap());
    stage.write_all(b"staged").unwrap();
    drop(stage);
    agent.kill();
    open_gate(&gate);
    let agent = rig.agent();
    let (_, mut list) = agent.hello();
    let (_, other_state, _) = list.remove(1);
    assert!(matches!(other_state, SlotState::Running { .. }));
    let (id, state, fds) = list.remove(0);
    assert_eq!((id.as_str(), fds.len()), ("c", 6));
    let mut fds = fds.into_iter();
    let mut next = || fds.next().unwrap();
    assert_eq!(read_all(next()), "before\nafter\n");
    assert_eq!(read_all(next()), "error\n");
    let mut staged = [0; 6];
    File::from(next()).read_exact(&mut staged).unwrap();
    assert_eq!(&staged, b"staged");
    match state {
        SlotState::Exited { exit, .. } => assert_eq!(exit.code, 5),
        SlotState::Running { .. } => assert_eq!(agent.exit("c"), (5, 0)),
        SlotState::Creating => panic!("it ran"),
    }
    open_gate(&other);
    assert_eq!(agent.exit("other"), (6, 0));
}

pub(crate) fn work_that_comes_to_nothing() {
    let rig = Rig::new();
    let agent = rig.greeted();
    let table = [
        ("worker dies", FailClass::Lost),
        ("refused", FailClass::Runtime),
        ("late", FailClass::Timeout),
        ("zygote dies", FailClass::Lost),
        ("worker dies", FailClass::Lost),
    ];
    for (script, expected) in table {
        agent.ask(&create(4, "c", script));
        match agent.hear().0 {
            Notice::Failed { op: 4, class, .. } => assert_eq!(class, expected, "{script}"),
            other => panic!("{script}: {other:?}"),
        }
    }
    agent.start("c", "exit 1");
    assert_eq!(agent.exit("c"), (1, 0));
}

pub(crate) fn the_zygotes_death_fails_what_it_had_and_nothing_else() {
    let rig = Rig::new();
    let agent = rig.greeted();
    let gate = rig.gate("gate");
    agent.start("runs", &format!("read x < {}; exit 3", gate.display()));
    agent.ask(&create(2, "waits", "never"));
    agent.ask(&create(3, "fatal", "zygote dies"));
    let mut failed: Vec<_> = (0..2)
        .map(|_| match agent.hear().0 {
            Notice::Failed { op, class: FailClass::Lost, .. } => op,
            other => panic!("{other:?}"),
        })
        .collect();
    failed.sort_unstable();
    assert_eq!(failed, [2, 3]);
    open_gate(&gate);
    assert_eq!(agent.exit("runs"), (3, 0));
}

fn exec(op: u64, session: &str, script: &str) -> Request {
    Request::Exec {
        op,
        session: Id::try_from(session).unwrap(),
        container: Id::try_from("c").unwrap(),
        bundle: Path::try_from(script).unwrap(),
        deadline_ms: 20_000,
        tty: false,
    }
}

pub(crate) fn workers_end_with_their_zygote() {
    let rig = Rig::new();
    let agent = rig.greeted();
    let gate = rig.gate("gate");
    agent.start("c", &format!("read x < {}; exit 3", gate.display()));
    let ([_stdin, stdout, _stderr], theirs) = streams();
    agent.ask_with(&exec(7, "s", "worker waits"), &theirs.each_ref());
    drop(theirs);
    let mut stdout = File::from(stdout);
    let mut up = [0; 3];
    stdout.read_exact(&mut up).unwrap();
    agent.ask(&create(8, "fatal", "zygote dies"));
    for _ in 0..2 {
        assert!(matches!(agent.hear().0, Notice::Failed { class: FailClass::Lost, .. }));
    }
    assert_eq!(read_all(stdout.into()), "", "the worker, which held the other end, is gone");
    open_gate(&gate);
    assert_eq!(agent.exit("c"), (3, 0));
}

pub(crate) fn an_exec_session() {
    let rig = Rig::new();
    let agent = rig.greeted();
    let gate = rig.gate("gate");
    agent.start("c", &format!("read x < {}", gate.display()));
    let ([stdin, stdout, _stderr], theirs) = streams();
    agent.ask_with(&exec(7, "s", "read x; echo got $x; exit 4"), &theirs.each_ref());
    drop(theirs);
    assert!(matches!(agent.hear().0, Notice::Started { op: 7, .. }));
    File::from(stdin).write_all(b"this\n").unwrap();
    assert_eq!(read_all(stdout), "got this\n", "nobody but the session held the other end");
    assert_eq!(agent.exit("s"), (4, 0));

    let ([_stdin, stdout, _stderr], theirs) = streams();
    agent.ask_with(&exec(8, "s", "echo on; read x"), &theirs.each_ref());
    drop(theirs);
    assert!(matches!(agent.hear().0, Notice::Started { op: 8, .. }));
    let mut stdout = File::from(stdout);
    let mut on = [0; 3];
    stdout.read_exact(&mut on).unwrap();
    assert_eq!(&on, b"on\n");
    agent.kill();
    assert_eq!(read_all(stdout.into()), "", "the session ends with its agent");
    let agent = rig.agent();
    assert_eq!(agent.hello().1.len(), 1, "the container does not");
}

pub(crate) fn an_agent_gets_a_clean_start() {
    let mut rig = Rig::empty();
    rig.variables = ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC", "WATCHDOG_PID", "OTHER"]
        .map(|name| (name.to_owned(), "1".to_owned()))
        .to_vec();
    rig.begin();
    let agent = rig.agent();
    // 4 is its socket to the test, 5 the directory that it reads.
    assert_eq!(agent.fds, "0 1 2 3 4 5");
    assert!(agent.variables.contains("OTHER"));
    for name in ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        assert!(!agent.variables.contains(name), "{name}");
    }
}

pub(crate) fn a_stop_with_nothing_to_hold_ends_the_keeper() {
    let mut rig = Rig::new();
    let (keeper, _) = rig.agent().hello();
    assert_eq!(rig.stop(), Some(0));
    await_end(keeper);
    assert!(!rig.dir.path().join("run/keeper.sock").exists());
    rig.begin();
    assert_ne!(rig.agent().hello().0, keeper, "a new one");
}

pub(crate) fn a_stop_holds_the_containers_and_a_start_adopts_them() {
    let mut rig = Rig::new();
    let agent = rig.agent();
    let (keeper, _) = agent.hello();
    let (gate, later) = (rig.gate("gate"), rig.gate("later"));
    agent.start("ends", &format!("echo one; read x < {}; echo two; exit 5", gate.display()));
    agent.start("runs", &format!("read x < {}; exit 6", later.display()));
    assert_eq!(rig.stop(), Some(0));
    let program = format!("/proc/{}/exe", agent.pid);
    assert!(!std::path::Path::new(&program).exists(), "the agent is dead when the front ends");
    open_gate(&gate);
    rig.begin();
    let agent = rig.agent();
    let (same, list) = agent.hello();
    assert_eq!(same, keeper);
    for (id, state, fds) in list {
        match (id.as_str(), state) {
            ("ends", SlotState::Exited { exit, .. }) => assert_eq!(exit.code, 5),
            ("ends", SlotState::Running { .. }) => assert_eq!(agent.exit("ends"), (5, 0)),
            ("runs", SlotState::Running { .. }) => continue,
            other => panic!("{other:?}"),
        }
        assert_eq!(read_all(fds.into_iter().next().unwrap()), "one\ntwo\n");
    }
    open_gate(&later);
    assert_eq!(agent.exit("runs"), (6, 0));
    agent.start("new", "exit 1");
    assert_eq!(agent.exit("new"), (1, 0));
}

pub(crate) fn an_upgrade_keeps_pid_children_and_descriptors() {
    let rig = Rig::new();
    let agent = rig.agent();
    let (keeper, _) = agent.hello();
    let (gate, done) = (rig.gate("gate"), rig.gate("done"));
    let script = format!("echo one; read x < {}; echo two; exit 5", gate.display());
    let fds = agent.start("c", &script);
    agent.start("done", &format!("read x < {}; exit 8", done.display()));
    open_gate(&done);
    assert_eq!(agent.exit("done"), (8, 0));

    let upgrade = |path: &str| agent.ask(&Request::Upgrade { op: 9, path: Path::try_from(path).unwrap() });
    for path in ["/bin/false", "/nonexistent"] {
        upgrade(path);
        match agent.hear().0 {
            Notice::Failed { op: 9, class: FailClass::Runtime, .. } => {}
            other => panic!("{path}: {other:?}"),
        }
    }
    let new = rig.dir.path().join("new-berth");
    std::fs::copy(std::env::current_exe().unwrap(), &new).unwrap();
    upgrade(new.to_str().unwrap());
    assert!(matches!(agent.hear().0, Notice::Welcome { pid, slots: 0, .. } if pid == keeper));
    assert_eq!(std::fs::read_link(format!("/proc/{keeper}/exe")).unwrap(), new);

    agent.start("next", "exit 1");
    assert_eq!(agent.exit("next"), (1, 0));
    open_gate(&gate);
    assert_eq!(agent.exit("c"), (5, 0));
    drop(fds);
    agent.kill();
    let agent = rig.agent();
    assert_eq!(std::fs::read_link(format!("/proc/{}/exe", agent.pid)).unwrap(), new);
    let (_, list) = agent.hello();
    let mut states: Vec<_> = list.iter().map(|(id, state, _)| (id.to_string(), *state)).collect();
    states.sort_by(|a, b| a.0.cmp(&b.0));
    let codes: Vec<_> = states
        .iter()
        .map(|(id, state)| match state {
            SlotState::Exited { exit, .. } => (id.as_str(), exit.code),
            other => panic!("{id}: {other:?}"),
        })
        .collect();
    assert_eq!(codes, [("c", 5), ("done", 8), ("next", 1)]);
    let (_, _, fds) = list.into_iter().find(|(id, ..)| id == "c").unwrap();
    assert_eq!(read_all(fds.into_iter().next().unwrap()), "one\ntwo\n");
}

pub(crate) fn an_agent_that_says_nonsense_is_told_so() {
    let rig = Rig::new();
    let agent = rig.greeted();
    agent.ask(&Request::Exec {
        op: 5,
        session: Id::try_from("s").unwrap(),
        container: Id::try_from("c").unwrap(),
        bundle: Path::new(),
        deadline_ms: 1,
        tty: false,
    });
    assert!(matches!(agent.hear().0, Notice::Failed { op: 5, class: FailClass::Internal, .. }));
}
