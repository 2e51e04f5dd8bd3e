//! What happens to the node as a whole.

use super::agent;
use std::{fs, io, process::Command};

/// The agent's configuration, and what it was before something was changed in it.
const CONFIG: [&str; 2] = ["/etc/berth/config.yaml", "/run/scenario.config.yaml"];

/// Of all pods' cgroup (Documentation/admin-guide/cgroup-v2.rst, `cgroup.kill`).
const KILL: &str = "/sys/fs/cgroup/kubepods/cgroup.kill";

/// So much is wanted of it that there is never enough; the next agent knows.
pub(super) fn short_of(signal: &str) -> Result<(), String> {
    let told = |error| format!("{}: {error}", CONFIG[0]);
    let before = fs::read_to_string(CONFIG[0]).map_err(told)?;
    fs::write(CONFIG[1], &before).map_err(told)?;
    fs::write(CONFIG[0], format!("{before}\nevictionHard: {{{signal}: 99%}}\n")).map_err(told)?;
    agent::killed("agent")
}

/// As before, if there was anything else.
pub(super) fn enough() -> Result<(), String> {
    let told = |error: io::Error| format!("{}: {error}", CONFIG[1]);
    match fs::read(CONFIG[1]) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        before => fs::write(CONFIG[0], before.map_err(told)?).map_err(told)?,
    }
    fs::remove_file(CONFIG[1]).map_err(told)?;
    agent::killed("agent")
}

/// All processes of all pods end at once.
pub(super) fn end_all() -> Result<(), String> {
    fs::write(KILL, "1").map_err(|error| format!("{KILL}: {error}"))
}

/// It waits until all containers have ended, and nobody for it.
pub(super) fn halt() -> Result<(), String> {
    Command::new("berth").arg("halt").spawn().map(drop).map_err(|error| format!("berth halt: {error}"))
}
