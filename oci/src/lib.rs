//! berth-oci: from a pod and an image to a running OCI container, and back to nothing.
//!
//! What is pure stands apart from what touches the machine: `spec`, `cgroup`'s formulas, the parsers
//! under `node`, `files` and `users` take values and give values; `sandbox`, `container`, `records` and
//! `checkpoint` carry them out. Everything here blocks, is idempotent, and may be killed between any two
//! system calls; nothing here decides when something is done (that is berth-core) or clones containers in the
//! agent's process (that is the zygote).

pub mod bundle;
pub mod cgroup;
pub mod checkpoint;
pub mod clock;
pub mod container;
pub mod devices;
mod downward;
pub mod durable;
pub mod error;
use berth_core::expand;
pub mod files;
pub mod fsys;
pub mod network;
pub mod node;
pub mod paths;
pub mod pressure;
pub mod records;
pub mod sandbox;
pub mod seccomp;
pub mod spec;
mod teardown;
#[cfg(test)]
mod testing;
pub mod usage;
pub mod users;
pub mod variables;
pub mod volumes;
mod worker;
pub mod zygote;

pub use error::Error;
