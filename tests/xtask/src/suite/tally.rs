//! What was tried in a run of the tests, and how it ended: told as it happens and once more at the end. It runs nothing
//! but what it is given.

use super::told::Told;
use crate::sh::Result;
use std::time::Instant;

/// So many steps that took longest are told at the end.
const LONGEST_TOLD: usize = 12;

/// One thing that was tried.
pub(super) struct Step {
    name: String,
    seconds: u64,
    /// What is wrong, when it failed.
    error: Option<String>,
    /// Of what a guest said, what is told again at the end, where nobody has to look for it.
    pub(super) told: Told,
}

impl Step {
    pub(super) fn run(name: String, work: impl FnOnce() -> Result) -> Self {
        println!("== {name}");
        let begun = Instant::now();
        let error = work().err().map(|error| error.to_string());
        Self { name, seconds: begun.elapsed().as_secs(), error, told: Told::default() }
    }

    pub(super) fn passed(&self) -> bool {
        self.error.is_none()
    }

    pub(super) fn outcome(&self) -> String {
        let Self { name, seconds, error, .. } = self;
        match error {
            None => format!("{name}: ok, {seconds} s"),
            Some(error) => format!("{name}: FAILED, {seconds} s: {error}"),
        }
    }

    /// The outcome with what was said around it.
    fn tell_again(&self) {
        println!("\n== {}", self.outcome());
        self.told.lines().for_each(|line| println!("  {line}"));
    }
}

/// What passed and what did not.
#[derive(Default)]
pub(super) struct Tally {
    passed: u32,
    /// Of each step its seconds and its name.
    times: Vec<(u64, String)>,
    failed: Vec<Step>,
    /// Those that failed, and passed when they were tried once more.
    unsteady: Vec<Step>,
}

impl Tally {
    pub(super) fn step(&mut self, name: &str, work: impl FnOnce() -> Result) {
        self.add(Step::run(name.to_owned(), work));
    }

    pub(super) fn add(&mut self, step: Step) {
        println!("== {}", step.outcome());
        self.times.push((step.seconds, step.name.clone()));
        if step.passed() {
            self.passed += 1;
        } else {
            self.failed.push(step);
        }
    }

    /// One that failed first and passed then.
    pub(super) fn add_unsteady(&mut self, first: Step, second: Step) {
        self.unsteady.push(first);
        self.add(second);
    }

    pub(super) fn close(mut self) -> Result {
        self.times.sort_by_key(|(seconds, _)| std::cmp::Reverse(*seconds));
        let longest: Vec<_> = self
            .times
            .iter()
            .take(LONGEST_TOLD)
            .map(|(seconds, name)| format!("{name} {seconds} s"))
            .collect();
        println!("\nlongest: {}", longest.join(", "));
        self.failed.iter().chain(&self.unsteady).for_each(Step::tell_again);
        if !self.unsteady.is_empty() {
            println!("\nunsteady, passed only when tried once more: {}", names(&self.unsteady));
        }
        println!("\n{} passed, {} failed", self.passed, self.failed.len());
        if self.failed.is_empty() {
            return Ok(());
        }
        Err(format!("failed: {}", names(&self.failed)).into())
    }
}

fn names(steps: &[Step]) -> String {
    steps.iter().map(|step| &*step.name).collect::<Vec<_>>().join(", ")
}
