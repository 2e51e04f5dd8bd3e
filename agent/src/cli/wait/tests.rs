//! Waiting against an agent that tells what the test wants it to tell.

use super::*;
use crate::cli::testing::{Agent, run_verb};
use clap::Parser;
use serde_json::json;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn wait(agent: &Agent, line: &str) -> (Result<(), Failure>, String) {
    let args = Line::parse_from(["wait"].into_iter().chain(line.split_whitespace())).args;
    let ran = run_verb(agent, |session| run(&args, session));
    (ran.result, ran.out)
}

fn pods(states: &[(&str, &str)]) -> Value {
    let pod = |(name, ready): &(&str, &str)| {
        json!({
            "metadata": {"namespace": "default", "name": format!("{name}-box"), "uid": name, "labels": {"n": name}},
            "spec": {"nodeName": "box"},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        })
    };
    json!({"items": states.iter().map(pod).collect::<Vec<_>>()})
}

#[test]
fn a_pod_that_comes_and_becomes_ready_over_a_restart_of_the_agent() {
    let agent = Agent::that_tells(vec![
        vec![pods(&[]), pods(&[("web", "False")])],
        vec![pods(&[("web", "False")]), pods(&[("web", "True")])],
    ]);
    let (result, out) = wait(&agent, "pod/web --for=condition=Ready");
    assert_eq!((result, out.as_str()), (Ok(()), "pod/web-box condition met\n"));
}

#[test]
fn pods_that_go_one_after_the_other() {
    let agent = Agent::that_tells(vec![vec![
        pods(&[("a", "True"), ("b", "True")]),
        pods(&[("b", "True")]),
        pods(&[("c", "True")]),
    ]]);
    let (result, out) = wait(&agent, "--all --for=delete");
    assert_eq!((result, out.as_str()), (Ok(()), "pod/a-box deleted\npod/b-box deleted\n"));
}

#[test]
fn a_look_without_waiting() {
    let agent = Agent::that_tells(vec![vec![pods(&[("web", "False")])]]);
    let (result, _) = wait(&agent, "pod web --for=condition=Ready --timeout=0");
    let error = Failure::Error("timed out waiting for condition Ready of pod/web".into());
    assert_eq!(result, Err(error));
}

#[test]
fn nobody_to_wait_for() {
    let agent = Agent::that_tells(vec![vec![pods(&[("web", "True")])]]);
    let (result, _) = wait(&agent, "-l n=db --for=condition=Ready");
    assert_eq!(result, Err(Failure::Error("no matching pods in namespace \"default\"".into())));
    let (result, _) = wait(&agent, "--for=delete");
    assert!(matches!(result, Err(Failure::Usage(_))));
}
