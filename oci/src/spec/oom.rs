//! How willingly the kernel kills a container when memory runs out, by kubelet's formula.

use crate::cgroup::memory_requests;
use berth_core::manifest::{
    qos::{self, QosClass},
    quantity,
    types::{Container, Pod},
};

/// Of guaranteed pods, as of what keeps the node alive.
const GUARANTEED: i32 = -997;
/// What keeps the node alive.
const NODE_CRITICAL_CLASS: &str = "system-node-critical";
/// Of best-effort pods: the first to go.
const BEST_EFFORT: i32 = 1000;
/// A burstable container never stands as well as a guaranteed one, and never as badly as best effort.
const BURSTABLE: (i64, i64) = (3, 999);

/// `oom_score_adj` of the container, for a node with this much memory.
pub fn score_adj(pod: &Pod, container: &Container, memory_bytes: u64) -> i32 {
    match qos::of(pod) {
        _ if pod.spec.priority_class_name.as_deref() == Some(NODE_CRITICAL_CLASS) => GUARANTEED,
        QosClass::Guaranteed => GUARANTEED,
        QosClass::BestEffort => BEST_EFFORT,
        QosClass::Burstable => {
            // A sidecar goes no sooner than the container that it serves.
            let is_sidecar = pod.spec.sidecars().any(|sidecar| sidecar.name == container.name);
            let least = pod.spec.containers.iter().map(requested_bytes).min().filter(|_| is_sidecar);
            let own = requested_bytes(container);
            burstable(own.max(least.unwrap_or(0)).saturating_add(share_bytes(pod)), memory_bytes)
        }
    }
}

/// What is asked for the pod as a whole and for none of its containers is shared evenly among them.
fn share_bytes(pod: &Pod) -> i64 {
    let whole = pod.spec.resources.as_ref().and_then(|whole| whole.requests.get("memory"));
    let whole = whole.and_then(|text| quantity::parse(text).ok()).map_or(0, quantity::Quantity::value);
    let asked = i64::try_from(memory_requests(pod)).unwrap_or(i64::MAX);
    let containers = i64::try_from(pod.spec.lasting_containers().count()).unwrap_or(i64::MAX);
    whole.saturating_sub(asked).max(0) / containers.max(1)
}

/// The more of the node's memory a container asks for, the less willingly it is killed.
fn burstable(requested_bytes: i64, memory_bytes: u64) -> i32 {
    let capacity = i128::from(memory_bytes).max(1);
    let score = 1000 - 1000 * i128::from(requested_bytes) / capacity;
    let score = score.clamp(i128::from(BURSTABLE.0), i128::from(BURSTABLE.1));
    i32::try_from(score).unwrap_or(BEST_EFFORT)
}

fn requested_bytes(container: &Container) -> i64 {
    let request = container.resources.requests.get("memory");
    request.and_then(|text| quantity::parse(text).ok()).map_or(0, quantity::Quantity::value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_core::manifest::types::{Resources, RestartPolicy};

    #[test]
    fn burstable_scores_follow_the_request() {
        const GIB: u64 = 1 << 30;
        for (requested, memory, score) in [
            (0, 4 * GIB, 999),
            (1 << 20, 4 * GIB, 999),
            // As in kubelet, the quotient is cut before it is taken off.
            (5 << 20, 4 * GIB, 999),
            (1 << 30, 4 * GIB, 750),
            (2 << 30, 4 * GIB, 500),
            (4 << 30, 4 * GIB, 3),
            (8 << 30, 4 * GIB, 3),
            (i64::MAX, 1, 3),
            (1, 0, 3),
        ] {
            assert_eq!(burstable(requested, memory), score, "{requested} of {memory}");
        }
    }

    #[test]
    fn what_is_asked_for_the_pod_as_a_whole_is_shared() {
        let amount = |text: &str| {
            let requests = [("memory".to_owned(), text.to_owned())].into_iter().filter(|_| !text.is_empty());
            Resources { requests: requests.collect(), ..Resources::default() }
        };
        // Of the pod, its sidecar and its two containers, on a node with 1000 MiB; the scores of these three.
        for (whole, sidecar, first, second, scores) in [
            ("", "", "100Mi", "200Mi", [900, 900, 800]),
            ("", "300Mi", "100Mi", "200Mi", [700, 900, 800]),
            ("900Mi", "", "100Mi", "200Mi", [700, 700, 600]),
            ("900Mi", "", "", "", [700, 700, 700]),
            ("300Mi", "", "100Mi", "200Mi", [900, 900, 800]),
        ] {
            let container = |name: &str, memory: &str| Container {
                name: name.to_owned(),
                resources: amount(memory),
                ..Container::default()
            };
            let mut pod = Pod::default();
            let restart_policy = Some(RestartPolicy::Always);
            pod.spec.init_containers.push(Container { restart_policy, ..container("s", sidecar) });
            pod.spec.containers = vec![container("a", first), container("b", second)];
            pod.spec.resources = (!whole.is_empty()).then(|| amount(whole));
            let all: Vec<i32> =
                pod.spec.all_containers().map(|one| score_adj(&pod, one, 1000 << 20)).collect();
            assert_eq!(all, scores, "{whole} {sidecar} {first} {second}");
        }
    }
}
