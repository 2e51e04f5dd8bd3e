//! What one pod has on the network: written down, made, counted, given back. Says nothing about others.

pub(super) mod askers;
pub(super) mod attachment;
pub(super) mod extra;
pub(super) mod leases;
pub(super) mod plug;
pub(super) mod traffic;
