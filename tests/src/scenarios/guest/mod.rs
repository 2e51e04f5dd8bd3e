//! A real machine as a stage for scenarios: Berth as it is installed, containers that are processes. Seen is what the
//! agent tells whoever watches its pods, as `berth wait` does: with each change, though not with each of several at once.

mod address;
mod agent;
mod ask;
mod files;
mod kept;
mod node;
mod process;

use super::{Ask, Happening, Host, Printed, Scenario, Told, look};
use address::Address;
use agent::{Asked, Watch};
pub use kept::Kept;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use process::Process;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// Starts and stops Berth.
const SERVICE: &str = "/etc/init.d/berth";
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
    address: Address,
}

impl Guest {
    /// Berth runs, or is about to.
    ///
    /// # Errors
    /// The address of manifests cannot be served.
    pub fn new() -> Result<Self, String> {
        let address = Address::serve()?;
        Ok(Self { begun: Instant::now(), watch: None, list: Value::Null, devices: BTreeSet::new(), address })
    }
}

impl Host for Guest {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn happens(&mut self, what: &Happening, scenario: &Scenario) -> Result<(), String> {
        match what {
            Happening::Drop(name) => files::write(name, scenario.text(name)?),
            Happening::Replace { file, with } => files::write(file, scenario.text(with)?),
            Happening::Remove(name) => files::remove(name),
            Happening::Move { file, to } => files::rename(file, to),
            Happening::Link { file, with } => files::link(file, scenario.text(with)?),
            Happening::AddressSays(name) => {
                self.address.says(Some(scenario.text(name)?));
                Ok(())
            }
            Happening::AddressFails => {
                self.address.says(None);
                Ok(())
            }
            Happening::Exit(exit) => Process::find(&self.list, &exit.pod, &exit.container)?.exits(exit),
            Happening::File(file) => Process::find(&self.list, &file.pod, &file.container)?.file(file),
            Happening::KillAgent => agent::killed("agent"),
            Happening::KillRuntime => agent::killed("zygote"),
            Happening::AgentAway(all) => self.agent_away(all, scenario),
            Happening::ShortOf(signal) => node::short_of(signal),
            Happening::Enough => node::enough(),
            Happening::Halt => node::halt(),
            Happening::Plug(path) => self.plug(Path::new(path)),
            Happening::Unplug(path) => self.unplug(Path::new(path)),
            // Those are the interpreter's affair.
            Happening::Note(_) | Happening::Reboot(_) => Ok(()),
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

    fn prints(&mut self, ask: &Ask) -> Result<Option<Printed>, String> {
        ask::prints(ask, &self.list).map(Some)
    }

    /// Who plays is of the machine; see [`Guest::boots`].
    fn reboots(&mut self, _: &[Happening], _: &Scenario) -> Result<bool, String> {
        Ok(false)
    }

    fn clear(&mut self) -> Result<(), String> {
        files::clear()?;
        node::enough()?;
        self.address.says(Some(address::NO_PODS));
        let devices: Vec<PathBuf> = self.devices.iter().cloned().collect();
        devices.iter().try_for_each(|path| self.unplug(path))
    }

    fn hurry(&mut self) -> Result<(), String> {
        node::end_all()
    }

    fn left(&self) -> Vec<String> {
        let below = |path: &&str| fs::read_dir(path).into_iter().flatten().flatten();
        LEFT.iter().flat_map(below).map(|entry| entry.path().display().to_string()).collect()
    }
}

impl Guest {
    /// The service is stopped and started: a killed agent would be back at once. Keeper and containers stay.
    fn agent_away(&mut self, all: &[Happening], scenario: &Scenario) -> Result<(), String> {
        service("stop")?;
        // What the old agent has still said is not what the new one says.
        self.watch = None;
        for what in all {
            let ends = match what {
                Happening::Exit(exit) => Some(Process::find(&self.list, &exit.pod, &exit.container)?),
                _ => None,
            };
            self.happens(what, scenario)?;
            ends.map_or(Ok(()), |process| process.reaped())?;
        }
        service("start")
    }

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

fn service(word: &str) -> Result<(), String> {
    let done = Command::new(SERVICE).arg(word).status().map_err(|error| format!("{SERVICE}: {error}"))?;
    done.success().then_some(()).ok_or_else(|| format!("{SERVICE} {word}: {done}"))
}
