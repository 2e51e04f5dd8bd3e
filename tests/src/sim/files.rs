//! A scenario's manifest directory, read as the agent reads it: a file that is wrong in any part keeps what it gave
//! when it was last right.

use crate::scenarios::NODE;
use berth_core::{
    event::DesiredSet,
    manifest::{Format, LoadInput, LoadOutput, load, merge, objects::Salt},
};
use std::collections::BTreeMap;

/// The files, and what is kept of them on disk.
#[derive(Debug, Default)]
pub(crate) struct Files {
    now: BTreeMap<String, String>,
    good: BTreeMap<String, LoadOutput>,
}

impl Files {
    pub(crate) fn write(&mut self, name: &str, text: &str) {
        self.now.insert(name.to_owned(), text.to_owned());
    }

    pub(crate) fn remove(&mut self, name: &str) -> bool {
        self.now.remove(name).is_some()
    }

    pub(crate) fn clear(&mut self) {
        self.now.clear();
    }

    /// What a source tells that reads the directory now.
    pub(crate) fn read(&mut self) -> DesiredSet {
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
        merge(&all, &Salt::default())
    }
}
