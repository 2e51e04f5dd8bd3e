//! The environment of a container's process: the image's, then `HOSTNAME`, then the pod's, later ones
//! in the place of earlier ones; `PATH` and `HOME` are always there.

use super::{SpecInput, expand::expand};

/// `PATH` where neither image nor pod has one.
const PATH_DEFAULT: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The environment, and what `$(VAR)` in commands and arguments may name.
pub(super) struct Environment {
    /// `NAME=value`, each name once.
    pub(super) lines: Vec<String>,
    /// Only the pod's own variables: Kubernetes does not know the image's when it expands.
    pub(super) for_expansion: Vec<(String, String)>,
}

pub(super) fn environment(input: &SpecInput<'_>) -> Environment {
    let mut lines: Vec<String> = Vec::with_capacity(input.image.env.len() + input.container.env.len() + 3);
    for line in input.image.env.iter().filter(|line| line.contains('=')) {
        put(&mut lines, line.clone());
    }
    put(&mut lines, format!("HOSTNAME={}", input.hostname));
    let mut known: Vec<(String, String)> = Vec::with_capacity(input.container.env.len());
    for var in &input.container.env {
        // A value may name variables that stand before it.
        let value = expand(&var.value, |name| lookup(&known, name));
        put(&mut lines, format!("{}={value}", var.name));
        known.retain(|(name, _)| *name != var.name);
        known.push((var.name.clone(), value));
    }
    if !has(&lines, "PATH") {
        lines.push(PATH_DEFAULT.to_owned());
    }
    // Without one the runtime would look it up with the C library's means, inside the container.
    if !has(&lines, "HOME") {
        let home = if input.user.home.is_empty() { "/" } else { &input.user.home };
        put(&mut lines, format!("HOME={home}"));
    }
    Environment { lines, for_expansion: known }
}

/// The value of a variable in `known`.
pub(super) fn lookup<'a>(known: &'a [(String, String)], name: &str) -> Option<&'a str> {
    known.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

fn name(line: &str) -> &str {
    line.split('=').next().unwrap_or_default()
}

fn has(lines: &[String], wanted: &str) -> bool {
    lines.iter().any(|line| name(line) == wanted && line.len() > wanted.len() + 1)
}

fn put(lines: &mut Vec<String>, line: String) {
    match lines.iter_mut().find(|other| name(other) == name(&line)) {
        Some(other) => *other = line,
        None => lines.push(line),
    }
}
