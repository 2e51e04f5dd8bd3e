//! `hostUsers: false`: what cannot go together with users of the pod's own.

use crate::manifest::{finding::Findings, path::Path, types::PodSpec};

/// Ids that the pod has, kubelet's number: 0 and those below it.
const IDS: u32 = 65_536;

/// `path` is that of the spec.
pub(super) fn validate(spec: &PodSpec, path: &Path, findings: &mut Findings) {
    if spec.host_users != Some(false) {
        return;
    }
    for (name, is_set) in
        [("hostNetwork", spec.host_network), ("hostPID", spec.host_pid), ("hostIPC", spec.host_ipc)]
    {
        if is_set {
            findings.forbidden(&path.field(name), "when hostUsers is false");
        }
    }
    let context = &spec.security_context;
    let of_pod = path.field("securityContext");
    let within = |id: u32, here: &Path, findings: &mut Findings| {
        if id >= IDS {
            findings.invalid(here, &id.to_string(), "must be less than 65536 when hostUsers is false");
        }
    };
    for (name, id) in [
        ("runAsUser", context.run_as_user),
        ("runAsGroup", context.run_as_group),
        ("fsGroup", context.fs_group),
    ] {
        if let Some(id) = id {
            within(id, &of_pod.field(name), findings);
        }
    }
    for (i, id) in context.supplemental_groups.iter().enumerate() {
        within(*id, &of_pod.field("supplementalGroups").index(i), findings);
    }
    for (container, here) in super::places(spec, path) {
        let here = here.field("securityContext");
        if container.is_privileged() {
            findings.forbidden(
                &here.field("privileged"),
                "a privileged container needs the node's users; remove hostUsers",
            );
        }
        let Some(own) = &container.security_context else { continue };
        for (name, id) in [("runAsUser", own.run_as_user), ("runAsGroup", own.run_as_group)] {
            if let Some(id) = id {
                within(id, &here.field(name), findings);
            }
        }
    }
}
