//! Interfaces that CNI plugins have made for pods, told with the pods: what only the agent may read. Those of Berth's own
//! networks are seen by whoever asks for them (`cli/traffic`).

use crate::agent::Env;
use berth_core::ids::PodUid;
use berth_oci::network;
use serde_json::{Value, json};

/// Under which a pod's interfaces stand in its annotations: the "Kubernetes Network Custom Resource Definition De-facto
/// Standard", which other programs read.
pub(crate) const NETWORK_STATUS: &str = "k8s.v1.cni.cncf.io/network-status";

/// Notes them in the annotations of these pods. Reads a small file on tmpfs for each pod of plugins.
pub(super) fn note(list: &mut Value, env: &Env) {
    let plugged = env.network.plugged();
    let pods = list.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten();
    for pod in pods.filter(|_| !plugged.is_empty()) {
        let uid = pod.pointer("/metadata/uid").and_then(Value::as_str).map(|uid| PodUid(uid.into()));
        let uid = uid.filter(|uid| plugged.contains(uid));
        if let Some((network, interface, outside)) = uid.and_then(|uid| network::plugged_as(&env.roots, &uid))
        {
            let ips = pod.pointer("/status/podIPs").and_then(Value::as_array).into_iter().flatten();
            let ips: Vec<&Value> = ips.filter_map(|ip| ip.get("ip")).collect();
            let mut status = json!({"name": network, "interface": interface, "ips": ips, "default": true});
            if let Some(outside) = outside {
                status["hostInterface"] = json!(outside);
            }
            pod["metadata"]["annotations"][NETWORK_STATUS] = json!(json!([status]).to_string());
        }
    }
}
