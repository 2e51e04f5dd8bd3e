//! What a plugin is asked (sections 2 and 3 of the specification).

use super::conf::is_name;
use crate::{
    ids::{PodKey, PodUid},
    network::{Bandwidth, HostPort},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What it is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Command {
    Add,
    Check,
    Del,
    Gc,
}

impl Command {
    /// The specification's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Check => "CHECK",
            Self::Del => "DEL",
            Self::Gc => "GC",
        }
    }
}

/// What a pod asks of the chain, by the name of the capability (CONVENTIONS.md of the same repository).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(pub(super) Map<String, Value>);

impl Capabilities {
    /// For these ports of the node and these rates.
    pub fn new(ports: &[HostPort], bandwidth: &Bandwidth) -> Self {
        let mut map = Map::new();
        if !ports.is_empty() {
            map.insert("portMappings".into(), ports.iter().map(port).collect());
        }
        let mut rates = Map::new();
        for (way, rate) in [("ingress", bandwidth.ingress), ("egress", bandwidth.egress)] {
            let Some(rate) = rate else { continue };
            rates.insert(format!("{way}Rate"), rate.0.into());
            rates.insert(
                format!("{way}Burst"),
                rate.burst_bytes().saturating_mul(8).min(BURST_MAX_BITS).into(),
            );
        }
        if !rates.is_empty() {
            map.insert("bandwidth".into(), Value::Object(rates));
        }
        Self(map)
    }
}

/// Bits; what the plugin `bandwidth` takes at most.
const BURST_MAX_BITS: u64 = u32::MAX as u64;

fn port(port: &HostPort) -> Value {
    let mut mapping = json!({
        "hostPort": port.host_port,
        "containerPort": port.container_port,
        "protocol": port.protocol.as_str().to_lowercase(),
    });
    if let Some(ip) = port.host_ip.filter(|ip| !ip.is_unspecified()) {
        mapping["hostIP"] = ip.to_string().into();
    }
    mapping
}

/// Whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_NETNS`; empty when it is gone already.
    pub netns: String,
    /// `CNI_IFNAME`.
    pub interface: String,
    /// `CNI_ARGS`.
    pub args: String,
}

impl Runtime {
    /// For a pod; the words of `CNI_ARGS` are those that all runtimes of Kubernetes use.
    pub fn of_pod(pod: &PodKey, uid: &PodUid, netns: &str, interface: &str) -> Self {
        let id = container_id(uid);
        let args = format!(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE={};K8S_POD_NAME={};K8S_POD_INFRA_CONTAINER_ID={id};K8S_POD_UID={uid}",
            pod.namespace, pod.name
        );
        Self { container_id: id, netns: netns.to_owned(), interface: interface.to_owned(), args }
    }

    /// The variables of a command, beside `CNI_PATH`.
    pub fn variables(&self, command: Command) -> Vec<(&'static str, String)> {
        vec![
            ("CNI_COMMAND", command.as_str().to_owned()),
            ("CNI_CONTAINERID", self.container_id.clone()),
            ("CNI_NETNS", self.netns.clone()),
            ("CNI_IFNAME", self.interface.clone()),
            ("CNI_ARGS", self.args.clone()),
        ]
    }
}

/// What plugins know a pod by.
pub fn container_id(uid: &PodUid) -> String {
    if is_name(&uid.0) { uid.0.to_string() } else { format!("p{uid}") }
}

/// What is there and must stay, for GC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// As in ADD.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// As in ADD.
    pub ifname: String,
}
