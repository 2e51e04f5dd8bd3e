//! Pods' interfaces and what has gone over them, beside what the agent tells of them: read from the kernel when somebody
//! asks, for a counter in a status would be a change of the pod with each packet.

use super::{get::image_size as size, json};
use crate::api::NETWORK_STATUS;
use berth_core::{
    ids::PodUid,
    network::{
        attachments::{ATTACHMENTS, Attachment, attachments},
        named::{BRIDGE, DEFAULT, NETWORK},
    },
};
use berth_oci::network::{Traffic, traffic, traffic_at};
use serde_json::{Value, json};

/// What a pod has, for people and in its annotations.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    /// Over its own one, as far as that has an end on the node.
    pub(super) traffic: Option<Traffic>,
    /// The CNI network that it is on, and its interface there.
    pub(super) plugged: Option<(String, String)>,
    /// What it has of the node's beside that.
    pub(super) attached: Vec<Attachment>,
}

impl Interfaces {
    /// Of the pod, as the agent tells of it.
    pub(super) fn of(pod: &Value) -> Self {
        let told = json::text(pod, &format!("/metadata/annotations/{}", NETWORK_STATUS.replace('/', "~1")));
        let told: Value = serde_json::from_str(told).unwrap_or_default();
        let text = |key: &str| Some(told.pointer("/0")?.get(key)?.as_str()?.to_owned());
        let own = traffic(&PodUid(json::text(pod, "/metadata/uid").into()));
        Self {
            traffic: own.or_else(|| traffic_at(text("hostInterface")?)),
            plugged: text("name").zip(text("interface")),
            attached: attached(pod),
        }
    }

    /// Interfaces, each with its network if that is not the default one, received, sent: for a table.
    pub(super) fn cells(&self, network: Option<&str>) -> [String; 3] {
        let count = |bytes, packets| format!("{}/{packets}", size(bytes));
        let own = match (&self.plugged, &self.traffic) {
            (Some((network, interface)), _) => Some(format!("{network}/{interface}")),
            (None, Some(Traffic { inside, .. })) => {
                Some(network.map_or_else(|| (*inside).to_owned(), |network| format!("{network}/{inside}")))
            }
            (None, None) => None,
        };
        let names: Vec<String> =
            own.into_iter().chain(self.attached.iter().map(|one| one.name.clone())).collect();
        let names = if names.is_empty() { None } else { Some(names.join(",")) };
        let counts = self.traffic.as_ref().map(|traffic| {
            [
                count(traffic.received_bytes, traffic.received_packets),
                count(traffic.sent_bytes, traffic.sent_packets),
            ]
        });
        let [received, sent] = counts.map_or([None, None], |counts| counts.map(Some));
        [names, received, sent].map(|cell| cell.unwrap_or_else(|| "<none>".to_owned()))
    }

    /// Notes them in the pod's annotations.
    pub(super) fn annotate(&self, pod: &mut Value) {
        let ips: Vec<&str> =
            json::list(pod, "/status/podIPs").iter().map(|ip| json::text(ip, "/ip")).collect();
        let mut status = Vec::new();
        if let (Some((name, interface)), None) = (&self.plugged, &self.traffic) {
            status.push(json!({"name": name, "interface": interface, "ips": ips, "default": true}));
        }
        if let Some(traffic) = &self.traffic {
            let plugged = self.plugged.as_ref().map(|(name, _)| name.as_str());
            status.push(json!({
                "name": plugged.or_else(|| network_of(pod)).unwrap_or(BRIDGE),
                "interface": traffic.inside,
                "hostInterface": traffic.outside,
                "ips": ips,
                "default": true,
                "counters": {
                    "rxBytes": traffic.received_bytes,
                    "rxPackets": traffic.received_packets,
                    "txBytes": traffic.sent_bytes,
                    "txPackets": traffic.sent_packets,
                    "dropped": traffic.dropped_packets,
                },
            }));
        }
        status.extend(self.attached.iter().map(|one| {
            let ips: Vec<String> = one.addresses().map(|(address, _)| address.to_string()).collect();
            json!({"name": one.interface, "interface": one.name, "hostInterface": one.interface, "ips": ips,
                "default": false})
        }));
        if !status.is_empty() {
            pod["metadata"]["annotations"][NETWORK_STATUS] = json!(Value::from(status).to_string());
        }
    }
}

