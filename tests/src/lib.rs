//! berth-tests: the simulator, a proxy that does what networks do, and the measuring half of the benchmarks. Guest scenarios are in
//! `guest/`, those that are played in guests and in the simulator alike are data in `scenarios/`.

pub mod bench;
pub mod faults;
pub mod scenarios;
pub mod sim;
