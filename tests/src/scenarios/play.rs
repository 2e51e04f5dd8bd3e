//! The interpreter: step by step, on whatever stage. Knows nothing of stages but [`Host`].

use super::{
    Ask, Happening, Printed, Scenario, See, Step,
    look::{self, Notes},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// Seconds in which a container runs to which something is to happen.
const RUNS_WITHIN_S: u64 = 60;
/// Seconds in which nothing is left after the end.
const GONE_WITHIN_S: u64 = 120;
/// Between two times that a command is run that has not printed yet what it is to.
const ASKED_AGAIN_NS: u64 = NS_PER_S / 5;
const NS_PER_S: u64 = 1_000_000_000;

/// A stage.
pub trait Host {
    /// Nanoseconds on the stage's own clock.
    fn now_ns(&self) -> u64;

    /// Has it happen. Notes are the interpreter's own affair.
    ///
    /// # Errors
    /// It cannot be done.
    fn happens(&mut self, what: &Happening, scenario: &Scenario) -> Result<(), String>;

    /// The pods, as `berth get pods -o json` shows them, the next time that there may be something new; none if that is
    /// not before `until_ns`.
    ///
    /// # Errors
    /// Nothing is shown any more, or the stage itself has found something wrong.
    fn next(&mut self, until_ns: u64) -> Result<Option<Value>, String>;

    /// All events so far, in their order.
    ///
    /// # Errors
    /// Nothing is told any more.
    fn told(&mut self) -> Result<Vec<Told>, String>;

    /// What the commands print now; none on a stage that has no real containers.
    ///
    /// # Errors
    /// They cannot be run.
    fn prints(&mut self, ask: &Ask) -> Result<Option<Printed>, String>;

    /// The machine boots again, with these happening meanwhile. False if whoever plays goes with it, and is to
    /// [`resume`] after that.
    ///
    /// # Errors
    /// It cannot be done.
    fn reboots(&mut self, all: &[Happening], scenario: &Scenario) -> Result<bool, String>;

    /// The end: all manifest files and devices go, and the node has enough of everything.
    ///
    /// # Errors
    /// They cannot be removed.
    fn clear(&mut self) -> Result<(), String>;

    /// All pods that are left go, and nobody learns anything from how long they take: that is what the scenario was about.
    ///
    /// # Errors
    /// It cannot be made shorter.
    fn hurry(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// What is left of pods when none is shown any more.
    fn left(&self) -> Vec<String>;
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The uid of the pod that it is about.
    pub uid: String,
    /// Its reason.
    pub reason: String,
    /// Its message.
    pub message: String,
}

/// How far it was played.
#[derive(Debug)]
pub enum Played {
    /// To its end.
    Over,
    /// Until the machine boots again.
    Reboots(Paused),
}

/// What is to be known after a reboot.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Paused {
    /// Number of the step that is next.
    step: usize,
    notes: Notes,
    /// Uids of all that was shown.
    seen: BTreeSet<String>,
}

impl Paused {
    /// What has happened to manifest files since.
    pub(super) fn meanwhile<'s>(&self, scenario: &'s Scenario) -> &'s [Happening] {
        match self.step.checked_sub(1).and_then(|step| scenario.steps.get(step)) {
            Some(Step::Do(Happening::Reboot(all))) => all,
            _ => &[],
        }
    }
}

struct Player<'a, H> {
    host: &'a mut H,
    scenario: &'a Scenario,
    /// As last shown.
    list: Value,
    at: Paused,
}

/// Plays the scenario to its end, and takes down what it has put up.
///
/// # Errors
/// What was not to be seen, or was, at which step.
pub fn play(scenario: &Scenario, host: &mut impl Host) -> Result<Played, String> {
    resume(scenario, host, Paused::default())
}

/// As [`play`], from there on.
///
/// # Errors
/// As [`play`].
pub fn resume(scenario: &Scenario, host: &mut impl Host, at: Paused) -> Result<Played, String> {
    let mut player = Player { host, scenario, list: Value::Null, at };
    while let Some(step) = scenario.steps.get(player.at.step) {
        player.at.step += 1;
        let done = match step {
            Step::Do(Happening::Reboot(all)) => match player.reboots(all) {
                Ok(false) => return Ok(Played::Reboots(player.at)),
                done => done.map(drop),
            },
            Step::Do(what) => player.does(what),
            Step::See(see) => player.sees(see),
            Step::Ask(ask) => player.asks(ask),
        };
        if let Err(why) = done {
            // Others are to find nothing of it; that it failed is told either way.
            let _ = player.ends();
            return Err(format!("{}, step {}: {step:?}\n{why}", scenario.name, player.at.step));
        }
    }
    player.ends().map_err(|why| format!("{}, at its end: {why}", scenario.name))?;
    Ok(Played::Over)
}

