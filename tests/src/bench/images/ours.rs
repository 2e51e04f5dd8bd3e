//! What is measured of ours, each in a process of its own, by the code that the agent runs: the whole work is done in
//! this process, so its memory is what an agent takes beside its own.

use crate::bench::Result;
use berth_images::{Platform, Registries, RegistrySettings, Store, StoreConfig};
use std::path::{Path, PathBuf};

/// Into a new store, from a file or a layout.
///
/// # Errors
/// Of the store.
pub fn import(store: &Path, source: &Path) -> Result {
    let (store, _) = Store::open(StoreConfig::new(store, Vec::new()))?;
    store.import_path(source, &Platform::host())?;
    Ok(())
}

/// The same from a registry.
///
/// # Errors
/// Of the store.
pub fn pull(store: &Path, reference: &str, registries_conf: &Path) -> Result {
    let (store, _) = Store::open(StoreConfig::new(store, Vec::new()))?;
    let settings = RegistrySettings {
        registries_conf: registries_conf.to_owned(),
        auth_file: PathBuf::from("/nonexistent"),
        certs_dirs: Vec::new(),
    };
    store.pull(reference, &Platform::host(), &Registries::new(settings))?;
    Ok(())
}
