//! Ids of the node that stand for a pod's own, for a pod with `hostUsers: false`: a range that no other pod has, kept
//! on disk as long as its volumes, so that what it owns there is its own over restarts and reboots.

use crate::{
    durable,
    error::{Error, Result},
    fsys,
    paths::Roots,
    records,
};
use berth_core::manifest::DesiredPod;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// Ids of a pod: kubelet's.
pub const IDS_PER_POD: u32 = 65_536;
/// The first that is given: behind what distributions give to users and `systemd-nspawn` takes first.
const FIRST: u32 = 1 << 30;
/// Pods that have some at one time.
const RANGES_MAX: u32 = 4096;
/// Bytes of the file.
const FILE_LEN_MAX_BYTES: u64 = 1024;

const _: () = assert!(FIRST as u64 + RANGES_MAX as u64 * IDS_PER_POD as u64 <= i32::MAX as u64);

/// One look for a range that is free, and its file, at a time.
static CHOOSING: Mutex<()> = Mutex::new(());

/// A pod's range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    /// What stands for 0.
    pub base: u32,
}

impl Ids {
    /// What stands for the id on the node.
    pub const fn on_node(self, id: u32) -> u32 {
        self.base.saturating_add(id)
    }

    /// As `uid_map` and `gid_map` of a process have it.
    pub(crate) fn map(self) -> String {
        format!("0 {} {IDS_PER_POD}\n", self.base)
    }
}

/// The pod has users of its own.
pub fn are_own(pod: &DesiredPod) -> bool {
    pod.pod.spec.host_users == Some(false)
}

/// The pod's range, chosen when its sandbox was made; none for one with the node's users.
///
/// # Errors
/// [`Error::Malformed`], [`Error::Io`].
pub fn of(roots: &Roots, pod: &DesiredPod) -> Result<Option<Ids>> {
    if !are_own(pod) {
        return Ok(None);
    }
    let path = roots.pod_users(&pod.uid);
    let found = records::read_within(&path, FILE_LEN_MAX_BYTES)?;
    let missing =
        || Error::Malformed { path, message: "is not there: the pod's sandbox is not complete".into() };
    found.map(Some).ok_or_else(missing)
}

/// As [`of`]; chooses one and keeps it if there is none. One that cannot be read is replaced: what the pod had on
/// disk is not its own any more then, and never another's.
///
/// # Errors
/// [`Error::Io`]; [`Error::Config`] when all are taken.
pub(crate) fn ensure(roots: &Roots, pod: &DesiredPod) -> Result<Option<Ids>> {
    if !are_own(pod) {
        return Ok(None);
    }
    let _one = CHOOSING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Ok(known) = of(roots, pod) {
        return Ok(known);
    }
    let mut taken = BTreeSet::new();
    for name in records::names(&roots.pods_state())? {
        let path = roots.pods_state().join(&name).join(FILE);
        taken.extend(
            records::read_within::<Ids>(&path, FILE_LEN_MAX_BYTES).ok().flatten().map(|ids| ids.base),
        );
    }
    let mut all = (0..RANGES_MAX).map(|n| FIRST + n * IDS_PER_POD);
    let free = all.find(|base| !taken.contains(base));
    let ids = Ids {
        base: free.ok_or_else(|| {
            Error::Config(format!("all {RANGES_MAX} ranges of ids are taken by pods with hostUsers: false"))
        })?,
    };
    let (dir, path) = (roots.pod_state(&pod.uid), roots.pod_users(&pod.uid));
    fsys::make_dirs(&dir, 0o700)?;
    durable::sync_parent(&dir)?;
    let json = serde_json::to_vec(&ids)
        .map_err(|error| Error::Malformed { path: path.clone(), message: error.to_string() })?;
    durable::replace(&path, &json)?;
    Ok(Some(ids))
}

/// The file's name in the pod's directory.
pub(crate) const FILE: &str = "users.json";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use berth_core::{ids::PodUid, manifest::types::PodSpec};

    #[test]
    fn a_range_is_one_pods_and_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots { state: dir.path().to_owned(), ..Roots::default() };
        let pod = |uid: &str, own: bool| {
            let spec = PodSpec { host_users: own.then_some(false), ..PodSpec::default() };
            DesiredPod { uid: PodUid(uid.into()), ..testing::pod(spec) }
        };
        let base = |uid: &str| ensure(&roots, &pod(uid, true)).unwrap().unwrap().base;
        assert_eq!(ensure(&roots, &pod("a", false)).unwrap(), None);
        assert!(of(&roots, &pod("a", true)).is_err());
        assert_eq!((base("a"), base("b"), base("a")), (FIRST, FIRST + IDS_PER_POD, FIRST));
        assert_eq!(of(&roots, &pod("b", true)).unwrap(), Some(Ids { base: FIRST + IDS_PER_POD }));
        // What cannot be read is nobody's; what is free is given again.
        std::fs::write(roots.pod_users(&PodUid("b".into())), "x").unwrap();
        std::fs::remove_dir_all(roots.pod_state(&PodUid("a".into()))).unwrap();
        assert_eq!((base("c"), base("b")), (FIRST, FIRST + IDS_PER_POD));
    }
}