/// Interfaces of the node that a pod has which runs: without them it would not.
fn attached(pod: &Value) -> Vec<Attachment> {
    let wanted = json::text(pod, &format!("/metadata/annotations/{}", ATTACHMENTS.replace('/', "~1")));
    let has = json::text(pod, "/status/phase") == "Running" && !json::flag(pod, "/spec/hostNetwork");
    if has && !wanted.is_empty() { attachments(wanted, &[]).unwrap_or_default() } else { Vec::new() }
}

/// The network that the pod has chosen; none for the default one.
pub(super) fn network_of(pod: &Value) -> Option<&str> {
    let chosen = pod.get("metadata")?.get("annotations")?.get(NETWORK)?.as_str()?;
    (chosen != DEFAULT).then_some(chosen)
}

/// For a table.
pub(super) fn cells(pod: &Value) -> [String; 3] {
    Interfaces::of(pod).cells(network_of(pod))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic() -> Traffic {
        Traffic {
            inside: "eth0",
            outside: "bth0".into(),
            received_bytes: 1_234,
            received_packets: 5,
            sent_bytes: 67,
            sent_packets: 8,
            dropped_packets: 0,
        }
    }

    fn status(pod: &Value) -> Value {
        serde_json::from_str(pod["metadata"]["annotations"][NETWORK_STATUS].as_str().unwrap()).unwrap()
    }

    #[test]
    fn counters_are_shown_in_tables_and_in_the_pod_itself() {
        let own = Interfaces { traffic: Some(traffic()), ..Interfaces::default() };
        assert_eq!(own.cells(None), ["eth0", "1.23kB/5", "67B/8"]);
        assert_eq!(own.cells(Some("plant"))[0], "plant/eth0");
        assert_eq!(Interfaces::default().cells(Some("plant")), ["<none>"; 3]);
        let mut pod = json!({"metadata": {"uid": "u"}, "status": {"podIPs": [{"ip": "10.86.0.2"}]}});
        Interfaces::default().annotate(&mut pod);
        assert!(pod["metadata"].get("annotations").is_none());
        own.annotate(&mut pod);
        let found = status(&pod);
        assert_eq!((&found[0]["interface"], &found[0]["name"]), (&json!("eth0"), &json!("berth0")));
        assert_eq!(found[0]["ips"], json!(["10.86.0.2"]));
        assert_eq!(found[0]["counters"]["rxBytes"], 1_234);
        pod["metadata"]["annotations"][NETWORK] = json!("plant");
        own.annotate(&mut pod);
        assert_eq!(status(&pod)[0]["name"], "plant");
    }

    #[test]
    fn interfaces_of_plugins_and_those_beside_are_shown_too() {
        let told =
            json!([{"name": "factory", "interface": "eth0", "hostInterface": "veth1", "default": true}]);
        let wanted = "[{interface: can0}, {interface: eth1, type: macvlan, addresses: [192.0.2.7/24]}]";
        let annotations = json!({NETWORK_STATUS: told.to_string(), ATTACHMENTS: wanted});
        let mut pod =
            json!({"metadata": {"uid": "u", "annotations": annotations}, "status": {"phase": "Running"}});
        let found = Interfaces::of(&pod);
        assert_eq!(found.cells(None), ["factory/eth0,can0,net1", "<none>", "<none>"]);
        let counted = Interfaces { traffic: Some(Traffic { outside: "veth1".into(), ..traffic() }), ..found };
        assert_eq!(counted.cells(None), ["factory/eth0,can0,net1", "1.23kB/5", "67B/8"]);
        counted.annotate(&mut pod);
        let found = status(&pod);
        assert_eq!((&found[0]["name"], &found[0]["hostInterface"]), (&json!("factory"), &json!("veth1")));
        assert_eq!(
            found[1],
            json!({"name": "can0", "interface": "can0", "hostInterface": "can0", "ips": [], "default": false})
        );
        assert_eq!((&found[2]["interface"], &found[2]["ips"]), (&json!("net1"), &json!(["192.0.2.7"])));
        // What a pod only waits for it has not got.
        pod["status"]["phase"] = json!("Pending");
        assert!(Interfaces::of(&pod).attached.is_empty());
    }
}
