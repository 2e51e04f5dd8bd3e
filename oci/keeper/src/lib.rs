//! berth-keeper: the parent of every container.
//!
//! The keeper starts the agent and the zygote and starts them again when they die, reaps every container
//! and keeps its exit until the agent has recorded it, holds the read ends of the containers' log pipes,
//! and re-executes itself for an upgrade without losing any of it. It never reads a manifest, never
//! touches an image, never waits for those whom it supervises, and allocates nothing after its start.

pub mod protocol;
