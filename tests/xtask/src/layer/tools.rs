//! The tools of the Yocto world that PyPI has, in a virtual environment below `target/`: the linter, kas for its schema,
//! bitbake for its library.

use crate::{
    apt,
    sh::{self, Result, cmd},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Packages and their versions.
const PACKAGES: [&str; 3] = ["oelint_adv==9.11.2", "kas==5.5", "bitbake-setup==2.19.0"];
/// The series that the layer is for.
pub(super) const SERIES: [&str; 2] = ["scarthgap", "wrynose"];

/// See the module.
pub(super) struct Tools {
    venv: PathBuf,
}

/// Installs what is missing.
///
/// # Errors
/// There is no Python, or PyPI cannot be reached.
pub(super) fn ensure() -> Result<Tools> {
    let tools = Tools { venv: sh::target().join("layer/venv") };
    let mark = tools.venv.join("packages");
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&mark).is_ok_and(|done| done == wanted) {
        return Ok(tools);
    }
    if !cmd("python3", ["-c", "import ensurepip, venv"]).output().is_ok_and(|out| out.status.success()) {
        apt::ensure(&["python3", "python3-venv"])?;
    }
    sh::run(cmd("python3", ["-m", "venv", "--clear"]).arg(&tools.venv))?;
    sh::run(
        tools
            .python()
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(PACKAGES),
    )?;
    fs::write(mark, wanted)?;
    Ok(tools)
}

impl Tools {
    pub(super) fn python(&self) -> Command {
        Command::new(self.venv.join("bin/python3"))
    }

    /// The linter has nothing to say, for either series.
    pub(super) fn oelint(&self, root: &Path) -> Result {
        let files = files(&root.join("meta-berth"), &["bb", "bbappend", "inc", "bbclass"])?;
        for series in SERIES {
            let mut lint = Command::new(self.venv.join("bin/oelint-adv"));
            lint.args(["--quiet", "--exit-zero", "--release", series]).args(&files);
            let out = lint.env("OELINT_CONFIG", root.join("oelint.cfg")).output()?;
            let said = [out.stdout, out.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            // Each finding begins with its file; what it fell over is a finding as well.
            let findings: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
            if !findings.is_empty() || !out.status.success() {
                for finding in &findings {
                    println!("   {series}: {finding}");
                }
                return Err(format!("{} findings for {series}", findings.len()).into());
            }
        }
        Ok(())
    }

    /// Every Python file of the layer is one: among them the tests of a booted image, which nothing here can run.
    pub(super) fn python_files(&self, layer: &Path) -> Result {
        const COMPILE: &str =
            "import pathlib, sys\nfor f in sys.argv[1:]: compile(pathlib.Path(f).read_text(), f, 'exec')";
        let files = files(layer, &["py"])?;
        if files.is_empty() {
            return Err("there are no Python files".into());
        }
        sh::run(self.python().args(["-W", "error", "-c", COMPILE]).args(&files))
    }

    /// Every kas file is one by kas' own schema, and includes only files that are there.
    pub(super) fn kas(&self, root: &Path) -> Result {
        let files = files(&root.join("kas"), &["yml"])?;
        if files.is_empty() {
            return Err("there are no kas files".into());
        }
        sh::run(self.python().arg(sh::root().join("tests/layer/kas_files.py")).args(&files))
    }
}

/// The files below `folder` with one of the endings, sorted.
fn files(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, endings)?);
        } else if path.extension().and_then(|e| e.to_str()).is_some_and(|e| endings.contains(&e)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
