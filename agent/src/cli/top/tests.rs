//! `berth top` against an agent that tells two readings.

use super::{
    super::{
        failure::Failure,
        testing::{Agent, Ran, run_verb},
    },
    *,
};
use clap::Parser;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

/// The numbers of one part: milliseconds of CPU time a second, and Mi of memory.
fn usage(at_s: u64, cpu_milli: u64, memory_mi: u64) -> Value {
    let psi = |share: f64| json!({"some": {"avg10": share}});
    json!({
        "cpu": {"bootNanoSeconds": at_s * 1_000_000_000, "usageCoreNanoSeconds": at_s * cpu_milli * 1_000_000,
            "psi": psi(12.4)},
        "memory": {"workingSetBytes": memory_mi << 20, "usageBytes": memory_mi << 21, "psi": psi(0.0)},
        "process_stats": {"process_count": 3},
    })
}

fn with(mut part: Value, more: Value) -> Value {
    part.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    part
}

fn summary(at_s: u64) -> Value {
    let part = |name: &str, cpu, memory| {
        with(usage(at_s, cpu, memory), json!({"name": name, "containerID": format!("id-{name}")}))
    };
    let pod = |namespace: &str, name: &str, numbers: Value, parts: &[Value]| {
        let whose = json!({"namespace": namespace, "name": format!("{name}-box"), "uid": name});
        with(numbers, json!({"podRef": whose, "containers": parts}))
    };
    let disk = json!({"ephemeral-storage": {"usedBytes": 5000, "incomplete": true},
        "network": {"rxBytes": 1234, "txBytes": 0}});
    json!({
        "node": with(usage(at_s, 500, 300), json!({"rlimit": {"curproc": 99}})),
        "pods": [
            pod("default", "web", with(usage(at_s, 200, 20), disk), &[part("a", 50, 15), part("b", 150, 5)]),
            pod("default", "db", usage(at_s, 7, 100), &[part("c", 7, 100)]),
            pod("other", "far", usage(at_s, 1, 1), &[]),
        ],
    })
}

fn top(line: &str) -> Ran {
    let asked = AtomicU64::new(1);
    let agent = Agent::that_knows(move |request| match request {
        Request::Usage { .. } => summary(asked.fetch_add(2, Ordering::Relaxed)),
        Request::Node => json!({"metadata": {"name": "box"}, "status": {
            "capacity": {"cpu": "2", "memory": "1Gi"}, "allocatable": {"cpu": "2", "memory": "600Mi"}}}),
        _ => {
            let pod = |namespace: &str, name: &str| {
                let metadata = json!({"namespace": namespace, "name": format!("{name}-box"), "uid": name,
                    "labels": {"app": name}});
                json!({"metadata": metadata, "spec": {"nodeName": "box"}})
            };
            json!({"items": [pod("default", "db"), pod("default", "waits"), pod("default", "web"), pod("other", "far")]})
        }
    });
    let words = ["top", "--interval=100ms"].into_iter().chain(line.split_whitespace());
    let args = Line::try_parse_from(words).unwrap().args;
    run_verb(&agent, |session| run(&args, session))
}

#[test]
fn tables_are_kubectls() {
    for (line, table) in [
        (
            "pods",
            "NAME      CPU(cores)   MEMORY(bytes)\ndb-box    7m           100Mi\nweb-box   200m         20Mi\n",
        ),
        ("pods --sort-by=cpu --no-headers", "web-box   200m   20Mi\ndb-box    7m     100Mi\n"),
        ("pod -l app=web --no-headers", "web-box   200m   20Mi\n"),
        (
            "po web --containers --sort-by=cpu",
            "POD       NAME   CPU(cores)   MEMORY(bytes)\nweb-box   b      150m         5Mi\nweb-box   a      50m          15Mi\n",
        ),
        ("pods -A far --no-headers", "other   far-box   1m    1Mi\n"),
        (
            "node",
            "NAME   CPU(cores)   CPU(%)   MEMORY(bytes)   MEMORY(%)\nbox    500m         25%      300Mi           50%\n",
        ),
    ] {
        let ran = top(line);
        assert_eq!((ran.result, ran.out.as_str(), ran.err.as_str()), (Ok(()), table, ""), "{line}");
    }
}

#[test]
fn wide_tables_and_objects_have_all_that_is_known() {
    let ran = top("pods web -o wide --no-headers");
    let cells: Vec<&str> = ran.out.split_whitespace().collect();
    assert_eq!(
        cells,
        [
            "web-box", "200m", "20Mi", "2.0s", "41.9MB", "<none>", "<none>", "3", "<none>", "<none>",
            "1.23kB", "0B", ">5.00kB", "12%/0%/-"
        ]
    );
    let node: Vec<String> = top("node -o wide").out.split_whitespace().map(str::to_owned).collect();
    assert!(node.contains(&"99".to_owned()) && node.contains(&"STALLED(cpu/mem/io)".to_owned()), "{node:?}");
    let pods: Value = serde_json::from_str(&top("pods -o json").out).unwrap();
    assert_eq!(pods["pods"][1]["containers"][1]["cpu"]["usageNanoCores"], 150_000_000);
    assert_eq!(pods["pods"][1]["cpu"]["windowNanoSeconds"], 2_000_000_000_u64);
    assert!(top("node -o yaml").out.contains("allocatable:"));
}

#[test]
fn what_is_not_there_or_makes_no_sense_is_told() {
    let ran = top("pods -l app=waits");
    assert!(
        ran.result.is_ok() && ran.out.is_empty() && ran.err.contains("nothing to measure"),
        "{}",
        ran.err
    );
    for (line, says) in [
        ("pods waits", "nothing to measure"),
        ("pods nobody", "not found in namespace \"default\""),
        ("pods far", "add -n other"),
        ("node web", "this one is box"),
        ("node -A", "-A has no meaning"),
        ("pods -o name", "-o name has no meaning"),
    ] {
        let (Failure::Error(message) | Failure::Usage(message)) = top(line).result.unwrap_err() else {
            panic!()
        };
        assert!(message.contains(says), "{line}: {message}");
    }
}
