//! `scenarios DIRECTORY`: plays all scenarios of a directory on this machine, where Berth is installed and has nothing
//! else to do. A line for each; exit status 1 if any failed.

use berth_tests::scenarios::{guest::Guest, load_all, play};
use std::{path::Path, process::ExitCode, time::Instant};

fn main() -> ExitCode {
    let Some(directory) = std::env::args().nth(1) else {
        eprintln!("usage: scenarios DIRECTORY");
        return ExitCode::from(2);
    };
    let scenarios = match load_all(Path::new(&directory)) {
        Ok(scenarios) => scenarios,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let mut guest = Guest::new();
    for scenario in &scenarios {
        let begun = Instant::now();
        if let Err(why) = play(scenario, &mut guest) {
            println!("FAILED: {why}");
            return ExitCode::FAILURE;
        }
        println!("ok: {}: {} ({:.1} s)", scenario.name, scenario.about, begun.elapsed().as_secs_f64());
    }
    ExitCode::SUCCESS
}
