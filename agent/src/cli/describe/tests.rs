//! The page of a pod that has a bit of everything.

use super::*;
use berth_core::time::NS_PER_S;
use serde_json::json;

fn pod() -> Value {
    json!({
        "metadata": {
            "name": "web-box", "namespace": "default", "uid": "0123", "labels": {"app": "web", "tier": "front"},
        },
        "spec": {
            "nodeName": "box", "restartPolicy": "Always", "hostNetwork": true,
            "containers": [
                {
                    "name": "main", "image": "web:1", "command": ["sh", "-c", "echo a\necho b"],
                    "ports": [{"name": "http", "containerPort": 80, "hostPort": 8080}],
                    "env": [{"name": "A", "value": "1"}, {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
                    "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}},
                    "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": true, "subPath": "in"}],
                },
                {"name": "side", "image": "side:1"},
            ],
            "volumes": [{"name": "data", "emptyDir": {"medium": "Memory"}}],
        },
        "status": {
            "phase": "Running", "qosClass": "Burstable", "startTime": "1970-01-01T00:00:00Z",
            "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
            "containerStatuses": [
                {
                    "name": "main", "containerID": "berth://c1", "imageID": "sha256:f00", "restartCount": 2,
                    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}},
                    "lastState": {"terminated": {"reason": "Error", "exitCode": 3, "startedAt": "1970-01-01T00:00:30Z",
                                                 "finishedAt": "1970-01-01T00:00:40Z"}},
                },
                {"name": "side", "ready": true, "restartCount": 0, "state": {"running": {"startedAt": "1970-01-01T00:00:05Z"}}},
            ],
        },
    })
}

#[test]
fn a_page_with_a_bit_of_everything() {
    let event = |name: &str| {
        json!({
            "metadata": {"namespace": "default"}, "involvedObject": {"kind": "Pod", "name": name},
            "type": "Warning", "reason": "BackOff", "message": "Back-off restarting", "count": 2,
            "firstTimestamp": "1970-01-01T00:00:40Z", "lastTimestamp": "1970-01-01T00:00:50Z",
        })
    };
    let problem: Problem = serde_json::from_value(json!({
        "file": "/m/web.yaml", "line": 5, "column": 3, "path": "spec.x", "message": "unknown field",
        "pod": {"namespace": "default", "name": "web-box"},
    }))
    .unwrap();
    let now = Wall(60 * NS_PER_S);
    let text =
        describe(&pod(), &Interfaces::default(), &[event("web-box"), event("other-box")], &[problem], now);
    let golden = include_str!("testdata/pod.txt");
    assert!(text == golden, "{text}");
}

#[test]
fn a_pod_of_which_nothing_is_known_yet() {
    let pod = json!({"metadata": {"name": "a-box", "namespace": "default"}, "spec": {"containers": [{"name": "c"}]}});
    let text = describe(&pod, &Interfaces::default(), &[], &[], Wall(0));
    for part in [
        "Status:          Pending\n",
        "    State:          Waiting\n",
        "Volumes:    <none>\n",
        "Events:   <none>\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn a_pod_on_the_network_has_addresses_and_counters() {
    let pod = json!({"status": {"podIP": "10.86.0.2", "podIPs": [{"ip": "10.86.0.2"}, {"ip": "fd00::2"}]}});
    let traffic = Traffic {
        inside: "eth0",
        outside: "bth012345678901".into(),
        received_bytes: 1,
        received_packets: 2,
        sent_bytes: 3,
        sent_packets: 4,
        dropped_packets: 5,
    };
    let own = Interfaces { traffic: Some(traffic), ..Interfaces::default() };
    let text = describe(&pod, &own, &[], &[], Wall(0));
    let lines: Vec<&str> =
        text.lines().skip_while(|line| !line.starts_with("IP:")).take(5).map(str::trim).collect();
    assert_eq!(
        lines,
        [
            "IP:              10.86.0.2",
            "fd00::2",
            "Interface:       eth0, on the bridge berth0 as bth012345678901",
            "received 1 bytes in 2 packets",
            "sent 3 bytes in 4 packets, 5 dropped",
        ]
    );
    let plant = json!({"metadata": {"annotations": {"berth/network": "plant"}}});
    let text = describe(&plant, &own, &[], &[], Wall(0));
    assert!(text.contains("eth0, in the network plant, on the bridge berth-plant as bth0"), "{text}");
}

#[test]
fn a_pod_of_plugins_and_with_interfaces_of_the_node_shows_them() {
    let attached = berth_core::network::attachments::attachments(
        "[{interface: can0}, {interface: eth1, type: macvlan, addresses: [192.0.2.7/24]}]",
        &[],
    );
    let plugged = Some(("factory".to_owned(), "eth0".to_owned()));
    let interfaces = Interfaces { plugged, attached: attached.unwrap(), traffic: None };
    let text = describe(&pod(), &interfaces, &[], &[], Wall(0));
    for part in [
        "eth0, in the CNI network factory\n",
        "can0, the node's can0\n",
        "net1, on the node's eth1, 192.0.2.7/24\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn processors_of_its_own_are_shown_in_ranges() {
    let own = ["2", "3", "5"].map(|cpu| json!({"resourceID": cpu, "health": "Healthy"}));
    let pod = json!({
        "spec": {"containers": [{"name": "main"}, {"name": "side"}]},
        "status": {"containerStatuses": [{"name": "main", "allocatedResourcesStatus": [{"name": "cpu", "resources": own}]}]},
    });
    let text = describe(&pod, &Interfaces::default(), &[], &[], Wall(0));
    assert_eq!(text.matches("CPUs:").count(), 1);
    assert!(text.contains("2-3,5, to itself"), "{text}");
}
