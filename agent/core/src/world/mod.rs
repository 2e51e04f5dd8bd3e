//! The world as the core knows it, and what to do next.

mod config;

use crate::{action::Plan, event::Event, time::Now};
pub use config::{CONTAINERS_MAX, Deadlines, PODS_MAX, WorldConfig};

/// Everything that the core knows. Made empty at the agent's start; filled by the first `Event::Inventory`.
#[derive(Debug)]
pub struct World {
    #[allow(dead_code)]
    config: WorldConfig,
}

impl World {
    /// A world about which nothing is known yet.
    pub fn new(config: WorldConfig) -> Self {
        Self { config }
    }
}

/// Takes in the news and decides what is to be done now. `now` must not go back from call to call.
/// Nothing is planned before an `Inventory` and a `Desired` have come.
pub fn step(world: &mut World, now: Now, events: &[Event]) -> Plan {
    let _ = (world, now, events);
    Plan::default()
}