impl<H: Host> Player<'_, H> {
    fn does(&mut self, what: &Happening) -> Result<(), String> {
        if let Happening::Note(pod) = what {
            let shown = look::named(&self.list, pod).next().ok_or("it is not there")?;
            self.at.notes.insert(pod.clone(), look::note(shown));
            return Ok(());
        }
        self.awaits(what)?;
        self.host.happens(what, self.scenario)?;
        if matches!(what, Happening::KillAgent | Happening::AgentAway(_)) {
            return self.anew();
        }
        Ok(())
    }

    /// What the old agent has shown last is not what is seen now.
    fn anew(&mut self) -> Result<(), String> {
        let until_ns = self.host.now_ns() + RUNS_WITHIN_S * NS_PER_S;
        self.looks(until_ns)?.ok_or_else(|| "no new agent shows anything".to_owned())
    }

    fn reboots(&mut self, all: &[Happening]) -> Result<bool, String> {
        let goes_on = self.host.reboots(all, self.scenario)?;
        if goes_on {
            self.anew()?;
        }
        Ok(goes_on)
    }

    /// Waits for those to whom it is to happen.
    fn awaits(&mut self, what: &Happening) -> Result<(), String> {
        match what {
            Happening::Exit(exit) => self.runs(&exit.pod, &exit.container),
            Happening::File(file) => self.runs(&file.pod, &file.container),
            Happening::AgentAway(all) => all.iter().try_for_each(|what| self.awaits(what)),
            _ => Ok(()),
        }
    }

    /// Waits until the container runs.
    fn runs(&mut self, pod: &str, container: &str) -> Result<(), String> {
        let see = serde_json::json!({"see": {pod: {container: "running"}}, "within": RUNS_WITHIN_S});
        self.sees(&serde_json::from_value(see).map_err(|error| error.to_string())?)
    }

    fn sees(&mut self, see: &See) -> Result<(), String> {
        let until_ns = self.host.now_ns() + see.within * NS_PER_S;
        loop {
            if see.never.is_in(&self.list, &self.at.notes) && !see.never.is_empty() {
                return Err(format!("never:\n{}", see.never.instead(&self.list, &self.at.notes)));
            }
            if see.see.is_in(&self.list, &self.at.notes) {
                let Some(line) = self.untold(&see.told)?.cloned() else { return Ok(()) };
                // What is told need not change what is seen.
                let soon_ns = until_ns.min(self.host.now_ns() + NS_PER_S);
                if self.looks(soon_ns)?.is_none() && self.host.now_ns() >= until_ns {
                    return Err(format!("no event tells (in this order) {line:?}"));
                }
                continue;
            }
            if self.looks(until_ns)?.is_none() {
                let instead = see.see.instead(&self.list, &self.at.notes);
                return Err(format!("not within {} s. Instead:\n{instead}", see.within));
            }
        }
    }

    fn asks(&mut self, ask: &Ask) -> Result<(), String> {
        if let Ask::Inside(inside) = ask {
            self.runs(&inside.pod, &inside.container)?;
        }
        let until_ns = self.host.now_ns() + ask.within_s() * NS_PER_S;
        loop {
            let Some(printed) = self.host.prints(ask)? else { return Ok(()) };
            if ask.is_printed(&printed) {
                return Ok(());
            }
            if self.host.now_ns() >= until_ns {
                return Err(format!("printed:\n{}\n{}", printed.out, printed.err));
            }
            let again_ns = self.host.now_ns() + ASKED_AGAIN_NS;
            while self.looks(again_ns)?.is_some() {}
        }
    }

    /// The next view, held against what must never be.
    fn looks(&mut self, until_ns: u64) -> Result<Option<()>, String> {
        let Some(list) = self.host.next(until_ns)? else { return Ok(None) };
        self.list = list;
        let uids = look::items(&self.list["items"]).filter_map(|pod| pod["metadata"]["uid"].as_str());
        self.at.seen.extend(uids.map(str::to_owned));
        let broken = self.scenario.never.iter().find(|never| never.is_in(&self.list, &self.at.notes));
        match broken {
            Some(never) => Err(format!("never:\n{}", never.instead(&self.list, &self.at.notes))),
            None => Ok(Some(())),
        }
    }

    /// The first of the lines that no event has told, behind those before it.
    fn untold<'l>(&mut self, lines: &'l [String]) -> Result<Option<&'l String>, String> {
        if lines.is_empty() {
            return Ok(None);
        }
        let told = self.host.told()?;
        let mut told = told.iter().filter(|told| self.at.seen.contains(&told.uid));
        let mut lines = lines.iter();
        Ok(lines.find(|line| {
            let (reason, words) = line.split_once(' ').unwrap_or((line, ""));
            !told.any(|told| told.reason == reason && told.message.contains(words))
        }))
    }

    fn ends(&mut self) -> Result<(), String> {
        self.host.clear()?;
        let until_ns = self.host.now_ns() + GONE_WITHIN_S * NS_PER_S;
        while look::items(&self.list["items"]).next().is_some() {
            if look::items(&self.list["items"])
                .all(|shown| shown["metadata"]["deletionTimestamp"].is_string())
            {
                self.host.hurry()?;
            }
            self.list = self.host.next(until_ns)?.ok_or("pods are left")?;
        }
        match self.host.left() {
            left if left.is_empty() => Ok(()),
            left => Err(format!("left: {}", left.join(", "))),
        }
    }
}
