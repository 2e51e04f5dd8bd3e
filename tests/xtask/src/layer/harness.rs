//! The recipes' tasks, run by bitbake's own library with a stand-in for core (`tests/layer`), in both series' models of
//! variables. And that it bites: mistakes in a copy of the layer must each be found.

use super::tools::{SERIES, Tools};
use crate::sh::{self, Result, cmd};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Runs the tasks: fetch, unpack and licences of all; with `full` all up to packaging.
pub(super) fn run(tools: &Tools, full: bool) -> Result {
    sh::run(sh::cargo().args(["fetch", "--locked"]))?;
    let layer = sh::root().join("yocto-layer/meta-berth");
    for series in SERIES {
        // Compiled once: the series differ in where things lie, and the first tasks show that.
        let full = full && series == SERIES[SERIES.len() - 1];
        quietly(&mut command(tools, series, &layer, full)?)?;
    }
    Ok(())
}

/// A mistake: its name, the file of the layer, what is replaced by what, and what is said of it.
struct Mistake(&'static str, &'static str, fn(&str) -> String, &'static str);

/// Each must make the harness fail, with the words.
const MISTAKES: [Mistake; 5] = [
    Mistake(
        "a wrong checksum",
        "recipes-containers/berth/berth-crates.inc",
        |text| text.replacen(".sha256sum] = \"", ".sha256sum] = \"0", 1),
        "do_fetch failed",
    ),
    Mistake(
        "a variable that no series has",
        "recipes-containers/berth/berth.inc",
        |text| text.replace("S = \"${UNPACKDIR}/berth\"", "S = \"${UNPACKDIRECTORY}/berth\""),
        "do_populate_lic failed",
    ),
    Mistake(
        "a function that does not end",
        "recipes-containers/berth-conf/berth-conf_1.0.bb",
        |text| text.replace("config.yaml\n}", "config.yaml\n"),
        "berth-conf",
    ),
    Mistake(
        "a file that no package has",
        "recipes-containers/berth-conf/berth-conf_1.0.bb",
        |text| text.replace("FILES:${PN} = \"${sysconfdir}/berth\"", "FILES:${PN} = \"${sysconfdir}/bert\""),
        "in no package",
    ),
    Mistake(
        "a series that the layer is not for",
        "conf/layer.conf",
        |text| text.replace("scarthgap wrynose", "kirkstone"),
        "not compatible with the core layer",
    ),
];

/// The same, where only compiling shows it.
const MISTAKES_FULL: [Mistake; 1] = [Mistake(
    "a crate that is missing",
    "recipes-containers/berth/berth-crates.inc",
    |text| text.lines().filter(|line| !line.contains("serde_json")).collect::<Vec<_>>().join("\n") + "\n",
    "do_compile failed",
)];

/// Shows that each mistake is found; those of compiling only with `full`.
pub(super) fn bites(tools: &Tools, full: bool) -> Result {
    let scratch = sh::target().join("layer/mistaken");
    let of_full: &[Mistake] = if full { &MISTAKES_FULL } else { &[] };
    for (Mistake(name, file, change, says), full) in
        MISTAKES.iter().map(|mistake| (mistake, false)).chain(of_full.iter().map(|mistake| (mistake, true)))
    {
        let layer = scratch.join("meta-berth");
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch)?;
        sh::output(cmd("cp", ["-R"]).arg(sh::root().join("yocto-layer/meta-berth")).arg(&layer))?;
        let path = layer.join(file);
        let before = fs::read_to_string(&path)?;
        let after = change(&before);
        if before == after {
            return Err(format!("{name}: {file} is no longer as this mistake expects it").into());
        }
        fs::write(path, after)?;
        let out = command(tools, SERIES[SERIES.len() - 1], &layer, full)?.output()?;
        let said = [out.stdout, out.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        if out.status.success() || !said.contains(says) {
            println!("{said}");
            return Err(format!("{name}: not found, or not for its reason ({says:?})").into());
        }
        println!("   {name}: found");
    }
    Ok(fs::remove_dir_all(scratch)?)
}

fn command(tools: &Tools, series: &str, layer: &Path, full: bool) -> Result<Command> {
    let mut harness = tools.python();
    harness.arg(sh::root().join("tests/layer/harness.py")).args(["--series", series, "--layer"]).arg(layer);
    harness.arg("--build").arg(sh::target().join("layer/build").join(series));
    sh::clean_env(&mut harness);
    // A copy of the layer lies elsewhere.
    harness.env("BERTH_REPOSITORY", sh::root());
    harness.env("HARNESS_TOOLCHAIN", toolchain()?);
    if full {
        sh::run(sh::cargo().args(["build", "--locked", "--package", "berth"]))?;
        harness.args(["--full", "--berth"]).arg(sh::target().join("debug/berth"));
    }
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
