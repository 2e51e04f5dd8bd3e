//! What is there when the agent starts: records on tmpfs, the keeper's table, the checkpoints. What has no
//! record (a crash came between two steps of a removal) is removed here, before anything else begins; what containers of
//! an earlier boot have written can wait, and is only told.

use super::boot::{Env, Unfit};
use crate::{
    keeper_link::{KeeperLink, Slot},
    logs::Place,
};
use berth_core::{
    event::{ContainerRecord, Exit, Inventory, RecordState, SandboxRecord},
    ids::ContainerId,
    time::{Mono, Now, Wall},
};
use berth_keeper::protocol::{ExitStatus, Notice, Request, SlotState};
use berth_oci::{
    checkpoint, clock, container,
    records::{self, Leftover},
    sandbox,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Seconds that the processes of one leftover may take to die.
const LEFTOVER_DEADLINE_S: u64 = 5;

/// What there is.
pub(super) struct Taken {
    /// For the core.
    pub(super) inventory: Inventory,
    /// The keeper's table, with the descriptors in it.
    pub(super) slots: Vec<Slot>,
    /// What containers of an earlier boot have written: to be removed when there is time.
    pub(super) layers: Vec<ContainerId>,
}

/// Reads everything. Looks at no network: see [`Network::reconcile`](berth_oci::network::Network::reconcile).
pub(super) async fn take(env: &Env, link: &mut KeeperLink, slots: Vec<Slot>) -> Result<Taken, Unfit> {
    let mut found = records::inventory(&env.roots)?;
    for problem in &found.problems {
        tracing::warn!(%problem, "a record cannot be read");
    }
    let recorded: BTreeSet<&str> = found.containers.iter().map(|record| &*record.id.0).collect();
    let (slots, strays): (Vec<Slot>, Vec<Slot>) =
        slots.into_iter().partition(|slot| recorded.contains(&*slot.id));
    let strays: BTreeSet<ContainerId> = strays.into_iter().map(|slot| ContainerId(slot.id.into())).collect();
    remove_leftovers(env, link, &found.leftovers, &strays).await;
    let (checkpoints, problems) = checkpoint::load_all(&env.roots)?;
    for problem in problems {
        tracing::warn!(%problem, "a checkpoint cannot be read");
    }
    let now = clock::now();
    let states: BTreeMap<&str, &SlotState> = slots.iter().map(|slot| (&*slot.id, &slot.state)).collect();
    let places: BTreeMap<ContainerId, Place> =
        found.containers.iter().filter_map(|record| place(env, &found.sandboxes, record)).collect();
    for record in &mut found.containers {
        record.state = states.get(&*record.id.0).map_or(RecordState::Unknown, |state| {
            let oom = || container::oom_killed(&env.roots, &record.id);
            let message = |code| last_words(env, &record.id, places.get(&record.id), code);
            record_state(state, now, oom, message)
        });
    }
    let inventory = Inventory {
        boot_id: env.node.boot_id.clone(),
        sandboxes: found.sandboxes,
        containers: found.containers,
        checkpoints,
    };
    Ok(Taken { inventory, slots, layers: found.layers })
}

fn place(env: &Env, sandboxes: &[SandboxRecord], record: &ContainerRecord) -> Option<(ContainerId, Place)> {
    let sandbox = sandboxes.iter().find(|sandbox| sandbox.desired.uid == record.pod)?;
    let place = Place::of(&env.roots, &sandbox.desired, &record.name, record.attempt, &record.id);
    Some((record.id.clone(), place))
}

/// The termination message of a container that ended while there was no agent. Of its log only what an agent has
/// written counts; what nobody has taken from its pipes yet does not.
fn last_words(env: &Env, id: &ContainerId, place: Option<&Place>, code: i32) -> String {
    let message = container::termination_message(&env.roots, id);
    match place.filter(|place| place.is_asked(code, &message)) {
        Some(place) => crate::logs::last_words(&place.log),
        None => message,
    }
}

/// Nothing waits for these, and none must be in the way of a new container of the same id.
async fn remove_leftovers(
    env: &Env,
    link: &mut KeeperLink,
    leftovers: &[Leftover],
    strays: &BTreeSet<ContainerId>,
) {
    let deadline = Duration::from_secs(LEFTOVER_DEADLINE_S);
    let containers = leftovers.iter().filter_map(|leftover| match leftover {
        Leftover::Container(id) => Some(id),
        Leftover::Sandbox(_) => None,
    });
    let containers: BTreeSet<&ContainerId> = containers.chain(strays).collect();
    for id in containers {
        tracing::info!(container = %id, "removing what an interrupted removal left");
        if let Err(error) = container::remove(&env.roots, id, deadline) {
            tracing::warn!(container = %id, %error, "a leftover stays");
        }
        if strays.contains(id) {
            release(link, id).await;
        }
    }
    for leftover in leftovers {
        let Leftover::Sandbox(uid) = leftover else { continue };
        tracing::info!(pod = %uid, "removing what an interrupted removal left");
        if let Err(error) = sandbox::remove_leftover_with(&env.roots, &env.network, uid) {
            tracing::warn!(pod = %uid, %error, "a leftover stays");
        }
    }
}

/// Has the keeper forget a container whose processes are gone. Its exit may be on its way still: then the
/// keeper says `Busy`, tells of the exit, and is asked again.
async fn release(link: &mut KeeperLink, id: &ContainerId) {
    let Ok(slot) = berth_keeper::protocol::Id::try_from(&*id.0) else { return };
    const OP: u64 = u64::MAX;
    let ask = |link: &mut KeeperLink| link.send(Request::Release { op: OP, id: slot.clone() }, Vec::new());
    if ask(link).is_err() {
        return;
    }
    let answered = async {
        loop {
            match link.recv_unheld().await {
                Ok((Notice::Done { op: OP }, _)) | Err(_) => return,
                Ok((Notice::Exited { id, .. }, _)) if id == slot => {
                    let _ = ask(link);
                }
                Ok((Notice::Failed { op: OP, .. }, _)) => {}
                Ok((other, fds)) => link.hold(other, fds),
            }
        }
    };
    if tokio::time::timeout(Duration::from_secs(LEFTOVER_DEADLINE_S), answered).await.is_err() {
        tracing::warn!(container = %id, "the keeper did not let go of a leftover");
    }
}

/// A moment that the keeper read on the monotonic clock, on both.
pub(super) fn moment(at_ns: u64, now: Now) -> Now {
    let ago = now.mono.since(Mono(at_ns));
    Now { mono: Mono(at_ns), wall: Wall(now.wall.0.saturating_sub(ago)) }
}

/// An exit as the core knows it.
pub(super) fn exit(status: ExitStatus, now: Now, oom: bool) -> Exit {
    let code = if status.signal == 0 { status.code } else { 128 + status.signal };
    Exit { code, signal: status.signal, oom, at: moment(status.at_ns, now) }
}

fn record_state(
    state: &SlotState,
    now: Now,
    oom: impl FnOnce() -> bool,
    message: impl FnOnce(i32) -> String,
) -> RecordState {
    match *state {
        SlotState::Creating => RecordState::Creating,
        SlotState::Running { pid, started_ns } => {
            RecordState::Running { pid: u32::try_from(pid).unwrap_or(0), at: moment(started_ns, now) }
        }
        SlotState::Exited { started_ns, exit: status } => {
            let exit = exit(status, now, oom());
            RecordState::Exited { started: moment(started_ns, now), exit, message: message(exit.code) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keepers_words_become_the_cores() {
        let now = Now { mono: Mono(1_000), wall: Wall(5_000) };
        assert_eq!(moment(400, now), Now { mono: Mono(400), wall: Wall(4_400) });
        let status = |code, signal| ExitStatus { code, signal, at_ns: 1_000 };
        assert_eq!(exit(status(3, 0), now, false).code, 3);
        assert_eq!((exit(status(0, 9), now, true).code, exit(status(0, 9), now, true).signal), (137, 9));
        assert_eq!(
            record_state(&SlotState::Creating, now, || panic!("asked"), |_| panic!("asked")),
            RecordState::Creating
        );
        let exited = SlotState::Exited { started_ns: 100, exit: status(0, 0) };
        let RecordState::Exited { exit, message, .. } =
            record_state(&exited, now, || true, |code| format!("ended with {code}"))
        else {
            panic!("it has ended");
        };
        assert_eq!((exit.oom, &*message), (true, "ended with 0"));
    }
}
