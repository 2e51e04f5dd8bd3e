//! `image-bench DIR ROUNDS JSON`: the measuring half of `cargo xtask bench --images`; it calls itself as
//! `image-bench import STORE SOURCE` and `image-bench pull STORE REFERENCE CONF` for what is ours.

use berth_tests::bench::{Result, images, stats};
use std::{path::Path, process::ExitCode};

fn run() -> Result {
    let args: Vec<String> = std::env::args().collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [_, "import", store, source] => images::import(Path::new(store), Path::new(source)),
        [_, "pull", store, reference, conf] => images::pull(Path::new(store), reference, Path::new(conf)),
        [_, dir, rounds, json] => {
            let (program, rounds) = (std::env::current_exe()?, rounds.parse()?);
            let mut rows = Vec::new();
            for case in &images::CASES {
                rows.extend(images::measure(case, &program, Path::new(dir), rounds)?);
            }
            stats::report(&rows, Some(Path::new(json)))
        }
        _ => Err("image-bench DIR ROUNDS JSON".into()),
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("image-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
