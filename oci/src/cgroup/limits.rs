//! Which limits a pod, a container and the trees above them get. Pure.

use super::{CgroupWrite, PERIOD_US, quota_us, shares, weight};
use berth_core::manifest::{
    DesiredPod,
    qos::{self, QosClass},
    quantity,
    types::{Container, Pod, Resources},
};

/// The cgroup above all pods: what the node has, less what is kept back for the system.
pub fn kubepods(
    memory_bytes: u64,
    cpus: u32,
    reserved_memory_bytes: u64,
    reserved_milli: u64,
) -> Vec<CgroupWrite> {
    let milli = (u64::from(cpus) * 1000).saturating_sub(reserved_milli);
    let mut writes = vec![CgroupWrite::new("cpu.weight", weight(shares(milli)))];
    if memory_bytes > 0 {
        writes.push(CgroupWrite::new("memory.max", memory_bytes.saturating_sub(reserved_memory_bytes)));
    }
    writes
}

/// `cpu.weight` of the burstable pods' tree: all their requests together.
pub fn burstable_weight<'a>(pods: impl IntoIterator<Item = &'a DesiredPod>) -> u64 {
    let burstable = pods.into_iter().filter(|pod| qos::of(&pod.pod) == QosClass::Burstable);
    weight(shares(burstable.map(|pod| sum_cpu_requests(&pod.pod)).sum()))
}

/// The pod's cgroup. `pids_max` is kubelet's `podPidsLimit`; 0 for none.
pub fn pod(pod: &Pod, pids_max: u64) -> Vec<CgroupWrite> {
    let containers = || pod.spec.containers.iter().map(|container| &container.resources);
    let request = match qos::of(pod) {
        QosClass::BestEffort => 0,
        QosClass::Guaranteed | QosClass::Burstable => sum_cpu_requests(pod),
    };
    let mut writes = vec![CgroupWrite::new("cpu.weight", weight(shares(request)))];
    // A limit for the whole pod only where each container has one.
    if let Some(quota) = sum_if_all(containers().map(cpu_limit)).and_then(quota_us) {
        writes.push(CgroupWrite::new("cpu.max", format!("{quota} {PERIOD_US}")));
    }
    if let Some(bytes) = sum_if_all(containers().map(memory_limit)) {
        writes.push(CgroupWrite::new("memory.max", bytes));
    }
    if pids_max > 0 {
        writes.push(CgroupWrite::new("pids.max", pids_max));
    }
    writes
}

/// The container's cgroup, before anything runs in it.
pub fn container_before(container: &Container) -> Vec<CgroupWrite> {
    let resources = &container.resources;
    let request = cpu_request(resources).or_else(|| cpu_limit(resources)).unwrap_or(0);
    let mut writes = vec![CgroupWrite::new("cpu.weight", weight(shares(request)))];
    if let Some(bytes) = memory_limit(resources) {
        writes.push(CgroupWrite::new("memory.max", bytes));
    }
    writes.push(CgroupWrite::new("memory.oom.group", 1));
    // Static pods count as critical, and those never swap.
    writes.push(CgroupWrite::optional("memory.swap.max", 0));
    writes
}

/// What would only slow the runtime's own work down: written when the container is started.
pub fn container_after(container: &Container) -> Vec<CgroupWrite> {
    let quota = cpu_limit(&container.resources).and_then(quota_us);
    quota.map(|quota| CgroupWrite::new("cpu.max", format!("{quota} {PERIOD_US}"))).into_iter().collect()
}

fn sum_cpu_requests(pod: &Pod) -> u64 {
    let of = |container: &Container| {
        cpu_request(&container.resources).or_else(|| cpu_limit(&container.resources)).unwrap_or(0)
    };
    pod.spec.containers.iter().map(of).fold(0, u64::saturating_add)
}

fn sum_if_all(mut values: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    values.try_fold(0_u64, |sum, value| Some(sum.saturating_add(value?)))
}

fn cpu_request(resources: &Resources) -> Option<u64> {
    positive(resources.requests.get("cpu"), quantity::Quantity::milli)
}

fn cpu_limit(resources: &Resources) -> Option<u64> {
    positive(resources.limits.get("cpu"), quantity::Quantity::milli)
}

fn memory_limit(resources: &Resources) -> Option<u64> {
    positive(resources.limits.get("memory"), quantity::Quantity::value)
}

/// Quantities are valid by now; one that is not positive is none.
fn positive(text: Option<&String>, unit: impl Fn(quantity::Quantity) -> i64) -> Option<u64> {
    let quantity = quantity::parse(text?).ok()?;
    u64::try_from(unit(quantity)).ok().filter(|value| *value > 0)
}
