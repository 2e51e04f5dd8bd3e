//! Copies on disk of manifests as they were when they were last right, so that a mistake made before a power
//! cut does not cost the pod after it. Written off the way from a manifest to its pod, and only on change.

use berth_oci::durable;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The copies.
#[derive(Debug, Clone)]
pub(super) struct Copies {
    dir: PathBuf,
    after: Duration,
    /// What is to be written; the lock over the writing keeps later news after earlier ones.
    pending: Arc<Mutex<Pending>>,
    writing: Arc<Mutex<()>>,
}

/// What the copies should come to.
#[derive(Debug, Default)]
struct Pending {
    /// New copies.
    good: BTreeMap<String, Vec<u8>>,
    /// Manifests that exist at all; copies of others go.
    names: Option<BTreeSet<String>>,
}

impl Copies {
    pub(super) fn new(dir: &Path, after: Duration) -> Self {
        Self { dir: dir.into(), after, pending: Arc::default(), writing: Arc::default() }
    }

    /// The copy of this name, if there is one.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.dir.join(name);
        let small =
            fs::metadata(&path).ok()?.len() <= berth_core::manifest::limits::FILE_LEN_MAX_BYTES as u64;
        small.then(|| fs::read(&path).ok()).flatten()
    }

    /// Notes what to write, and writes it later and on a thread. Within the runtime.
    pub(super) fn save(&self, good: BTreeMap<String, Vec<u8>>, names: BTreeSet<String>) {
        {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.good.extend(good);
            pending.names = Some(names);
        }
        let this = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(this.after).await;
            let written = tokio::task::spawn_blocking(move || this.write()).await;
            if let Ok(Err(error)) = written {
                tracing::warn!(%error, "no copy of a manifest can be kept for the next boot");
            }
        });
    }

    /// Writes what is pending.
    fn write(&self) -> Result<(), berth_oci::Error> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(names) = pending.names else { return Ok(()) };
        for (name, bytes) in pending.good.iter().filter(|(name, _)| names.contains(*name)) {
            if self.read(name).as_ref() == Some(bytes) {
                continue;
            }
            fs::create_dir_all(&self.dir).map_err(berth_oci::Error::io("create the directory", &self.dir))?;
            durable::replace(&self.dir.join(name), bytes)?;
        }
        let Ok(entries) = fs::read_dir(&self.dir) else { return Ok(()) };
        for entry in entries.filter_map(Result::ok) {
            if entry.file_name().to_str().is_none_or(|name| !names.contains(name)) {
                durable::remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn copies_follow_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let copies = Copies::new(&dir.path().join("lastgood"), Duration::ZERO);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let good = |name: &str, text: &str| BTreeMap::from([(name.to_owned(), text.as_bytes().to_vec())]);
        copies.save(good("a.yaml", "1"), names(&["a.yaml", "b.yaml"]));
        copies.save(good("a.yaml", "2"), names(&["a.yaml", "b.yaml"]));
        copies.write().unwrap();
        assert_eq!(copies.read("a.yaml").unwrap(), b"2");
        assert_eq!(copies.read("b.yaml"), None);
        copies.save(BTreeMap::new(), names(&["b.yaml"]));
        copies.write().unwrap();
        assert_eq!(copies.read("a.yaml"), None);
    }
}
