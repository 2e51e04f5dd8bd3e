//! The cgroups of the QoS classes follow the pods that are wanted. Sandboxes are made at one time: each brings the classes up
//! to what is newest then, one after the other, so that what was older never comes last.

use crate::agent::Env;
use berth_core::event::DesiredSet;
use berth_oci::cgroup;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The pods that count.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    wanted: Mutex<Arc<DesiredSet>>,
    /// Held by who writes; nobody else waits for that.
    turn: Mutex<()>,
}

impl Classes {
    /// These are wanted from now on.
    pub(crate) fn note(&self, wanted: &Arc<DesiredSet>) {
        *lock(&self.wanted) = Arc::clone(wanted);
    }

    /// Brings the cgroups up to them.
    pub(super) fn refresh(&self, env: &Env) {
        let _turn = lock(&self.turn);
        let wanted = Arc::clone(&lock(&self.wanted));
        if let Err(error) = cgroup::refresh_qos(&env.roots, &env.node, &wanted.pods) {
            tracing::warn!(%error, "what the QoS classes have stays as it was");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
