//! berth-tests: the simulator, a proxy that does what networks do, and the measuring half of the benchmarks. Guest scenarios are data in `guest/`.

pub mod bench;
pub mod faults;
pub mod sim;
