//! What `cargo metadata` says of packages: the Rust that the whole lock file needs, the direction of dependencies,
//! how much the keeper links, and that each dependency has its reason in ARCHITECTURE.md.

use crate::sh::{self, Result};
use serde_json::Value;
use std::{collections::BTreeSet, fs};

/// Packages that the keeper may link, all told (its own included): it must stay small enough to be read.
const KEEPER_PACKAGES_MAX: usize = 16;
/// Packages of ours that depend on nothing of ours.
const LEAVES: [&str; 3] = ["berth-core", "berth-keeper", "berth-images"];
/// Above the table that gives each dependency its reason.
const REASONS: &str = "## Dependencies, and why each is here";

pub(super) fn check(problems: &mut Vec<String>) -> Result {
    let out = sh::output(sh::cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
    let meta: Value = serde_json::from_str(&out)?;
    let all = meta["packages"].as_array().cloned().unwrap_or_default();
    let ours: Vec<&Value> = all.iter().filter(|p| p["source"].is_null()).collect();
    versions(&all, problems);
    direction(&ours, problems);
    reasons(&ours, problems)?;
    keeper(problems)
}

/// Nothing needs a newer Rust than we say, nothing comes from git.
fn versions(all: &[Value], problems: &mut Vec<String>) {
    let berth = all.iter().find(|p| p["name"] == "berth");
    let ours = berth.and_then(|p| version(&p["rust_version"])).unwrap_or((0, 0));
    for package in all {
        if version(&package["rust_version"]).is_some_and(|v| v > ours) {
            problems.push(format!(
                "{} {} needs Rust {}, above ours",
                package["name"], package["version"], package["rust_version"]
            ));
        }
        if package["source"].as_str().is_some_and(|s| s.starts_with("git+")) {
            problems.push(format!("{}: a git dependency; an offline build cannot have it", package["name"]));
        }
    }
}

fn direction(ours: &[&Value], problems: &mut Vec<String>) {
    for leaf in LEAVES {
        let package = ours.iter().find(|p| p["name"] == leaf);
        for dep in package.map(|p| dependencies(p)).unwrap_or_default() {
            if dep.starts_with("berth") {
                problems.push(format!("{leaf} depends on {dep}; it may depend on nothing of ours"));
            }
        }
    }
}

/// Each crate that we ask for by name stands in the table with its reason.
fn reasons(ours: &[&Value], problems: &mut Vec<String>) -> Result {
    let text = fs::read_to_string(sh::root().join("ARCHITECTURE.md"))?;
    let table = text.split_once(REASONS).map_or("", |(_, after)| after);
    let rows = table.lines().filter(|l| l.starts_with('|')).filter_map(|l| l.split('|').nth(1));
    let named: BTreeSet<&str> = rows
        .flat_map(|cell| cell.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')))
        .collect();
    let asked: BTreeSet<String> = ours.iter().flat_map(|p| dependencies(p)).collect();
    for name in asked.iter().filter(|n| !n.starts_with("berth") && !named.contains(n.as_str())) {
        problems.push(format!("ARCHITECTURE.md: no reason is given for the dependency `{name}`"));
    }
    Ok(())
}

fn dependencies(package: &Value) -> Vec<String> {
    let all = package["dependencies"].as_array().into_iter().flatten();
    all.filter_map(|d| d["name"].as_str()).map(str::to_owned).collect()
}

fn keeper(problems: &mut Vec<String>) -> Result {
    let args = ["tree", "--locked", "-p", "berth-keeper", "-e", "normal", "--prefix", "none"];
    let tree = sh::output(sh::cargo().args(args))?;
    let linked: BTreeSet<&str> =
        tree.lines().filter_map(|l| l.split(' ').next()).filter(|n| !n.is_empty()).collect();
    if linked.len() > KEEPER_PACKAGES_MAX {
        problems
            .push(format!("berth-keeper links {} packages, more than {KEEPER_PACKAGES_MAX}", linked.len()));
    }
    Ok(())
}

fn version(value: &Value) -> Option<(u32, u32)> {
    let mut parts = value.as_str()?.split('.').map(|p| p.parse().unwrap_or(0));
    Some((parts.next()?, parts.next().unwrap_or(0)))
}
