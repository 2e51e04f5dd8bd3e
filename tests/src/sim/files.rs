//! A scenario's manifest directory, read as the agent reads it: a file that is wrong in any part keeps what it gave
//! when it was last right.

use super::address::URL;
use crate::scenarios::NODE;
use berth_core::{
    event::{DesiredSet, Shutdown},
    manifest::{
        Format, LoadInput, LoadOutput,
        answer::{Answer, answer},
        load, merge,
        objects::Salt,
    },
};
use std::collections::BTreeMap;

/// The files, and what is kept of them on disk.
#[derive(Debug, Default)]
pub(crate) struct Files {
    now: BTreeMap<String, String>,
    good: BTreeMap<String, LoadOutput>,
    /// What the address says, while it answers.
    says: Option<String>,
    /// What it said last that counts, as it is on the disk.
    kept: Option<String>,
    /// The machine is about to go down.
    pub(crate) halting: bool,
}

impl Files {
    pub(crate) fn write(&mut self, name: &str, text: &str) {
        self.now.insert(name.to_owned(), text.to_owned());
    }

    pub(crate) fn remove(&mut self, name: &str) -> bool {
        self.now.remove(name).is_some()
    }

    pub(crate) fn rename(&mut self, name: &str, to: &str) -> bool {
        let text = self.now.remove(name);
        text.map(|text| self.now.insert(to.to_owned(), text)).is_some()
    }

    /// From now on the address says this, or fails.
    pub(crate) fn says(&mut self, text: Option<&str>) {
        self.says = text.map(str::to_owned);
    }

    pub(crate) fn clear(&mut self) {
        self.now.clear();
        (self.says, self.kept) = (None, None);
    }

    /// What a source tells that reads the directory now.
    pub(crate) fn read(&mut self) -> DesiredSet {
        let asked = self.asked();
        self.good.retain(|name, _| self.now.contains_key(name));
        let mut all = Vec::new();
        for (name, text) in &self.now {
            let format = Format::Yaml;
            let mut output =
                load(&LoadInput { file: name, bytes: text.as_bytes(), format, node: NODE, source: "file" });
            if output.problems.is_empty() {
                self.good.insert(name.clone(), output.clone());
            } else if let Some(good) = self.good.get(name) {
                let held = good.pods.iter().filter(|pod| output.pods.iter().all(|now| now.key != pod.key));
                let held: Vec<_> = held.cloned().collect();
                output.pods.extend(held);
                let held = good.objects.iter().filter(|o| output.objects.iter().all(|now| now.key != o.key));
                let held: Vec<_> = held.cloned().collect();
                output.objects.extend(held);
            }
            all.push((name.as_str(), output));
        }
        all.extend(asked.map(|output| (URL, output)));
        let shutdown = self.halting.then_some(Shutdown::Halt);
        DesiredSet { shutdown, ..merge(&all, &Salt::default()) }
    }

    /// What the address has said counts when all of it is right, and until it says something else.
    fn asked(&mut self) -> Option<LoadOutput> {
        let told = |text: &str| match answer(URL, text.as_bytes(), NODE) {
            Answer::Taken(output) => Some(output),
            Answer::Refused(_) => None,
        };
        if self.says.as_deref().is_some_and(|text| told(text).is_some()) {
            self.kept.clone_from(&self.says);
        }
        told(self.kept.as_ref()?)
    }
}
