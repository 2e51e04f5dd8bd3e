//! `cargo xtask test`: everything that must hold, in the order in which it fails fastest.

use crate::{
    apt,
    arch::Arch,
    fuzz,
    guest::qemu,
    images, layer, package, perf,
    scenario::{self, Given, Scenario},
    sh::{self, Result, cmd},
    tidy,
};
use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

/// Seeds that each full run of the tests gives to the simulator.
const SEEDS: u64 = 1_000;
/// The tests that need no guest may last so long with their build, seconds: one that hangs must not take the
/// others' results with it.
const TESTS_MAX_S: u64 = 25 * 60;
/// Guests at a time, at most, unless it is said: more would only share the memory of a build machine.
const JOBS_MAX: usize = 4;
/// Of a guest that failed, so many last lines are told again at the end, where nobody has to look for them.
const TOLD_AGAIN_LINES: usize = 60;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out the guests
    #[arg(long)]
    fast: bool,
    /// Only the guests of this architecture
    #[arg(long)]
    arch: Option<Arch>,
    /// Only the guest scenarios whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Cargo profile of the binary in the guests; `dev` builds in seconds
    #[arg(long, default_value = "release")]
    profile: String,
    /// Guests at a time [default: one for each processor, at most 4]
    #[arg(long)]
    jobs: Option<usize>,
    /// A variable for the guests' scripts, which have their own numbers without (may be given several times)
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// A boot of a guest may last so long
    #[arg(long, value_name = "SECONDS", default_value_t = scenario::BOOT_MAX_S)]
    timeout: u64,
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
        guests(args, &mut tally)?;
        if args.only.is_none() {
            tally.step("bench runs", || perf::run(&perf::Args::smoke()));
        }
    }
    tally.close()
}

/// Each scenario in a guest of each architecture, some at a time.
fn guests(args: &Args, tally: &mut Tally) -> Result {
    let scenarios = scenario::find(args.only.as_deref())?;
    let archs: Vec<Arch> =
        Arch::ALL.into_iter().filter(|a| args.arch.is_none_or(|only| only == *a)).collect();
    // Ahead, so that no guest waits for a build; beside each other, as most of the time goes into linking, which keeps
    // one processor busy.
    thread::scope(|scope| {
        let build = |arch: Arch| {
            let name = format!("build {arch}");
            scope.spawn(move || Step::run(name, || package::tree(arch, &args.profile).map(drop)))
        };
        let builds: Vec<_> = archs.iter().map(|arch| build(*arch)).collect();
        for build in builds {
            tally.add(build.join().map_err(|_| "a build's thread panicked")?);
        }
        Result::Ok(())
    })?;
    let mut due: Vec<(Arch, &Scenario)> =
        archs.iter().flat_map(|arch| scenarios.iter().map(|scenario| (*arch, scenario))).collect();
    let processors = thread::available_parallelism().map_or(1, Into::into);
    let jobs = args.jobs.unwrap_or(processors.min(JOBS_MAX)).clamp(1, due.len().max(1));
    // The longest first, or the last one runs alone.
    due.sort_by_key(|(_, scenario)| std::cmp::Reverse(scenario.weight()));
    let (due, tally) = (Mutex::new(due.into_iter()), Mutex::new(tally));
    thread::scope(|scope| {
        for job in 0..jobs {
            let work = || {
                while let Some((arch, scenario)) = next(&due) {
                    let name = format!("guest {arch} {}", scenario.name);
                    let last = Mutex::new(VecDeque::new());
                    let tell = |line: &str| {
                        qemu::stream(&format!("  {arch} {}: {line}", scenario.name));
                        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                        if last.len() == TOLD_AGAIN_LINES {
                            last.pop_front();
                        }
                        last.push_back(line.to_owned());
                    };
                    let given = Given { profile: &args.profile, set: &args.set, boot_max_s: args.timeout };
                    let mut step = Step::run(name, || scenario.run(arch, &given, &tell));
                    step.last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
                    tally.lock().unwrap_or_else(PoisonError::into_inner).add(step);
                }
            };
            thread::Builder::new().name(format!("guest-{job}")).spawn_scoped(scope, work)?;
        }
        Ok(())
    })
}

fn next<T>(due: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    due.lock().unwrap_or_else(PoisonError::into_inner).next()
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

/// One thing that was tried.
struct Step {
    name: String,
    seconds: u64,
    /// What is wrong, when it failed.
    error: Option<String>,
    /// The last lines of what a guest said.
    last: VecDeque<String>,
}

impl Step {
    fn run(name: String, work: impl FnOnce() -> Result) -> Self {
        println!("== {name}");
        let begun = Instant::now();
        let error = work().err().map(|error| error.to_string());
        Self { name, seconds: begun.elapsed().as_secs(), error, last: VecDeque::new() }
    }

    fn outcome(&self) -> String {
        let Self { name, seconds, error, .. } = self;
        match error {
            None => format!("{name}: ok, {seconds} s"),
            Some(error) => format!("{name}: FAILED, {seconds} s: {error}"),
        }
    }
}

/// What passed and what did not.
#[derive(Default)]
struct Tally {
    passed: u32,
    failed: Vec<Step>,
}

impl Tally {
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result) {
        self.add(Step::run(name.to_owned(), work));
    }

    fn add(&mut self, step: Step) {
        println!("== {}", step.outcome());
        match step.error {
            None => self.passed += 1,
            Some(_) => self.failed.push(step),
        }
    }

    fn close(self) -> Result {
        for step in &self.failed {
            println!("\n== {}", step.outcome());
            step.last.iter().for_each(|line| println!("  {line}"));
        }
        println!("\n{} passed, {} failed", self.passed, self.failed.len());
        if self.failed.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = self.failed.iter().map(|step| &*step.name).collect();
        Err(format!("failed: {}", names.join(", ")).into())
    }
}

/// Installs `cargo-deny` when it is missing.
pub(crate) fn ensure_deny() -> Result {
    let there = cmd("cargo", ["deny", "--version"]).output().is_ok_and(|out| out.status.success());
    if there { Ok(()) } else { sh::run(sh::cargo().args(["install", "--quiet", "--locked", "cargo-deny"])) }
}
