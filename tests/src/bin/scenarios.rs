//! `scenarios PART DIRECTORY`: plays scenarios of a directory on this machine, where Berth is installed and has nothing
//! else to do: with `all-simulated` those that the simulated machine plays whole, with `asked` those of which it cannot play
//! all. A line for each; exit status 1 if any failed. Of a machine that is to boot again it ends with [`BOOT_AGAIN`], and
//! goes on when it is run after that, before Berth is.

use berth_tests::scenarios::{
    Played, Scenario,
    guest::{Guest, Kept},
    load_all, resume,
};
use std::{path::Path, process::ExitCode, time::Instant};

/// Exit status.
const BOOT_AGAIN: u8 = 3;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let asked = match args.first().map(String::as_str) {
        Some("all-simulated") => false,
        Some("asked") => true,
        _ => return usage(),
    };
    let Some(directory) = args.get(1) else { return usage() };
    let all = load_all(Path::new(directory)).and_then(|all| {
        let part = all.into_iter().filter(|scenario| scenario.is_of_real_machines() == asked);
        played(&part.collect::<Vec<_>>())
    });
    match all {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(BOOT_AGAIN),
        Err(why) => {
            println!("FAILED: {why}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: scenarios all-simulated|asked DIRECTORY");
    ExitCode::from(2)
}

/// All of them, from the one on that was begun before a reboot; one that fails does not keep the others. False if the
/// machine is to boot again.
fn played(scenarios: &[Scenario]) -> Result<bool, String> {
    let mut guest = Guest::new()?;
    let (first, kept) = match Kept::take()? {
        Some(kept) => {
            let begun = |scenario: &Scenario| scenario.name == kept.scenario;
            let first = scenarios.iter().position(begun).ok_or("what was begun is not there any more")?;
            guest.boots(&kept, &scenarios[first])?;
            (first, kept)
        }
        None => (0, Kept::default()),
    };
    let (mut begun, mut failed) = (kept.paused, kept.failed);
    for scenario in &scenarios[first..] {
        let at = Instant::now();
        match resume(scenario, &mut guest, std::mem::take(&mut begun)) {
            Err(why) => {
                println!("FAILED: {why}");
                failed.push(scenario.name.clone());
            }
            Ok(Played::Over) => {
                println!("ok: {}: {} ({:.1} s)", scenario.name, scenario.about, at.elapsed().as_secs_f64());
            }
            Ok(Played::Reboots(paused)) => {
                Kept { scenario: scenario.name.clone(), paused, failed }.keep()?;
                println!("{}: boots again", scenario.name);
                return Ok(false);
            }
        }
    }
    if failed.is_empty() { Ok(true) } else { Err(failed.join(", ")) }
}
