//! Documents say nothing that is not there: paths of the tree, tasks of `cargo xtask`. It reads, it never mends.

use super::FOLDERS;
use crate::sh::{self, Result};
use std::fs;

/// Each path and each `cargo xtask` verb that a document names must exist.
pub(super) fn check(files: &[String], problems: &mut Vec<String>) -> Result {
    let verbs = [
        "demo",
        "test",
        "vm",
        "sim",
        "fuzz",
        "power-cuts",
        "bench",
        "build",
        "images",
        "layer",
        "package",
        "tidy",
    ];
    for file in files.iter().filter(|f| f.ends_with(".md") && !f.contains("testdata")) {
        let text = fs::read_to_string(sh::root().join(file))?;
        for (number, line) in text.lines().enumerate() {
            for span in line.split('`').skip(1).step_by(2) {
                let path = span.split([':', ' ', '*', '{', '<']).next().unwrap_or(span).trim_end_matches('/');
                let ours = FOLDERS.iter().any(|f| path.starts_with(&format!("{f}/")));
                if ours && !sh::root().join(path).exists() {
                    problems.push(format!("{file}:{}: `{path}` does not exist", number + 1));
                }
            }
            for rest in line.split("cargo xtask ").skip(1) {
                let verb: String =
                    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
                if !verb.is_empty() && !verbs.contains(&verb.as_str()) {
                    problems.push(format!("{file}:{}: no task `{verb}`", number + 1));
                }
            }
        }
    }
    Ok(())
}
