//! Compiled filters on tmpfs, one file for each profile, set of capabilities, program version, libseccomp and kernel. What
//! is not there is taken from what was kept over the boot, else compiled.

use super::{builtin, kept};
use crate::{
    durable,
    error::{Error, Result},
    fsys,
    paths::Roots,
    spec::capabilities::CapabilitySet,
};
use berth_core::ids::hex;
use sha2::{Digest, Sha256};
use std::{
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex, PoisonError},
};

/// What compiles them: with other code here the same profile may be another filter.
const COMPILER: [&str; 3] =
    [env!("CARGO_PKG_VERSION"), include_str!("compile.rs"), include_str!("builtin.rs")];

/// Where filters are.
pub(super) struct Cache {
    /// Of this boot.
    run: PathBuf,
    /// Over boots.
    state: PathBuf,
}

impl Cache {
    pub(super) fn new(roots: &Roots) -> Self {
        Self { run: roots.run.join("seccomp"), state: roots.filters() }
    }

    /// The filter of the built-in profile.
    pub(super) fn builtin(
        &self,
        capabilities: CapabilitySet,
        compile: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<PathBuf> {
        let name = builtin_name(capabilities);
        self.ensure(&name, || kept::read(&self.state.join(&name)).map_or_else(compile, Ok))
    }

    /// The filter of a profile of the node's.
    pub(super) fn file(
        &self,
        bytes: &[u8],
        capabilities: CapabilitySet,
        compile: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<PathBuf> {
        self.ensure(&format!("localhost-{}-{:x}.bpf", digest(bytes), capabilities.0), compile)
    }

    /// Has the next boot find the filters of the built-in profile for these capabilities, which this one has; and none of
    /// other programs or kernels.
    pub(super) fn keep(&self, all: &[CapabilitySet]) -> Result<()> {
        let names: Vec<_> = all.iter().map(|capabilities| builtin_name(*capabilities)).collect();
        for name in &names {
            let there = self.run.join(name);
            let bytes = std::fs::read(&there).map_err(Error::io("read", &there))?;
            kept::write(&self.state.join(name), &bytes)?;
        }
        kept::remove_others(&self.state, &names)
    }

    fn ensure(&self, name: &str, make: impl FnOnce() -> Result<Vec<u8>>) -> Result<PathBuf> {
        /// The first start of a boot comes while its filter is being made ahead: it waits for that.
        static ONE: Mutex<()> = Mutex::new(());
        let path = self.run.join(name);
        if !path.exists() {
            let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
            if path.exists() {
                return Ok(path);
            }
            let bytes = make()?;
            fsys::make_dirs(&self.run, 0o700)?;
            durable::replace_volatile(&path, &bytes)?;
        }
        Ok(path)
    }
}

/// The profile's text is hashed once: this is on the way of each start.
fn builtin_name(capabilities: CapabilitySet) -> String {
    static DIGEST: LazyLock<String> = LazyLock::new(|| digest(builtin::TEXT.as_bytes()));
    format!("default-{}-{:x}.bpf", *DIGEST, capabilities.0)
}

/// Of a profile's text, and of all that makes a filter of it.
fn digest(profile: &[u8]) -> String {
    let mut hash = COMPILER.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part));
    if let Ok(library) = libseccomp::ScmpVersion::current() {
        hash.update(format!("{}.{}.{}", library.major, library.minor, library.micro));
    }
    if let Ok(uname) = nix::sys::utsname::uname() {
        hash.update(uname.release().as_encoded_bytes());
    }
    hex(&hash.chain_update(profile).finalize()[..16])
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
