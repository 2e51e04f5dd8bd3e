//! One hand at a time on each pod. The core gives an attempt up at its deadline and plans another, while
//! the first may hang on in a system call (a network share behind a hostPath): two of them in one
//! directory would undo each other's work. The later one is refused at once instead of waiting.

use crate::{
    error::{Error, Result},
    paths::Roots,
};
use berth_core::ids::PodUid;
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

/// The pods' directories at which this process is at work.
static TAKEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The right to work at a pod's sandbox, until dropped.
pub(super) struct Turn(PathBuf);

impl Turn {
    /// Takes it.
    ///
    /// # Errors
    /// [`Error::Busy`]: somebody has it.
    pub(super) fn take(roots: &Roots, uid: &PodUid) -> Result<Self> {
        let dir = roots.pod_run(uid);
        if TAKEN.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.clone()) {
            return Ok(Self(dir));
        }
        Err(Error::Busy {
            path: dir,
            message: "an earlier attempt has not come back (a volume's disk or network share may hang)"
                .into(),
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_has_one_hand_on_it_and_others_are_not_in_its_way() {
        let (roots, one, two) = (Roots::default(), PodUid("turn-1".into()), PodUid("turn-2".into()));
        let turn = Turn::take(&roots, &one).unwrap();
        let error = Turn::take(&roots, &one).map(drop).unwrap_err().to_string();
        assert!(error.contains("pods/turn-1 is still in use: an earlier attempt"), "{error}");
        drop(Turn::take(&roots, &two).unwrap());
        drop(turn);
        drop(Turn::take(&roots, &one).unwrap());
    }
}
