//! Removes images: for want of room, for age, or because somebody asks. Which is decided by
//! `berth_images::gc`; here is what is in use, and the hand. In the main loop, so that no pod can begin to use
//! an image between question and removal; the layers' files go on a thread.

use super::revisions::Revisions;
use crate::{
    agent::{Agent, Env, Told},
    api::{
        ask::{Answer, Refusal, Removal},
        images::refusal,
    },
};
use berth_core::{
    event::Outcome,
    ids::{ActionId, PodUid},
    time::{Mono, NS_PER_S},
};
use berth_images::{
    ImageSummary,
    gc::{self, DiskUse, GcImage, GcPlan, GcPolicy},
    limits::DOWNLOAD_SPARED_MAX_S,
};
use berth_oci::clock;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// Seconds between two looks at the disk, as kubelet has it. Taken on the occasion of a rescan.
const LOOK_EVERY_S: u64 = 300;

/// What the collection remembers.
#[derive(Debug)]
pub(super) struct ImageGc {
    pub(super) revisions: Revisions,
    file: PathBuf,
    /// When each image was first seen, and last used.
    seen: BTreeMap<String, (Mono, Mono)>,
    looked: Option<Mono>,
    /// The disk was over its threshold and nothing could be done: told once.
    told_full: bool,
}

/// Why images stay.
#[derive(Debug, Default)]
struct Use {
    /// Ids that containers have.
    containers: BTreeSet<String>,
    /// Ids that manifests name, now or before.
    manifests: BTreeSet<String>,
}

impl ImageGc {
    pub(super) fn new(file: PathBuf) -> Self {
        let revisions = Revisions::load(&file);
        Self { revisions, file, seen: BTreeMap::new(), looked: None, told_full: false }
    }
}

impl Agent {
    /// The manifests say this now, and the core has heard it.
    pub(super) fn note_revisions(&mut self) {
        let standing = |uid: &PodUid| self.world.standing(uid).clone();
        if self.gc.revisions.take(&self.desired, standing) {
            let (revisions, file) = (self.gc.revisions.clone(), self.gc.file.clone());
            tokio::task::spawn_blocking(move || {
                if let Err(error) = revisions.save(&file) {
                    tracing::warn!(%error, "images of earlier revisions are not remembered over a reboot");
                }
            });
        }
    }

    /// Looks at the disk if it is time, or if `now` there is reason to.
    pub(super) fn collect_images(&mut self, at_once: bool) {
        let now = clock::now().mono;
        let due = self.gc.looked.is_none_or(|last| now.since(last) >= LOOK_EVERY_S * NS_PER_S);
        if !due && !at_once {
            return;
        }
        self.gc.looked = Some(now);
        let config = &self.env.config;
        let policy = GcPolicy {
            high_percent: config.image_gc_high_threshold_percent,
            low_percent: config.image_gc_low_threshold_percent,
            min_age_s: config.image_minimum_gc_age.0.as_secs(),
            max_age_s: config.image_maximum_gc_age.0.as_secs(),
        };
        let Some((disk, plan)) = self.collect_by(&policy) else { return };
        let full = plan.missing_bytes > 0;
        if full && !self.gc.told_full {
            let (used_percent, missing_bytes) = (disk.percent(), plan.missing_bytes);
            tracing::warn!(
                used_percent,
                missing_bytes,
                "the disk is full and no image can be removed for it"
            );
        }
        self.gc.told_full = full;
        if !plan.remove.is_empty() || full {
            self.prune_layers();
        }
    }

    /// Removes what the policy says.
    fn collect_by(&mut self, policy: &GcPolicy) -> Option<(DiskUse, GcPlan)> {
        let images = self.env.store.list();
        let uses = self.image_use();
        let all = self.gc_images(&images, &uses, clock::now().mono);
        let disk = self.env.store.disk_use();
        let disk = disk.inspect_err(|error| tracing::warn!(%error, "no images are collected")).ok()?;
        let plan = gc::plan(policy, &disk, &all);
        for id in &plan.remove {
            let names = images.iter().find(|image| image.id == *id).map(|image| image.names.join(", "));
            match self.env.store.forget(id) {
                Ok(()) => tracing::info!(id, names, used_percent = disk.percent(), "image removed"),
                Err(error) => tracing::warn!(id, %error, "image cannot be removed"),
            }
        }
        Some((disk, plan))
    }

