//! The recipes' tasks, run by bitbake's own library with stand-ins for core and for the layers beside it (`tests/layer`), in
//! both series' models of variables.

use super::tools::{SERIES, Tools};
use crate::sh::{self, Result, cmd};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Runs the tasks: of Berth itself as far as cargo finds its crates, of the others all; with `full` all of Berth's, too.
pub(super) fn run(tools: &Tools, full: bool) -> Result {
    prepare()?;
    let layer = sh::root().join("yocto-layer/meta-berth");
    for series in SERIES {
        // Compiled once: the series differ in where things lie, and the first tasks show that.
        let full = full && series == SERIES[SERIES.len() - 1];
        let mut harness = command(tools, series, &layer)?;
        if full {
            harness.arg("--full");
        }
        quietly(&mut harness)?;
    }
    Ok(())
}

/// The crates that the recipe fetches, and the program that stands for its native one.
pub(super) fn prepare() -> Result {
    sh::run(sh::cargo().args(["fetch", "--locked"]))?;
    sh::run(sh::cargo().args(["build", "--quiet", "--locked", "--package", "berth"]))
}

/// The harness for this series and this copy of the layer; all is prepared.
pub(super) fn command(tools: &Tools, series: &str, layer: &Path) -> Result<Command> {
    let mut harness = tools.python();
    harness.arg(sh::root().join("tests/layer/harness.py")).args(["--series", series, "--layer"]).arg(layer);
    harness.arg("--build").arg(sh::target().join("layer/build").join(series));
    sh::clean_env(&mut harness);
    // A copy of the layer lies elsewhere.
    harness.env("BERTH_REPOSITORY", sh::root());
    harness.env("HARNESS_TOOLCHAIN", toolchain()?);
    harness.arg("--berth").arg(sh::target().join("debug/berth"));
    Ok(harness)
}

/// Where rustc and cargo themselves are, past what stands before them and wants a home directory.
fn toolchain() -> Result<PathBuf> {
    let root = sh::output(cmd("rustc", ["--print", "sysroot"]).current_dir(sh::root()))?;
    Ok(Path::new(root.trim()).join("bin"))
}

/// Runs it; tells what it said only when it fails.
fn quietly(command: &mut Command) -> Result {
    let out = command.output()?;
    if out.status.success() {
        return Ok(());
    }
    println!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    Err(format!("the harness ended with {}", out.status).into())
}
