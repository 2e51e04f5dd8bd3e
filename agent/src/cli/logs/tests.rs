//! `logs` over real files, rotated and growing.

use super::*;
use crate::cli::{
    failure::Failure,
    testing::{Agent, Ran, run_verb, tell},
};
use clap::Parser;
use serde_json::json;
use std::{fs, io::Write as _, os::unix::net::UnixStream, path::Path};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn logs(agent: &Agent, line: &str) -> Ran {
    let args = Line::parse_from(["logs"].into_iter().chain(line.split_whitespace())).args;
    run_verb(agent, |session| run(&args, session))
}

fn pods(containers: &[(&str, Value)]) -> Value {
    let names: Vec<_> = containers.iter().map(|(name, _)| json!({"name": name})).collect();
    let status = |(name, state): &(&str, Value)| json!({"name": name, "state": state, "restartCount": 1});
    let statuses: Vec<_> = containers.iter().map(status).collect();
    json!({"items": [{
        "metadata": {"namespace": "default", "name": "web-box", "uid": "u"},
        "spec": {"nodeName": "box", "containers": names},
        "status": {"containerStatuses": statuses},
    }]})
}

fn running() -> Value {
    json!({"running": {}})
}

/// The directory of a container's log, by the name of the container.
fn location(root: &Path, request: &Request) -> Value {
    let Request::LogLocation { container: Some(container), .. } = request else { panic!("{request:?}") };
    json!({"directory": root.join(container), "restartCount": 1, "running": true})
}

fn agent(root: &Path, pods: Value) -> Agent {
    let root = root.to_owned();
    Agent::that_knows(move |request| match request {
        Request::Pods { .. } => pods.clone(),
        other => location(&root, other),
    })
}

fn write(root: &Path, file: &str, text: &str) {
    fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(root.join(file))
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

fn stamp(second: u32) -> String {
    format!("1970-01-01T00:00:{second:02}.000000000Z")
}

fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let record = |second, rest: &str| format!("{} {rest}\n", stamp(second));
    write(dir.path(), "c/0.log", &record(1, "stdout F before"));
    write(dir.path(), "c/1.log.19700101-000010", &record(10, "stdout F one"));
    write(dir.path(), "c/1.log.19700101-000020", &(record(20, "stderr F two") + &record(21, "stdout P thr")));
    write(dir.path(), "c/1.log", &(record(22, "stdout F ee") + &record(55, "stdout F four")));
    write(dir.path(), "d/1.log", &record(30, "stdout F side"));
    dir
}

#[test]
fn all_files_of_a_run_in_order() {
    let dir = filled();
    let two = || pods(&[("c", running()), ("d", running())]);
    for (line, expected) in [
        ("web", "one\ntwo\nthree\nfour\n"),
        ("pod/web-box -c c", "one\ntwo\nthree\nfour\n"),
        ("web d", "side\n"),
        ("web --tail 1", "four\n"),
        ("web --tail=2", "three\nfour\n"),
        ("web --tail 3", "two\nthree\nfour\n"),
        ("web --tail 4", "one\ntwo\nthree\nfour\n"),
        ("web --tail 99", "one\ntwo\nthree\nfour\n"),
        ("web --tail 0", ""),
        ("web --since 10s", "four\n"),
        ("web --since-time 1970-01-01T00:00:20Z", "two\nthree\nfour\n"),
        ("web --limit-bytes 6", "one\ntw"),
        ("web -p", "before\n"),
        ("web --tail 2 --prefix", "[pod/web-box/c] three\n[pod/web-box/c] four\n"),
        ("web --all-containers --tail 1 --prefix", "[pod/web-box/c] four\n[pod/web-box/d] side\n"),
        ("web --tail 1 --timestamps", "1970-01-01T00:00:55.000000000Z four\n"),
    ] {
        let ran = logs(&agent(dir.path(), two()), line);
        assert_eq!((ran.result, ran.out.as_str()), (Ok(()), expected), "{line}");
    }
    assert_eq!(logs(&agent(dir.path(), two()), "web").err, "Defaulted container \"c\" out of: c, d\n");
}

#[test]
fn lines_are_counted_over_chunks_and_cut_lines() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(16 * 1024);
    let mut text = String::new();
    for n in 0..20 {
        text += &format!("{} stdout P {long}\n{} stdout F end {n}\n", stamp(1), stamp(1));
    }
    write(dir.path(), "c/1.log", &text);
    write(dir.path(), "c/1.log", "not finished yet");
    let agent = agent(dir.path(), pods(&[("c", running())]));
    for tail in [1, 7, 20, 21] {
        let out = logs(&agent, &format!("web --tail {tail}")).out;
        let ends: Vec<_> = out.lines().map(|line| line.trim_start_matches('x')).collect();
        let expected: Vec<_> = (20 - tail.min(20)..20).map(|n| format!("end {n}")).collect();
        assert_eq!(ends, expected);
        assert!(out.len() > tail.min(20) * long.len(), "the whole of the first line");
    }
}

#[test]
fn what_cannot_be_shown_is_told() {
    let dir = filled();
    let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": "no image"}});
    let agent = agent(dir.path(), pods(&[("e", waiting)]));
    for (line, message) in [
        ("web", "container \"e\" of pod \"web-box\" is waiting to start: ErrImagePull: no image"),
        ("web -c x", "pod \"web-box\" has no container \"x\"; it has: e"),
        ("db", "pod \"db\" not found in namespace \"default\"; `berth get pods -A` lists all pods"),
    ] {
        assert_eq!(logs(&agent, line).result, Err(Failure::Error(message.into())), "{line}");
    }
}

/// Sends the list, then does what happens next, as often as the list is watched.
fn watching(root: &Path, happens: impl Fn(&Path, &mut UnixStream) + Send + Sync + 'static) -> Agent {
    let root = root.to_owned();
    Agent::new(move |request, stream, _| match request {
        Request::Pods { watch: true } => happens(&root, stream),
        Request::Pods { .. } => tell(stream, pods(&[("c", running())])),
        other => tell(stream, location(&root, &other)),
    })
}

#[test]
fn following_goes_over_rotations_and_ends_with_the_container() {
    let dir = tempfile::tempdir().unwrap();
    let agent = watching(dir.path(), |root, stream| {
        tell(stream, pods(&[("c", running())]));
        // Not there when the reader began.
        write(root, "c/1.log", "T stdout F one\nT stdout F tw");
        write(root, "c/1.log", "o\n");
        fs::rename(root.join("c/1.log"), root.join("c/1.log.19700101-000001")).unwrap();
        write(root, "c/1.log", "T stdout F three\n");
        fs::rename(root.join("c/1.log"), root.join("c/1.log.19700101-000002")).unwrap();
        write(root, "c/1.log", "T stdout F four\n");
        tell(stream, pods(&[("c", json!({"terminated": {"exitCode": 0}}))]));
    });
    let ran = logs(&agent, "web -f");
    assert_eq!((ran.result, ran.out.as_str()), (Ok(()), "one\ntwo\nthree\nfour\n"));
}

#[test]
fn following_survives_a_restart_of_the_agent() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "c/1.log", "T stdout F one\n");
    let times = std::sync::atomic::AtomicUsize::new(0);
    let agent = watching(dir.path(), move |root, stream| {
        let first = times.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        tell(stream, if first { pods(&[("c", running())]) } else { json!({"items": []}) });
        if first {
            write(root, "c/1.log", "T stdout F two\n");
        }
    });
    let ran = logs(&agent, "web -f --tail 1");
    assert_eq!((ran.result, ran.out.as_str()), (Ok(()), "one\ntwo\n"));
}
