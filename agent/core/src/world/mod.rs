//! The world as the core knows it, and what to do next.
//!
//! [`step`] takes in news and then makes one pass over everything ([`reconcile`]): what is desired, what
//! there is and what is in flight decide what to begin. It reacts to what is, not to what has just
//! changed, so an event that comes late, twice or not at all costs time and nothing else.
//!
//! Invariants, beside those at the head of each file here:
//! - nothing is planned before an inventory and a desired set have come;
//! - at most one process per container of a pod, at most one revision per pod key;
//! - an exit is saved before it is acknowledged, and counted once;
//! - a world without news plans nothing before its `wake`; one that has come to rest has none;
//! - every table is bounded: pods by the desired set and what was found, actions by objects.

mod admission;
mod adopt;
mod affinity;
mod backoff;
mod conditions;
mod config;
mod container;
mod cpus;
mod desired;
pub(crate) mod devices;
mod eligible;
mod evict;
mod exits;
mod grow;
mod halt;
mod health;
mod host_ports;
mod in_place;
mod inflight;
mod lacking;
mod order;
mod orphans;
mod outcome;
mod planner;
mod pod;
mod pressure;
mod query;
mod reconcile;
mod remains;
mod remember;
mod resize;
mod restart_all;
#[cfg(test)]
pub(crate) mod scene;
mod shortfall;
mod start_after;
mod state;
mod stopping;
mod storage;
pub mod sysctl;
mod teardown;
mod terms;
#[cfg(test)]
mod tests;
mod unheld;

pub use affinity::Labels;
pub use config::{CONTAINERS_MAX, Deadlines, PODS_MAX, WorldConfig};
pub use halt::ShutdownTime;
pub use query::{ImageUse, RunView};

use crate::{
    action::Plan,
    devices::Seen,
    event::Event,
    ids::{PodKey, PodUid},
    node::EXCLUSIVE,
    time::{Mono, Now},
};
use desired::Desired;
use inflight::Flights;
use orphans::Orphans;
use planner::Planner;
use pressure::Pressure;
use state::{Birth, Pod, Run};
use std::{collections::BTreeMap, sync::Arc};

/// What the view reads.
pub(crate) mod parts {
    pub(crate) use super::{
        backoff::{crash_delay_s, restart_at},
        conditions::Condition,
        devices::GONE,
        grow::in_progress as resize_in_progress,
        order::{incomplete, is_forgotten},
        outcome::{UNASKED, unasked},
        pod::EXPIRED,
        shortfall::NOT_ENFORCED,
        state::{Container, Image, Pod, Run, Stage},
        terms::Role,
    };
}

/// Everything that the core knows. Made empty at the agent's start; filled by the first `Event::Inventory`.
#[derive(Debug)]
pub struct World {
    config: Arc<WorldConfig>,
    boot_id: String,
    inventoried: bool,
    /// The sources have spoken.
    desired: Option<Desired>,
    pods: BTreeMap<PodUid, Pod>,
    orphans: Orphans,
    flights: Flights,
    pressure: Pressure,
    /// The devices that pods ask for, as far as they are there.
    devices: Arc<Seen>,
    /// Pods whose NetworkPolicies are not in force although their network is ours, and why.
    unheld: BTreeMap<PodKey, String>,
    /// The latest moment that was handed in.
    now: Mono,
}

impl World {
    /// A world about which nothing is known yet.
    pub fn new(mut config: WorldConfig) -> Self {
        if let Some(cpus) = &config.cpus {
            let own = u64::try_from(cpus.allocatable().len()).unwrap_or(u64::MAX);
            config.allocatable = config.allocatable.with(EXCLUSIVE, own);
        }
        Self {
            boot_id: config.boot_id.clone(),
            config: Arc::new(config),
            inventoried: false,
            desired: None,
            pods: BTreeMap::new(),
            orphans: Orphans::default(),
            flights: Flights::default(),
            pressure: Pressure::default(),
            devices: Arc::default(),
            unheld: BTreeMap::new(),
            now: Mono(0),
        }
    }
}

/// Takes in the news and decides what is to be done now. `now.mono` must not go back from call to call
/// (if it does, it is taken to stand still). Nothing is planned before an `Inventory` and a `Desired`
/// have come.
pub fn step(world: &mut World, now: Now, events: &[Event]) -> Plan {
    world.now = world.now.max(now.mono);
    let now = Now { mono: world.now, ..now };
    let mut planner = Planner::new(now, world.config.clone(), std::mem::take(&mut world.flights));
    for event in events {
        apply(world, event, &mut planner);
    }
    for (_, flight) in planner.flights.expire(now.mono) {
        outcome::expired(world, &flight, &mut planner);
    }
    if let Some(desired) = world.desired.as_ref().filter(|_| world.inventoried) {
        planner.objects = desired.objects();
        planner.devices = devices::Table::of(&world.pods, &world.devices);
        reconcile::pass(world, &mut planner);
    }
    let (plan, flights) = planner.finish();
    world.flights = flights;
    plan
}

fn apply(world: &mut World, event: &Event, planner: &mut Planner) {
    match event {
        Event::Inventory(inventory) => adopt::inventory(world, inventory, planner),
        Event::Desired(set) => desired::take(world, set, planner),
        Event::Done { action, outcome } => outcome::answered(world, *action, outcome, planner),
        Event::Exited { id, exit, message } => {
            world.orphans.exited(id);
            let mut exit = *exit;
            exit.at.mono = exit.at.mono.min(planner.now.mono);
            if let Some((pod, i)) = outcome::find(world, id) {
                exits::told(pod, i, id, exit, message);
            }
        }
        Event::Started { id, pid, at } => match outcome::find(world, id) {
            Some((pod, i)) if adopting(pod, i) => outcome::started(pod, i, *pid, *at, planner),
            _ => {
                let birth = Birth { id: id.clone(), attempt: 0, asked: *at };
                let late = planner.flights.late_start_of(id).map(|late| late.pod);
                outcome::unexpected(world, birth, late.unwrap_or_else(|| PodUid("".into())));
            }
        },
        Event::StartFailed { id, failure } => {
            if let Some((pod, i)) = outcome::find(world, id)
                && adopting(pod, i)
            {
                outcome::start_failed(pod, i, failure.clone(), planner);
            }
        }
        Event::NotEnforced { pod, message } => {
            if let Some(pod) = world.pods.get_mut(pod) {
                shortfall::told(pod, message, planner);
            }
        }
        Event::Devices(seen) => {
            world.devices = Arc::clone(seen);
            world.pods.values_mut().for_each(devices::try_again);
        }
        Event::Unheld(unheld) => world.unheld = unheld.iter().cloned().collect(),
        Event::Observed(seen) => pressure::observed(world, seen, planner),
        Event::ImagesChanged => {
            for image in world.pods.values_mut().flat_map(|pod| &mut pod.images) {
                image.retry.at = Mono(0);
            }
        }
    }
}

fn adopting(pod: &Pod, i: usize) -> bool {
    pod.containers.get(i).is_some_and(|container| matches!(container.run, Run::Adopting { .. }))
}
