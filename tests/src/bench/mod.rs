//! Benchmarks: a whole Berth on this machine, and a peer beside it in the same run. Figures are medians of
//! interleaved rounds; nothing here passes or fails on them.

pub mod containerd;
pub mod cpu;
pub mod idle;
pub mod images;
pub mod peer;
pub mod rig;
pub mod start;
pub mod stats;

/// What the benchmarks return: an error is a sentence for a person.
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
