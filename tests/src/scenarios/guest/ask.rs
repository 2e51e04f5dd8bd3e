//! Commands in containers and on the node, as a person has them run.

use super::super::{Ask, OnNode, Printed, look::named};
use serde_json::Value;
use std::{path::Path, process::Command};

/// Where pods' cgroups are, by their classes.
const CLASSES: [&str; 3] = ["", "burstable/", "besteffort/"];

/// Runs them once.
pub(super) fn prints(ask: &Ask, list: &Value) -> Result<Printed, String> {
    let mut command = match ask {
        Ask::Inside(ask) => {
            let mut berth = Command::new("berth");
            berth.args(["exec", &ask.pod, "-c", &ask.container, "--", "sh", "-c", &ask.run]);
            berth
        }
        Ask::Node(ask) => on_node(ask, list)?,
    };
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let err = format!("{}{}", text(&output.stderr), output.status);
    Ok(Printed { out: text(&output.stdout), err, well: output.status.success() })
}

fn on_node(ask: &OnNode, list: &Value) -> Result<Command, String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", &ask.run]);
    if let Some(pod) = &ask.pod {
        let shown = named(list, pod).next();
        let uid = shown.and_then(|shown| shown["metadata"]["uid"].as_str());
        let uid = uid.ok_or_else(|| format!("there is no pod {pod}"))?;
        let cgroup = |class: &&str| format!("/sys/fs/cgroup/kubepods/{class}pod{uid}");
        let cgroup = CLASSES.iter().map(cgroup).find(|path| Path::new(path).exists());
        shell.env("POD_UID", uid).env("CGROUP", cgroup.unwrap_or_default());
    }
    Ok(shell)
}
