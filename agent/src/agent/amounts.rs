//! What the node has, and what of it is for pods: kubelet's `capacity` and `allocatable`. Pure.

use crate::config::Config;
use berth_core::{
    manifest::huge_pages,
    node::{Amounts, CPU, MEMORY, PODS},
    pressure::{Level, Signal},
    storage::EPHEMERAL,
};
use berth_oci::node::NodeFacts;

/// What eviction keeps free of what.
const EVICTION: [(Signal, &str); 2] =
    [(Signal::MemoryAvailable, MEMORY), (Signal::NodefsAvailable, EPHEMERAL)];

/// What the node has.
pub(super) fn capacity(node: &NodeFacts, config: &Config) -> Amounts {
    let amounts = Amounts::default()
        .with(CPU, u64::from(node.cpus) * 1000)
        .with(MEMORY, node.memory_bytes)
        .with(PODS, u64::from(config.max_pods));
    let pages = node.huge_pages.iter();
    let amounts = pages.fold(amounts, |all, (size, bytes)| all.with(&huge_pages::resource(*size), *bytes));
    // Nobody may be able to say.
    if node.storage_bytes == 0 { amounts } else { amounts.with(EPHEMERAL, node.storage_bytes) }
}

/// What of it is for pods: less what is reserved, what is kept free by the hard thresholds of eviction, and of memory what
/// is in larger pages, as these are for nobody else.
pub(super) fn allocatable(node: &NodeFacts, config: &Config) -> Amounts {
    let capacity = capacity(node, config);
    let mut rest = capacity.clone();
    rest.take(&reserved(config));
    let eviction = config.eviction();
    for (signal, resource) in EVICTION {
        let all = capacity.get(resource).unwrap_or(0);
        let level = Level { available: all, capacity: all };
        let kept = eviction.threshold(signal, true, level).unwrap_or(0);
        rest.take(&Amounts::default().with(resource, kept));
    }
    rest.take(&Amounts::default().with(MEMORY, node.huge_pages.values().sum()));
    rest
}

/// What of a resource is promised to no pod.
pub(super) fn withheld(node: &NodeFacts, config: &Config, resource: &str) -> u64 {
    let of = |amounts: Amounts| amounts.get(resource).unwrap_or(0);
    of(capacity(node, config)).saturating_sub(of(allocatable(node, config)))
}

/// What is kept back from pods, and from what they may use together.
pub(super) fn reserved(config: &Config) -> Amounts {
    let mut reserved = Amounts::read(&config.kube_reserved);
    reserved.add(&Amounts::read(&config.system_reserved));
    match config.reserved_cpu_milli() {
        0 => reserved,
        milli => reserved.with(CPU, milli),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const MI: u64 = 1 << 20;

    #[test]
    fn pods_get_what_is_neither_reserved_nor_kept_free_nor_in_larger_pages() {
        let node = NodeFacts {
            cpus: 2,
            memory_bytes: 1000 * MI,
            storage_bytes: 10_000 * MI,
            huge_pages: [(2 * MI, 16 * MI)].into(),
            ..NodeFacts::default()
        };
        for (text, cpu, memory, storage) in [
            // 5 % of memory are less than 100Mi; 10 % of the disk are more than 500Mi.
            ("", 2000, 1000 - 50 - 16, 10_000 - 500),
            ("evictionHard: {memory.available: 0%, nodefs.available: 0%}", 2000, 1000 - 16, 10_000),
            (
                "kubeReserved: {cpu: 100m, memory: 64Mi}\n\
                 systemReserved: {memory: 6Mi, ephemeral-storage: 1Mi}\n\
                 evictionHard: {memory.available: 30Mi, nodefs.available: 20%}\n",
                1900,
                1000 - 70 - 30 - 16,
                8000 - 1,
            ),
            ("evictionHard: {memory.available: 2Gi}", 2000, 0, 10_000 - 500),
            ("kubeReserved: {cpu: 1500m}\nreservedSystemCPUs: \"1\"", 1000, 1000 - 50 - 16, 10_000 - 500),
            (
                "evictionSoft: {memory.available: 500Mi}\nevictionSoftGracePeriod: {memory.available: 1m}",
                2000,
                1000 - 50 - 16,
                10_000 - 500,
            ),
        ] {
            let config = crate::config::parse(Path::new("c"), text).unwrap();
            let rest = allocatable(&node, &config);
            let of = |name| rest.get(name).unwrap();
            let found = (of(CPU), of(MEMORY) / MI, of(EPHEMERAL) / MI, of("hugepages-2Mi") / MI);
            assert_eq!(found, (cpu, memory, storage, 16), "{text}");
            assert_eq!(withheld(&node, &config, MEMORY), (1000 - memory) * MI, "{text}");
        }
        assert_eq!(capacity(&NodeFacts::default(), &Config::default()).get(EPHEMERAL), None);
    }
}
