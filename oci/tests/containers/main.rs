//! Real containers on this machine: a zygote behind a socket pair, as the keeper would drive it. Runs in a
//! mount namespace of its own with a cgroup2 hierarchy; says so and does nothing where that is not allowed.

// Without a harness nothing tells clippy that this is a test.
#![allow(clippy::unwrap_used, clippy::panic)]

mod cases;
mod fixture;
mod sys;

use std::{panic, process::ExitCode};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("zygote") => berth_oci::zygote::run(),
        Some("--list") => ExitCode::SUCCESS,
        _ => run(args.iter().find(|arg| !arg.starts_with('-')).map(String::as_str)),
    }
}

fn run(filter: Option<&str>) -> ExitCode {
    if let Err(why) = fixture::own_machine() {
        eprintln!("containers: skipped: {why}");
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (name, case) in
        cases::ALL.iter().filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter)))
    {
        let result = panic::catch_unwind(case);
        println!("containers: {name} ... {}", if result.is_ok() { "ok" } else { "FAILED" });
        failed += usize::from(result.is_err());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
