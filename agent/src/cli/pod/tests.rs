//! The STATUS column, state by state.

use super::*;
use serde_json::json;

fn pod(phase: &str, containers: Value) -> Value {
    let names = containers.as_array().unwrap().iter().map(|c| json!({"name": c["name"]})).collect::<Vec<_>>();
    json!({"spec": {"containers": names}, "status": {"phase": phase, "containerStatuses": containers}})
}

fn shown(pod: &Value) -> String {
    let s = summarise(pod);
    format!("{}/{} {} {}", s.ready, s.total, s.status, s.restarts)
}

#[test]
fn one_container_in_each_of_its_states() {
    for (phase, state, ready, expected) in [
        ("Pending", json!({"waiting": {"reason": "ContainerCreating"}}), false, "0/1 ContainerCreating 2"),
        ("Pending", json!({"waiting": {"reason": "ErrImagePull"}}), false, "0/1 ErrImagePull 2"),
        ("Running", json!({"waiting": {"reason": "CrashLoopBackOff"}}), false, "0/1 CrashLoopBackOff 2"),
        ("Running", json!({"running": {}}), true, "1/1 Running 2"),
        ("Running", json!({"running": {}}), false, "0/1 Running 2"),
        (
            "Succeeded",
            json!({"terminated": {"exitCode": 0, "reason": "Completed"}}),
            false,
            "0/1 Completed 2",
        ),
        ("Failed", json!({"terminated": {"exitCode": 3, "reason": "Error"}}), false, "0/1 Error 2"),
        ("Failed", json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}), false, "0/1 OOMKilled 2"),
        ("Failed", json!({"terminated": {"exitCode": 3}}), false, "0/1 ExitCode:3 2"),
        ("Failed", json!({"terminated": {"exitCode": 137, "signal": 9}}), false, "0/1 Signal:9 2"),
        ("Running", json!({}), false, "0/1 Running 2"),
    ] {
        let pod = pod(phase, json!([{"name": "a", "restartCount": 2, "ready": ready, "state": state}]));
        assert_eq!(shown(&pod), expected);
    }
}

#[test]
fn the_first_containers_trouble_is_shown() {
    let trouble = |name: &str, reason: &str| json!({"name": name, "state": {"waiting": {"reason": reason}}});
    let pod = pod("Running", json!([trouble("a", "ErrImagePull"), trouble("b", "CrashLoopBackOff")]));
    assert_eq!(shown(&pod), "0/2 ErrImagePull 0");
}

#[test]
fn a_completed_container_beside_a_running_one_is_no_completed_pod() {
    let mut pod = pod(
        "Running",
        json!([
            {"name": "a", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
            {"name": "b", "ready": true, "state": {"running": {}}},
        ]),
    );
    assert_eq!(shown(&pod), "1/2 NotReady 0");
    pod["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    assert_eq!(shown(&pod), "1/2 Running 0");
}

#[test]
fn init_containers_come_first() {
    let with = |statuses: Value| {
        json!({
            "spec": {"containers": [{"name": "main"}], "initContainers": [{"name": "i"}, {"name": "j"}]},
            "status": {
                "phase": "Pending",
                "initContainerStatuses": statuses,
                "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": "PodInitializing"}}}],
            }
        })
    };
    let done = json!({"name": "i", "state": {"terminated": {"exitCode": 0}}});
    let second = |state: Value| with(json!([done, {"name": "j", "restartCount": 4, "state": state}]));
    for (pod, expected) in [
        (with(json!([{"name": "i", "state": {"running": {}}}])), "0/1 Init:0/2 0"),
        (second(json!({"running": {}})), "0/1 Init:1/2 4"),
        (second(json!({"waiting": {"reason": "PodInitializing"}})), "0/1 Init:1/2 4"),
        (second(json!({"waiting": {"reason": "CrashLoopBackOff"}})), "0/1 Init:CrashLoopBackOff 4"),
        (second(json!({"terminated": {"exitCode": 1, "reason": "Error"}})), "0/1 Init:Error 4"),
        (second(json!({"terminated": {"exitCode": 9}})), "0/1 Init:ExitCode:9 4"),
        (second(json!({"terminated": {"exitCode": 0}})), "0/1 PodInitializing 0"),
    ] {
        assert_eq!(shown(&pod), expected);
    }
}

#[test]
fn sidecars_count_as_containers() {
    let pod = json!({
        "spec": {"containers": [{"name": "main"}], "initContainers": [{"name": "s", "restartPolicy": "Always"}]},
        "status": {
            "phase": "Running",
            "initContainerStatuses":
                [{"name": "s", "started": true, "ready": true, "restartCount": 1, "state": {"running": {}}}],
            "containerStatuses": [{"name": "main", "ready": true, "restartCount": 2, "state": {"running": {}}}],
        }
    });
    assert_eq!(shown(&pod), "2/2 Running 3");
}

#[test]
fn a_pod_on_its_way_out_is_terminating_unless_it_has_ended() {
    let mut pod = pod("Running", json!([{"name": "a", "ready": true, "state": {"running": {}}}]));
    pod["metadata"] = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
    assert_eq!(summarise(&pod).status, "Terminating");
    pod["status"]["phase"] = json!("Succeeded");
    assert_eq!(summarise(&pod).status, "Succeeded");
}

#[test]
fn reasons_of_the_pod_and_pods_without_status() {
    assert_eq!(summarise(&json!({"status": {"phase": "Failed", "reason": "Evicted"}})).status, "Evicted");
    assert_eq!(summarise(&json!({})).status, "Pending");
}

#[test]
fn the_last_restart_is_the_latest_of_all_containers() {
    let ended = |at: &str| json!({"terminated": {"finishedAt": at}});
    let pod = pod(
        "Running",
        json!([
            {"name": "a", "restartCount": 1, "lastState": ended("1970-01-01T00:00:50Z")},
            {"name": "b", "restartCount": 2, "lastState": ended("1970-01-01T00:00:10Z")},
            {"name": "c"},
        ]),
    );
    let now = Wall(60 * berth_core::time::NS_PER_S);
    assert_eq!(summarise(&pod).restarts_text(now), "3 (10s ago)");
    assert_eq!(summarise(&json!({})).restarts_text(now), "0");
}
