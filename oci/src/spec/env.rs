//! The environment of a container's process: the image's, then `HOSTNAME`, then the pod's, later ones
//! in the place of earlier ones; `PATH` and `HOME` are always there.

use super::SpecInput;

/// `PATH` where neither image nor pod has one.
const PATH_DEFAULT: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `NAME=value`, each name once.
pub(super) fn environment(input: &SpecInput<'_>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::with_capacity(input.image.env.len() + input.variables.len() + 3);
    for line in input.image.env.iter().filter(|line| line.contains('=')) {
        put(&mut lines, line.clone());
    }
    put(&mut lines, format!("HOSTNAME={}", input.hostname));
    for (name, value) in input.variables {
        put(&mut lines, format!("{name}={value}"));
    }
    if !has(&lines, "PATH") {
        lines.push(PATH_DEFAULT.to_owned());
    }
    // Without one the runtime would look it up with the C library's means, inside the container.
    if !has(&lines, "HOME") {
        let home = if input.user.home.is_empty() { "/" } else { &input.user.home };
        put(&mut lines, format!("HOME={home}"));
    }
    lines
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
