//! What has gone over pods' interfaces, beside what the agent tells of them: read from the kernel when somebody asks, for a
//! counter in a status would be a change of the pod with each packet.

use super::{get::image_size as size, json};
use berth_core::ids::PodUid;
use berth_oci::network::{BRIDGE, Traffic, traffic};
use serde_json::{Value, json};

/// Under which a pod's interfaces stand in its annotations: the "Kubernetes Network Custom Resource Definition De-facto
/// Standard", which other programs read.
const NETWORK_STATUS: &str = "k8s.v1.cni.cncf.io/network-status";

/// Of the pod's interface on the bridge; none if it has none there.
pub(super) fn of(pod: &Value) -> Option<Traffic> {
    traffic(&PodUid(json::text(pod, "/metadata/uid").into()))
}

/// Interface, received, sent: for a table.
pub(super) fn cells(traffic: Option<&Traffic>) -> [String; 3] {
    let Some(traffic) = traffic else { return ["<none>"; 3].map(str::to_owned) };
    let count = |bytes, packets| format!("{}/{packets}", size(bytes));
    [
        traffic.inside.to_owned(),
        count(traffic.received_bytes, traffic.received_packets),
        count(traffic.sent_bytes, traffic.sent_packets),
    ]
}

/// Notes it in the pod's annotations.
pub(super) fn annotate(pod: &mut Value, traffic: &Traffic) {
    let ips: Vec<&str> = json::list(pod, "/status/podIPs").iter().map(|ip| json::text(ip, "/ip")).collect();
    let status = json!([{
        "name": BRIDGE,
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
    }]);
    pod["metadata"]["annotations"][NETWORK_STATUS] = Value::String(status.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_shown_in_tables_and_in_the_pod_itself() {
        let traffic = Traffic {
            inside: "eth0",
            outside: "bth0".into(),
            received_bytes: 1_234,
            received_packets: 5,
            sent_bytes: 67,
            sent_packets: 8,
            dropped_packets: 0,
        };
        assert_eq!(cells(Some(&traffic)), ["eth0", "1.23kB/5", "67B/8"]);
        assert_eq!(cells(None), ["<none>"; 3]);
        let mut pod = json!({"metadata": {"uid": "u"}, "status": {"podIPs": [{"ip": "10.86.0.2"}]}});
        annotate(&mut pod, &traffic);
        let status = pod["metadata"]["annotations"][NETWORK_STATUS].as_str().unwrap();
        let status: Value = serde_json::from_str(status).unwrap();
        assert_eq!(status[0]["interface"], "eth0");
        assert_eq!(status[0]["ips"], json!(["10.86.0.2"]));
        assert_eq!(status[0]["counters"]["rxBytes"], 1_234);
    }
}
