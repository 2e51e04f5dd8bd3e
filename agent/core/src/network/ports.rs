//! Ports of the node that pods take: `hostPort`, and every port of a pod on the node's network. Pure.

use crate::manifest::types::{PodSpec, RestartPolicy};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

/// What a port is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// By Kubernetes' word; TCP without one.
    pub fn of(word: &str) -> Self {
        match word {
            "UDP" => Self::Udp,
            "SCTP" => Self::Sctp,
            _ => Self::Tcp,
        }
    }

    /// Kubernetes' word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

/// A port of the node that leads to a port of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    /// What it is of.
    pub protocol: Protocol,
    /// On this address only; on all of the node's if there is none.
    pub host_ip: Option<IpAddr>,
    /// The number on the node.
    pub host_port: u16,
    /// The number in the pod.
    pub container_port: u16,
}

impl HostPort {
    /// The two cannot be there at once.
    pub fn clashes(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && self.host_port == other.host_port
            && (self.is_everywhere() || other.is_everywhere() || self.host_ip == other.host_ip)
    }

    fn is_everywhere(&self) -> bool {
        self.host_ip.is_none_or(|ip| ip.is_unspecified())
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.protocol.as_str(), self.host_port)?;
        self.host_ip.filter(|ip| !ip.is_unspecified()).map_or(Ok(()), |ip| write!(f, " of {ip}"))
    }
}

/// The ports of the node that a pod takes: those of containers that run side by side with others, so not of
/// init containers, except sidecars.
pub fn of_pod(spec: &PodSpec) -> Vec<HostPort> {
    let sidecars = spec
        .init_containers
        .iter()
        .filter(|container| container.restart_policy == Some(RestartPolicy::Always));
    let ports = sidecars.chain(&spec.containers).flat_map(|container| &container.ports);
    ports
        .filter_map(|port| {
            let protocol = Protocol::of(&port.protocol);
            let host_ip = port.host_ip.as_deref().and_then(|ip| ip.parse().ok());
            Some(HostPort {
                protocol,
                host_ip,
                host_port: port.host_port?,
                container_port: port.container_port,
            })
        })
        .collect()
}

/// A port that both pods want.
pub fn clash<'a>(ports: &'a [HostPort], others: &[HostPort]) -> Option<&'a HostPort> {
    ports.iter().find(|port| others.iter().any(|other| port.clashes(other)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ports(ports: serde_json::Value) -> Vec<HostPort> {
        let spec = json!({"containers": [{"name": "c", "image": "i", "ports": ports}]});
        of_pod(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn ports_clash_as_in_kubernetes_scheduler() {
        let one = |ip: &str, protocol: &str, port: u16| {
            let ip = (!ip.is_empty()).then_some(ip);
            ports(json!([{"containerPort": 80, "hostPort": port, "hostIP": ip, "protocol": protocol}]))
        };
        for (a, b, clashes) in [
            (one("", "TCP", 80), one("", "TCP", 80), true),
            (one("", "TCP", 80), one("", "TCP", 81), false),
            (one("", "TCP", 80), one("", "UDP", 80), false),
            (one("", "SCTP", 80), one("", "UDP", 80), false),
            (one("127.0.0.1", "TCP", 80), one("", "TCP", 80), true),
            (one("127.0.0.1", "TCP", 80), one("0.0.0.0", "TCP", 80), true),
            (one("127.0.0.1", "TCP", 80), one("127.0.0.1", "TCP", 80), true),
            (one("127.0.0.1", "TCP", 80), one("127.0.0.2", "TCP", 80), false),
            (one("::", "TCP", 80), one("127.0.0.2", "TCP", 80), true),
        ] {
            assert_eq!(clash(&a, &b).is_some(), clashes, "{a:?} {b:?}");
            assert_eq!(clash(&b, &a).is_some(), clashes, "{b:?} {a:?}");
        }
    }

    #[test]
    fn only_ports_on_the_node_count() {
        assert_eq!(ports(json!([{"containerPort": 80}])), []);
        let spec = json!({
            "initContainers": [
                {"name": "i", "image": "i", "ports": [{"containerPort": 1, "hostPort": 1}]},
                {"name": "s", "image": "i", "restartPolicy": "Always", "ports": [{"containerPort": 2, "hostPort": 3}]},
            ],
            "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 4, "hostPort": 5, "hostIP": "::1"}]}],
        });
        let found = of_pod(&serde_json::from_value(spec).unwrap());
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["TCP port 3", "TCP port 5 of ::1"]);
        assert_eq!(found[0].container_port, 2);
    }
}
