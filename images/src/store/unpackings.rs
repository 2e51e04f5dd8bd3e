//! How far imports are, those of downloaded images too: counted by who unpacks, as the bytes of the source go by.

use super::Store;
use std::{
    io::{self, Read},
    sync::{
        Arc, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// How far an import is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacking {
    /// The image or, of an import from a path, the archive or layout.
    pub name: String,
    /// Bytes of layers, as they are stored, that are unpacked or were there.
    pub bytes: u64,
    /// Bytes of all its layers.
    pub of_bytes: u64,
}

/// Counts one import.
#[derive(Debug)]
pub(super) struct Meter {
    name: String,
    bytes: AtomicU64,
    of_bytes: u64,
}

impl Meter {
    /// So much of all layers is done, whether it was unpacked or there.
    pub(super) fn reach(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    fn read(&self) -> Unpacking {
        let bytes = self.bytes.load(Ordering::Relaxed).min(self.of_bytes);
        Unpacking { name: self.name.clone(), bytes, of_bytes: self.of_bytes }
    }
}

/// Takes the meter away when the import ends.
pub(super) struct Metered<'a> {
    store: &'a Store,
    pub(super) meter: Arc<Meter>,
}

impl Drop for Metered<'_> {
    fn drop(&mut self) {
        self.store.meters().retain(|known| !Arc::ptr_eq(known, &self.meter));
    }
}

/// Counts a stream.
pub(super) struct Counted<'a, R> {
    input: R,
    meter: &'a Meter,
}

impl<'a, R> Counted<'a, R> {
    pub(super) fn new(input: R, meter: &'a Meter) -> Self {
        Self { input, meter }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.meter.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Store {
    /// The imports that go on.
    pub fn unpacking(&self) -> Vec<Unpacking> {
        self.meters().iter().map(|meter| meter.read()).collect()
    }

    /// An import begins.
    pub(super) fn metered(&self, name: String, of_bytes: u64) -> Metered<'_> {
        let meter = Arc::new(Meter { name, bytes: AtomicU64::new(0), of_bytes });
        self.meters().push(Arc::clone(&meter));
        Metered { store: self, meter }
    }

    fn meters(&self) -> MutexGuard<'_, Vec<Arc<Meter>>> {
        self.unpacking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
