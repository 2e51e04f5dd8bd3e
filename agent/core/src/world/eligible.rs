//! Whether a pod may run on this node at all, whatever else runs there: what it asks of the node is there,
//! and what it wants is allowed. A pod that may not waits, refused, and is seen to be.

use super::{WorldConfig, affinity, state::Refusal, sysctl};
use crate::manifest::{
    DesiredPod,
    types::{AppArmorKind, PodSpec},
};

/// Why the pod may not run here; none if it may.
pub(super) fn refusal(pod: &DesiredPod, config: &WorldConfig) -> Option<Refusal> {
    let spec = &pod.pod.spec;
    if let Some(message) = sysctl::forbidden(spec, &config.allowed_unsafe_sysctls) {
        return Some(Refusal::new("SysctlForbidden", message));
    }
    if let Some(message) = affinity::mismatch(spec, &config.node_name, &config.node_labels) {
        return Some(Refusal::new("NodeAffinity", message));
    }
    if wants_app_armor(spec) && !config.app_armor {
        let message = "Cannot enforce AppArmor: AppArmor is not enabled on the host".to_owned();
        return Some(Refusal::new("AppArmor", message));
    }
    if wants_se_linux(spec) && !config.se_linux {
        let message = "seLinuxOptions: SELinux is not enabled on the host; remove them".to_owned();
        return Some(Refusal::new("SELinux", message));
    }
    None
}

/// Some container is to be confined by a profile.
fn wants_app_armor(spec: &PodSpec) -> bool {
    let own = spec.all_containers().filter_map(|container| container.security_context.as_ref());
    let mut profiles = own.map(|sc| &sc.app_armor_profile).chain([&spec.security_context.app_armor_profile]);
    profiles.any(|profile| profile.as_ref().is_some_and(|profile| profile.kind != AppArmorKind::Unconfined))
}

fn wants_se_linux(spec: &PodSpec) -> bool {
    let own = spec.all_containers().filter_map(|container| container.security_context.as_ref());
    own.map(|sc| &sc.se_linux_options).chain([&spec.security_context.se_linux_options]).any(Option::is_some)
}
