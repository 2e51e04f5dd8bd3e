//! persistentVolumeClaim: a directory of the node's disk that belongs to the claim and not to a pod. It outlives
//! every pod and the claim itself; only a person removes it.

use crate::{error::Result, fsys, paths::Roots};
use std::path::PathBuf;

/// Only root looks at others' claims.
const PRIVATE: u32 = 0o700;
/// Whatever user the pod runs as may write.
const MODE: u32 = 0o777;

/// Makes the claim's directory unless it is there, and tells where.
pub(super) fn create(roots: &Roots, namespace: &str, name: &str) -> Result<PathBuf> {
    let dir = roots.claim(namespace, name);
    for above in [&roots.claims(), &roots.claims().join(namespace)] {
        fsys::make_dirs(above, PRIVATE)?;
    }
    fsys::make_dirs(&dir, MODE)?;
    Ok(dir)
}
