//! Ports of all containers: names, host ports, conflicts.

use super::{names, syntax};
use crate::manifest::{
    finding::Findings,
    path::Path,
    types::{Container, ContainerPort},
};
use std::{collections::BTreeSet, net::IpAddr};

/// `path` is that of the containers, which run side by side.
pub(super) fn validate(containers: &[Container], host_network: bool, path: &Path, findings: &mut Findings) {
    let mut host_ports = BTreeSet::new();
    for (i, container) in containers.iter().enumerate() {
        let mut seen = BTreeSet::new();
        for (j, port) in container.ports.iter().enumerate() {
            let here = path.index(i).field("ports").index(j);
            if let Some(name) = &port.name {
                syntax(names::port_name(name), name, &here.field("name"), findings);
                if !seen.insert(name) {
                    findings.duplicate(
                        &here.field("name"),
                        name,
                        "another port of the container has this name",
                    );
                }
            }
            one(port, host_network, &here, findings);
            let key = port.host_port.map(|number| (&port.protocol, port.host_ip.as_deref(), number));
            if let Some((_, _, number)) = key.filter(|key| !host_ports.insert(*key)) {
                let field = if host_network { "containerPort" } else { "hostPort" };
                findings.duplicate(
                    &here.field(field),
                    &number.to_string(),
                    "another port of the pod takes it on the host",
                );
            }
        }
    }
}

fn one(port: &ContainerPort, host_network: bool, path: &Path, findings: &mut Findings) {
    if let Some(number) = port.host_port.filter(|number| host_network && *number != port.container_port) {
        let why = "must equal containerPort when hostNetwork is true; remove hostPort";
        findings.invalid(&path.field("hostPort"), &number.to_string(), why);
    }
    if let Some(ip) = port.host_ip.as_ref().filter(|ip| ip.parse::<IpAddr>().is_err()) {
        findings.invalid(&path.field("hostIP"), ip, "not an IP address, like 192.0.2.1 or 2001:db8::1");
    }
}
