//! What is on the disk of a machine that boots again in the middle of a scenario: how far that was played, and the manifest
//! files, which a real box has there anyway.

use super::{Guest, files::MANIFESTS, service};
use crate::scenarios::{Host, Paused, Scenario};
use serde::{Deserialize, Serialize};
use std::{fs, io, path::Path};

/// On the disk that outlives a boot.
const KEPT: &str = "/var/scenario.json";
/// As that, manifest files.
const KEPT_MANIFESTS: &str = "/var/scenario.manifests";

/// How far it was played.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// What is played.
    pub scenario: String,
    /// How far.
    pub paused: Paused,
    /// Those that have failed before it.
    pub failed: Vec<String>,
}

impl Kept {
    /// Writes it down, before the power goes.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn keep(&self) -> Result<(), String> {
        let text = serde_json::to_string(self).map_err(|error| error.to_string())?;
        copy(MANIFESTS, KEPT_MANIFESTS).map_err(|error| format!("{KEPT_MANIFESTS}: {error}"))?;
        fs::write(KEPT, text).map_err(|error| format!("{KEPT}: {error}"))
    }

    /// What was written down, once.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn take() -> Result<Option<Self>, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("{KEPT}: {error}");
        match fs::read_to_string(KEPT) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(wrong(&error)),
            Ok(text) => {
                fs::remove_file(KEPT).map_err(|error| wrong(&error))?;
                serde_json::from_str(&text).map(Some).map_err(|error| wrong(&error))
            }
        }
    }
}

impl Guest {
    /// The machine has booted: manifest files are as they were, with what has happened to them, before Berth is.
    ///
    /// # Errors
    /// They cannot be written, or Berth does not start.
    pub fn boots(&mut self, kept: &Kept, scenario: &Scenario) -> Result<(), String> {
        copy(KEPT_MANIFESTS, MANIFESTS).map_err(|error| format!("{MANIFESTS}: {error}"))?;
        kept.paused.meanwhile(scenario).iter().try_for_each(|what| self.happens(what, scenario))?;
        service("start")
    }
}

/// All files of a directory; the other one has no others afterwards.
fn copy(from: &str, to: &str) -> io::Result<()> {
    match fs::remove_dir_all(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir_all(to)?,
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), Path::new(to).join(entry.file_name()))?;
    }
    Ok(())
}
