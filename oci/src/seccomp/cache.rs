//! Compiled filters on tmpfs, one file for each profile, set of capabilities and program version. They
//! are gone with the boot, and so never older than the kernel that they are for.

use super::builtin;
use crate::{
    durable,
    error::{Error, Result},
    fsys,
    spec::capabilities::CapabilitySet,
};
use berth_core::ids::hex;
use sha2::{Digest, Sha256};
use std::{
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex, PoisonError},
};

/// The filter of the built-in profile. Its text is hashed once: this is on the way of each start.
pub(super) fn builtin(
    dir: &Path,
    capabilities: CapabilitySet,
    compile: impl FnOnce() -> Result<Vec<u8>>,
) -> Result<PathBuf> {
    static DIGEST: LazyLock<String> = LazyLock::new(|| digest(builtin::TEXT.as_bytes()));
    ensure(&dir.join(format!("default-{}-{:x}.bpf", *DIGEST, capabilities.0)), compile)
}

/// The filter of a profile of the node's.
pub(super) fn file(
    dir: &Path,
    bytes: &[u8],
    capabilities: CapabilitySet,
    compile: impl FnOnce() -> Result<Vec<u8>>,
) -> Result<PathBuf> {
    ensure(&dir.join(format!("localhost-{}-{:x}.bpf", digest(bytes), capabilities.0)), compile)
}

fn ensure(path: &Path, compile: impl FnOnce() -> Result<Vec<u8>>) -> Result<PathBuf> {
    /// The first start of a boot comes while its filter is being made ahead: it waits for that.
    static ONE: Mutex<()> = Mutex::new(());
    if !path.exists() {
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        if path.exists() {
            return Ok(path.to_owned());
        }
        let bytes = compile()?;
        if let Some(dir) = path.parent() {
            fsys::make_dirs(dir, 0o700)?;
        }
        durable::replace_volatile(path, &bytes)?;
    }
    Ok(path.to_owned())
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::new().chain_update(env!("CARGO_PKG_VERSION")).chain_update(bytes).finalize()[..16])
}

impl super::Filter {
    /// Reads a filter that was kept.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        Self::from_bytes(&bytes).ok_or_else(|| Error::Malformed {
            path: path.to_owned(),
            message: "is not a seccomp filter: remove it, it is made again".into(),
        })
    }
}
