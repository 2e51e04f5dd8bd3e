//! Which of the kernel's settings a pod may have: those that are its own, and among them those that
//! Kubernetes calls safe or the node's owner allows. Pure.

use crate::manifest::types::PodSpec;

/// What Kubernetes calls safe: one pod's does not reach another.
const SAFE: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

/// Settings of the network and of the IPC namespace, by what their names begin with.
const OF_NETWORK: [&str; 1] = ["net."];
const OF_IPC: [&str; 4] = ["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."];

fn begins(name: &str, with: &[&str]) -> bool {
    with.iter().any(|start| name.starts_with(start))
}

/// Whether all settings of this name, or of a pattern with a `*` at its end, are a pod's own.
pub fn is_namespaced(pattern: &str) -> bool {
    let start = pattern.strip_suffix('*').unwrap_or(pattern);
    !start.contains('*') && (begins(start, &OF_NETWORK) || begins(start, &OF_IPC))
}

fn allows(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

/// Why the pod may not have one of its settings; none if it may have all.
pub(super) fn forbidden(spec: &PodSpec, allowed: &[String]) -> Option<String> {
    spec.security_context.sysctls.iter().find_map(|sysctl| {
        let name = sysctl.dotted();
        let why = if spec.host_network && begins(&name, &OF_NETWORK) {
            "it is the node's when hostNetwork is true".to_owned()
        } else if spec.host_ipc && begins(&name, &OF_IPC) {
            "it is the node's when hostIPC is true".to_owned()
        } else if SAFE.contains(&&*name) || allowed.iter().any(|pattern| allows(pattern, &name)) {
            return None;
        } else if is_namespaced(&name) {
            "it is not safe; the node's owner can allow it by allowedUnsafeSysctls in the configuration"
                .to_owned()
        } else {
            "it is not a pod's own: set it on the node".to_owned()
        };
        Some(format!("forbidden sysctl {name}: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::types::Sysctl;

    #[test]
    fn a_pod_may_have_what_is_safe_or_allowed_and_its_own() {
        let allowed = ["net.core.*".to_owned(), "kernel.msgmax".to_owned()];
        for (name, host_network, host_ipc, why) in [
            ("net.ipv4.tcp_syncookies", false, false, None),
            ("net/ipv4/tcp_syncookies", false, false, None),
            ("net.ipv4.tcp_syncookies", true, false, Some("hostNetwork")),
            ("kernel.shm_rmid_forced", true, false, None),
            ("kernel.shm_rmid_forced", false, true, Some("hostIPC")),
            ("net.core.somaxconn", false, false, None),
            ("kernel.msgmax", false, false, None),
            ("kernel.msgmnb", false, false, Some("allowedUnsafeSysctls")),
            ("vm.swappiness", false, false, Some("set it on the node")),
        ] {
            let mut spec = PodSpec { host_network, host_ipc, ..PodSpec::default() };
            spec.security_context.sysctls = vec![Sysctl { name: name.into(), value: "1".into() }];
            let said = forbidden(&spec, &allowed);
            assert_eq!(said.is_some(), why.is_some(), "{name}: {said:?}");
            assert!(said.unwrap_or_default().contains(why.unwrap_or_default()), "{name}");
        }
    }

    #[test]
    fn patterns_cover_what_is_a_pods_own() {
        for (pattern, own) in [
            ("net.*", true),
            ("kernel.shm*", true),
            ("kernel.sem", true),
            ("kernel.*", false),
            ("*", false),
            ("vm.swappiness", false),
            ("net.*.x", false),
        ] {
            assert_eq!(is_namespaced(pattern), own, "{pattern}");
        }
    }
}
