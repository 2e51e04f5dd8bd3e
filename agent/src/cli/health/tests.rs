//! Health against an agent that tells what the test wants it to tell.

use super::*;
use crate::cli::testing::{Agent, run_verb};
use clap::Parser;
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

/// Exit status, standard output and standard error.
fn health(agent: &Agent, line: &str) -> (u8, String, String) {
    let args = Line::parse_from(["health"].into_iter().chain(line.split_whitespace())).args;
    let ran = run_verb(agent, |session| run(&args, session));
    let status = match ran.result {
        Ok(()) => 0,
        Err(Failure::Status(status)) => status,
        Err(failure) => panic!("{failure:?}"),
    };
    (status, ran.out, ran.err)
}

fn pod(name: &str, ready: &str, restarts: u32) -> Value {
    json!({
        "metadata": {"namespace": "default", "name": name, "uid": name, "annotations": {}},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"name": "main", "restartCount": restarts, "state": {"running": {}}}],
        },
    })
}

fn optional(mut pod: Value) -> Value {
    pod["metadata"]["annotations"]["berth/required"] = json!("false");
    pod
}

fn problem(pod: Option<&str>) -> Value {
    let pod = pod.map(|name| json!({"namespace": "default", "name": name}));
    json!({"file": "a.yaml", "line": 3, "column": 1, "path": "spec", "message": "is wrong", "pod": pod})
}

/// An agent that always says the same.
fn steady(pods: Vec<Value>, problems: Vec<Value>) -> Agent {
    Agent::that_knows(move |request| match request {
        Request::Problems => json!({"items": problems}),
        _ => json!({"items": pods}),
    })
}

/// An agent that says the next of these at each look, and at last the last again and again. Its watches tell
/// nothing, so that only looks count.
fn changing(looks: Vec<Vec<Value>>) -> Agent {
    let looks = Mutex::new(VecDeque::from(looks));
    Agent::that_knows(move |request| match request {
        Request::Pods { watch: false } => {
            let mut looks = looks.lock().unwrap();
            let pods = if looks.len() > 1 { looks.pop_front() } else { looks.front().cloned() };
            json!({"items": pods})
        }
        _ => json!({"items": []}),
    })
}

#[test]
fn who_counts_and_who_does_not() {
    let going = |mut pod: Value| {
        pod["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:00:00Z");
        pod
    };
    let succeeded = |mut pod: Value| {
        pod["status"]["phase"] = json!("Succeeded");
        pod
    };
    let (up, down) = (|| pod("up", "True", 0), || pod("down", "False", 4));
    for (pods, problems, line, status, says) in [
        (vec![up()], vec![], "", 0, "Healthy: 1 of 1 required pods are well."),
        (vec![], vec![], "", 0, "Healthy: 0 of 0"),
        (vec![up(), down()], vec![], "", 1, "Not healthy: 1 of 2 required pods are not well."),
        (vec![up(), optional(down())], vec![], "", 0, "Healthy: 1 of 1"),
        (vec![up(), succeeded(down())], vec![], "", 0, "Healthy: 2 of 2"),
        (vec![up(), going(down())], vec![], "", 0, "Healthy: 1 of 1"),
        (
            vec![up()],
            vec![problem(None)],
            "",
            1,
            "refused: a.yaml:3:1: spec: is wrong\nNot healthy: manifests",
        ),
        (vec![up()], vec![problem(Some("up"))], "", 1, "Not healthy: manifests are refused."),
        (vec![optional(up())], vec![problem(Some("up"))], "", 0, "Healthy: 0 of 0"),
        (vec![up()], vec![], "--at-least=2", 1, "Not healthy: 1 required pods are there, and 2 must be."),
        (vec![up(), optional(up())], vec![], "--at-least 1", 0, "Healthy: 1 of 1"),
    ] {
        let (got, out, _) = health(&steady(pods, problems), line);
        assert_eq!(got, status, "{out}");
        assert!(out.contains(says), "{says}: {out}");
    }
}

#[test]
fn the_reason_is_said() {
    let mut down = pod("down", "False", 4);
    let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}});
    down["status"]["containerStatuses"][0]["state"] = waiting;
    down["spec"]["containers"] = json!([{"name": "main"}]);
    let (status, out, _) = health(&steady(vec![down], vec![]), "");
    assert_eq!(status, 1);
    assert!(out.contains("default     down   yes        no     CrashLoopBackOff: back-off 20s\n"), "{out}");
}

#[test]
fn machines_read_it() {
    let (status, out, _) = health(&steady(vec![pod("up", "True", 0)], vec![]), "-o json");
    let read: Value = serde_json::from_str(&out).unwrap();
    let up = json!({"namespace": "default", "name": "up", "required": true, "well": true, "why": ""});
    assert_eq!((status, read), (0, json!({"healthy": true, "pods": [up], "problems": []})));
}

#[test]
fn quiet_is_quiet_only_when_all_is_well() {
    assert_eq!(health(&steady(vec![], vec![]), "-q"), (0, String::new(), String::new()));
    assert!(!health(&steady(vec![pod("a", "False", 0)], vec![]), "-q").1.is_empty());
}

#[test]
fn it_waits_until_all_are_well() {
    let agent = changing(vec![vec![pod("a", "False", 0)], vec![pod("a", "True", 0)]]);
    assert_eq!(health(&agent, "--wait --timeout=60s").0, 0);
}

#[test]
fn a_restart_in_between_begins_the_count_anew() {
    let up = |restarts| vec![pod("a", "True", restarts)];
    // Each look finds another restart: never stable, for however long.
    let restarts = AtomicU32::new(0);
    let agent = Agent::that_knows(move |request| match request {
        Request::Problems => json!({"items": []}),
        _ => json!({"items": up(restarts.fetch_add(1, Ordering::Relaxed))}),
    });
    let (status, out, _) = health(&agent, "--wait --timeout=2s --stable=1s");
    assert_eq!(status, 1);
    assert!(out.contains("not for as long as --stable asks"), "{out}");
    let (status, out, _) = health(&changing(vec![up(0), up(1), up(1)]), "--wait --timeout=60s --stable=1s");
    assert_eq!(status, 0, "{out}");
}

#[test]
fn who_says_nothing_has_a_status_of_its_own() {
    let agent = Agent::that_tells(Vec::new());
    for line in ["", "--wait --timeout=0s"] {
        let (status, out, err) = health(&agent, line);
        assert_eq!((status, out.as_str()), (3, ""), "{line}");
        assert!(err.starts_with("error: "), "{err}");
    }
}
