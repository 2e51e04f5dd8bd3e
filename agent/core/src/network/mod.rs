//! What a pod's network is decided by, without touching any: the ranges that addresses come from, who has
//! which address, and who takes which port of the node.

mod leases;
mod ports;
mod range;

pub use leases::{Exhausted, LEASES_MAX, Lease, Leases};
pub use ports::{HostPort, Protocol, clash, of_pod};
pub use range::{OFFSETS_MAX, Range, Ranges};
