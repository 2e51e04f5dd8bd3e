//! Tables of kubelet's figures, and the tree on a hierarchy of the machine's.

use super::*;
use crate::{
    node::{MemoryQos, NodeFacts, Policy},
    testing,
};
use berth_core::{
    cpus::Place,
    manifest::{
        DesiredPod,
        types::{Container, PodSpec, Resources},
    },
};
use std::{collections::BTreeMap, fs};

fn resources(requests: &str, limits: &str) -> Resources {
    let map = |text: &str| -> BTreeMap<String, String> {
        text.split_whitespace()
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    Resources { requests: map(requests), limits: map(limits) }
}

fn container(requests: &str, limits: &str) -> Container {
    Container { resources: resources(requests, limits), ..Container::default() }
}

fn text(writes: &[CgroupWrite]) -> String {
    writes.iter().map(|write| format!("{}={}", write.file, write.value)).collect::<Vec<_>>().join("; ")
}

#[test]
fn weights_and_quotas_are_kubelets() {
    for (milli, weight, quota) in [
        (0, 1, None),
        (1, 1, Some(1000)),
        (5, 1, Some(1000)),
        (10, 1, Some(1000)),
        (11, 1, Some(1100)),
        (100, 4, Some(10_000)),
        (250, 10, Some(25_000)),
        (500, 20, Some(50_000)),
        (1000, 39, Some(100_000)),
        (1500, 59, Some(150_000)),
        (2000, 79, Some(200_000)),
        (4000, 157, Some(400_000)),
        (256_000, 10_000, Some(25_600_000)),
        (9_000_000, 10_000, Some(900_000_000)),
    ] {
        assert_eq!(super::weight(shares(milli)), weight, "{milli}");
        assert_eq!(quota_us(milli), quota, "{milli}");
    }
    assert_eq!((shares(0), shares(1), shares(100), shares(1000)), (2, 2, 102, 1024));
}

#[test]
fn a_container_gets_its_own_limits() {
    for (requests, limits, before, after) in [
        ("", "", "cpu.weight=1; memory.oom.group=1; memory.swap.max=0", ""),
        ("cpu=500m", "", "cpu.weight=20; memory.oom.group=1; memory.swap.max=0", ""),
        ("", "cpu=1", "cpu.weight=39; memory.oom.group=1; memory.swap.max=0", "cpu.max=100000 100000"),
        (
            "cpu=100m memory=16Mi",
            "cpu=200m memory=64Mi",
            "cpu.weight=4; memory.max=67108864; memory.oom.group=1; memory.swap.max=0",
            "cpu.max=20000 100000",
        ),
        ("", "memory=1G", "cpu.weight=1; memory.max=1000000000; memory.oom.group=1; memory.swap.max=0", ""),
    ] {
        let container = container(requests, limits);
        let pod = testing::pod(PodSpec { containers: vec![container.clone()], ..PodSpec::default() });
        let node = testing::node();
        assert_eq!(text(&container_before(&pod.pod, &container, &node)), before, "{requests} {limits}");
        assert_eq!(
            text(&container_after(&container, &Place::default(), &node)),
            after,
            "{requests} {limits}"
        );
        let unlimited = with_policy(Policy { cpu_unlimited: true, ..Policy::default() });
        assert_eq!(text(&container_after(&container, &Place::default(), &unlimited)), "");
    }
}

#[test]
fn a_pod_gets_the_sums_where_every_container_has_a_limit() {
    for (containers, pids, writes) in [
        (&[("", "")][..], 0, "cpu.weight=1"),
        (&[("", "")], 100, "cpu.weight=1; pids.max=100"),
        (&[("cpu=100m", ""), ("cpu=150m", "")], 0, "cpu.weight=10"),
        (
            &[("cpu=100m memory=1Mi", "cpu=100m memory=1Mi"), ("cpu=150m memory=2Mi", "cpu=150m memory=2Mi")],
            0,
            "cpu.weight=10; cpu.max=25000 100000; memory.max=3145728",
        ),
        // One container without a limit: the pod has none.
        (&[("cpu=100m", "cpu=200m memory=1Mi"), ("memory=1Mi", "")], 0, "cpu.weight=4"),
        (&[("cpu=100m", "memory=1Mi"), ("", "cpu=1 memory=1Mi")], 0, "cpu.weight=43; memory.max=2097152"),
    ] {
        let spec = PodSpec {
            containers: containers.iter().map(|(requests, limits)| container(requests, limits)).collect(),
            ..PodSpec::default()
        };
        let pod = testing::pod(spec);
        let node = with_policy(Policy { pod_pids_max: pids, ..Policy::default() });
        assert_eq!(text(&super::pod(&pod.pod, &node)), writes, "{containers:?}");
    }
}

#[test]
fn what_is_said_for_the_pod_as_a_whole_stands_for_the_sums() {
    let spec = PodSpec {
        containers: vec![container("cpu=100m", ""), container("", "memory=1Mi")],
        resources: Some(resources("cpu=500m memory=4Mi", "cpu=1 memory=8Mi")),
        ..PodSpec::default()
    };
    let (pod, node) = (testing::pod(spec), testing::node());
    assert_eq!(
        text(&super::pod(&pod.pod, &node)),
        "cpu.weight=20; cpu.max=100000 100000; memory.max=8388608"
    );
    let memory_max = |i: usize| {
        let writes = container_before(&pod.pod, &pod.pod.spec.containers[i], &node);
        writes.into_iter().find(|write| write.file == "memory.max").unwrap().value
    };
    assert_eq!(memory_max(0), "8388608", "a container without a limit has the pod's");
    assert_eq!(memory_max(1), "1048576");
}

fn with_policy(policy: Policy) -> NodeFacts {
    NodeFacts { policy, swap_bytes: 1 << 27, ..testing::node() }
}

#[test]
fn memory_is_throttled_and_reserved_and_swapped_as_configured() {
    let memory_qos = |reserve| Policy {
        memory_qos: Some(MemoryQos { throttling_permille: 900, reserve }),
        ..Policy::default()
    };
    let swap = || Policy { swap_limited: true, ..Policy::default() };
    // A node with 256 MiB of memory and 128 MiB of swap.
    for (requests, limits, policy, expected) in [
        ("memory=10Mi", "memory=20Mi", memory_qos(false), "memory.swap.max=0; memory.high=19922944"),
        (
            "memory=10Mi",
            "memory=20Mi",
            memory_qos(true),
            "memory.swap.max=0; memory.high=19922944; memory.low=10485760",
        ),
        (
            "memory=10Mi cpu=1",
            "memory=10Mi cpu=1",
            memory_qos(true),
            "memory.swap.max=0; memory.min=10485760",
        ),
        ("", "", memory_qos(true), "memory.swap.max=0"),
        ("", "memory=20Mi", memory_qos(false), "memory.swap.max=0"),
        // Without a limit up to what the node has for pods: 256 MiB and here 56 MiB less.
        (
            "memory=100Mi",
            "",
            Policy { withheld_memory_bytes: 56 << 20, ..memory_qos(false) },
            "memory.swap.max=0; memory.high=199229440",
        ),
        ("memory=10Mi", "memory=20Mi", swap(), "memory.swap.max=5242880"),
        ("memory=10Mi", "memory=10Mi", swap(), "memory.swap.max=0"),
        ("", "", swap(), "memory.swap.max=0"),
    ] {
        let container = container(requests, limits);
        let pod = testing::pod(PodSpec { containers: vec![container.clone()], ..PodSpec::default() });
        let all = text(&container_before(&pod.pod, &container, &with_policy(policy)));
        let (_, memory) = all.split_once("memory.oom.group=1; ").unwrap();
        assert_eq!(memory, expected, "{requests} {limits}");
    }
}

#[test]
fn large_pages_are_for_who_asks_for_them() {
    let asks = container("cpu=1 hugepages-2Mi=4Mi hugepages-1Gi=1Gi", "hugepages-2Mi=4Mi hugepages-1Gi=1Gi");
    let node = NodeFacts { huge_pages: [(64 << 10, 1 << 20), (2 << 20, 4 << 20)].into(), ..testing::node() };
    for (containers, expected) in [
        (vec![asks.clone(), asks], "hugetlb.2MB.max=8388608; hugetlb.1GB.max=2147483648; hugetlb.64KB.max=0"),
        (vec![container("", "")], "hugetlb.64KB.max=0; hugetlb.2MB.max=0"),
    ] {
        let pod = testing::pod(PodSpec { containers, ..PodSpec::default() });
        let writes = super::pod(&pod.pod, &node);
        let pages: Vec<CgroupWrite> = writes.into_iter().filter(|w| w.file.starts_with("hugetlb")).collect();
        assert_eq!(text(&pages), expected);
    }
}

#[test]
fn a_container_has_its_own_large_pages_or_its_pods_and_not_its_neighbours() {
    let asks = container("", "hugepages-2Mi=4Mi");
    let whole = Some(resources("", "hugepages-2Mi=8Mi"));
    let node = NodeFacts { huge_pages: [(64 << 10, 1 << 20)].into(), ..testing::node() };
    for (resources, asker, neighbour) in [
        (None, "hugetlb.2MB.max=4194304; hugetlb.64KB.max=0", "hugetlb.64KB.max=0; hugetlb.2MB.max=0"),
        (whole, "hugetlb.2MB.max=4194304; hugetlb.64KB.max=0", "hugetlb.2MB.max=8388608; hugetlb.64KB.max=0"),
    ] {
        let containers = vec![asks.clone(), container("", "")];
        let pod = testing::pod(PodSpec { containers, resources, ..PodSpec::default() });
        for (container, expected) in pod.pod.spec.containers.iter().zip([asker, neighbour]) {
            let mut writes = container_before(&pod.pod, container, &node);
            writes.retain(|write| write.file.starts_with("hugetlb"));
            assert_eq!(text(&writes), expected);
        }
    }
}

#[test]
fn who_has_processors_to_itself_has_all_of_their_time() {
    let place = |cpus: &str, exclusive| Place { cpus: cpus.parse().unwrap(), exclusive };
    let (whole, part) = ("cpu=2 memory=8Mi", "cpu=500m memory=8Mi");
    for (limits, place, written, quota) in [
        (whole, place("2-3", true), "cpuset.cpus=2-3", ""),
        (whole, place("0-1", false), "cpuset.cpus=0-1", "cpu.max=200000 100000"),
        (part, place("0-1", false), "cpuset.cpus=0-1", "cpu.max=50000 100000"),
        (part, Place::default(), "", "cpu.max=50000 100000"),
    ] {
        let container = container("", limits);
        let writes: Vec<CgroupWrite> = cpus(&place).into_iter().collect();
        assert_eq!(text(&writes), written);
        assert_eq!(text(&container_after(&container, &place, &testing::node())), quota, "{place:?}");
    }
    let assigned = with_policy(Policy { cpus_assigned: true, ..Policy::default() });
    for (limits, node, quota) in [
        (whole, &assigned, ""),
        (whole, &testing::node(), "cpu.max=200000 100000"),
        (part, &assigned, "cpu.max=50000 100000"),
    ] {
        let containers = vec![container(limits, limits)];
        let pod = testing::pod(PodSpec { containers, ..PodSpec::default() });
        let writes = super::pod(&pod.pod, node);
        let found: Vec<CgroupWrite> = writes.into_iter().filter(|write| write.file == "cpu.max").collect();
        assert_eq!(text(&found), quota, "{limits}");
    }
}

#[test]
fn the_tree_above_shares_what_the_node_has() {
    assert_eq!(text(&kubepods(1 << 30, 4, 0, 0)), "cpu.weight=157; memory.max=1073741824");
    assert_eq!(text(&kubepods(1 << 30, 4, 1 << 29, 500)), "cpu.weight=137; memory.max=536870912");
    let with = |requests: &str, limits: &str| {
        testing::pod(PodSpec { containers: vec![container(requests, limits)], ..PodSpec::default() })
    };
    let pods = [
        with("cpu=100m", ""),
        with("cpu=150m", ""),
        with("", ""),
        with("cpu=1 memory=1Mi", "cpu=1 memory=1Mi"),
    ];
    let classes =
        |pods: &[DesiredPod], node: &NodeFacts| classes(pods, node).map(|(_, writes)| text(&writes));
    let nothing = "memory.min=0; memory.low=0";
    assert_eq!(
        classes(&pods, &testing::node()),
        [nothing, "cpu.weight=10; memory.low=0", "cpu.weight=1"],
        "only the burstable ones count"
    );
    assert_eq!(classes(&[], &testing::node()), [nothing, "cpu.weight=1; memory.low=0", "cpu.weight=1"]);
    let kept = with_policy(Policy {
        memory_qos: Some(MemoryQos { throttling_permille: 900, reserve: true }),
        ..Policy::default()
    });
    let pods = [with("memory=10Mi", ""), with("memory=5Mi", "memory=6Mi"), pods[3].clone(), pods[3].clone()];
    assert_eq!(
        classes(&pods, &kept),
        ["memory.min=2097152; memory.low=15728640", "cpu.weight=1; memory.low=15728640", "cpu.weight=1"],
        "what is kept for pods is kept for the trees above them"
    );
}

#[test]
fn a_tree_is_made_whatever_controllers_there_are() {
    testing::with_roots(|roots| {
        let spec = PodSpec { containers: vec![container("cpu=1", "")], ..PodSpec::default() };
        let pod = testing::pod(spec);
        let available = fs::read_to_string(roots.cgroup.join("cgroup.controllers")).unwrap();
        for _ in 0..2 {
            let warnings = create_pod(roots, &testing::node(), &pod).unwrap();
            assert!(roots.pod_cgroup(&pod).is_dir());
            for controller in CONTROLLERS {
                let told = warnings.iter().any(|text| text.contains(&format!("controller {controller} ")));
                let there = available.split_whitespace().any(|other| other == controller);
                assert_eq!(told, !there, "{controller}: {warnings:?}");
            }
        }
        refresh_qos(roots, &testing::node(), [&pod]).unwrap();
    });
}

#[test]
fn a_limit_without_its_file_is_a_warning_and_a_refused_value_an_error() {
    testing::with_roots(|roots| {
        let dir = roots.cgroup.join(&roots.cgroup_root);
        let warnings =
            apply(&dir, &[CgroupWrite::new("no.such.limit", 1), CgroupWrite::optional("nor.this", 2)])
                .unwrap();
        assert_eq!(warnings, ["no.such.limit=1 has no effect: the kernel has no such limit here"]);
        apply(&dir, &[CgroupWrite::new("cgroup.max.descendants", 7)]).unwrap();
        assert_eq!(fs::read_to_string(dir.join("cgroup.max.descendants")).unwrap().trim(), "7");
        let error = apply(&dir, &[CgroupWrite::new("cgroup.max.depth", "many")]).unwrap_err();
        assert!(error.to_string().contains("cgroup.max.depth"), "{error}");
        assert!(apply(&dir.join("none"), &[CgroupWrite::new("memory.max", 1)]).is_err());
    });
}
