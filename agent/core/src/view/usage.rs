//! What pods and the node use, in the shape of kubelet's Summary API (`stats/v1alpha1`). What is not known is left out, as
//! there. Beyond it: `io.readBytes` and `io.writeBytes`, `cpu.throttledNanoSeconds`, a container's `process_stats`, packets, and
//! `cpu.bootNanoSeconds`: when `usageCoreNanoSeconds` was read, by the boot clock. A rate is not in it: that takes two.

use crate::{
    pressure::{Level, Observation, Signal},
    time::Now,
    usage::{Disk, PodReading, Reading, Stall, Stalls},
};
use serde_json::{Map, Value, json};

/// `{"node": …, "pods": […]}`.
pub fn summary(name: &str, node: &Reading, seen: &Observation, pods: &[PodReading<'_>]) -> Value {
    json!({"node": node_stats(name, node, seen), "pods": pods.iter().map(pod_stats).collect::<Vec<_>>()})
}

fn node_stats(name: &str, node: &Reading, seen: &Observation) -> Value {
    let mut shown = stats(node);
    shown.insert("nodeName".into(), json!(name));
    let level = |signal| seen.levels.get(&signal).copied();
    let fs = |bytes, inodes| file_system(level(bytes), level(inodes));
    shown.insert("fs".into(), fs(Signal::NodefsAvailable, Signal::NodefsInodesFree));
    let images = fs(Signal::ImagefsAvailable, Signal::ImagefsInodesFree);
    shown.insert("runtime".into(), json!({"imageFs": images}));
    if let Some(pids) = level(Signal::PidAvailable) {
        shown.insert("rlimit".into(), json!({"maxpid": pids.capacity, "curproc": used(pids)}));
    }
    Value::Object(shown)
}

fn used(level: Level) -> u64 {
    level.capacity.saturating_sub(level.available)
}

fn file_system(bytes: Option<Level>, inodes: Option<Level>) -> Value {
    let numbers = known(&[
        ("availableBytes", bytes.map(|level| level.available)),
        ("capacityBytes", bytes.map(|level| level.capacity)),
        ("usedBytes", bytes.map(used)),
        ("inodesFree", inodes.map(|level| level.available)),
        ("inodes", inodes.map(|level| level.capacity)),
        ("inodesUsed", inodes.map(used)),
    ]);
    Value::Object(numbers)
}

fn pod_stats(pod: &PodReading<'_>) -> Value {
    let mut shown = stats(&pod.whole);
    let key = &pod.pod.key;
    let whose = json!({"name": key.name, "namespace": key.namespace, "uid": pod.pod.uid});
    shown.insert("podRef".into(), whose);
    let container = |(name, id, reading): &(&str, _, Reading)| {
        let mut shown = stats(reading);
        shown.insert("name".into(), json!(name));
        shown.insert("containerID".into(), json!(id));
        Value::Object(shown)
    };
    shown.insert("containers".into(), pod.containers.iter().map(container).collect());
    if let Some(network) = &pod.network {
        let ((rx, rx_packets), (tx, tx_packets)) = (network.received, network.sent);
        let counters = json!({"time": time(pod.whole.at), "name": network.name, "rxBytes": rx, "txBytes": tx,
            "rxPackets": rx_packets, "txPackets": tx_packets});
        shown.insert("network".into(), counters);
    }
    if let Some(Disk { bytes, inodes, cut }) = pod.disk {
        let mut disk = json!({"time": time(pod.whole.at), "usedBytes": bytes, "inodesUsed": inodes});
        if cut {
            disk["incomplete"] = json!(true);
        }
        shown.insert("ephemeral-storage".into(), disk);
    }
    Value::Object(shown)
}

/// What pods, containers and the node have in common.
fn stats(reading: &Reading) -> Map<String, Value> {
    let [cpu, memory, io] = reading.stalls;
    let room = reading.memory_max.zip(reading.working_set).map(|(max, set)| max.saturating_sub(set));
    let parts: [(_, &[(_, Option<u64>)], _); 5] = [
        (
            "cpu",
            &[
                ("bootNanoSeconds", Some(reading.at.mono.0)),
                ("usageCoreNanoSeconds", reading.cpu_ns),
                ("throttledNanoSeconds", reading.throttled_ns),
            ],
            cpu,
        ),
        (
            "memory",
            &[
                ("availableBytes", room),
                ("usageBytes", reading.memory),
                ("workingSetBytes", reading.working_set),
                ("rssBytes", reading.rss),
                ("pageFaults", reading.page_faults),
                ("majorPageFaults", reading.major_page_faults),
            ],
            memory,
        ),
        ("io", &[("readBytes", reading.io.map(|io| io.0)), ("writeBytes", reading.io.map(|io| io.1))], io),
        ("swap", &[("swapUsageBytes", reading.swap)], None),
        ("process_stats", &[("process_count", reading.tasks)], None),
    ];
    let mut shown = Map::new();
    for (name, numbers, stalls) in parts {
        let mut part = known(numbers);
        part.extend(stalls.map(|stalls| ("psi".into(), psi(&stalls))));
        if !part.is_empty() {
            part.insert("time".into(), time(reading.at));
            shown.insert(name.into(), Value::Object(part));
        }
    }
    shown
}

fn psi(stalls: &Stalls) -> Value {
    let one = |stall: &Stall| {
        let [avg10, avg60, avg300] = stall.averages;
        json!({"total": stall.total_us, "avg10": avg10, "avg60": avg60, "avg300": avg300})
    };
    json!({"some": one(&stalls.some), "full": one(&stalls.full)})
}

fn known(numbers: &[(&str, Option<u64>)]) -> Map<String, Value> {
    let known = |(name, number): &(&str, Option<u64>)| Some(((*name).to_owned(), json!((*number)?)));
    numbers.iter().filter_map(known).collect()
}

fn time(at: Now) -> Value {
    json!(at.wall.rfc3339())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Mono, Wall};

    fn reading() -> Reading {
        let stall = Stall { averages: [1.5, 0.25, 0.0], total_us: 77 };
        Reading {
            at: Now { mono: Mono(9), wall: Wall(0) },
            cpu_ns: Some(5),
            memory: Some(30),
            working_set: Some(20),
            memory_max: Some(100),
            io: Some((1, 2)),
            stalls: [Some(Stalls { some: stall, full: Stall::default() }), None, None],
            ..Reading::default()
        }
    }

    #[test]
    fn what_is_known_has_kubelets_names_and_what_is_not_is_left_out() {
        const TIME: &str = "1970-01-01T00:00:00Z";
        let shown = Value::Object(stats(&reading()));
        let none = json!({"total": 0, "avg10": 0.0, "avg60": 0.0, "avg300": 0.0});
        let some = json!({"total": 77, "avg10": 1.5, "avg60": 0.25, "avg300": 0.0});
        let expected = json!({
            "cpu": {"time": TIME, "bootNanoSeconds": 9, "usageCoreNanoSeconds": 5, "psi": {"some": some, "full": none}},
            "memory": {"time": TIME, "usageBytes": 30, "workingSetBytes": 20, "availableBytes": 80},
            "io": {"time": TIME, "readBytes": 1, "writeBytes": 2},
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_nodes_file_systems_and_process_numbers_are_those_that_pressure_goes_by() {
        let level = |available, capacity| Level { available, capacity };
        let seen = Observation {
            levels: [(Signal::PidAvailable, level(60, 100)), (Signal::NodefsAvailable, level(3, 10))].into(),
            ..Observation::default()
        };
        let summary = summary("box", &reading(), &seen, &[]);
        let node = &summary["node"];
        assert_eq!(
            (&node["nodeName"], &node["rlimit"]),
            (&json!("box"), &json!({"maxpid": 100, "curproc": 40}))
        );
        assert_eq!(node["fs"], json!({"availableBytes": 3, "capacityBytes": 10, "usedBytes": 7}));
        assert_eq!((&node["runtime"], &summary["pods"]), (&json!({"imageFs": {}}), &json!([])));
    }
}
