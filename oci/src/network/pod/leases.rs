//! The table of addresses on disk: `/var/lib/berth/network/leases.json`, replaced durably. It is written
//! beside the start of a pod and not before it: names give the same numbers again, and what a power cut may
//! lose is only which of two that fall together came first.

use crate::{
    durable,
    error::{Error, Result},
    fsys,
    paths::Roots,
    records,
};
use berth_core::network::{LEASES_MAX, Leases};

/// Bytes in the file: a namespace, a name and a network have 63, 253 and 63, and each entry some punctuation.
const LEN_MAX_BYTES: u64 = (LEASES_MAX as u64) * 512;

/// Reads the table; one that cannot be read is told of and begun anew.
pub(in crate::network) fn load(roots: &Roots) -> Leases {
    match records::read_within(&roots.leases(), LEN_MAX_BYTES) {
        Ok(leases) => leases.unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%error, "addresses of pods are given anew");
            Leases::default()
        }
    }
}

/// Writes the table.
pub(in crate::network) fn save(roots: &Roots, leases: &Leases) -> Result<()> {
    let path = roots.leases();
    if let Some(dir) = path.parent().filter(|dir| !dir.is_dir()) {
        fsys::make_dirs(dir, 0o700)?;
        durable::sync_parent(dir)?;
    }
    let json = serde_json::to_vec(leases)
        .map_err(|error| Error::Malformed { path: path.clone(), message: error.to_string() })?;
    durable::replace(&path, &json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_core::ids::PodKey;
    use std::fs;

    #[test]
    fn the_table_outlives_the_process_and_rubbish_begins_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots { state: dir.path().to_owned(), ..Roots::default() };
        assert_eq!(load(&roots), Leases::default());
        let mut leases = Leases::default();
        let key = PodKey { namespace: "default".into(), name: "web".into() };
        leases.take("default", &key, &(2..100), &Default::default()).unwrap();
        save(&roots, &leases).unwrap();
        assert_eq!(load(&roots), leases);
        for rubbish in [b"{".to_vec(), b"\xff".to_vec(), vec![b' '; LEN_MAX_BYTES as usize + 1]] {
            fs::write(roots.leases(), rubbish).unwrap();
            assert_eq!(load(&roots), Leases::default());
        }
    }
}
