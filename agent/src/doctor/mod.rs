//! What this machine lacks. Facts are gathered in one place (`facts`, which looks at everything and judges
//! nothing) and judged in another (`judge`, pure). Changes nothing on the machine.

pub(crate) mod boot;
mod facts;
mod judge;
mod options;

pub(crate) use options::fragment;

use crate::config::Config;
use serde::Serialize;
use std::{io, path::Path};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Stable name for scripts: `cgroup-v2`.
    pub(crate) id: &'static str,
    /// What was looked at, in few words.
    pub(crate) title: &'static str,
    /// Is it well?
    pub(crate) state: State,
    /// What was found.
    pub(crate) detail: String,
    /// What to do, a line for each step; empty when there is nothing to do.
    pub(crate) remedy: String,
}

/// How well it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Well, or not needed.
    Ok,
    /// Something does not work, or may not for long; pods run.
    Warn,
    /// Pods do not run.
    Fail,
}

impl Finding {
    fn ok(id: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { id, title, state: State::Ok, detail: detail.into(), remedy: String::new() }
    }

    fn warn(
        id: &'static str,
        title: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { id, title, state: State::Warn, detail: detail.into(), remedy: remedy.into() }
    }

    fn fail(
        id: &'static str,
        title: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { id, title, state: State::Fail, detail: detail.into(), remedy: remedy.into() }
    }
}

/// Looks at everything.
pub(crate) fn examine(config: &Config) -> Vec<Finding> {
    judge::all(&facts::gather(config))
}

/// Judges the `.config` of a kernel that is not running (yet).
///
/// # Errors
/// The file cannot be read, or no option is in it.
pub(crate) fn examine_config(file: &Path) -> io::Result<Finding> {
    facts::kernel_config(file).map(|options| judge::options_of(&options))
}
