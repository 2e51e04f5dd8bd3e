//! One libcontainer operation in a process of its own, which ends with it: whatever the operation leaks or
//! changes in its process dies here. The worker answers the keeper itself and exits with 0; if it cannot
//! answer, its exit status says so and the zygote answers for it.
//!
//! A worker never outlives its deadline (the zygote kills it) and never touches another container.

mod blame;
mod cover;
mod create;
mod exec;
mod executor;
mod inside;
pub(crate) mod mounts;
pub(crate) mod report;
mod rootfs;
pub(crate) mod sys;
pub(crate) mod trouble;

pub(crate) use create::bare_create;
pub(crate) use executor::Nothing;
pub(crate) use mounts::map_layers;
pub(crate) use rootfs::{escape as overlay_path, overlay, own_mounts};

use crate::devices::{self, DeviceError, DeviceRule, Program};
use berth_keeper::{
    link::Fds,
    protocol::{FailClass, Text, Work, WorkReport},
};
use libcontainer::oci_spec::runtime::Mount;
use nix::unistd::Pid;
use std::{os::fd::BorrowedFd, path::Path};

/// Why there is no container or session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    class: FailClass,
    text: String,
}

impl Fault {
    /// The runtime refused: for good, or because the machine was short of something.
    fn runtime(text: impl ToString) -> Self {
        let text = text.to_string();
        let class = if blame::is_machines(&text) { FailClass::Machine } else { FailClass::Runtime };
        Self { class, text }
    }

    /// Berth's own fault.
    fn internal(text: impl ToString) -> Self {
        Self { class: FailClass::Internal, text: text.to_string() }
    }
}

impl From<crate::Error> for Fault {
    fn from(error: crate::Error) -> Self {
        Self::runtime(error)
    }
}

/// What the zygote has ready for its workers.
#[derive(Debug, Default)]
pub(crate) struct Warm {
    /// The device program that nearly all containers use, with its rules.
    devices: Option<(Vec<DeviceRule>, Program)>,
}

impl Warm {
    /// Makes it ready. What does not work is tried again, and told, by the workers.
    pub(crate) fn make() -> Self {
        let rules = devices::default_rules();
        Self { devices: Program::load(&rules).ok().map(|program| (rules, program)) }
    }

    fn confine(&self, cgroup: BorrowedFd<'_>, rules: &[DeviceRule]) -> Result<(), DeviceError> {
        match &self.devices {
            Some((usual, program)) if usual == rules => program.attach(cgroup),
            _ => Program::load(rules)?.attach(cgroup),
        }
    }
}

/// Does the work and answers. Returns the exit status: 0 if the keeper has the answer. `inside` says that
/// this process was born in the container's cgroup.
pub(crate) fn run(work: &Work, fds: Fds, inside: bool, warm: &Warm) -> i32 {
    let (ticket, result) = match work {
        Work::Create { ticket, id, bundle, .. } => {
            (*ticket, create::create(id, bundle.as_str(), fds, inside, warm))
        }
        Work::Exec { ticket, session, container, bundle, tty, .. } => {
            (*ticket, exec::exec(session, container, bundle.as_str(), *tty, fds, inside))
        }
    };
    i32::from(report::send(&answer(ticket, result)).is_err())
}

fn answer(ticket: u64, result: Result<Pid, Fault>) -> WorkReport {
    match result {
        Ok(pid) => WorkReport::Started { ticket, pid: pid.as_raw() },
        Err(fault) => WorkReport::Failed { ticket, class: fault.class, text: cut(&fault.text) },
    }
}

/// Mounts below a root what the worker mounts, see [`mounts`].
///
/// # Errors
/// As [`mounts`] says.
pub(crate) fn mount_below(root: &Path, list: &[Mount]) -> crate::error::Result<()> {
    mounts::mount_all(&inside::Inside::open_root(root)?, list, mounts::Held::default(), None)
}

/// As much of a message as fits, on one line.
pub(crate) fn cut(message: &str) -> Text {
    let mut text = Text::new();
    for c in message.trim().chars() {
        let c = if c.is_control() { ' ' } else { c };
        if text.push(c).is_err() {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_that_fits() {
        assert_eq!(cut(" a\nb ").as_str(), "a b");
        let long = "ü".repeat(1000);
        assert_eq!(cut(&long).len(), berth_keeper::protocol::TEXT_LEN_MAX);
    }
}
