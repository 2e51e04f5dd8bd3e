//! Brings an image from a registry into the store: first all that is missing of it into a layout below
//! `downloads`, several layers at a time, then from there as from any source. What was downloaded stays until the
//! image is in the store, so that a cut costs little; given up, it goes after some days.

use super::{Store, index::Entry};
use crate::{
    digest::{self, Digest},
    error::{Doing as _, Error},
    image::Image,
    limits::DOWNLOADS_MAX_COUNT,
    platform::Platform,
    reference::Reference,
    registry::{Registries, RemoteImage, Root},
    source::{self, Layer, Offer, Opened, Part},
};
use serde_json::json;
use std::{
    fs,
    path::Path,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

impl Store {
    /// The image as the registry has it now. What the store has of it already, down to single layers, is not
    /// fetched; an image that is the same costs one question.
    ///
    /// # Errors
    /// Every kind. `Registry` with `Trouble::Unreachable` leaves it to the caller whether the store's image, if
    /// there is one, is good enough.
    pub fn pull(&self, reference: &str, platform: &Platform, from: &Registries) -> Result<Image, Error> {
        let wanted = Reference::parse(reference)?;
        let mut remote = from.image(&wanted)?;
        if let Some(known) = self.find(&wanted, platform)
            && remote.digest()?.is_some_and(|digest| known.record.digests.contains(&digest))
        {
            self.admit(&wanted, &known)?;
            return Ok(known.image(&wanted));
        }
        let _pulling = self.pulling.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = self.downloads().join(Digest::of(wanted.to_string().as_bytes()).hex());
        let _landing = self.take_off(wanted.to_string(), &dir);
        fs::create_dir_all(dir.join("blobs/sha256")).doing(|| format!("make {}", dir.display()))?;
        let roots = vec![(remote.root(&dir)?, wanted.tagged().unwrap_or_else(|| wanted.to_string()))];
        let entry = self.pull_into(&dir, &wanted, platform, &remote, roots)?;
        self.disk.discard(&dir)?;
        self.admit(&wanted, &entry)?;
        Ok(entry.image(&wanted))
    }

    fn pull_into(
        &self,
        dir: &Path,
        wanted: &Reference,
        platform: &Platform,
        remote: &RemoteImage,
        mut roots: Vec<(Root, String)>,
    ) -> Result<Arc<Entry>, Error> {
        write_index(dir, &roots)?;
        let opened = Opened::filled(dir, Box::new(remote.clone()));
        let mut scanned = source::scan(dir)?;
        let offers: Vec<&Offer> = scanned.images.iter().collect();
        let resolved = source::resolve(&opened, &offers, platform, wanted.digest())?;
        if !self.gate.is_open() {
            for digest in &resolved.digests {
                let name = || format!("{}:sha256-{}.sig", wanted.name(), digest.hex());
                roots.extend(remote.signatures(digest, dir)?.map(|root| (root, name())));
            }
            write_index(dir, &roots)?;
            scanned = source::scan(dir)?;
        }
        self.gate.check(
            wanted,
            &resolved.digests,
            &source::signatures(&opened, &scanned, &resolved.digests)?,
        )?;
        // Layers that no record names may be removed until the lock is held, those that were not fetched because
        // they were there among them. It is not held while anything is fetched: others wait for it.
        let _importing = loop {
            self.fetch_layers(&opened, &resolved.layers)?;
            let importing = self.importing.read().unwrap_or_else(PoisonError::into_inner);
            if self.missing(&resolved.layers).iter().all(|(digest, _)| opened.has(digest)) {
                break importing;
            }
        };
        self.sweep();
        let prepared = self.prepare(&opened, &scanned, resolved, Some(wanted))?;
        self.put_image(&scanned, Some(wanted), prepared)
    }

    /// The layers that are not unpacked, each with the bytes that it may have.
    fn missing(&self, layers: &[Layer]) -> Vec<(Digest, u64)> {
        let mut chain: Option<Digest> = None;
        let mut missing = Vec::new();
        for layer in layers {
            let id = digest::chain(chain.as_ref(), &layer.diff_id);
            chain = Some(id);
            if let (false, Some(digest)) = (self.has_layer(&id), layer.digest) {
                let max = layer.size.unwrap_or(0).min(self.config.limits.layer_max_bytes);
                missing.push((digest, max));
            }
        }
        missing
    }

    /// Downloads the layers that are not unpacked yet.
    fn fetch_layers(&self, opened: &Opened, layers: &[Layer]) -> Result<(), Error> {
        let missing = self.missing(layers);
        self.manifest_known(&missing);
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some((digest, max)) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = opened.fetch(digest, Part::Blob, *max) {
                    // The others stop after the layer they are at.
                    next.store(missing.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let count = missing.len().min(DOWNLOADS_MAX_COUNT);
            let others: Vec<_> = (1..count).map(|_| scope.spawn(work)).collect();
            let mut ended = vec![work()];
            ended.extend(others.into_iter().filter_map(|other| other.join().ok()));
            ended.into_iter().collect()
        })
    }
}

/// What the layout holds, each by a name.
fn write_index(dir: &Path, roots: &[(Root, String)]) -> Result<(), Error> {
    let descriptor = |(root, name): &(Root, String)| {
        json!({
            "mediaType": root.media_type,
            "digest": root.digest,
            "size": root.size,
            "annotations": {"io.containerd.image.name": name},
        })
    };
    let index = json!({"schemaVersion": 2, "manifests": roots.iter().map(descriptor).collect::<Vec<_>>()});
    let write = |file: &str, bytes: &[u8]| {
        let path = dir.join(file);
        fs::write(&path, bytes).doing(|| format!("write {}", path.display()))
    };
    write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    write("index.json", index.to_string().as_bytes())
}
