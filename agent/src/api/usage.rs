//! What pods and the node use, read from the kernel because somebody asks, on a thread. Keeps nothing: who wants a rate
//! asks twice.

use super::ask::{Answer, Ask, Asks, Refusal, ask};
use crate::agent::Env;
use berth_core::{
    pressure::Weighing,
    usage::{Disk, Network, PodReading},
    view,
};
use berth_oci::{network::traffic, pressure, usage};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// Seconds after which no more pods' files are counted; those that are left have no `ephemeral-storage`.
const COUNT_MAX_S: u64 = 15;
/// Counts of files at one time: each keeps a thread of the pool busy, and a disk.
static TURN: Semaphore = Semaphore::const_new(1);

/// What `Request::Usage` is answered with.
pub(super) async fn summary(asks: &Asks, env: Arc<Env>, storage: bool) -> Answer {
    let pods = ask(asks, Ask::Weighings).await?;
    let busy = |error: &dyn std::fmt::Display| Refusal::internal(error.to_string());
    let turn = if storage { Some(TURN.acquire().await.map_err(|error| busy(&error))?) } else { None };
    let read = tokio::task::spawn_blocking(move || read(&env, &pods, storage)).await;
    drop(turn);
    read.map_err(|error| busy(&error))
}

fn read(env: &Env, pods: &[Weighing], storage: bool) -> serde_json::Value {
    let roots = &env.roots;
    let until = Instant::now() + Duration::from_secs(COUNT_MAX_S);
    let disk = |pod: &Weighing| {
        let counts = storage && Instant::now() < until;
        let found = counts.then(|| usage::of_pod(roots, &pod.desired, &pod.runs).ok()).flatten()?;
        Some(Disk { bytes: found.bytes(), inodes: found.inodes, cut: found.cut })
    };
    // All that a rate is made of first, so that two readings of a pod are as far apart as the questions.
    let found = pods.iter().filter_map(|pod| {
        let whole = pressure::cgroup(&roots.pod_cgroup(&pod.desired))?;
        let containers = pod.runs.iter().filter_map(|(name, id)| {
            Some((name.as_str(), id, pressure::cgroup(&roots.container_cgroup(&pod.desired, id))?))
        });
        let network = traffic(&pod.desired.uid).map(|traffic| Network {
            name: traffic.inside,
            received: (traffic.received_bytes, traffic.received_packets),
            sent: (traffic.sent_bytes, traffic.sent_packets),
        });
        let containers = containers.collect();
        Some((pod, PodReading { pod: &pod.desired, whole, containers, network, disk: None }))
    });
    let found: Vec<_> = found.collect();
    let node = pressure::node(roots);
    let counted = |(pod, reading)| PodReading { disk: disk(pod), ..reading };
    let found: Vec<_> = found.into_iter().map(counted).collect();
    view::summary(&env.node.name, &node, &pressure::look(roots), &found)
}
