//! What a pod's network is decided by, without touching any: which it is, the ranges that addresses come from, who has
//! which address, who takes which port of the node, how much a pod may send, and what is said to CNI plugins.

pub mod attachments;
mod bandwidth;
pub mod cni;
mod leases;
pub mod named;
pub mod policy;
mod ports;
mod range;

pub use bandwidth::{Bandwidth, EGRESS, INGRESS, Rate, rate};
pub use leases::{Exhausted, LEASES_MAX, Lease, Leases};
pub use ports::{HostPort, Protocol, clash, of_pod};
pub use range::{OFFSETS_MAX, Range, Ranges};
