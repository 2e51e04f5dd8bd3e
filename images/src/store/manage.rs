//! What the owner does with the store beside running images: to look, to import from a stick, to tidy.

use super::{Store, disk, import::Prepared, index::Entry, layer::check_snapshot, recover::list};
use crate::{
    digest::Digest,
    error::{Doing as _, Error},
    image::{ImageDetails, ImageSummary, LayerDetails},
    limits::{SNAPSHOTS_MAX_COUNT, SOURCE_DIR_MAX_ENTRIES},
    platform::Platform,
    reference::Reference,
    source::{self, Offer, Opened, Scanned},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::Path,
    sync::{Arc, PoisonError},
};

/// What an import from a path brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// The images that are in the store now, by name.
    pub names: Vec<String>,
    /// What was left out, and why: images for other platforms.
    pub skipped: Vec<String>,
}

impl Store {
    /// All images, by id.
    pub fn list(&self) -> Vec<ImageSummary> {
        let index = self.read_index();
        let mut users: HashMap<Digest, usize> = HashMap::new();
        for chain in index.all().flat_map(|entry| &entry.record.chain) {
            *users.entry(*chain).or_default() += 1;
        }
        index.all().map(|entry| self.summary(entry, &users)).collect()
    }

    fn summary(&self, entry: &Entry, users: &HashMap<Digest, usize>) -> ImageSummary {
        let alone = entry.record.chain.iter().filter(|chain| users.get(chain) == Some(&1));
        ImageSummary {
            id: entry.id_text.clone(),
            digest: entry.digest_text.clone(),
            names: entry.record.names.clone(),
            platform: entry.record.platform.to_string(),
            layers: entry.layers.len(),
            size_bytes: entry.record.bytes,
            unique_bytes: alone.map(|chain| self.size(chain)).sum(),
            pinned: self.is_pinned(&entry.record.id),
            vendor: entry.vendor,
            source: entry.record.source.clone(),
        }
    }

    fn size(&self, chain: &Digest) -> u64 {
        let known = self.sizes.read().unwrap_or_else(PoisonError::into_inner).get(chain).copied();
        known.or_else(|| self.vendor.snapshot(chain).map(|(_, bytes)| *bytes)).unwrap_or(0)
    }

    pub(super) fn note_size(&self, chain: Digest, bytes: u64) {
        self.sizes.write().unwrap_or_else(PoisonError::into_inner).insert(chain, bytes);
    }

    /// All that is known of one image.
    ///
    /// # Errors
    /// `InvalidName`, `NotFound`; `Corrupt` or `Io` when its config cannot be read.
    pub fn inspect(&self, reference: &str, platform: &Platform) -> Result<ImageDetails, Error> {
        let entry = self.known(&Reference::parse(reference)?, platform)?;
        let summary = self.list().into_iter().find(|image| image.id == entry.id_text);
        let summary = summary.unwrap_or_else(|| self.summary(&entry, &HashMap::new()));
        let own = std::iter::once::<&disk::Layout>(&self.disk);
        let mut layouts = own.chain(self.vendor.layouts());
        let layout = layouts.find(|layout| layout.blob(&entry.record.id).exists()).unwrap_or(&self.disk);
        let config = disk::read_blob(layout, &entry.record.id)?;
        let mut layers = Vec::with_capacity(entry.record.chain.len());
        for chain in &entry.record.chain {
            let files = self.layer_dir(chain);
            let dir = files.parent().unwrap_or(&files);
            let record = check_snapshot(dir, chain)?;
            layers.push(LayerDetails {
                diff_id: record.diff_id.to_string(),
                bytes: record.bytes,
                entries: record.entries,
                source: record.origin.source,
                fs_verity: record.verity,
                dir: files,
            });
        }
        Ok(ImageDetails {
            summary,
            repositories: entry.record.repositories.clone(),
            digests: entry.record.digests.iter().map(ToString::to_string).collect(),
            config: serde_json::from_slice(&config)
                .map_err(|e| Error::corrupt(reference, "an image config in JSON", e.to_string()))?,
            layers,
        })
    }

    /// Imports all images for this platform of an archive, a layout, or a directory of these. All layers of all
    /// of them are verified and unpacked before the first name changes hands: when one is bad, none does.
    ///
    /// # Errors
    /// Every kind.
    pub fn import_path(&self, path: &Path, platform: &Platform) -> Result<Imported, Error> {
        let _importing = self.importing.read().unwrap_or_else(PoisonError::into_inner);
        self.sweep();
        let mut report = Imported::default();
        let mut ready: Vec<(Scanned, Vec<Prepared>)> = Vec::new();
        for scanned in scan_all(path)? {
            let prepared = self.prepare_all(&scanned, platform, &mut report)?;
            ready.push((scanned, prepared));
        }
        if ready.iter().all(|(_, images)| images.is_empty()) {
            let why = match report.skipped.is_empty() {
                true => "it holds no images".to_owned(),
                false => report.skipped.join("; "),
            };
            return Err(Error::unsupported(path.display().to_string(), why));
        }
        for (scanned, images) in ready {
            for image in images {
                let entry = self.put_image(&scanned, None, image)?;
                report.names.extend(entry.record.names.iter().cloned());
            }
        }
        report.names.sort();
        report.names.dedup();
        Ok(report)
    }

