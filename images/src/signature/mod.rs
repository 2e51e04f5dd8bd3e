//! Whether an image may run: signatures made by cosign with a plain key, held against a policy file. No network,
//! no transparency log, no clock. A policy that cannot be read lets nothing run; without a policy all may.

mod key;
mod payload;
mod policy;

use crate::{
    digest::Digest,
    error::Error,
    limits::{POLICY_MAX_BYTES, VERDICTS_MAX_COUNT},
    reference::Reference,
};
use policy::Policy;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// A signature as it came, not yet looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Signature {
    /// The signed document.
    pub(crate) payload: String,
    /// Base64.
    pub(crate) signature: String,
}

/// Inode, size, times; None for a file that does not exist.
type Stamp = Option<(u64, u64, i64, i64, i64)>;

/// The policy as it is now. Files are read again when they change.
#[derive(Debug)]
pub(crate) struct Gate {
    file: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    loaded: Option<Loaded>,
    /// Names and images that passed.
    passed: HashSet<(Reference, Digest)>,
}

#[derive(Debug)]
struct Loaded {
    stamps: Vec<(PathBuf, Stamp)>,
    /// None: there is no policy.
    policy: Result<Option<Arc<Policy>>, String>,
}

impl Gate {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self { file, state: Mutex::default() }
    }

    /// Whether there is a policy, right or wrong.
    pub(crate) fn is_open(&self) -> bool {
        self.policy().is_ok_and(|policy| policy.is_none())
    }

    /// Whether the image with these digests may run under this name.
    ///
    /// # Errors
    /// `Refused`, with the key or the fault of the policy.
    pub(crate) fn check(
        &self,
        wanted: &Reference,
        digests: &[Digest],
        signatures: &[Signature],
    ) -> Result<(), Error> {
        let refused = |why| Error::Refused { reference: wanted.to_string(), why };
        match self.policy().map_err(refused)? {
            None => Ok(()),
            Some(policy) => policy.check(wanted, digests, signatures).map_err(refused),
        }
    }

    /// [`Gate::check`], remembered as long as policy and keys do not change; `signatures` are read only if need be.
    pub(crate) fn check_known(
        &self,
        wanted: &Reference,
        id: &Digest,
        digests: &[Digest],
        signatures: impl FnOnce() -> Vec<Signature>,
    ) -> Result<(), Error> {
        if self.is_open() || self.state().passed.contains(&(wanted.clone(), *id)) {
            return Ok(());
        }
        self.check(wanted, digests, &signatures())?;
        let mut state = self.state();
        if state.passed.len() >= VERDICTS_MAX_COUNT {
            state.passed.clear();
        }
        state.passed.insert((wanted.clone(), *id));
        Ok(())
    }

    fn policy(&self) -> Result<Option<Arc<Policy>>, String> {
        let Some(file) = &self.file else { return Ok(None) };
        let mut state = self.state();
        let fresh = |loaded: &Loaded| loaded.stamps.iter().all(|(path, known)| stamp(path) == *known);
        if let Some(loaded) = state.loaded.as_ref().filter(|loaded| fresh(loaded)) {
            return loaded.policy.clone();
        }
        let loaded = load(file);
        let policy = loaded.policy.clone();
        *state = State { loaded: Some(loaded), passed: HashSet::new() };
        policy
    }

    // What a thread that panicked left is whole: values are replaced in one go.
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(file: &Path) -> Loaded {
    // Before it is read: a change in between is seen the next time.
    let mut stamps = vec![(file.to_owned(), stamp(file))];
    let bytes = match read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Loaded { stamps, policy: Ok(None) },
        Err(error) => {
            let why = format!("the policy {} cannot be read: {error}", file.display());
            return Loaded { stamps, policy: Err(why) };
        }
    };
    let read_key = |path: &Path| {
        let bytes = read(path).map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|_| "it is not text".to_owned())
    };
    let policy = Policy::parse(&bytes, read_key).map_err(|why| {
        // Keys cannot be watched when it is not known which they are.
        stamps[0].1 = None;
        format!("the policy {} is wrong, so nothing may run: {why}", file.display())
    });
    if let Ok(policy) = &policy {
        stamps.extend(policy.key_files.iter().map(|path| (path.clone(), stamp(path))));
    }
    Loaded { stamps, policy: policy.map(|policy| Some(Arc::new(policy))) }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(POLICY_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > POLICY_MAX_BYTES {
        true => Err(io::Error::other(format!("more than POLICY_MAX_BYTES = {POLICY_MAX_BYTES} bytes"))),
        false => Ok(bytes),
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec(), metadata.ctime_nsec()))
}

#[cfg(test)]
mod tests;
