//! Networks that CNI plugins have made: looked after once at the agent's start, beside everything else, and again
//! only while that fails.

use super::{
    boot::Env,
    run::{Agent, Told},
};
use berth_core::ids::PodUid;
use berth_oci::sandbox;
use std::{collections::BTreeSet, sync::Arc, thread, time::Duration};
use tokio::sync::mpsc;

/// Seconds before the second attempt; doubled for each further one.
const AGAIN_S: u64 = 10;
/// Seconds between two attempts at most.
const AGAIN_MAX_S: u64 = 3_600;
/// Bytes of stack of a thread that waits for plugins.
const STACK_BYTES: usize = 512 * 1024;

impl Agent {
    /// To be called once, while nobody cleans what an earlier boot has left: both work on remains of the same pods,
    /// and a pod that is in other hands is passed over for good by who cleans.
    pub(super) fn settle_network(&self) {
        begin(&self.env, &self.told, self.wanted().cloned().collect());
    }
}

/// Begins on a thread of its own, which ends when all is done, or with the agent. No thread where plugins are neither
/// wanted nor have left anything.
fn begin(env: &Arc<Env>, told: &mpsc::Sender<Told>, wanted: BTreeSet<PodUid>) {
    if env.config.network != "cni" && env.network.stale().is_empty() && env.network.plugged().is_empty() {
        return;
    }
    let (env, told) = (Arc::clone(env), told.clone());
    let work = move || {
        let mut wait_s = AGAIN_S;
        while !attempt(&env, &told, &wanted) {
            thread::sleep(Duration::from_secs(wait_s));
            wait_s = (wait_s * 2).min(AGAIN_MAX_S);
        }
    };
    let thread = thread::Builder::new().name("berth-cni".into()).stack_size(STACK_BYTES);
    if let Err(error) = thread.spawn(work) {
        tracing::warn!(%error, "CNI plugins are not asked how pods' networks are");
    }
}

fn attempt(env: &Env, told: &mpsc::Sender<Told>, wanted: &BTreeSet<PodUid>) -> bool {
    sandbox::settle_network(&env.roots, &env.network, wanted, |pod, uid, warning| {
        // Fails when the agent ends.
        let _ = told.blocking_send(Told::warned(pod, uid, warning));
    })
}
