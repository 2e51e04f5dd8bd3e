//! Which devices containers have, what happens while one is not there, when it goes and when it comes back.
//!
//! Invariants: a device that is asked for as a limit is one container's at a time, but for init containers that
//! are over before others of their pod begin; a container does not start without all its devices; one that runs
//! is not stopped when a device goes, and started again only when it has come back as another one.

use super::{
    planner::Planner,
    state::{Container, Pod, Refusal, Run, Stage},
    terms::Role,
};
use crate::{
    devices::{Grant, Seen, counted, kind_of, named},
    event::{FailReason, Failure},
    ids::PodUid,
    manifest::{DesiredPod, types},
    time::Mono,
};
use std::{collections::BTreeMap, sync::Arc};

/// Why a pod or container waits for a device; the event's reason too.
const UNAVAILABLE: &str = FailReason::DeviceUnavailable.as_str();
/// The event, and the reason of the condition, of a device that has gone while a container has it.
pub(crate) const GONE: &str = "DeviceGone";

/// What there is, and whose it is.
#[derive(Debug, Default)]
pub(crate) struct Table {
    seen: Arc<Seen>,
    taken: Vec<Taken>,
}

/// A device that was given because of a limit.
#[derive(Debug)]
struct Taken {
    device: String,
    pod: PodUid,
    container: usize,
    role: Role,
}

impl Table {
    /// As it is before a pass.
    pub(super) fn of(pods: &BTreeMap<PodUid, Pod>, seen: &Arc<Seen>) -> Self {
        let mut table = Self { seen: Arc::clone(seen), taken: Vec::new() };
        for pod in pods.values().filter(|pod| pod.stage != Stage::Queued) {
            let lasts = pod.stage == Stage::Active && !pod.is_finished();
            for (i, container) in pod.containers.iter().enumerate() {
                if !matches!(container.run, Run::Idle) || lasts && !container.is_completed() {
                    table.take(pod, i, &container.grants);
                }
            }
        }
        table
    }

    fn take(&mut self, pod: &Pod, container: usize, grants: &[Grant]) {
        let Some(state) = pod.containers.get(container) else { return };
        let Some(spec) = pod.desired.pod.spec.all_containers().nth(container) else { return };
        for grant in grants.iter().filter(|grant| is_counted(spec, grant)) {
            let (device, pod) = (grant.device.clone(), pod.desired.uid.clone());
            self.taken.push(Taken { device, pod, container, role: state.terms.role });
        }
    }

    /// Somebody else has the device.
    fn is_taken(&self, device: &str, pod: &Pod, container: usize) -> bool {
        let role = pod.containers.get(container).map_or(Role::Main, |container| container.terms.role);
        self.taken.iter().filter(|taken| taken.device == device).any(|taken| {
            let passing = |one: Role, other: Role| one == Role::Init && other != Role::Sidecar;
            taken.pod != pod.desired.uid
                || taken.container != container && !passing(role, taken.role) && !passing(taken.role, role)
        })
    }
}

fn is_counted(spec: &types::Container, grant: &Grant) -> bool {
    kind_of(&grant.device).is_some_and(|kind| counted(spec).any(|(counted, _)| counted == kind))
}

/// The devices that the container gets if it starts now.
fn choose(pod: &Pod, i: usize, table: &Table) -> Result<Vec<Grant>, String> {
    let Some(spec) = pod.desired.pod.spec.all_containers().nth(i) else { return Ok(Vec::new()) };
    let have = pod.containers.get(i).map_or(&[][..], |container| &container.grants);
    let mut grants = named(&pod.desired.pod, spec);
    for grant in &mut grants {
        let identity = table.seen.identity(&grant.device);
        grant.identity = identity.map_err(|why| of_container(&spec.name, &why))?.to_owned();
    }
    for (kind, count) in counted(spec) {
        let all: Vec<&str> = table.seen.of_kind(kind).collect();
        let usable = |device: &&str| table.seen.there.contains_key(*device);
        let mut free: Vec<&str> =
            all.iter().copied().filter(usable).filter(|device| !table.is_taken(device, pod, i)).collect();
        if free.len() < count {
            return Err(of_container(&spec.name, &too_few(kind, count, &all, &free, &table.seen)));
        }
        // What it had before, as long as that is there.
        free.sort_by_key(|device| !have.iter().any(|grant| grant.device == **device));
        for device in free.into_iter().take(count) {
            let identity = table.seen.identity(device)?.to_owned();
            grants.push(Grant { device: device.to_owned(), identity, ..Grant::default() });
        }
    }
    Ok(grants)
}

