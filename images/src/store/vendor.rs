//! The vendor's store: images that were unpacked when the system's image was made (`berth image bake`), in the
//! same layout as the store that is written to. It is used where it lies, on a read-only root: nothing is
//! copied, nothing written, no lock taken. Its layers serve images of the other store too.

use super::{
    disk::{self, Layout},
    index::Entry,
    layer::check_snapshot,
    record::{self, ImageRecord, VERSION},
    recover::list,
};
use crate::{
    digest::Digest,
    error::Error,
    image::ConfigFile,
    limits::{RECORDS_MAX_COUNT, SNAPSHOTS_MAX_COUNT},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What read-only stores hold.
#[derive(Debug, Default)]
pub(super) struct Vendor {
    layouts: Vec<Layout>,
    /// Chain → its directory and its bytes of file content.
    snapshots: HashMap<Digest, (PathBuf, u64)>,
    images: Vec<Arc<Entry>>,
    /// What cannot be used, one sentence each.
    pub(super) problems: Vec<String>,
}

impl Vendor {
    /// Reads the stores in `dirs`; one that does not exist is an empty one. What is broken is left out and told.
    pub(super) fn open(dirs: &[PathBuf]) -> Self {
        let mut vendor = Self::default();
        for dir in dirs.iter().filter(|dir| dir.is_dir()) {
            vendor.layouts.push(Layout::new(dir));
            vendor.take_snapshots(dir);
        }
        let layouts = vendor.layouts.clone();
        for layout in &layouts {
            for path in vendor.entries(&layout.part("images"), RECORDS_MAX_COUNT) {
                match vendor.load(layout, &path) {
                    Ok(entry) => vendor.images.push(Arc::new(entry)),
                    Err(error) => vendor.problems.push(format!("{}: {error}", path.display())),
                }
            }
        }
        vendor
    }

    pub(super) fn images(&self) -> &[Arc<Entry>] {
        &self.images
    }

    /// The image with this id.
    pub(super) fn image(&self, id: &Digest) -> Option<&Arc<Entry>> {
        self.images.iter().find(|entry| entry.record.id == *id)
    }

    /// The directory of a layer, and its bytes of file content.
    pub(super) fn snapshot(&self, chain: &Digest) -> Option<&(PathBuf, u64)> {
        self.snapshots.get(chain)
    }

    pub(super) fn layouts(&self) -> &[Layout] {
        &self.layouts
    }

    fn entries(&mut self, dir: &Path, max: usize) -> Vec<PathBuf> {
        list(dir, max).unwrap_or_else(|error| {
            self.problems.push(error.to_string());
            Vec::new()
        })
    }

    fn take_snapshots(&mut self, dir: &Path) {
        for path in self.entries(&dir.join("snapshots"), SNAPSHOTS_MAX_COUNT) {
            let Some(chain) = path.file_name().and_then(|name| name.to_str()).and_then(Digest::from_hex)
            else {
                continue;
            };
            match check_snapshot(&path, &chain) {
                Ok(record) => drop(self.snapshots.entry(chain).or_insert((path, record.bytes))),
                Err(error) => self.problems.push(error.to_string()),
            }
        }
    }

    fn load(&self, layout: &Layout, path: &Path) -> Result<Entry, Error> {
        let mut record: ImageRecord = record::read(path)?;
        let what = || path.display().to_string();
        if record.version != VERSION {
            let got = format!("version {}", record.version);
            return Err(Error::corrupt(what(), format!("version {VERSION}"), got));
        }
        let mut layers = Vec::with_capacity(record.chain.len());
        for chain in record.chain.iter().rev() {
            let (dir, _) = self
                .snapshots
                .get(chain)
                .ok_or_else(|| Error::corrupt(what(), format!("snapshot {chain}"), "none that is whole"))?;
            layers.push(dir.join("fs"));
        }
        disk::read_blob(layout, &record.manifest)?;
        let config = ConfigFile::parse(&what(), &disk::read_blob(layout, &record.id)?)?;
        // Whatever is imported comes later.
        record.serial = 0;
        Ok(Entry {
            config: config.image_config(),
            layers,
            id_text: record.id.to_string(),
            digest_text: record.manifest.to_string(),
            vendor: true,
            record,
        })
    }
}
