//! A real machine as a stage for scenarios: Berth as it is installed, containers that are processes. Seen is what the
//! agent tells whoever watches its pods, as `berth wait` does: with each change, though not with each of several at once.

mod agent;
mod process;

use super::{Happening, Host, Scenario, Told, look};
use agent::{Asked, Watch};
use nix::sys::{
    signal::{Signal, kill},
    stat::{Mode, SFlag, makedev, mknod},
};
use process::Process;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Where manifests are put.
const MANIFESTS: &str = "/etc/berth/manifests";
/// Where something of pods would be left.
const LEFT: [&str; 4] =
    ["/run/berth/pods", "/run/berth/containers", "/var/lib/berth/pods", "/var/lib/berth/containers"];
/// One machine, for all scenarios of a boot.
#[derive(Debug)]
pub struct Guest {
    begun: Instant,
    watch: Option<Watch>,
    /// As last shown.
    list: Value,
    devices: BTreeSet<PathBuf>,
}

impl Guest {
    /// Berth runs, or is about to.
    pub fn new() -> Self {
        Self { begun: Instant::now(), watch: None, list: Value::Null, devices: BTreeSet::new() }
    }
}

impl Default for Guest {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for Guest {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn happens(&mut self, what: &Happening, scenario: &Scenario) -> Result<(), String> {
        match what {
            Happening::Drop(name) => write(name, scenario.text(name)?),
            Happening::Replace { file, with } => write(file, scenario.text(with)?),
            Happening::Remove(name) => {
                let path = Path::new(MANIFESTS).join(name);
                fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))
            }
            Happening::Exit(exit) => {
                Process::find(&self.list, &exit.pod, &exit.container)?.exits(exit.code, &exit.message)
            }
            Happening::File(file) => {
                Process::find(&self.list, &file.pod, &file.container)?.file(&file.path, file.there)
            }
            Happening::KillAgent => {
                let pid = agent::pid()?;
                kill(pid, Signal::SIGKILL).map_err(|error| format!("kill {pid}: {error}"))
            }
            Happening::Plug(path) => self.plug(Path::new(path)),
            Happening::Unplug(path) => self.unplug(Path::new(path)),
            Happening::Note(_) => Ok(()),
        }
    }

    fn next(&mut self, until_ns: u64) -> Result<Option<Value>, String> {
        let until = self.begun + Duration::from_nanos(until_ns);
        loop {
            if self.watch.is_none() {
                self.watch = Watch::begin(&json!({"verb": "pods", "watch": true}), until)?;
            }
            let Some(watch) = &mut self.watch else { return Ok(None) };
            match watch.next(until)? {
                Asked::Answer(list) => {
                    self.list.clone_from(&list);
                    return Ok(Some(list));
                }
                Asked::Nothing => return Ok(None),
                // The agent is gone, and another one comes.
                Asked::Closed => self.watch = None,
            }
        }
    }

    fn told(&mut self) -> Result<Vec<Told>, String> {
        let events = agent::ask(&json!({"verb": "events"}))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let told = |event: &Value| Told {
            uid: text(&event["involvedObject"]["uid"]),
            reason: text(&event["reason"]),
            message: text(&event["message"]),
        };
        Ok(look::items(&events["items"]).map(told).collect())
    }

    fn clear(&mut self) -> Result<(), String> {
        for entry in fs::read_dir(MANIFESTS).map_err(|error| format!("{MANIFESTS}: {error}"))?.flatten() {
            fs::remove_file(entry.path()).map_err(|error| format!("{}: {error}", entry.path().display()))?;
        }
        let devices: Vec<PathBuf> = self.devices.iter().cloned().collect();
        devices.iter().try_for_each(|path| self.unplug(path))
    }

    fn left(&self) -> Vec<String> {
        let below = |path: &&str| fs::read_dir(path).into_iter().flatten().flatten();
        LEFT.iter().flat_map(below).map(|entry| entry.path().display().to_string()).collect()
    }
}

impl Guest {
    /// The node of a device that every kernel has: null.
    fn plug(&mut self, path: &Path) -> Result<(), String> {
        mknod(path, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 3))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        self.devices.insert(path.to_owned());
        Ok(())
    }

    fn unplug(&mut self, path: &Path) -> Result<(), String> {
        self.devices.remove(path);
        fs::remove_file(path).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Renamed in, as a careful person does it.
fn write(name: &str, text: &str) -> Result<(), String> {
    let new = Path::new(MANIFESTS).join(format!(".{name}.new"));
    let rename = || -> io::Result<()> {
        fs::write(&new, text)?;
        fs::rename(&new, Path::new(MANIFESTS).join(name))
    };
    rename().map_err(|error| format!("{MANIFESTS}/{name}: {error}"))
}