    fn prepare_all(
        &self,
        scanned: &Scanned,
        platform: &Platform,
        report: &mut Imported,
    ) -> Result<Vec<Prepared>, Error> {
        let opened = Opened::open(&scanned.path, &self.disk.staging())?;
        // Several offers of one name are its platforms.
        let mut by_name: BTreeMap<String, Vec<&Offer>> = BTreeMap::new();
        for offer in scanned.images.iter().filter(|offer| !offer.is_signature()) {
            let name = offer.names.iter().find_map(Reference::tagged).unwrap_or_default();
            by_name.entry(name).or_default().push(offer);
        }
        let mut images: Vec<Prepared> = Vec::new();
        for (name, offers) in by_name {
            match source::resolve(&opened, &offers, platform, None) {
                Ok(resolved) if images.iter().any(|known| known.is_same(&resolved)) => {}
                Ok(resolved) => {
                    let wanted = Reference::parse(&name).ok();
                    images.push(self.prepare(&opened, scanned, resolved, wanted.as_ref())?);
                }
                Err(Error::Unsupported { what, why }) => report.skipped.push(format!("{what}: {why}")),
                Err(error) => return Err(error),
            }
        }
        Ok(images)
    }

    /// Removes layers that belong to no image: of imports that were cut off and never tried again.
    ///
    /// # Errors
    /// `Io`, `NoSpace`.
    pub fn prune_layers(&self) -> Result<usize, Error> {
        let Ok(_alone) = self.importing.try_write() else { return Ok(0) };
        let kept: HashSet<Digest> =
            self.read_index().all().flat_map(|entry| entry.record.chain.iter().copied()).collect();
        let mut removed = 0;
        for path in list(&self.disk.part("snapshots"), SNAPSHOTS_MAX_COUNT)? {
            let chain = path.file_name().and_then(|name| name.to_str()).and_then(Digest::from_hex);
            if chain.is_some_and(|chain| !kept.contains(&chain)) {
                self.disk.discard(&path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes an image with all its names by its id (`sha256:…` of its config), but for its layers, which
    /// [`Store::prune_layers`] takes: a few small files, so that who decides what is in use can do it at once.
    ///
    /// # Errors
    /// `NotFound`; `Unsupported` for the vendor's; `Io`, `NoSpace`.
    pub fn forget(&self, id: &str) -> Result<(), Error> {
        let _commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let found = Digest::parse(id).ok().and_then(|id| self.read_index().get(&id));
        match found {
            Some(entry) if !entry.vendor => self.forget_image(&entry).map(drop),
            Some(_) => {
                Err(Error::unsupported(format!("image {id}"), "it is in the vendor's read-only store"))
            }
            None => {
                let looked = vec![self.config.store_dir.display().to_string()];
                Err(Error::NotFound { reference: id.into(), looked, near: Vec::new(), problems: Vec::new() })
            }
        }
    }

    /// Takes one of several names off an image; `false` if it is the only one.
    ///
    /// # Errors
    /// `InvalidName`, `NotFound`; `Unsupported` for the vendor's; `Io`, `NoSpace`.
    pub fn untag(&self, reference: &str, platform: &Platform) -> Result<bool, Error> {
        let wanted = Reference::parse(reference)?;
        let several = {
            let entry = self.known(&wanted, platform)?;
            wanted.digest().is_none() && entry.record.names.len() > 1
        };
        if several {
            self.remove(reference, platform)?;
        }
        Ok(several)
    }

    /// The id of the image that is meant: by reference, by id, or by the beginning (4 digits or more) of an id
    /// that only one image has.
    ///
    /// # Errors
    /// `NotFound`, `InvalidName`.
    pub fn id_of(&self, text: &str, platform: &Platform) -> Result<String, Error> {
        const ID_LEAST_DIGITS: usize = 4;
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.len() >= ID_LEAST_DIGITS && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            let index = self.read_index();
            let mut found = index.all().filter(|entry| entry.record.id.hex().starts_with(hex));
            if let (Some(only), None) = (found.next(), found.next()) {
                return Ok(only.id_text.clone());
            }
        }
        self.known(&Reference::parse(text)?, platform).map(|entry| entry.id_text.clone())
    }

    /// The ids of the images that these references mean, on any platform.
    pub fn ids_of<'a>(&self, references: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        let index = self.read_index();
        let parsed = references.into_iter().filter_map(|text| Reference::parse(text).ok());
        parsed
            .flat_map(|wanted| index.all_of(&wanted))
            .map(|entry: Arc<Entry>| entry.id_text.clone())
            .collect()
    }
}

/// A layout, an archive, or each entry of a directory of these.
fn scan_all(path: &Path) -> Result<Vec<Scanned>, Error> {
    let metadata = path.metadata().doing(|| format!("open {}", path.display()))?;
    if !metadata.is_dir() || path.join("index.json").exists() {
        return Ok(vec![source::scan(path)?]);
    }
    let entries = list(path, SOURCE_DIR_MAX_ENTRIES)?;
    let visible = entries.iter().filter(|entry| !source::is_hidden(entry));
    let all: Vec<Scanned> = visible.filter_map(|entry| source::scan(entry).ok()).collect();
    if all.is_empty() {
        return Err(Error::unsupported(path.display().to_string(), "no archive and no layout lies in it"));
    }
    Ok(all)
}
