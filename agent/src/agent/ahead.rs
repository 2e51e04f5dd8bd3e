//! What is made ahead of the next start, beside everything else: its namespaces, the usual seccomp filters, and at a
//! boot the bridge with its packet rules. Between the moment when the pods of a boot are known and the first start
//! they have the processors: nothing is made ahead then, unless nothing is about to start. No start needs any of it.

use super::{boot::Env, run::Agent};
use crate::config::Config;
use berth_core::ids::PodUid;
use berth_oci::{network::Network, paths::Roots, sandbox::Spares, seccomp};
use std::{sync::Arc, thread};

/// Bytes of stack of a thread that compiles a filter.
const STACK_BYTES: usize = 512 * 1024;

/// At the agent's very start, beside all that it reads before it knows what there is to do: what the first pod of a
/// boot would wait for.
pub(super) fn begin(config: &Config, roots: &Roots, network: &Arc<Network>, spares: &Spares) {
    if network.make_ahead().is_some() {
        spares.refill();
    }
    if config.seccomp_default {
        let roots = roots.clone();
        // Who needs it makes it, if this fails.
        let make = move || drop(seccomp::make_usual(&roots));
        let _ = thread::Builder::new().name("berth-seccomp".into()).stack_size(STACK_BYTES).spawn(make);
    }
}

impl Agent {
    /// At the agent's start: unless there is a pod to begin beside those that it has found.
    pub(super) fn get_ahead_unless_busy(&mut self, found: &[PodUid]) {
        if self.wanted().all(|uid| found.contains(uid)) {
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
