//! Scenarios as data: manifests, what happens to them, and what is to be seen of it. One file each in `tests/scenarios`,
//! played by one interpreter on two stages: the simulated machine, and a real one ([`guest`]).
//!
//! A scenario's containers are of the image [`IMAGE`], whose program does nothing of its own accord: it stays until a
//! happening has it exit, and ends with 0 when it is asked to stop. `args: [stubborn]` does not hear that;
//! `args: [exits, "3"]` ends at once; `args: [serves]` serves its root over HTTP at [`PORT`], and gRPC's health service, whose
//! answer is that [`WELL`] is there, at [`GRPC_PORT`]. Each run has a file [`WELL`] in its root, a folder and a program of which
//! HTTP makes redirects ([`REDIRECTS`]), and no other that a probe could ask for (`exec: {command: [stat, /well]}`) unless a
//! happening makes it. Other commands that both stages know are `true` and `sleep`.

mod ask;
pub mod guest;
mod look;
mod play;
#[cfg(test)]
mod tests;

pub use ask::{Ask, Inside, OnNode, Printed};
pub use look::Look;
pub use play::{Host, Paused, Played, Told, play, resume};

use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

/// The image of all containers.
pub const IMAGE: &str = "berth.test/actor:1";
/// The file that is there when a run begins.
pub const WELL: &str = "/well";
/// Where it serves.
pub const PORT: u16 = 8080;
/// Where it has gRPC's health service.
pub const GRPC_PORT: u16 = 9090;
/// Paths that lead to others: to one of the same server, and to another server.
pub const REDIRECTS: [&str; 2] = ["/there", "/cgi-bin/away"];
/// The node's name on both stages; behind every pod's.
pub const NODE: &str = "edge";
/// Seconds that something to be seen is awaited, if the scenario does not say it.
const WITHIN_S: u64 = 60;

/// One file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// Texts of manifest files, by the names that steps have for them.
    pub manifests: BTreeMap<String, String>,
    /// What must be seen at no time.
    #[serde(default)]
    pub never: Vec<Look>,
    /// One after the other.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Value")]
pub enum Step {
    /// Something happens.
    Do(Happening),
    /// Something is awaited.
    See(See),
    /// Something is awaited that only a real machine can tell.
    Ask(Ask),
}

/// What is awaited, with a bound.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct See {
    /// What is to be seen.
    pub see: Look,
    /// What must not be seen before, nor with it.
    #[serde(default)]
    pub never: Look,
    /// What events must have told until then, in this order and perhaps with others between: `Started two`, a reason and
    /// words of the message.
    #[serde(default)]
    pub told: Vec<String>,
    /// Seconds.
    #[serde(default = "within")]
    pub within: u64,
}

/// What happens.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Happening {
    /// A manifest file comes to be, under the name of its text.
    Drop(String),
    /// A manifest file gets another text.
    Replace {
        /// The file.
        file: String,
        /// Name of the text.
        with: String,
    },
    /// A manifest file goes.
    Remove(String),
    /// A manifest file gets another name.
    Move {
        /// The file.
        file: String,
        /// The name that it has then.
        to: String,
    },
    /// A manifest file comes to be or gets another text by way of links, as files of a ConfigMap's volume do.
    Link {
        /// The file.
        file: String,
        /// Name of the text.
        with: String,
    },
    /// The address of manifests answers with this text from now on.
    AddressSays(String),
    /// It does not answer any more.
    AddressFails,
    /// A container's process ends.
    Exit(Exit),
    /// A file in a container's root comes to be, or goes.
    File(InContainer),
    /// The agent is killed, and started again by the keeper.
    KillAgent,
    /// The agent goes, these happen while there is none, and then another one comes.
    AgentAway(Vec<Happening>),
    /// Who makes containers is killed, with all that it is about, and started again by the keeper.
    KillRuntime,
    /// The power goes, these happen to manifest files meanwhile, and the machine boots again.
    Reboot(Vec<Happening>),
    /// A device node comes to be.
    Plug(String),
    /// It goes.
    Unplug(String),
    /// The node is short of this, one of kubelet's eviction signals.
    ShortOf(String),
    /// It has enough of everything.
    Enough,
    /// The machine is about to go down: `berth halt`.
    Halt,
    /// The pod's revision and runs are noted: from now on they are `same`, and others `new`.
    Note(String),
}

