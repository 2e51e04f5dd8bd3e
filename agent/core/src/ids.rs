//! The names by which pods and containers are known.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, sync::Arc};

/// Namespace and name: a pod's identity over all its revisions. The name carries the node's suffix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodKey {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name` with `-<node name>` behind it.
    pub name: Arc<str>,
}

impl fmt::Display for PodKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One pod: 32 hex digits over the canonical manifest that it began with (or the manifest's own `metadata.uid`). Another
/// content is another uid, unless it is applied in place (`manifest::in_place`). Safe as a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodUid(pub Arc<str>);

impl fmt::Display for PodUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One run of one container, or one try at it: 32 hex digits, never used twice. Safe as a file name, a
/// cgroup name and a keeper slot's id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContainerId(pub Arc<str>);

impl ContainerId {
    /// The id of the `attempt`-th run (from 0) of `container` of the pod. `boot` keeps ids of different
    /// boots apart, and whatever else must not be mistaken for each other: different tries at one run.
    pub fn derive(uid: &PodUid, container: &str, attempt: u32, boot: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [&*uid.0, container, &attempt.to_string(), boot] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        Self(hex(&hash.finalize()[..16]).into())
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names an action in flight; never used twice by one agent process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionId(pub u64);

/// Lower-case hex of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
