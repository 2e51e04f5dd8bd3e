//! berth-core: everything that Berth decides, and nothing that it does.
//!
//! Manifests become pods here (`manifest`), pods and what is known of the machine become a `World`
//! (`world`), and [`world::step`] turns news into a plan (`action`). `view` shows a world as Kubernetes
//! Pod objects. No file system, no async, no clock, no environment: time and facts are arguments, so
//! that a test or the simulator can be the whole machine.

pub mod action;
pub mod check;
pub mod cpus;
pub mod devices;
pub mod dns;
pub mod event;
pub mod expand;
pub mod ids;
pub mod manifest;
pub mod network;
pub mod node;
pub mod pressure;
pub mod resize;
mod signal;
pub mod storage;
pub mod time;
pub mod usage;
pub mod view;
pub mod world;
