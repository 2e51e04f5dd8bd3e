//! What is made ahead of the next start, beside everything else: its namespaces, and the usual seccomp filters. While
//! the pods of a boot begin they have the processors: nothing is made ahead before one has started, unless nothing is
//! about to. No start waits for it, and none needs it.

use super::{boot::Env, run::Agent};
use berth_core::ids::PodUid;
use std::sync::Arc;

impl Agent {
    /// At the agent's start: unless there is a pod to begin beside those that it has found.
    pub(super) fn get_ahead_unless_busy(&mut self, found: &[PodUid]) {
        if self.desired.pods.iter().all(|pod| found.contains(&pod.uid)) {
            self.get_ahead();
        }
    }

    /// A container has started, or none is about to.
    pub(super) fn get_ahead(&mut self) {
        self.env.spares.refill();
        if !std::mem::replace(&mut self.filters_made, true) && self.env.config.seccomp_default {
            make_filters(&self.env);
        }
    }
}

/// Compiles the usual seccomp filters, if this boot has not seen them yet.
fn make_filters(env: &Arc<Env>) {
    let env = Arc::clone(env);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = berth_oci::seccomp::warm_up(&env.roots) {
            tracing::warn!(%error, "the next containers will wait for their seccomp filters");
        }
    });
}
