//! The source directories as a whole, and what is remembered of them: an entry is scanned again only when
//! its inode, size or times have changed. Nothing is watched; the directories are listed when an image is
//! wanted that the store does not have.

use super::{Offer, Scanned, scan};
use crate::{digest::Digest, limits::SOURCE_DIR_MAX_ENTRIES, reference::Reference};
use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// The configured source directories.
#[derive(Debug)]
pub(crate) struct Sources {
    dirs: Vec<PathBuf>,
    known: Mutex<HashMap<PathBuf, Known>>,
}

/// Device, inode, size, time of content, time of change.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

#[derive(Debug, Clone)]
struct Known {
    stamp: Stamp,
    /// A scan's result, or why it failed.
    result: Result<Arc<Scanned>, String>,
}

/// What the directories hold now.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Best first: a later directory before an earlier one, within one by name.
    pub(crate) entries: Vec<Arc<Scanned>>,
    pub(crate) problems: Vec<String>,
}

impl Sources {
    pub(crate) fn new(dirs: Vec<PathBuf>) -> Self {
        Self { dirs, known: Mutex::default() }
    }

    pub(crate) fn dirs(&self) -> impl Iterator<Item = String> + '_ {
        self.dirs.iter().map(|dir| dir.display().to_string())
    }

    /// Lists the directories, scanning what is new or changed.
    pub(crate) fn list(&self) -> Listing {
        let mut listing = Listing::default();
        // A poisoned table is still a table of facts.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = HashMap::new();
        for dir in self.dirs.iter().rev() {
            for path in entries(dir, &mut listing.problems) {
                let fresh = examine(&path, known.remove(&path));
                match &fresh.result {
                    Ok(scanned) => listing.entries.push(Arc::clone(scanned)),
                    Err(problem) => listing.problems.push(problem.clone()),
                }
                next.insert(path, fresh);
            }
        }
        *known = next;
        listing
    }
}

impl Listing {
    /// Sources with images under this name, best first.
    pub(crate) fn find(&self, wanted: &Reference) -> Vec<(Arc<Scanned>, Vec<usize>)> {
        let all = self.entries.iter().filter_map(|entry| {
            let fits = |(at, offer): (usize, &Offer)| offers(offer, wanted).then_some(at);
            let found: Vec<usize> = entry.images.iter().enumerate().filter_map(fits).collect();
            (!found.is_empty()).then(|| (Arc::clone(entry), found))
        });
        all.collect()
    }

    /// Existing names that are like the wanted one: the same last part of the name, or the same beginning.
    /// `more` are names that exist elsewhere.
    pub(crate) fn near(&self, wanted: &Reference, more: Vec<Reference>) -> Vec<String> {
        const NEAR_MAX_COUNT: usize = 8;
        let last = |reference: &Reference| reference.path().rsplit('/').next().unwrap_or_default().to_owned();
        let word = last(wanted);
        let names = self.entries.iter().flat_map(|e| &e.images).flat_map(|i| &i.names).chain(&more);
        let like = |name: &&Reference| {
            let other = last(name);
            other.contains(&word) || word.contains(&other)
        };
        let mut near: Vec<String> = names.filter(like).map(Reference::familiar).collect();
        near.sort();
        near.dedup();
        near.truncate(NEAR_MAX_COUNT);
        near
    }
}

/// By digest if the reference has one (the name then only says where it came from), else by name and tag.
fn offers(offer: &Offer, wanted: &Reference) -> bool {
    match (wanted.digest(), &offer.target) {
        (Some(digest), super::Target::Oci(descriptor)) => {
            // An index may lead to the digest: it is looked into when its name fits.
            Digest::parse(&descriptor.digest).is_ok_and(|d| d == *digest)
                || offer.names.iter().any(|name| name.name() == wanted.name())
        }
        (Some(_), super::Target::Docker(_)) => offer.names.iter().any(|name| name.name() == wanted.name()),
        (None, _) => {
            offer.names.iter().any(|name| name.name() == wanted.name() && name.tag() == wanted.tag())
        }
    }
}

/// The entries of a directory, by name. A directory that does not exist is an empty one.
fn entries(dir: &Path, problems: &mut Vec<String>) -> Vec<PathBuf> {
    let listed = match fs::read_dir(dir) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            problems.push(format!("{}: {error}", dir.display()));
            return Vec::new();
        }
    };
    let mut paths = Vec::new();
    for entry in listed {
        match entry {
            Ok(entry) if is_hidden(&entry.path()) => {}
            Ok(entry) => paths.push(entry.path()),
            Err(error) => problems.push(format!("{}: {error}", dir.display())),
        }
        if paths.len() >= SOURCE_DIR_MAX_ENTRIES {
            let more = format!("more than SOURCE_DIR_MAX_ENTRIES = {SOURCE_DIR_MAX_ENTRIES} entries");
            problems.push(format!("{}: {more}; the rest is not looked at", dir.display()));
            break;
        }
    }
    paths.sort();
    paths
}

/// Dot files, and what copying tools leave half-written.
pub(crate) fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || [".tmp", ".part", ".partial", "~"].iter().any(|ending| name.ends_with(ending))
}

fn examine(path: &Path, known: Option<Known>) -> Known {
    let stamp = match stamp(path) {
        Ok(stamp) => stamp,
        Err(error) => {
            return Known { stamp: Stamp::default(), result: Err(format!("{}: {error}", path.display())) };
        }
    };
    match known {
        Some(known) if known.stamp == stamp => known,
        _ => Known { stamp, result: scan::scan(path).map(Arc::new).map_err(|error| error.to_string()) },
    }
}

/// What changes with an entry's content. A layout directory changes with its index.
fn stamp(path: &Path) -> io::Result<Stamp> {
    let mut metadata = path.metadata()?;
    if metadata.is_dir() {
        metadata = path.join("index.json").metadata().or_else(|_| path.metadata())?;
    }
    Ok((
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        (metadata.mtime(), metadata.mtime_nsec()),
        (metadata.ctime(), metadata.ctime_nsec()),
    ))
}
