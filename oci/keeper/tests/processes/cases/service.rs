//! What a service manager sees, and what it can rely on.

use crate::harness::{Rig, open_gate, output};
use berth_keeper::protocol::{Notice, Request, SlotState};
use std::{os::unix::net::UnixDatagram, time::Duration};

/// A service manager's ear.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    /// The next front will talk to it; and often, if it has a watchdog.
    fn of(rig: &mut Rig, watchdog_us: Option<u32>) -> Self {
        let path = rig.dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        rig.variables = vec![("NOTIFY_SOCKET".into(), path.to_str().unwrap().into())];
        rig.variables.extend(watchdog_us.map(|us| ("WATCHDOG_USEC".into(), us.to_string())));
        Self { socket }
    }

    fn hear(&self) -> String {
        let mut text = [0; 64];
        let len = self.socket.recv(&mut text).unwrap();
        String::from_utf8(text[..len].to_vec()).unwrap()
    }

    fn hear_until(&self, word: &str) {
        while self.hear() != word {}
    }
}

pub(crate) fn the_service_manager_is_told() {
    let mut rig = Rig::empty();
    let manager = Manager::of(&mut rig, Some(20_000));
    rig.begin();
    let agent = rig.agent();
    assert_eq!(manager.hear(), "WATCHDOG=1", "the agent has time to get ready");
    agent.serve();
    manager.hear_until("READY=1");
    while agent.hear().0 != Notice::Ping {}
    agent.ask(&Request::Alive);
    assert_eq!(manager.hear(), "WATCHDOG=1");
    assert_eq!(rig.stop(), Some(0));
    manager.hear_until("STOPPING=1");
}

pub(crate) fn a_hung_agent_is_killed_and_nothing_else_is_touched() {
    let mut rig = Rig::empty();
    let manager = Manager::of(&mut rig, Some(400_000));
    rig.begin();
    let agent = rig.agent();
    agent.serve();
    manager.hear_until("READY=1");
    let gate = rig.gate("gate");
    agent.start("c", &format!("read x < {}; exit 3", gate.display()));
    agent.freeze();
    let next = rig.agent();
    assert_ne!(next.pid, agent.pid);
    let (_, list) = next.serve();
    assert!(matches!(list[..], [(_, SlotState::Running { .. }, _)]));
    manager.hear_until("READY=1");
    open_gate(&gate);
    while next.hear().0 == Notice::Ping {
        next.ask(&Request::Alive);
    }
}

pub(crate) fn an_agent_that_can_never_run_ends_the_service_once() {
    let mut rig = Rig::new();
    rig.agent().ends(78);
    assert_eq!(rig.front_ends(), Some(78));
    rig.begin();
    let agent = rig.agent();
    let (keeper, _) = agent.serve();
    let gate = rig.gate("gate");
    agent.start("c", &format!("read x < {}; exit 3", gate.display()));
    agent.kill();
    rig.agent().ends(78);
    assert_eq!(rig.front_ends(), Some(78));
    rig.begin();
    let agent = rig.agent();
    let (same, list) = agent.hello();
    assert_eq!((same, list.len()), (keeper, 1), "the container was held");
    open_gate(&gate);
    assert_eq!(agent.exit("c"), (3, 0));
}

pub(crate) fn a_killed_front_changes_nothing_and_the_next_one_attaches() {
    let mut rig = Rig::new();
    let agent = rig.agent();
    let (keeper, _) = agent.serve();
    rig.kill_front();
    agent.start("c", "exit 2");
    assert_eq!(agent.exit("c"), (2, 0));
    let manager = Manager::of(&mut rig, None);
    rig.begin();
    assert_eq!(manager.hear(), "READY=1");
    assert_eq!(agent.hello().0, keeper);
}

pub(crate) fn a_second_front_is_refused() {
    let rig = Rig::new();
    let agent = rig.greeted();
    let (status, text) = output(rig.front_command());
    assert_eq!(status, Some(1));
    assert!(text.contains("another `berth keeper` is at it"), "{text}");
    agent.start("c", "exit 2");
    assert_eq!(agent.exit("c"), (2, 0));
}
