//! Pods with the annotation `berth/checkpoint`, as they are kept for the time when their source is gone. What is a
//! removal and what a loss is decided by `berth_core::manifest::keepsake`; here is what is known about it, and the files.

pub(crate) mod file;
#[cfg(test)]
pub(super) mod tests;
mod writer;

use super::event::SourceEvent;
use berth_core::{
    event::DesiredSet,
    ids::{PodKey, PodUid},
    manifest::{
        LoadOutput,
        identity::on_node,
        keepsake::{self, Absence, Images, Keepsake},
    },
    world::World,
};
use berth_oci::clock;
use file::Filed;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
pub(super) use writer::{Content, Writer};

/// Where a pod comes from, as far as it matters whether that is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// Nothing is there.
    Nothing,
    /// An address.
    Address,
    /// A path that is itself a manifest.
    File,
    /// A directory, with the file system that it is on.
    Directory(u64),
}

/// What is known of an origin at this moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) ground: Ground,
    /// It has been read or heard since the start, and is right.
    pub(super) said: bool,
}

impl Ground {
    /// Whether what was on it then would still be seen. A directory that is gone, or under or no longer under a
    /// mounted disk, says nothing of its files.
    fn is_in_reach(self, now: Self) -> bool {
        !matches!(self, Self::Directory(_)) || self == now
    }
}

/// One pod.
#[derive(Debug)]
struct Item {
    /// As it is on disk, or about to be.
    filed: Filed,
    /// Where it came from when a source gave it, if one did since the start.
    given: Option<Ground>,
    /// What the sources give now, where that is another revision that has not come up yet.
    next: Option<Keepsake>,
    /// It is wanted only because it is kept.
    held: bool,
}

