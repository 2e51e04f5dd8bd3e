//! What was begun in this boot: a record on tmpfs for each sandbox and container, written before anything
//! else of it and removed after everything else. So whatever a crash leaves has a record to be removed by;
//! what has none (or one that cannot be read) is told as a leftover.

use crate::{
    container::standing,
    durable,
    error::{Error, Result},
    paths::{Roots, is_file_name},
    sandbox::resize,
};
use berth_core::{
    event::{ContainerRecord, RecordState, SandboxRecord},
    ids::{ContainerId, PodUid},
    manifest::DesiredPod,
    resize::{Given, PodResources},
    time::Mono,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Bytes in a record: more than the largest manifest makes; a longer file is not ours.
pub const RECORD_LEN_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A container's record as it lies on tmpfs: what the core wants to know and what its removal needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredContainer {
    /// For the core; its state is `Unknown`, only the keeper knows better.
    pub record: ContainerRecord,
    /// Its cgroup, absolute.
    pub cgroup: PathBuf,
    /// Its pod's `<namespace>/<name>`, for messages.
    pub pod: String,
}

/// Something of ours without a readable record: to be removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leftover {
    /// For `sandbox::remove_leftover`.
    Sandbox(PodUid),
    /// For `container::remove`.
    Container(ContainerId),
}

/// What lies under the roots.
#[derive(Debug, Default)]
pub struct Found {
    /// Sandboxes begun in this boot.
    pub sandboxes: Vec<SandboxRecord>,
    /// Containers begun in this boot, their state `Unknown`.
    pub containers: Vec<ContainerRecord>,
    /// To be removed; containers before sandboxes.
    pub leftovers: Vec<Leftover>,
    /// Containers of an earlier boot of which only what they wrote is left, for `container::remove_layer`: no process, no
    /// mount and no cgroup is, so nothing has to wait until it is gone.
    pub layers: Vec<ContainerId>,
    /// Records that cannot be read, each also a leftover.
    pub problems: Vec<Error>,
}

/// Reads all records. What an earlier boot left on disk for containers are layers; what it left for
/// pods is not (an emptyDir outlives a reboot): see [`orphans`].
///
/// # Errors
/// [`Error::Io`]: a directory cannot be listed.
pub fn inventory(roots: &Roots) -> Result<Found> {
    let mut found = Found::default();
    let mut begun: BTreeSet<String> = names(&roots.containers_run())?.into_iter().collect();
    begun.extend(names(&roots.runtime_state())?);
    let layers = names(&roots.containers_state())?.into_iter().filter(|name| !begun.contains(name));
    found.layers = layers.map(|name| ContainerId(name.into())).collect();
    for name in begun {
        let id = ContainerId(name.into());
        match read_container(roots, &id) {
            Ok(Some(stored)) => found.containers.push(stored.record),
            Ok(None) => found.leftovers.push(Leftover::Container(id)),
            Err(error) => {
                found.problems.push(error);
                found.leftovers.push(Leftover::Container(id));
            }
        }
    }
    for name in names(&roots.pods_run())? {
        let uid = PodUid(name.into());
        match read_sandbox(roots, &uid) {
            Ok(Some(mut record)) => {
                let resized = resize::read(roots, &uid);
                record.unsettled = resized.unsettled;
                for container in &mut found.containers {
                    let given = resized.runs.get(&container.id).cloned();
                    container.given = given.or(container.given.take());
                }
                found.sandboxes.push(record);
            }
            Ok(None) => found.leftovers.push(Leftover::Sandbox(uid)),
            Err(error) => {
                found.problems.push(error);
                found.leftovers.push(Leftover::Sandbox(uid));
            }
        }
    }
    Ok(found)
}

/// Pods with volumes or logs of an earlier boot that nobody wants any more: neither in `keep` nor begun
/// in this boot. To be called once the desired set is complete; for `sandbox::remove_leftover`.
///
/// # Errors
/// [`Error::Io`]: a directory cannot be listed.
pub fn orphans(roots: &Roots, keep: &BTreeSet<PodUid>) -> Result<Vec<PodUid>> {
    let mut there: BTreeSet<String> = names(&roots.pods_state())?.into_iter().collect();
    for log in names(&roots.pods_log())? {
        // <namespace>_<pod>_<uid>: none of the first two can have an underscore.
        there.extend(log.splitn(3, '_').nth(2).map(str::to_owned));
    }
    for begun in names(&roots.pods_run())? {
        there.remove(&begun);
    }
    let unwanted = |uid: &PodUid| is_file_name(uid) && !keep.contains(uid);
    Ok(there.into_iter().map(|uid| PodUid(uid.into())).filter(unwanted).collect())
}

