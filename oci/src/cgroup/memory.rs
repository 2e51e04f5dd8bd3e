//! What a container may have of memory, swap and large pages. Pure.

use super::{CgroupWrite, limits::memory_limit};
use crate::node::{MemoryQos, NodeFacts};
use berth_core::{
    manifest::{
        huge_pages,
        qos::{self, QosClass},
        quantity,
        types::{Container, Pod, Resources},
    },
    node::{CLUSTER_CRITICAL, priority},
};
use std::collections::{BTreeMap, BTreeSet};

/// The container's memory files, `memory.max` first.
pub(super) fn of_container(pod: &Pod, container: &Container, node: &NodeFacts) -> Vec<CgroupWrite> {
    let mut writes = Vec::with_capacity(4);
    let of_pod = pod.spec.resources.as_ref().and_then(memory_limit);
    let limit = memory_limit(&container.resources);
    if let Some(bytes) = limit.or(of_pod) {
        writes.push(CgroupWrite::new("memory.max", bytes));
    }
    writes.push(CgroupWrite::new("memory.oom.group", 1));
    let request = memory_request(&container.resources);
    writes.push(CgroupWrite::optional("memory.swap.max", swap_bytes(pod, request, limit, node)));
    if let Some(memory_qos) = node.policy.memory_qos {
        let high = high_bytes(request, limit.or(of_pod), memory_qos, node);
        writes.extend(high.map(|bytes| CgroupWrite::optional("memory.high", bytes)));
        writes.extend(reserved(pod, request, memory_qos));
    }
    let mut pages: BTreeMap<u64, u64> = huge_pages::limits(&container.resources);
    if pages.is_empty() {
        pages.extend(pod.spec.resources.iter().flat_map(huge_pages::limits));
    }
    writes.extend(large_pages(&pages, pod, node));
    writes
}

/// The pod's: what is kept for it, and of large pages no more than its containers may have.
pub(super) fn of_pod(pod: &Pod, node: &NodeFacts) -> Vec<CgroupWrite> {
    let mut writes = Vec::new();
    if let Some(memory_qos) = node.policy.memory_qos {
        writes.extend(reserved(pod, request_of_pod(pod), memory_qos));
    }
    let mut pages: BTreeMap<u64, u64> = BTreeMap::new();
    for (size, bytes) in pod.spec.all_containers().flat_map(|c| huge_pages::limits(&c.resources)) {
        *pages.entry(size).or_default() += bytes;
    }
    pages.extend(pod.spec.resources.iter().flat_map(huge_pages::limits));
    writes.extend(large_pages(&pages, pod, node));
    writes
}

/// By size of large pages what of them one may have: who asks for none has none, also of its neighbours'.
fn large_pages(limits: &BTreeMap<u64, u64>, pod: &Pod, node: &NodeFacts) -> Vec<CgroupWrite> {
    let own = limits.iter().map(|(size, bytes)| CgroupWrite::new(&huge_pages_file(*size), bytes));
    let mut others: BTreeSet<u64> =
        node.huge_pages.keys().copied().chain(huge_pages::sizes(&pod.spec)).collect();
    others.retain(|size| !limits.contains_key(size));
    own.chain(others.into_iter().map(|size| CgroupWrite::optional(&huge_pages_file(size), 0))).collect()
}

fn request_of_pod(pod: &Pod) -> u64 {
    let of_containers = pod.spec.lasting_containers().map(|c| memory_request(&c.resources)).sum();
    let request = pod.spec.resources.as_ref().map(memory_request).filter(|bytes| *bytes > 0);
    request.unwrap_or(of_containers)
}

/// Bytes that are kept for the pod.
pub(super) fn reserved_of_pod(pod: &Pod, node: &NodeFacts) -> u64 {
    let reserves = node.policy.memory_qos.is_some_and(|memory_qos| memory_qos.reserve);
    if reserves { request_of_pod(pod) } else { 0 }
}

/// None by default; else a burstable container's share of the node's swap, as of its memory.
fn swap_bytes(pod: &Pod, request: u64, limit: Option<u64>, node: &NodeFacts) -> u64 {
    let critical = priority(&pod.spec) >= CLUSTER_CRITICAL;
    let may = node.policy.swap_limited
        && !critical
        && qos::of(pod) == QosClass::Burstable
        && limit != Some(request);
    if !may || node.memory_bytes == 0 {
        return 0;
    }
    let share = u128::from(request) * u128::from(node.swap_bytes) / u128::from(node.memory_bytes);
    whole_pages(u64::try_from(share).unwrap_or(u64::MAX), node)
}

/// Above this the container is slowed down and its memory reclaimed: somewhere between what it asked for
/// and what it may have.
fn high_bytes(request: u64, limit: Option<u64>, memory_qos: MemoryQos, node: &NodeFacts) -> Option<u64> {
    // Who says nothing is not held to anything.
    if limit.unwrap_or(0) == request {
        return None;
    }
    let most = limit.unwrap_or_else(|| node.allocatable_memory_bytes());
    let between =
        u128::from(most.saturating_sub(request)) * u128::from(memory_qos.throttling_permille) / 1000;
    let high = request.saturating_add(u64::try_from(between).unwrap_or(u64::MAX));
    Some(whole_pages(high, node)).filter(|high| *high > request)
}

/// What is kept for who asked for it: always for guaranteed pods, while there is enough for burstable ones.
fn reserved(pod: &Pod, request: u64, memory_qos: MemoryQos) -> Option<CgroupWrite> {
    let file = match qos::of(pod) {
        _ if !memory_qos.reserve || request == 0 => return None,
        QosClass::Guaranteed => "memory.min",
        QosClass::Burstable => "memory.low",
        QosClass::BestEffort => return None,
    };
    Some(CgroupWrite::optional(file, request))
}

fn whole_pages(bytes: u64, node: &NodeFacts) -> u64 {
    let page = node.page_size_bytes.max(1);
    bytes / page * page
}

fn memory_request(resources: &Resources) -> u64 {
    let text = resources.requests.get("memory").or_else(|| resources.limits.get("memory"));
    let value = text.and_then(|text| quantity::parse(text).ok()).map_or(0, quantity::Quantity::value);
    u64::try_from(value).unwrap_or(0)
}

/// As the kernel names it: `hugetlb.2MB.max`.
fn huge_pages_file(size: u64) -> String {
    let (number, unit) = match size {
        size if size >= 1 << 30 => (size >> 30, "GB"),
        size if size >= 1 << 20 => (size >> 20, "MB"),
        size => (size >> 10, "KB"),
    };
    format!("hugetlb.{number}{unit}.max")
}
