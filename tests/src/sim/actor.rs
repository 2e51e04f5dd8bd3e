//! What a scenario's container does on the simulated machine: as the real one does, see [`crate::scenarios`].

use crate::scenarios::{IMAGE, WELL};
use berth_core::{
    check::{Handler, Verdict},
    manifest::types::Container,
};
use std::collections::BTreeSet;

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    /// Does not hear that it is asked to stop.
    pub(crate) stubborn: bool,
    /// Ends at once, with this code.
    pub(crate) exits: Option<i32>,
    /// In its root.
    pub(crate) files: BTreeSet<String>,
}

impl Actor {
    /// A run of this container; none if it is no scenario's.
    pub(crate) fn of(container: &Container) -> Option<Self> {
        let args = &container.args;
        let exits = args.iter().skip_while(|arg| *arg != "exits").nth(1);
        (container.image == IMAGE).then(|| Self {
            stubborn: args.iter().any(|arg| arg == "stubborn"),
            exits: exits.and_then(|code| code.parse().ok()),
            files: BTreeSet::from([WELL.to_owned()]),
        })
    }

    /// What it says to a command. It knows few.
    pub(crate) fn answers(&self, handler: &Handler) -> Verdict {
        let Handler::Exec { command } = handler else { return Verdict::Failure };
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let well = match words.as_slice() {
            ["true"] => true,
            ["stat", path] => self.files.contains(*path),
            _ => false,
        };
        if well { Verdict::Success } else { Verdict::Failure }
    }
}
