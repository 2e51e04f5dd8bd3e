//! Security contexts of the pod and its containers.

use super::{names, syntax};
use crate::manifest::{
    finding::Findings,
    path::Path,
    types::{
        AppArmorKind, AppArmorProfile, Capabilities, Container, PodSecurityContext, PodSpec, ProcMount,
        SeccompKind, SeccompProfile, Sysctl,
    },
};
use std::collections::BTreeSet;

/// What the kernel knows, without `CAP_` (capability.h of Linux 6.12).
const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

/// Bytes of a profile's name.
const APP_ARMOR_NAME_LEN_MAX: usize = 4095;

pub(super) fn pod(context: &PodSecurityContext, path: &Path, findings: &mut Findings) {
    if let Some(profile) = &context.seccomp_profile {
        seccomp(profile, &path.field("seccompProfile"), findings);
    }
    if let Some(profile) = &context.app_armor_profile {
        app_armor(profile, &path.field("appArmorProfile"), findings);
    }
    sysctls(&context.sysctls, &path.field("sysctls"), findings);
}

fn app_armor(profile: &AppArmorProfile, path: &Path, findings: &mut Findings) {
    let here = path.field("localhostProfile");
    match (profile.kind, profile.localhost_profile.as_deref()) {
        (AppArmorKind::Localhost, None | Some("")) => {
            findings.required(&here, "must be set when AppArmor type is Localhost");
        }
        (AppArmorKind::Localhost, Some(name)) => {
            if name.trim() != name {
                findings.invalid(&here, name, "must not be padded with whitespace");
            }
            if name.len() > APP_ARMOR_NAME_LEN_MAX {
                findings.invalid(&here, name, "must be no more than 4095 bytes");
            }
        }
        (_, Some(_)) => findings.forbidden(&here, "can only be set when AppArmor type is Localhost"),
        (_, None) => {}
    }
}

/// Which of them may be set is the node's decision, and told on the pod.
fn sysctls(list: &[Sysctl], path: &Path, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for (i, sysctl) in list.iter().enumerate() {
        let here = path.index(i).field("name");
        syntax(names::sysctl(&sysctl.name), &sysctl.name, &here, findings);
        if !seen.insert(sysctl.dotted()) {
            findings.duplicate(&here, &sysctl.name, "it is set already");
        }
    }
}

pub(super) fn container(container: &Container, spec: &PodSpec, path: &Path, findings: &mut Findings) {
    let pod = &spec.security_context;
    let Some(context) = &container.security_context else {
        return run_as(None, None, pod, path, findings);
    };
    run_as(context.run_as_user, context.run_as_non_root, pod, path, findings);
    if let Some(profile) = &context.seccomp_profile {
        seccomp(profile, &path.field("seccompProfile"), findings);
    }
    if let Some(profile) = &context.app_armor_profile {
        app_armor(profile, &path.field("appArmorProfile"), findings);
    }
    if context.proc_mount == Some(ProcMount::Unmasked) && spec.host_users != Some(false) {
        // All that is hidden there is hidden from a root that is the node's root too.
        findings.invalid(&path.field("procMount"), "Unmasked", "hostUsers must be false to use Unmasked");
    }
    let admin = context.capabilities.as_ref().is_some_and(|c| c.add.iter().any(|name| name == "SYS_ADMIN"));
    if context.allow_privilege_escalation == Some(false) {
        let here = path.field("allowPrivilegeEscalation");
        if container.is_privileged() {
            findings.invalid(&here, "false", "cannot be false when privileged is true");
        }
        if admin {
            findings.invalid(&here, "false", "cannot be false when capabilities.add has SYS_ADMIN");
        }
    }
    if let Some(capabilities) = &context.capabilities {
        known_capabilities(capabilities, &path.field("capabilities"), findings);
    }
}

/// A pod that asks to be refused at each start is taken, as Kubernetes takes it, but not in silence.
fn run_as(
    user: Option<u32>,
    non_root: Option<bool>,
    pod: &PodSecurityContext,
    path: &Path,
    findings: &mut Findings,
) {
    let never_starts = non_root.or(pod.run_as_non_root) == Some(true) && user.or(pod.run_as_user) == Some(0);
    if never_starts {
        findings.warn(
            &path.field("runAsUser"),
            "runAsNonRoot is true and runAsUser is 0: the container will never start",
        );
    }
}

/// Kubernetes leaves an unknown name to the runtime, which drops it or fails.
fn known_capabilities(capabilities: &Capabilities, path: &Path, findings: &mut Findings) {
    for (list, names) in [("add", &capabilities.add), ("drop", &capabilities.drop)] {
        for (i, name) in names.iter().enumerate() {
            if name == "ALL" || CAPABILITIES.binary_search(&name.as_str()).is_ok() {
                continue;
            }
            let hint = match crate::manifest::suggest::nearest(name, CAPABILITIES.into_iter()) {
                Some(meant) => format!("no such capability, did you mean {meant}?"),
                None => "no such capability; see capabilities(7)".to_owned(),
            };
            findings.invalid(&path.field(list).index(i), name, &hint);
        }
    }
}

fn seccomp(profile: &SeccompProfile, path: &Path, findings: &mut Findings) {
    let here = path.field("localhostProfile");
    match (profile.kind, &profile.localhost_profile) {
        (SeccompKind::Localhost, None) => {
            findings.required(&here, "type Localhost needs the file's path below the seccomp directory");
        }
        (SeccompKind::Localhost, Some(file)) => syntax(names::descending(file), file, &here, findings),
        (_, Some(_)) => findings.forbidden(&here, "only with type Localhost; remove it"),
        (_, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::CAPABILITIES;

    #[test]
    fn capabilities_are_sorted_for_the_binary_search() {
        assert!(CAPABILITIES.is_sorted());
    }
}
