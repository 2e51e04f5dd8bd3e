//! `cargo xtask layer`: what holds the Yocto layer to the tree and to the tools of its world. What is not there to be
//! asked (a tool, a registry) is said as SKIP, never passed over in silence.

mod crates;
mod harness;
mod mistakes;
mod real;
mod recipes;
mod tools;
mod units;
mod wks;

use crate::{
    apt,
    sh::{self, Result},
};
use real::Core;
use recipes::Layer;
use std::{
    fs,
    path::{Path, PathBuf},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand)]
enum Task {
    /// Check recipes, crate list, kernel fragment, units and kas files, and run the recipe's tasks by bitbake's library
    Check(Check),
}

#[derive(clap::Args, Default)]
pub(crate) struct Check {
    /// Write the crate list and the kernel fragment anew instead of comparing them
    #[arg(long)]
    write: bool,
    /// Compile and install by the recipe too (minutes)
    #[arg(long)]
    full: bool,
    /// Show that mistakes are found: a wrong checksum, a missing crate, a bad variable, an image that is not baked
    #[arg(long)]
    bites: bool,
    #[command(flatten)]
    core: Core,
}

impl Check {
    /// What each run of all tests does: everything but compiling.
    pub(crate) fn without_compiling() -> Self {
        Self { bites: true, ..Self::default() }
    }
}

pub(crate) fn run(args: &Args) -> Result {
    match &args.task {
        Task::Check(check) => self::check(check),
    }
}

/// Runs all checks; fails if one does.
pub(crate) fn check(args: &Check) -> Result {
    let root = sh::root().join("yocto-layer");
    let layer = root.join("meta-berth");
    let mut tally = Tally::default();
    tally.step("crate list", || crate_list(args.write));
    tally.step("kernel fragment", || kernel_fragment(&layer, args.write));
    tally.step("recipes", || {
        let licence = recipes::md5(&sh::root().join("LICENSE"))?;
        problems(Layer::read(&layer)?.problems(env!("CARGO_PKG_VERSION"), &licence))
    });
    tally.step("units", || units::verify(&layer));
    match tools::ensure() {
        Ok(tools) => {
            tally.step("oelint-adv", || tools.oelint(&root));
            tally.step("Python files", || tools.python_files(&layer));
            tally.step("kas files", || tools.kas(&root));
            tally.step("bitbake's library", || harness::run(&tools, args.full));
            if args.bites {
                tally.step("mistakes are found", || mistakes::bite(&tools));
            }
        }
        Err(error) => println!("-- SKIP oelint-adv, kas, bitbake: {error}"),
    }
    if args.core.given() {
        tally.step("real core", || args.core.check(&layer, &sh::target().join("layer/core")));
    } else {
        println!(
            "-- SKIP real core (parse, dependencies, yocto-check-layer): give --oe-core DIR and --bitbake DIR"
        );
    }
    tally.close()
}

/// The recipe fetches what Cargo.lock names.
pub(crate) fn crate_list(write: bool) -> Result {
    const FILE: &str = "yocto-layer/meta-berth/recipes-containers/berth/berth-crates.inc";
    let wanted = crates::inc(&fs::read_to_string(sh::root().join("Cargo.lock"))?)?;
    same(&sh::root().join(FILE), &wanted, write)
}

/// The fragment is what `berth doctor` asks for.
fn kernel_fragment(layer: &Path, write: bool) -> Result {
    apt::ensure(&["gcc", "libc6-dev", "libseccomp-dev", "pkg-config"])?;
    let wanted = sh::output(sh::cargo().args([
        "run",
        "--quiet",
        "--locked",
        "--package",
        "berth",
        "--",
        "doctor",
        "--kernel-fragment",
    ]))?;
    same(&layer.join("recipes-kernel/linux/linux-yocto/berth.cfg"), &wanted, write)
}

/// `file` holds `wanted`, or is written so.
fn same(file: &Path, wanted: &str, write: bool) -> Result {
    if write {
        return Ok(fs::write(file, wanted)?);
    }
    if fs::read_to_string(file).unwrap_or_default() == wanted {
        return Ok(());
    }
    Err(format!("{}: is out of date: run `cargo xtask layer check --write`", shown(file).display()).into())
}

fn shown(file: &Path) -> PathBuf {
    file.strip_prefix(sh::root()).unwrap_or(file).to_owned()
}

fn problems(found: Vec<String>) -> Result {
    for problem in &found {
        println!("   {problem}");
    }
    if found.is_empty() { Ok(()) } else { Err(format!("{} problems", found.len()).into()) }
}

/// What held and what did not.
#[derive(Default)]
struct Tally {
    failed: Vec<&'static str>,
}

impl Tally {
    fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result) {
        match work() {
            Ok(()) => println!("-- {name}: ok"),
            Err(error) => {
                println!("-- {name}: FAILED: {error}");
                self.failed.push(name);
            }
        }
    }

    fn close(self) -> Result {
        if self.failed.is_empty() { Ok(()) } else { Err(format!("layer: {}", self.failed.join(", ")).into()) }
    }
}