fn of_container(name: &str, why: &str) -> String {
    format!("container {name} waits for a device: {why}")
}

fn too_few(kind: &str, count: usize, all: &[&str], free: &[&str], seen: &Seen) -> String {
    if all.is_empty() {
        return seen.unknown(&format!("no CDI specification has a device of the kind {kind}"));
    }
    let lacking: Vec<&str> =
        all.iter().filter_map(|device| seen.lacking.get(*device)).map(String::as_str).collect();
    let used = all.len() - free.len() - lacking.len();
    let mut text = format!("requested {kind}: {count}, free: {}, in use: {used}", free.len());
    for why in lacking {
        text = format!("{text}; {why}");
    }
    text
}

/// Why the pod does not begin.
pub(super) fn refusal(pod: &Pod, planner: &mut Planner) -> Option<Refusal> {
    let table = &mut planner.devices;
    let before = table.taken.len();
    let mut lacking = None;
    for i in 0..pod.containers.len() {
        match choose(pod, i, table) {
            Ok(grants) => table.take(pod, i, &grants),
            Err(message) => {
                lacking = Some(Refusal::new(UNAVAILABLE, message));
                break;
            }
        }
    }
    // It has not begun yet, and others may before it.
    table.taken.truncate(before);
    lacking
}

/// The pod begins: what it asks for is its own from now on.
pub(super) fn hold(pod: &mut Pod, planner: &mut Planner) {
    for i in 0..pod.containers.len() {
        let Ok(grants) = choose(pod, i, &planner.devices) else { return };
        planner.devices.take(pod, i, &grants);
        if let Some(container) = pod.containers.get_mut(i) {
            container.grants = grants;
        }
    }
}

/// The container, that is about to start, has all its devices. If not, that is shown and told.
pub(super) fn are_there(pod: &mut Pod, i: usize, planner: &mut Planner) -> bool {
    let chosen = choose(pod, i, &planner.devices);
    let Some(container) = pod.containers.get(i) else { return false };
    let waits = container.failure.as_ref().filter(|failure| failure.reason == FailReason::DeviceUnavailable);
    match chosen {
        Ok(grants) => {
            let waited = waits.is_some();
            planner.devices.take(pod, i, &grants);
            let Some(container) = pod.containers.get_mut(i) else { return false };
            container.grants = grants;
            if waited {
                container.failure = None;
            }
            true
        }
        Err(message) => {
            if waits.is_none_or(|known| known.message != message) {
                planner.warn(&pod.desired, UNAVAILABLE, message.clone());
            }
            if let Some(container) = pod.containers.get_mut(i) {
                container.failure = Some(Failure { reason: FailReason::DeviceUnavailable, message });
            }
            false
        }
    }
}

/// Tells what has become of the devices of a container that runs.
pub(super) fn note(
    desired: &DesiredPod,
    container: &mut Container,
    memory: &mut super::remember::Memory,
    planner: &mut Planner,
) {
    let seen = Arc::clone(&planner.devices.seen);
    let running = matches!(&container.run, Run::Running(live) if live.stop.is_none());
    if !running || container.grants.is_empty() || container.memory.doomed.is_some() {
        container.lost.clear();
        return;
    }
    let name = container.name.clone();
    for grant in &mut container.grants {
        let device = &grant.device;
        match seen.identity(device) {
            Ok(identity) if identity == grant.identity => {
                if container.lost.remove(device).is_some() {
                    planner.tell(
                        desired,
                        "DeviceBack",
                        format!("device {device} of container {name} is back"),
                    );
                }
            }
            Ok(identity) => {
                let was = std::mem::replace(&mut grant.identity, identity.to_owned());
                let what =
                    format!("device {device} of container {name} is another one now ({identity}, was {was})");
                if container.terms.restarts_unwell() {
                    planner.tell(desired, "Killing", format!("{what}: it is started again to get it"));
                    container.memory.doomed =
                        Some(desired.pod.spec.termination_grace_period_seconds.unwrap_or(0));
                    memory.touch();
                } else {
                    planner.warn(desired, GONE, format!("{what}, and is not restarted by its policy"));
                }
            }
            Err(why) => {
                let message = format!("device {device} of container {name} is gone: {why}");
                if !container.lost.contains_key(device) {
                    planner.warn(desired, GONE, message.clone());
                }
                container.lost.insert(device.clone(), message);
            }
        }
    }
}

/// Something has changed: a start that failed for want of a device need not wait any longer.
pub(super) fn try_again(pod: &mut Pod) {
    for container in pod.containers.iter_mut().filter(|container| !container.grants.is_empty()) {
        container.start.at = Mono(0);
    }
}
