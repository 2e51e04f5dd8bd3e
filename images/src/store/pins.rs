//! Pins: images that the owner wants kept. A pin is an empty file named by the image's id, so that neither a
//! record is rewritten for it nor an older Berth put off by it.

use super::{Store, recover::list};
use crate::{
    digest::Digest, error::Error, limits::RECORDS_MAX_COUNT, platform::Platform, reference::Reference,
};
use std::{
    collections::HashSet,
    sync::{PoisonError, RwLockWriteGuard},
};

impl Store {
    /// Keeps an image until it is removed by name, or unpinned.
    ///
    /// # Errors
    /// `InvalidName`, `NotFound`, `Io`, `NoSpace`.
    pub fn pin(&self, reference: &str, platform: &Platform) -> Result<(), Error> {
        let _commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let id = self.known(&Reference::parse(reference)?, platform)?.record.id;
        if !self.is_pinned(&id) {
            self.disk.put_file(&self.disk.pin(&id), b"")?;
            self.pins().insert(id);
        }
        Ok(())
    }

    /// Lets an image go with the others.
    ///
    /// # Errors
    /// As [`Store::pin`].
    pub fn unpin(&self, reference: &str, platform: &Platform) -> Result<(), Error> {
        let _commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let id = self.known(&Reference::parse(reference)?, platform)?.record.id;
        self.forget_pin(&id)
    }

    pub(super) fn forget_pin(&self, id: &Digest) -> Result<(), Error> {
        if self.is_pinned(id) {
            self.disk.discard(&self.disk.pin(id))?;
            self.pins().remove(id);
        }
        Ok(())
    }

    pub(super) fn is_pinned(&self, id: &Digest) -> bool {
        self.pinned.read().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    /// Reads all pins; a file of another name is none.
    pub(super) fn read_pins(&self) -> Result<(), Error> {
        let files = list(&self.disk.part("pins"), RECORDS_MAX_COUNT)?;
        let names = files.iter().filter_map(|path| path.file_name()?.to_str());
        *self.pins() = names.filter_map(Digest::from_hex).collect();
        Ok(())
    }

    fn pins(&self) -> RwLockWriteGuard<'_, HashSet<Digest>> {
        self.pinned.write().unwrap_or_else(PoisonError::into_inner)
    }
}
