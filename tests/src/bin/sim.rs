//! `sim --seeds N [--from S]` or `sim --seed S`: runs the simulator; exit status 1 at a broken rule. `sim --scenario FILE`
//! plays a scenario on its machine, and tells all that happens.

use berth_tests::{scenarios, sim};
use std::{path::Path, process::ExitCode, time::Instant};

/// Seeds if nothing is said.
const SEEDS: u64 = 1000;
/// Broken seeds shown; then it stops.
const BROKEN_MAX: usize = 5;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(task) = parse(&args) else {
        eprintln!("usage: sim [--seeds N] [--from S] | --seed S | --scenario FILE");
        return ExitCode::from(2);
    };
    match task {
        Task::Many { seeds, from } => many(seeds, from),
        Task::One(seed) => one(seed),
        Task::Scenario(file) => scenario(Path::new(&file)),
    }
}

enum Task {
    Many { seeds: u64, from: u64 },
    One(u64),
    Scenario(String),
}

fn parse(args: &[String]) -> Option<Task> {
    if let [name, file] = args
        && name == "--scenario"
    {
        return Some(Task::Scenario(file.clone()));
    }
    let (mut seeds, mut from, mut seed) = (SEEDS, 1, None);
    for pair in args.chunks(2) {
        let [name, value] = pair else { return None };
        let value: u64 = value.parse().ok()?;
        match name.as_str() {
            "--seeds" => seeds = value,
            "--from" => from = value,
            "--seed" => seed = Some(value),
            _ => return None,
        }
    }
    Some(seed.map_or(Task::Many { seeds, from }, Task::One))
}

fn many(seeds: u64, from: u64) -> ExitCode {
    let begun = Instant::now();
    let (mut steps, mut virtual_s, mut broken) = (0, 0, 0);
    for seed in from..from.saturating_add(seeds) {
        match sim::run(seed) {
            Ok(summary) => {
                steps += summary.steps;
                virtual_s += summary.seconds;
            }
            Err(failure) => {
                println!("{failure}\n");
                broken += 1;
                if broken == BROKEN_MAX {
                    break;
                }
            }
        }
    }
    let took_s = begun.elapsed().as_secs_f64();
    println!(
        "{seeds} seeds from {from}: {broken} broken, {steps} steps, {:.1} virtual days in {took_s:.1} s",
        virtual_s as f64 / 86_400.0
    );
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(seed: u64) -> ExitCode {
    let (result, trace) = sim::replay(seed);
    match result {
        Ok(summary) => {
            trace.iter().for_each(|line| println!("{line}"));
            println!("seed {seed}: clean, {summary:?}");
            ExitCode::SUCCESS
        }
        Err(broken) => {
            println!("{broken}");
            ExitCode::FAILURE
        }
    }
}

fn scenario(file: &Path) -> ExitCode {
    let mut stage = sim::Stage::traced(1);
    let played = scenarios::load(file).and_then(|scenario| scenarios::play(&scenario, &mut stage));
    stage.trace().iter().for_each(|line| println!("{line}"));
    match played {
        Ok(_) => {
            println!("ok");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}