/// How a container's process ends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exit {
    /// Its pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// Exit status.
    #[serde(default)]
    pub code: i32,
    /// Instead: it takes more memory than it may.
    #[serde(default)]
    pub oom: bool,
    /// What it writes to its termination message before.
    #[serde(default)]
    pub message: String,
}

/// A file in a container's root.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InContainer {
    /// Its pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// Absolute.
    pub path: String,
    /// It is there from now on, or not any more.
    pub there: bool,
    /// So much is in it.
    #[serde(default)]
    pub bytes: usize,
}

fn within() -> u64 {
    WITHIN_S
}

impl TryFrom<Value> for Step {
    type Error = serde_json::Error;

    /// By what it has, so that what is wrong with it is said of what was meant.
    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let has = |field: &str| value.get(field).is_some();
        if has("see") {
            serde_json::from_value(value).map(Self::See)
        } else if has("inside") || has("node") {
            serde_json::from_value(value).map(Self::Ask)
        } else {
            serde_json::from_value(value).map(Self::Do)
        }
    }
}

/// Reads one file.
///
/// # Errors
/// It cannot be read, or is no scenario; names it and says why.
pub fn load(file: &Path) -> Result<Scenario, String> {
    let wrong = |why: String| format!("{}: {why}", file.display());
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    // By way of JSON's values: YAML's own would have tags for the kinds of steps.
    let value: Value = serde_yaml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let mut scenario: Scenario = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
    scenario.name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    scenario.check().map_err(wrong)?;
    Ok(scenario)
}

/// Reads all files of a directory, by name.
///
/// # Errors
/// As [`load`], or there is none.
pub fn load_all(directory: &Path) -> Result<Vec<Scenario>, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", directory.display());
    let entries: Vec<_> = fs::read_dir(directory).map_err(wrong)?.collect::<Result<_, _>>().map_err(wrong)?;
    let mut files: Vec<_> = entries.iter().map(fs::DirEntry::path).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    if files.is_empty() {
        return Err(format!("{}: there is no scenario", directory.display()));
    }
    files.iter().map(|file| load(file)).collect()
}

impl Scenario {
    /// All texts are there that steps name, and nothing is to happen to an agent that is away.
    fn check(&self) -> Result<(), String> {
        self.steps.iter().try_for_each(|step| match step {
            Step::Do(what) => self.check_happening(what),
            Step::See(_) | Step::Ask(_) => Ok(()),
        })
    }

    /// Parts of it only a real machine can play.
    pub fn is_of_real_machines(&self) -> bool {
        let real = |step: &Step| matches!(step, Step::Ask(_) | Step::Do(Happening::Reboot(_)));
        self.steps.iter().any(real)
    }

    fn check_happening(&self, what: &Happening) -> Result<(), String> {
        match what {
            Happening::AddressSays(name)
            | Happening::Drop(name)
            | Happening::Replace { with: name, .. }
            | Happening::Link { with: name, .. } => self.text(name).map(drop),
            Happening::AgentAway(all) => all.iter().try_for_each(|what| match what {
                Happening::KillAgent
                | Happening::KillRuntime
                | Happening::AgentAway(_)
                | Happening::Reboot(_)
                | Happening::Note(_) => {
                    Err(format!("{what:?} needs an agent, and cannot happen while there is none"))
                }
                what => self.check_happening(what),
            }),
            Happening::Reboot(all) => all.iter().try_for_each(|what| match what {
                Happening::Drop(_) | Happening::Replace { .. } | Happening::Remove(_) => {
                    self.check_happening(what)
                }
                what => Err(format!("{what:?} cannot happen while there is no power")),
            }),
            _ => Ok(()),
        }
    }

    /// The text of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn text(&self, name: &str) -> Result<&str, String> {
        self.manifests.get(name).map(String::as_str).ok_or_else(|| format!("there is no manifest {name:?}"))
    }
}