impl Item {
    fn path(&self, dir: &Path) -> PathBuf {
        file::path(dir, &self.filed.keepsake.pod)
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Keepsakes {
    dir: PathBuf,
    writer: Writer,
    items: BTreeMap<PodKey, Item>,
    /// Held pods, as they are wanted now.
    held: BTreeMap<PodUid, PodKey>,
    /// Pods of which it is not known yet what they come to.
    watched: BTreeMap<PodUid, PodKey>,
    events: Vec<SourceEvent>,
}

impl Keepsakes {
    /// What is kept in `dir`, as it is on the node with this name.
    pub(super) fn load(dir: &Path, node: &str) -> Self {
        let mut keepsakes = Self {
            dir: dir.to_owned(),
            writer: Writer::default(),
            items: BTreeMap::new(),
            held: BTreeMap::new(),
            watched: BTreeMap::new(),
            events: Vec::new(),
        };
        let mut there = BTreeSet::new();
        for path in file::list(dir).unwrap_or_default() {
            match file::read(&path) {
                Ok(Some(mut filed)) => {
                    filed.keepsake.pod = on_node(&filed.keepsake.pod, node);
                    let key = filed.keepsake.pod.key.clone();
                    keepsakes.items.insert(key, Item { filed, given: None, next: None, held: false });
                    there.insert(path);
                }
                Ok(None) => {}
                Err(why) => {
                    let message = format!("the checkpoint of a pod is not used: {}: {why}", path.display());
                    keepsakes.events.push(SourceEvent::of_node(true, "CheckpointDamaged", message));
                }
            }
        }
        keepsakes.writer = Writer::with(there);
        keepsakes
    }

    /// Nothing is kept, so nobody can remove any of it.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Where they are.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Somebody has removed a file of a pod that is kept. Tries again what could not be written, too.
    pub(super) fn is_disturbed(&self) -> bool {
        self.writer.go_on();
        self.items.values().any(|item| self.is_removed(item))
    }

    fn is_removed(&self, item: &Item) -> bool {
        let path = item.path(&self.dir);
        self.writer.is_there(&path) && !path.exists()
    }

    /// Takes in what the sources say now; what is to be held beside that.
    pub(super) fn take(
        &mut self,
        said: &DesiredSet,
        others: &[&LoadOutput],
        origin: impl Fn(&str) -> Origin,
    ) -> LoadOutput {
        // These pods are held no longer, and kept anew if their sources ask for it.
        let removed = self.items.iter().filter(|(_, item)| self.is_removed(item));
        let removed: Vec<PodKey> = removed.map(|(key, _)| key.clone()).collect();
        for key in removed {
            self.items.remove(&key);
        }
        let given: BTreeMap<&PodKey, _> = said.pods.iter().map(|pod| (&pod.key, pod)).collect();
        for pod in &said.pods {
            match Keepsake::of(pod, &said.objects) {
                Some(now) => self.keep(now, origin(&pod.origin).ground),
                None => self.forget(&pod.key, "its manifest no longer asks for one"),
            }
        }
        let absent = self.items.iter().filter(|(key, _)| !given.contains_key(key));
        let absent: Vec<(PodKey, Origin)> =
            absent.map(|(key, item)| (key.clone(), origin(&item.filed.keepsake.pod.origin))).collect();
        for (key, now) in absent {
            self.miss(&key, now);
        }
        let uids: BTreeSet<&PodUid> = said.pods.iter().map(|pod| &pod.uid).collect();
        let held = self.items.values().filter(|item| item.held).map(|item| &item.filed.keepsake);
        keepsake::source(held.filter(|kept| !uids.contains(&kept.pod.uid)), others.iter().copied())
    }

    /// No source gives this pod; its own is so.
    fn miss(&mut self, key: &PodKey, now: Origin) {
        let Some(item) = self.items.get_mut(key) else { return };
        let absence = Absence {
            given: item.given.is_some(),
            in_reach: item.given.is_some_and(|then| then.is_in_reach(now.ground)),
            disowned: now.said,
        };
        if absence.is_removal() {
            return self.forget(key, "its pod was removed");
        }
        item.next = None;
        if !std::mem::replace(&mut item.held, true) {
            let pod = &item.filed.keepsake.pod;
            let message = format!(
                "its manifest ({}) is gone or cannot be read; the pod runs from its checkpoint until that is there again, or \
                 `berth checkpoint rm {key}` ends it",
                pod.origin
            );
            self.events.push(SourceEvent::of_pod(pod, true, "CheckpointUsed", message));
        }
    }

    /// What is wanted in the end.
    pub(super) fn note_desired(&mut self, desired: &DesiredSet) {
        self.held.clear();
        self.watched.clear();
        for pod in &desired.pods {
            let Some(item) = self.items.get(&pod.key) else { continue };
            let of_it = if item.held { &mut self.held } else { &mut self.watched };
            of_it.insert(pod.uid.clone(), pod.key.clone());
        }
    }

    fn keep(&mut self, now: Keepsake, ground: Ground) {
        let key = now.pod.key.clone();
        let Some(item) = self.items.get_mut(&key) else {
            // Before it has come up too: better this than none.
            let filed = Filed { written: clock::now().wall, keepsake: now };
            self.write(&filed);
            self.items.insert(key, Item { filed, given: Some(ground), next: None, held: false });
            return;
        };
        (item.given, item.held, item.next) = (Some(ground), false, None);
        let known = &mut item.filed;
        if known.keepsake.is_as(&now) {
            return;
        }
        if known.keepsake.pod.uid == now.pod.uid {
            // The same revision runs, with other files in its volumes.
            let images = std::mem::take(&mut known.keepsake.images);
            *known = Filed { written: clock::now().wall, keepsake: Keepsake { images, ..now } };
            let filed = known.clone();
            self.write(&filed);
        } else {
            item.next = Some(now);
        }
    }

    fn write(&self, filed: &Filed) {
        let path = file::path(&self.dir, &filed.keepsake.pod);
        let filed = filed.clone();
        self.writer.put(path, Some(Content::new(move || file::content(&filed))));
    }

    fn forget(&mut self, key: &PodKey, why: &str) {
        let Some(item) = self.items.remove(key) else { return };
        self.writer.put(item.path(&self.dir), None);
        let message = format!("its checkpoint is removed: {why}");
        self.events.push(SourceEvent::of_pod(&item.filed.keepsake.pod, false, "CheckpointRemoved", message));
    }

    /// Looks whether pods have come up that were waited for; true if something is kept now that was not.
    pub(super) fn note_runs(&mut self, world: &World) -> bool {
        let mut news = false;
        let up: Vec<(PodUid, PodKey, Images)> = self
            .watched
            .iter()
            .filter(|(uid, _)| world.has_come_up(uid))
            .filter_map(|(uid, key)| Some((uid.clone(), key.clone(), world.digests(uid)?)))
            .collect();
        for (uid, key, images) in up {
            self.watched.remove(&uid);
            let Some(item) = self.items.get_mut(&key) else { continue };
            let now = item.next.take().unwrap_or_else(|| item.filed.keepsake.clone());
            let now = Keepsake { images, ..now };
            if now != item.filed.keepsake {
                item.filed = Filed { written: clock::now().wall, keepsake: now };
                let filed = item.filed.clone();
                self.write(&filed);
                news = true;
            }
        }
        news
    }

    /// The images of held pods, by uid.
    pub(super) fn held_images(&self) -> impl Iterator<Item = (&PodUid, &Images)> {
        self.held.iter().filter_map(|(uid, key)| Some((uid, &self.items.get(key)?.filed.keepsake.images)))
    }

    /// The images of all kept pods.
    pub(super) fn images(&self) -> impl Iterator<Item = &Images> {
        self.items.values().map(|item| &item.filed.keepsake.images)
    }

    /// What happened since the last time this was asked.
    pub(super) fn take_events(&mut self) -> Vec<SourceEvent> {
        let failed = self.writer.take_failed();
        for (path, why) in failed {
            let of_file = |item: &&Item| item.path(&self.dir) == path;
            let Some(item) = self.items.values().find(of_file) else { continue };
            let message = format!("its checkpoint cannot be kept: {why}");
            self.events.push(SourceEvent::of_pod(
                &item.filed.keepsake.pod,
                true,
                "CheckpointFailed",
                message,
            ));
        }
        std::mem::take(&mut self.events)
    }

    /// Waits until all is written.
    #[cfg(test)]
    pub(super) fn finish(&self) {
        self.writer.finish();
    }
}
