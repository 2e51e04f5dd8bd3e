//! How willingly the kernel kills a container when memory runs out, by kubelet's formula.

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
            let own = burstable(requested_bytes(container), memory_bytes);
            // A sidecar goes no sooner than the container that it serves.
            let is_sidecar = pod.spec.sidecars().any(|sidecar| sidecar.name == container.name);
            let regular = pod.spec.containers.iter().map(requested_bytes).min().filter(|_| is_sidecar);
            regular.map_or(own, |least| own.min(burstable(least, memory_bytes)))
        }
    }
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
}
