//! `cargo xtask test`: everything that must hold, in the order in which it fails fastest.

use crate::{
    apt,
    arch::Arch,
    guest::{self, debian, qemu},
    images, layer, package, perf, power,
    sh::{self, Result, cmd},
    tidy, vm,
};
use std::{fs, path::PathBuf, time::Instant};

/// Seeds that each full run of the tests gives to the simulator.
const SEEDS: u64 = 1_000;
/// The tests that need no guest may last so long with their build, seconds: one that hangs must not take the
/// others' results with it.
const TESTS_MAX_S: u64 = 25 * 60;
/// One boot of a scenario may last so long, seconds: several times what the longest takes on a slow machine.
pub(crate) const BOOT_MAX_S: u64 = 15 * 60;

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
            "docker-registry",
            "apache2-utils",
            "attr",
            "openssl",
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
        tally.step("simulator", || sim(&SimArgs { seeds: SEEDS, from: 1, seed: None }));
    }
    if !args.fast {
        for arch in Arch::ALL.into_iter().filter(|a| args.arch.is_none_or(|only| only == *a)) {
            for scenario in scenarios(args.only.as_deref())? {
                tally.step(&format!("guest {arch} {}", scenario.name), || scenario.run(arch, &args.profile));
            }
        }
        if args.only.is_none() {
            tally.step("bench runs", || perf::run(&perf::Args::smoke()));
        }
    }
    tally.close()
}

pub(crate) fn sim(args: &SimArgs) -> Result {
    let mut sim = sh::cargo();
    sim.args(["run", "--quiet", "--locked", "--package", "berth-tests", "--bin", "sim", "--"]);
    match args.seed {
        Some(seed) => sim.args(["--seed", &seed.to_string()]),
        None => sim.args(["--seeds", &args.seeds.to_string(), "--from", &args.from.to_string()]),
    };
    sh::run(&mut sim)
}

/// A folder below tests/guest: `script.sh`, and what it wants beside it.
struct Scenario {
    name: String,
    folder: PathBuf,
}

fn scenarios(only: Option<&str>) -> Result<Vec<Scenario>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(sh::root().join("tests/guest"))? {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if folder.join("script.sh").exists() && only.is_none_or(|part| name.contains(part)) {
            found.push(Scenario { name, folder });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

impl Scenario {
    /// Boots the scenario's guest. A scenario with a file `cuts` loses its power that often in the middle of its
    /// work; a scenario with a file `boots` is booted that often on one disk; a file `append` has more words for
    /// the kernel's command line, with a file `no-start` the script starts Berth itself, and with a file `bare` it
    /// installs it, from packages in /put/package by Debian's own dpkg. A folder `root` lies over the guest's root; with
    /// something for systemd in it, that is the first process.
    fn run(&self, arch: Arch, profile: &str) -> Result {
        if let Ok(cuts) = fs::read_to_string(self.folder.join("cuts")) {
            return power::run(&power::Args { cuts: cuts.trim().parse()?, arch, seed: None });
        }
        let boots =
            fs::read_to_string(self.folder.join("boots")).map_or(Ok(1), |text| text.trim().parse::<u32>())?;
        let disk = (boots > 1).then(|| guest::dir(arch).join(format!("{}.disk", self.name)));
        if let Some(old) = disk.as_ref().filter(|disk| disk.exists()) {
            fs::remove_file(old)?;
        }
        let boot_file = guest::dir(arch).join("boot");
        let bare = self.folder.join("bare").exists();
        let mut put = vec![
            format!("{}:/put/scenario", self.folder.display()),
            format!("{}:/put/lib.sh", sh::root().join("tests/guest/lib.sh").display()),
            format!("{}:/put/boot", boot_file.display()),
        ];
        if bare {
            put.extend(package::for_guest(arch)?);
        }
        let root = self.folder.join("root");
        if root.join("etc/systemd").exists() {
            put.extend(debian::puts(arch, debian::SYSTEMD)?);
        }
        if root.exists() {
            put.push(format!("{}:/", root.display()));
        }
        let args = vm::Args {
            put,
            keep_disk: disk.clone(),
            no_start: self.folder.join("no-start").exists(),
            bare,
            append: fs::read_to_string(self.folder.join("append")).unwrap_or_default().trim().to_owned(),
            timeout: Some(BOOT_MAX_S),
            profile: profile.to_owned(),
            ..vm::Args::script(arch, self.folder.join("script.sh"))
        };
        fs::create_dir_all(guest::dir(arch))?;
        for boot in 1..=boots {
            fs::write(&boot_file, boot.to_string())?;
            let status = vm::run(&args, |line| qemu::stream(&format!("  {line}")))?;
            if status != 0 {
                return Err(format!("boot {boot} of {boots}: the script ended with {status}").into());
            }
        }
        disk.map_or(Ok(()), |file| fs::remove_file(file).or(Ok(())))
    }
}

/// What passed and what did not.
#[derive(Default)]
struct Tally {
    passed: u32,
    failed: Vec<String>,
}

impl Tally {
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result) {
        println!("== {name}");
        let begun = Instant::now();
        let result = work();
        let seconds = begun.elapsed().as_secs();
        match result {
            Ok(()) => {
                self.passed += 1;
                println!("== {name}: ok, {seconds} s");
            }
            Err(error) => {
                println!("== {name}: FAILED, {seconds} s: {error}");
                self.failed.push(name.to_owned());
            }
        }
    }

    fn close(self) -> Result {
        println!("\n{} passed, {} failed", self.passed, self.failed.len());
        if self.failed.is_empty() {
            Ok(())
        } else {
            Err(format!("failed: {}", self.failed.join(", ")).into())
        }
    }
}

/// Installs `cargo-deny` when it is missing.
pub(crate) fn ensure_deny() -> Result {
    let there = cmd("cargo", ["deny", "--version"]).output().is_ok_and(|out| out.status.success());
    if there { Ok(()) } else { sh::run(sh::cargo().args(["install", "--quiet", "--locked", "cargo-deny"])) }
}
