//! berth-tests: the simulator, and the measuring half of the benchmarks. Guest scenarios are data in `guest/`.

pub mod bench;
pub mod sim;
