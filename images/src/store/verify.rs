//! `berth image verify`: reads everything that the store holds, holds it against its digests, and unpacks again
//! what is damaged from the source it came from. What no source has any more stays as it is and is told: a
//! damaged image may still run, none cannot.

use super::{Store, disk, index::Entry, layer::check_snapshot, tree};
use crate::{digest::Digest, error::Error, reference::Reference};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, PoisonError},
};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Images looked at.
    pub images: usize,
    /// Layers looked at.
    pub layers: usize,
    /// Layers of which no digest was kept: unpacked by an earlier version.
    pub unknown: usize,
    /// What is damaged.
    pub damage: Vec<Damage>,
}

/// One damaged part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The images that it is part of: names, or the id of one without.
    pub images: Vec<String>,
    /// What is wrong.
    pub what: String,
    /// It was made again.
    pub repaired: bool,
    /// Why it was not, if it was to be.
    pub why_not: Option<String>,
}

impl Store {
    /// Verifies all images; with `repair`, also imports again what is damaged. Reads as many bytes as the store
    /// holds. Containers that run on a damaged layer see the old files until they start again.
    pub fn verify(&self, repair: bool) -> VerifyReport {
        let entries: Vec<Arc<Entry>> = self.read_index().all().cloned().collect();
        let mut report = VerifyReport { images: entries.len(), ..VerifyReport::default() };
        let mut layers: BTreeMap<Digest, Option<String>> = BTreeMap::new();
        for entry in &entries {
            for chain in &entry.record.chain {
                layers.entry(*chain).or_insert_with(|| self.verify_layer(chain, &mut report));
            }
        }
        for (chain, what) in layers.into_iter().filter_map(|(chain, what)| Some((chain, what?))) {
            let users: Vec<&Arc<Entry>> =
                entries.iter().filter(|entry| entry.record.chain.contains(&chain)).collect();
            let mut damage = Damage { what, ..damage_of(&users) };
            if repair {
                self.mend(&mut damage, &users, Some(chain));
            }
            report.damage.push(damage);
        }
        for entry in &entries {
            if let Err(error) = self.verify_blobs(entry) {
                let mut damage = Damage { what: error.to_string(), ..damage_of(&[entry]) };
                if repair {
                    self.mend(&mut damage, &[entry], None);
                }
                report.damage.push(damage);
            }
        }
        report
    }

    fn verify_blobs(&self, entry: &Entry) -> Result<(), Error> {
        if entry.vendor {
            let layouts = self.vendor.layouts();
            let found = layouts.iter().find(|layout| layout.image(&entry.record.id).exists());
            let Some(layout) = found else { return Ok(()) };
            disk::read_blob(layout, &entry.record.manifest)?;
            return disk::read_blob(layout, &entry.record.id).map(drop);
        }
        disk::read_blob(&self.disk, &entry.record.manifest)?;
        disk::read_blob(&self.disk, &entry.record.id).map(drop)
    }

    /// What is wrong with a layer.
    fn verify_layer(&self, chain: &Digest, report: &mut VerifyReport) -> Option<String> {
        report.layers += 1;
        let own = self.disk.snapshot(chain);
        let dir: &Path = self.vendor.snapshot(chain).map_or(&own, |(dir, _)| dir);
        match check_snapshot(dir, chain).and_then(|_| tree::verify(dir)) {
            Ok(tree::State::Whole) => None,
            Ok(tree::State::Unknown) => {
                report.unknown += 1;
                None
            }
            Err(error) => Some(error.to_string()),
        }
    }

    fn mend(&self, damage: &mut Damage, users: &[&Arc<Entry>], chain: Option<Digest>) {
        if chain.is_some_and(|chain| self.vendor.snapshot(&chain).is_some()) {
            damage.why_not = Some("it is in the vendor's read-only store".into());
            return;
        }
        self.suspects().extend(chain);
        let mut why_not = "no image with a name uses it".to_owned();
        for entry in users {
            // Any of its names will do.
            for name in &entry.record.names {
                let Ok(wanted) = Reference::parse(name) else { continue };
                self.forget_fresh();
                match self.import(&wanted, &entry.record.platform) {
                    Ok(_) if chain.is_none_or(|chain| !self.is_suspect(&chain)) => {
                        damage.repaired = true;
                        return;
                    }
                    Ok(_) => why_not = format!("the source now has another image under {name}"),
                    Err(error) => why_not = error.to_string(),
                }
            }
        }
        if let Some(chain) = chain {
            self.clear_suspect(&chain);
        }
        damage.why_not = Some(why_not);
    }

    fn forget_fresh(&self) {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn is_suspect(&self, chain: &Digest) -> bool {
        self.suspects().contains(chain)
    }

    pub(super) fn clear_suspect(&self, chain: &Digest) {
        self.suspects().remove(chain);
    }

    fn suspects(&self) -> std::sync::MutexGuard<'_, std::collections::HashSet<Digest>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn damage_of(users: &[&Arc<Entry>]) -> Damage {
    let names = |entry: &&Arc<Entry>| match entry.record.names.as_slice() {
        [] => vec![entry.id_text.clone()],
        names => names.to_vec(),
    };
    Damage {
        images: users.iter().flat_map(names).collect(),
        what: String::new(),
        repaired: false,
        why_not: None,
    }
}
