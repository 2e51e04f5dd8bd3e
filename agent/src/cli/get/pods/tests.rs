//! `get pods` as a user sees it, against an agent that knows two pods and a broken manifest.

use super::super::Args as GetArgs;
use crate::{
    api::wire::Request,
    cli::{
        failure::Failure,
        testing::{Agent, Ran, run_verb},
    },
};
use clap::Parser;
use serde_json::{Value, json};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: GetArgs,
}

fn pod(namespace: &str, name: &str, phase: &str, status: &Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": namespace, "name": format!("{name}-box"), "uid": format!("uid-{name}"),
            "creationTimestamp": "1970-01-01T00:00:18Z", "labels": {"app": name},
        },
        "spec": {"nodeName": "box", "containers": [{"name": "c"}]},
        "status": {"phase": phase, "podIP": "10.0.0.5", "qosClass": "Burstable"},
    });
    pod["status"]["containerStatuses"] = json!([status]);
    pod
}

fn web() -> Value {
    let ended = json!({"terminated": {"finishedAt": "1970-01-01T00:00:50Z"}});
    let status =
        json!({"name": "c", "ready": true, "restartCount": 2, "state": {"running": {}}, "lastState": ended});
    pod("default", "web", "Running", &status)
}

fn agent() -> Agent {
    let waiting = json!({"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}});
    let pods = json!({"items": [web(), pod("default", "db", "Pending", &waiting), pod("prod", "plc", "Pending", &waiting)]});
    let problems = json!({"items": [{
        "file": "/etc/berth/manifests/web.yaml", "line": 5, "column": 3, "path": "spec.containerz",
        "message": "unknown field", "pod": {"namespace": "default", "name": "web-box"},
    }]});
    Agent::that_knows(move |request| match request {
        Request::Pods { .. } => pods.clone(),
        Request::Problems => problems.clone(),
        other => panic!("{other:?}"),
    })
}

fn get_from(agent: &Agent, line: &str) -> Ran {
    let args = Line::parse_from(["get"].into_iter().chain(line.split_whitespace())).args;
    run_verb(agent, |session| super::super::run(&args, session))
}

fn get(line: &str) -> Ran {
    get_from(&agent(), line)
}

#[test]
fn the_table_is_kubectls() {
    let ran = get("pods");
    assert_eq!(ran.result, Ok(()));
    assert_eq!(
        ran.out,
        "NAME      READY   STATUS                  RESTARTS      AGE\n\
         db-box    0/1     ContainerCreating       0             42s\n\
         web-box   1/1     Running,ManifestError   2 (10s ago)   42s\n"
    );
    assert_eq!(ran.err, "warning: /etc/berth/manifests/web.yaml:5:3: spec.containerz: unknown field\n");
}

#[test]
fn more_columns_and_all_namespaces() {
    let ran = get("po -A -o wide --no-headers --show-labels -l app=plc");
    assert_eq!(
        ran.out,
        "prod   plc-box   0/1   ContainerCreating   0     42s   10.0.0.5   box   uid-plc   Burstable   <none>   <none>   <none>   app=plc\n"
    );
}

#[test]
fn pods_by_name() {
    for line in ["pods web", "pod/web", "pods web-box", "pods -l app=web", "po -o name web"] {
        let ran = get(line);
        assert!(ran.out.contains("web-box") && !ran.out.contains("db-box"), "{line}: {}", ran.out);
    }
    let ran = get("pods web plc");
    assert!(ran.out.contains("web-box"));
    let message = "pod \"plc\" not found in namespace \"default\"; there is one in \"prod\": add -n prod";
    assert_eq!(ran.result, Err(Failure::Error(message.into())));
}

#[test]
fn one_pod_is_a_pod_and_several_are_a_list() {
    let one: Value = serde_json::from_str(&get("pod web -o json").out).unwrap();
    assert_eq!(one, web());
    let list: Value = serde_json::from_str(&get("pods -A -o json").out).unwrap();
    assert_eq!((list["kind"].as_str(), list["items"].as_array().map(Vec::len)), (Some("List"), Some(3)));
    let yaml = get("pods web -o yaml").out;
    assert!(
        yaml.starts_with("apiVersion: v1\nkind: Pod\nmetadata:\n") && yaml.contains("  uid: uid-web\n"),
        "{yaml}"
    );
}

#[test]
fn nothing_found() {
    let ran = get("pods -n empty");
    assert_eq!((ran.result, ran.out.as_str()), (Ok(()), ""));
    assert!(ran.err.starts_with("No resources found in namespace empty.\n"), "{}", ran.err);
}

#[test]
fn a_watch_shows_what_changes() {
    let mut gone = web();
    gone["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:00:55Z");
    let list = |pods: &[&Value]| json!({"items": pods});
    let agent =
        Agent::that_tells(vec![vec![list(&[]), list(&[&web()]), list(&[&web()]), list(&[&gone]), list(&[])]]);
    let ran = get_from(&agent, "pods -w");
    assert_eq!(
        ran.out,
        "NAME      READY   STATUS    RESTARTS      AGE\n\
         web-box   1/1     Running   2 (10s ago)   42s\n\
         web-box   1/1     Terminating   2 (10s ago)   42s\n\
         web-box   1/1     Terminating   2 (10s ago)   42s\n"
    );
    assert!(ran.result.is_err(), "the agent hung up for good");
}

#[test]
fn options_that_mean_nothing_are_refused() {
    for line in ["images -w", "problems -l a=b", "pods --for web"] {
        assert!(matches!(get(line).result, Err(Failure::Usage(_))), "{line}");
    }
}