/// Writes a sandbox's record. `given`: what its cgroup has, or is about to get.
pub(crate) fn write_sandbox(
    roots: &Roots,
    desired: &DesiredPod,
    begun: Mono,
    given: PodResources,
) -> Result<()> {
    let record = SandboxRecord {
        desired: desired.clone(),
        ready: false,
        begun,
        ips: Vec::new(),
        unsettled: false,
        given: Some(given),
    };
    write(&roots.pod_record(&desired.uid), &record)
}

/// A sandbox's record, or none if there is none.
///
/// # Errors
/// [`Error::Io`] and [`Error::Malformed`].
pub fn read_sandbox(roots: &Roots, uid: &PodUid) -> Result<Option<SandboxRecord>> {
    let path = roots.pod_record(uid);
    let Some(mut record) = read::<SandboxRecord>(&path)? else { return Ok(None) };
    if record.desired.uid != *uid {
        return Err(Error::Malformed { path, message: format!("record of pod {}", record.desired.uid) });
    }
    record.ready = roots.pod_ready(uid).exists();
    record.ips = crate::network::addresses(roots, uid);
    Ok(Some(record))
}

/// Writes a container's record.
pub(crate) fn write_container(roots: &Roots, stored: &StoredContainer) -> Result<()> {
    write(&roots.container_record(&stored.record.id), stored)
}

/// A container's record, or none if there is none.
///
/// # Errors
/// [`Error::Io`] and [`Error::Malformed`].
pub fn read_container(roots: &Roots, id: &ContainerId) -> Result<Option<StoredContainer>> {
    let path = roots.container_record(id);
    let Some(mut stored) = read::<StoredContainer>(&path)? else { return Ok(None) };
    if stored.record.id != *id {
        return Err(Error::Malformed { path, message: format!("record of container {}", stored.record.id) });
    }
    stored.record.state = RecordState::Unknown;
    stored.record.standing = standing::read(roots, id);
    Ok(Some(stored))
}

/// What the run was given at its start, if that is known.
pub(crate) fn given(roots: &Roots, id: &ContainerId) -> Option<Given> {
    read_container(roots, id).ok().flatten()?.record.given
}

/// Names in a directory, sorted; a directory that is not there has none. Names that are not UTF-8 are not
/// ours and are left out.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("list the directory", dir))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io("list the directory", dir))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

/// Replaces a record on tmpfs.
pub(crate) fn write(path: &Path, record: &impl Serialize) -> Result<()> {
    let json = serde_json::to_vec(record)
        .map_err(|error| Error::Malformed { path: path.to_owned(), message: error.to_string() })?;
    durable::replace_volatile(path, &json)
}

/// A record; None where there is none. One that is too long or no record is [`Error::Malformed`].
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    read_within(path, RECORD_LEN_MAX_BYTES)
}

/// Reads a file of JSON of at most so many bytes, or none if there is none: all of ours are read here.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] if it is longer or something else.
pub(crate) fn read_within<T: DeserializeOwned>(path: &Path, len_max_bytes: u64) -> Result<Option<T>> {
    let mut bytes = Vec::new();
    match fs::File::open(path).and_then(|file| file.take(len_max_bytes + 1).read_to_end(&mut bytes)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(Error::io("read", path))?,
    };
    let malformed = |message| Error::Malformed { path: path.to_owned(), message };
    if bytes.len() as u64 > len_max_bytes {
        return Err(malformed(format!("longer than {len_max_bytes} bytes")));
    }
    parse(&bytes).map(Some).map_err(|error| malformed(error.to_string()))
}

/// Reads JSON by way of a tree, as manifests are read: readers from text for all types of a pod, beside those from a tree,
/// are a twentieth of the program.
///
/// # Errors
/// It is no JSON, or has other fields.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_value(serde_json::from_slice(json)?)
}

#[cfg(test)]
mod tests;
