//! `cargo xtask test`: everything that must hold, in the order in which it fails fastest.

mod guests;
mod tally;
mod told;

use self::tally::Tally;
use crate::{
    apt,
    arch::Arch,
    fuzz, images, layer, perf, scenario,
    sh::{self, Result, cmd},
    tidy,
};
use std::{path::PathBuf, time::Instant};

/// Seeds that each full run of the tests gives to the simulator.
const SEEDS: u64 = 1_000;
/// The tests that need no guest may last so long with their build, seconds: one that hangs must not take the
/// others' results with it.
const TESTS_MAX_S: u64 = 25 * 60;
/// A run may last so long until its last guest begins and, with what that one may take, not much longer, seconds: whoever
/// waits for the whole of it is to hear what failed, not to switch it off in the middle.
const RUN_MAX_S: u64 = 78 * 60;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out the guests
    #[arg(long)]
    fast: bool,
    /// Only the guests of this architecture
    #[arg(long)]
    arch: Option<Arch>,
    /// Each guest scenario on both architectures, also those in which nothing depends on the processor
    #[arg(long, conflicts_with = "fast")]
    all: bool,
    /// Only the guest scenarios whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Cargo profile of the binary in the guests; `dev` builds in seconds
    #[arg(long, default_value = "release")]
    profile: String,
    /// Guests at a time [default: one more than processors, at most 4]
    #[arg(long)]
    jobs: Option<usize>,
    /// A variable for the guests' scripts, which have their own numbers without (may be given several times)
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// A boot of a guest may last so long
    #[arg(long, value_name = "SECONDS", default_value_t = scenario::BOOT_MAX_S)]
    timeout: u64,
    /// Guests that have not begun after so long count as failed
    #[arg(long, value_name = "SECONDS", default_value_t = RUN_MAX_S)]
    within: u64,
}

#[derive(clap::Args)]
pub(crate) struct SimArgs {
    /// How many seeds
    #[arg(long, default_value_t = SEEDS)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Replay this one, telling each step
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Instead: play this scenario (of tests/scenarios), telling each step
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "from", "seed"])]
    scenario: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result {
    let begun = Instant::now();
    let mut tally = Tally::default();
    if args.only.is_none() {
        apt::ensure(&[
            "gcc",
            "libc6-dev",
            "libseccomp-dev",
            "pkg-config",
            "busybox-static",
            "zstd",
            "umoci",
            "skopeo",
            "buildah",
            "docker-registry",
            "apache2-utils",
            "attr",
            "openssl",
            "nginx-light",
        ])?;
        tally.step("format", || sh::run(sh::cargo().args(["fmt", "--all", "--check"])));
        tally.step("tidy", || tidy::run(&tidy::Args::default()));
        tally.step("clippy", || {
            sh::run(sh::cargo().args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ]))
        });
        tally.step("layer", || layer::check(&layer::Check::without_compiling()));
        tally.step("tests", || {
            let mut test = sh::cargo_for(TESTS_MAX_S);
            test.args(["test", "--workspace", "--locked", "--exclude", "berth-test-programs"]);
            sh::run(test.env("BERTH_TEST_IMAGES", images::folder(Arch::host())))
        });
        tally.step("simulator", || sim(&SimArgs { seeds: SEEDS, from: 1, seed: None, scenario: None }));
        tally.step("fuzz", fuzz::all);
    }
    if !args.fast {
        guests::run(args, begun, &mut tally)?;
        if args.only.is_none() {
            tally.step("bench runs", || perf::run(&perf::Args::smoke()));
        }
    }
    tally.close()
}

pub(crate) fn sim(args: &SimArgs) -> Result {
    let mut sim = sh::cargo();
    sim.args(["run", "--quiet", "--locked", "--package", "berth-tests", "--bin", "sim", "--"]);
    match (&args.scenario, args.seed) {
        (Some(file), _) => sim.arg("--scenario").arg(std::path::absolute(file)?),
        (None, Some(seed)) => sim.args(["--seed", &seed.to_string()]),
        (None, None) => sim.args(["--seeds", &args.seeds.to_string(), "--from", &args.from.to_string()]),
    };
    sh::run(&mut sim)
}

/// Installs `cargo-deny` when it is missing.
pub(crate) fn ensure_deny() -> Result {
    let there = cmd("cargo", ["deny", "--version"]).output().is_ok_and(|out| out.status.success());
    if there {
        Ok(())
    } else {
        sh::run(sh::cargo().args(["install", "--quiet", "--debug", "--locked", "cargo-deny"]))
    }
}
