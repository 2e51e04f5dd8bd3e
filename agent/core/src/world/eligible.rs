//! Whether a pod may run on this node at all, whatever else runs there: what it asks of the node is there,
//! and what it wants is allowed. A pod that may not waits, refused, and is seen to be.

use super::{WorldConfig, affinity, state::Refusal, sysctl};
use crate::manifest::DesiredPod;

/// Why the pod may not run here; none if it may.
pub(super) fn refusal(pod: &DesiredPod, config: &WorldConfig) -> Option<Refusal> {
    let spec = &pod.pod.spec;
    if let Some(message) = sysctl::forbidden(spec, &config.allowed_unsafe_sysctls) {
        return Some(Refusal { reason: "SysctlForbidden", message });
    }
    if let Some(message) = affinity::mismatch(spec, &config.node_name, &config.node_labels) {
        return Some(Refusal { reason: "NodeAffinity", message });
    }
    None
}
