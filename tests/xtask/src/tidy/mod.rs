//! `cargo xtask tidy`: checks of the tree that no compiler makes: headers, sizes, true documents, licences,
//! the Rust version of the whole lock file, the direction of dependencies, the crate list of the Yocto recipe.

mod acceptance;
mod documents;
mod packages;

use crate::{
    layer,
    sh::{self, Result},
    suite,
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Lines in one source file.
const FILE_LINES_MAX: usize = 600;
/// How unsafe code begins (put together here, so that this file is not taken for some).
const UNSAFE: [&str; 3] = [concat!("unsafe", " {"), concat!("unsafe", " impl"), concat!("unsafe", " fn")];
/// Above the generated table.
const SUPPORT_HEAD: &str = "# Pod fields\n\nWhat Berth does with each field of a v1 Pod. Made from the table by which manifests are checked \
    (`agent/core/src/manifest/schema`); `cargo xtask tidy --write` writes it anew. A field that is not supported is refused by \
    path and line, never ignored.\n\n";
/// Top-level folders.
const FOLDERS: [&str; 5] = ["agent", "images", "oci", "tests", "yocto-layer"];

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Write SUPPORT.md, ACCEPTANCE.md and the layer's crate list anew instead of comparing them
    #[arg(long)]
    write: bool,
}

pub(crate) fn run(args: &Args) -> Result {
    let files = tracked()?;
    let mut problems = Vec::new();
    sources(&files, &mut problems)?;
    layout(&files, &mut problems);
    documents::check(&files, &mut problems)?;
    support(args.write, &mut problems)?;
    acceptance::check(args.write, &mut problems)?;
    if let Err(error) = layer::crate_list(args.write) {
        problems.push(error.to_string());
    }
    packages::check(&mut problems)?;
    one_wait(&files, &mut problems)?;
    for problem in &problems {
        println!("{problem}");
    }
    if !problems.is_empty() {
        return Err(format!("{} problems in the tree", problems.len()).into());
    }
    suite::ensure_deny()?;
    // The advisory database is not in a package registry; where it cannot be reached the other checks stand alone.
    let checks = ["deny", "--locked", "check", "licenses", "bans", "sources"];
    sh::run(sh::cargo().args(checks))
}

fn tracked() -> Result<Vec<String>> {
    let out = sh::output(
        sh::cmd("git", ["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(sh::root()),
    )?;
    Ok(out.lines().filter(|f| sh::root().join(f).exists()).map(str::to_owned).collect())
}

fn sources(files: &[String], problems: &mut Vec<String>) -> Result {
    for file in files.iter().filter(|f| f.ends_with(".rs")) {
        let text = fs::read_to_string(sh::root().join(file))?;
        if !text.lines().take(3).any(|l| l.starts_with("//!")) {
            problems.push(format!("{file}: no `//!` header that says what it is for"));
        }
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            problems.push(format!("{file}: {lines} lines; two things in one file?"));
        }
        let sys = file.split('/').any(|part| part == "sys" || part == "sys.rs");
        if !sys && text.lines().any(|l| UNSAFE.iter().any(|word| l.contains(word))) {
            problems.push(format!("{file}: unsafe code outside a `sys` module"));
        }
    }
    Ok(())
}

fn layout(files: &[String], problems: &mut Vec<String>) {
    let folders: BTreeSet<&str> =
        files.iter().filter_map(|f| f.split_once('/')).map(|(top, _)| top).collect();
    for folder in folders {
        if !folder.starts_with('.') && !FOLDERS.contains(&folder) {
            problems.push(format!("{folder}/: not one of the top-level folders"));
        }
    }
}

/// SUPPORT.md is made from the schema by which manifests are read.
fn support(write: bool, problems: &mut Vec<String>) -> Result {
    let path = sh::root().join("SUPPORT.md");
    let now = format!("{SUPPORT_HEAD}{}", berth_core::manifest::support::markdown());
    if write {
        fs::write(&path, &now)?;
    } else if fs::read_to_string(&path).unwrap_or_default() != now {
        problems.push("SUPPORT.md is not what the code supports: run `cargo xtask tidy --write`".into());
    }
    Ok(())
}

/// A second place that waits for children would steal exits from the first.
fn one_wait(files: &[String], problems: &mut Vec<String>) -> Result {
    let keeper: Vec<PathBuf> = files
        .iter()
        .filter(|f| f.starts_with("oci/keeper/src/") && f.ends_with(".rs"))
        .map(|f| Path::new(&sh::root()).join(f))
        .collect();
    let mut sites = 0;
    for file in &keeper {
        let text = fs::read_to_string(file)?;
        sites += text
            .lines()
            .filter(|l| {
                !l.trim_start().starts_with("//") && (l.contains("waitid(") || l.contains("waitpid("))
            })
            .count();
    }
    if sites > 1 {
        problems.push(format!("oci/keeper/src: {sites} places wait for children; there may be one"));
    }
    Ok(())
}
