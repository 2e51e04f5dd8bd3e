//! The interpreter: step by step, on whatever stage. Knows nothing of stages but [`Host`].

use super::{
    Happening, Scenario, See, Step,
    look::{self, Notes},
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Seconds in which a container runs to which something is to happen.
const RUNS_WITHIN_S: u64 = 60;
/// Seconds in which nothing is left after the end.
const GONE_WITHIN_S: u64 = 120;
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

    /// The end: all manifest files and devices go.
    ///
    /// # Errors
    /// They cannot be removed.
    fn clear(&mut self) -> Result<(), String>;

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

struct Player<'a, H> {
    host: &'a mut H,
    scenario: &'a Scenario,
    /// As last shown.
    list: Value,
    notes: Notes,
    /// Uids of all that was shown.
    seen: BTreeSet<String>,
}

/// Plays the scenario to its end, and takes down what it has put up.
///
/// # Errors
/// What was not to be seen, or was, at which step.
pub fn play(scenario: &Scenario, host: &mut impl Host) -> Result<(), String> {
    let (list, notes, seen) = (Value::Null, Notes::new(), BTreeSet::new());
    let mut player = Player { host, scenario, list, notes, seen };
    for (number, step) in scenario.steps.iter().enumerate() {
        let done = match step {
            Step::Do(what) => player.does(what),
            Step::See(see) => player.sees(see),
        };
        done.map_err(|why| format!("{}, step {}: {step:?}\n{why}", scenario.name, number + 1))?;
    }
    player.ends().map_err(|why| format!("{}, at its end: {why}", scenario.name))
}

impl<H: Host> Player<'_, H> {
    fn does(&mut self, what: &Happening) -> Result<(), String> {
        match what {
            Happening::Note(pod) => {
                let shown = look::named(&self.list, pod).next().ok_or("it is not there")?;
                self.notes.insert(pod.clone(), look::note(shown));
                return Ok(());
            }
            Happening::Exit(exit) => self.runs(&exit.pod, &exit.container)?,
            Happening::File(file) => self.runs(&file.pod, &file.container)?,
            _ => {}
        }
        self.host.happens(what, self.scenario)?;
        if matches!(what, Happening::KillAgent) {
            // What the old agent has shown last is not what is seen now.
            let until_ns = self.host.now_ns() + RUNS_WITHIN_S * NS_PER_S;
            self.looks(until_ns)?.ok_or("no new agent shows anything")?;
        }
        Ok(())
    }

    /// Waits until the container runs.
    fn runs(&mut self, pod: &str, container: &str) -> Result<(), String> {
        let see = serde_json::json!({"see": {pod: {container: "running"}}, "within": RUNS_WITHIN_S});
        self.sees(&serde_json::from_value(see).map_err(|error| error.to_string())?)
    }

    fn sees(&mut self, see: &See) -> Result<(), String> {
        let until_ns = self.host.now_ns() + see.within * NS_PER_S;
        loop {
            if see.never.is_in(&self.list, &self.notes) && !see.never.is_empty() {
                return Err(format!("never:\n{}", see.never.instead(&self.list, &self.notes)));
            }
            if see.see.is_in(&self.list, &self.notes) {
                let Some(line) = self.untold(&see.told)?.cloned() else { return Ok(()) };
                // What is told need not change what is seen.
                let soon_ns = until_ns.min(self.host.now_ns() + NS_PER_S);
                if self.looks(soon_ns)?.is_none() && self.host.now_ns() >= until_ns {
                    return Err(format!("no event tells (in this order) {line:?}"));
                }
                continue;
            }
            if self.looks(until_ns)?.is_none() {
                let instead = see.see.instead(&self.list, &self.notes);
                return Err(format!("not within {} s. Instead:\n{instead}", see.within));
            }
        }
    }

    /// The next view, held against what must never be.
    fn looks(&mut self, until_ns: u64) -> Result<Option<()>, String> {
        let Some(list) = self.host.next(until_ns)? else { return Ok(None) };
        self.list = list;
        let uids = look::items(&self.list["items"]).filter_map(|pod| pod["metadata"]["uid"].as_str());
        self.seen.extend(uids.map(str::to_owned));
        let broken = self.scenario.never.iter().find(|never| never.is_in(&self.list, &self.notes));
        match broken {
            Some(never) => Err(format!("never:\n{}", never.instead(&self.list, &self.notes))),
            None => Ok(Some(())),
        }
    }

    /// The first of the lines that no event has told, behind those before it.
    fn untold<'l>(&mut self, lines: &'l [String]) -> Result<Option<&'l String>, String> {
        if lines.is_empty() {
            return Ok(None);
        }
        let told = self.host.told()?;
        let mut told = told.iter().filter(|told| self.seen.contains(&told.uid));
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
            self.list = self.host.next(until_ns)?.ok_or("pods are left")?;
        }
        match self.host.left() {
            left if left.is_empty() => Ok(()),
            left => Err(format!("left: {}", left.join(", "))),
        }
    }
}