    /// The disk is under pressure: all images go that nobody needs, whatever their age, and what is left of downloads.
    /// Answered when their files are gone.
    pub(crate) fn reclaim_images(&mut self, action: ActionId) {
        self.collect_by(&GcPolicy { high_percent: 0, low_percent: 0, min_age_s: 0, max_age_s: 0 });
        let (env, told) = (Arc::clone(&self.env), self.told.clone());
        tokio::task::spawn_blocking(move || {
            prune(&env);
            // Fails when the agent ends.
            let _ = told.blocking_send(Told::Done(action, Outcome::Ok));
        });
    }

    /// Removes the layers that no image has and what is left of downloads, on a thread.
    fn prune_layers(&self) {
        let env = Arc::clone(&self.env);
        tokio::task::spawn_blocking(move || prune(&env));
    }

    fn image_use(&self) -> Use {
        let store = &self.env.store;
        let mut uses = Use::default();
        let mut named: BTreeSet<&str> = self.gc.revisions.images().chain(self.pins.kept()).collect();
        for image in self.world.images() {
            named.insert(image.reference);
            uses.containers.extend(image.id.map(str::to_owned));
        }
        uses.manifests = store.ids_of(named);
        uses
    }

    fn gc_images(&mut self, images: &[ImageSummary], uses: &Use, now: Mono) -> Vec<GcImage> {
        self.gc.seen.retain(|id, _| images.iter().any(|image| image.id == *id));
        let mut all = Vec::with_capacity(images.len());
        for image in images {
            let used = uses.containers.contains(&image.id);
            let seen = self.gc.seen.entry(image.id.clone()).or_insert((now, now));
            if used {
                seen.1 = now;
            }
            all.push(GcImage {
                id: image.id.clone(),
                bytes: image.unique_bytes,
                kept: used || uses.manifests.contains(&image.id) || is_kept(image),
                unused_s: now.since(seen.1) / NS_PER_S,
                age_s: now.since(seen.0) / NS_PER_S,
            });
        }
        all
    }

    /// Somebody asks for images to go.
    pub(super) fn remove_images(&mut self, removal: Removal) -> Answer {
        let answer = match removal {
            Removal::Named { images, force } => self.remove_named(&images, force),
            Removal::Unused { all, dry_run } => self.remove_unused(all, dry_run),
        };
        self.prune_layers();
        answer
    }

    fn remove_named(&mut self, images: &[String], force: bool) -> Answer {
        let (env, uses) = (Arc::clone(&self.env), self.image_use());
        let (mut removed, mut untagged) = (Vec::new(), Vec::new());
        for image in images {
            let id = env.store.id_of(image, &env.platform).map_err(refusal)?;
            if env.store.untag(image, &env.platform).unwrap_or(false) {
                untagged.push(image.clone());
                continue;
            }
            let pinned = env.store.list().iter().any(|known| known.id == id && known.pinned);
            let why = match () {
                () if uses.containers.contains(&id) => "a container uses it: remove its manifest first",
                () if force => "",
                () if uses.manifests.contains(&id) => {
                    "a manifest names it, or did in its previous revision; --force removes it all the same"
                }
                () if pinned => "it is pinned; unpin it, or use --force",
                () => "",
            };
            if !why.is_empty() {
                return Err(Refusal::conflict(format!("image {image} stays: {why}")));
            }
            env.store.forget(&id).map_err(refusal)?;
            removed.push(id);
        }
        Ok(json!({"removed": removed, "untagged": untagged}))
    }

    fn remove_unused(&mut self, all: bool, dry_run: bool) -> Answer {
        let uses = self.image_use();
        let (mut removed, mut freed) = (Vec::new(), 0_u64);
        for image in self.env.store.list() {
            let used = uses.containers.contains(&image.id) || uses.manifests.contains(&image.id);
            if used || is_kept(&image) || !all && !image.names.is_empty() {
                continue;
            }
            if !dry_run {
                self.env.store.forget(&image.id).map_err(refusal)?;
            }
            freed = freed.saturating_add(image.unique_bytes);
            removed.push(json!({"id": image.id, "names": image.names, "bytes": image.unique_bytes}));
        }
        Ok(json!({"removed": removed, "freedBytes": freed}))
    }
}

fn prune(env: &Env) {
    env.store.forget_downloads(Duration::from_secs(DOWNLOAD_SPARED_MAX_S));
    if let Err(error) = env.store.prune_layers() {
        tracing::warn!(%error, "layers of removed images stay for the next time");
    }
}

/// Pinned, in the vendor's store, or imported from what the vendor ships.
fn is_kept(image: &ImageSummary) -> bool {
    image.pinned || image.vendor || image.source.starts_with("/usr/share")
}
