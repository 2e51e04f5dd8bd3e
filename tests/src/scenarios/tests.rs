//! All scenarios on the simulated machine.

use super::{Host, load_all, play};
use crate::sim::Stage;
use std::path::Path;

/// How long things take differs with the seed.
const SEEDS: u64 = 20;

/// Happenings shown of one that fails.
const TOLD: usize = 40;

#[test]
fn scenarios_play_on_the_simulated_machine() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut failed = 0;
    for scenario in load_all(&folder).unwrap() {
        let broken = (1..=SEEDS).find_map(|seed| Some((seed, play(&scenario, &mut Stage::new(seed)).err()?)));
        let Some((seed, why)) = broken else { continue };
        failed += 1;
        let mut again = Stage::traced(seed);
        let _ = play(&scenario, &mut again);
        let trace = again.trace();
        let last = &trace[trace.len().saturating_sub(TOLD)..];
        eprintln!("{}\nseed {seed}, after {} s: {why}\n", last.join("\n"), again.now_ns() / 1_000_000_000);
    }
    assert_eq!(failed, 0, "scenarios that fail");
}
