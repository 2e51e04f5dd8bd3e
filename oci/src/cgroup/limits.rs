//! Which limits a pod, a container and the trees above them get. Pure.

use super::{CPUS, CgroupWrite, PERIOD_US, memory, quota_us, shares, weight};
use crate::node::NodeFacts;
use berth_core::{
    cpus::{self, Place},
    manifest::{
        DesiredPod,
        qos::{self, QosClass},
        quantity,
        types::{Container, Pod, Resources},
    },
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
fn burstable_weight<'a>(pods: impl IntoIterator<Item = &'a DesiredPod>) -> u64 {
    let burstable = pods.into_iter().filter(|pod| qos::of(&pod.pod) == QosClass::Burstable);
    weight(shares(burstable.map(|pod| sum_cpu_requests(&pod.pod)).sum()))
}

/// The classes' cgroups, by their place below the one above all pods, which is the first: what they get for the pods that
/// there are. The kernel keeps nothing for a cgroup that is not kept for those above it, too.
pub fn classes<'a>(
    pods: impl IntoIterator<Item = &'a DesiredPod>,
    node: &NodeFacts,
) -> [(&'static str, Vec<CgroupWrite>); 3] {
    let pods: Vec<&DesiredPod> = pods.into_iter().collect();
    let kept = |class| {
        let of_class = pods.iter().filter(|pod| qos::of(&pod.pod) == class);
        of_class.fold(0, |sum: u64, pod| sum.saturating_add(memory::reserved_of_pod(&pod.pod, node)))
    };
    let low = CgroupWrite::optional("memory.low", kept(QosClass::Burstable));
    let min = CgroupWrite::optional("memory.min", kept(QosClass::Guaranteed));
    let weight = |weight| CgroupWrite::optional("cpu.weight", weight);
    [
        ("", vec![min, low.clone()]),
        ("burstable", vec![weight(burstable_weight(pods)), low]),
        ("besteffort", vec![weight(1)]),
    ]
}

/// The pod's cgroup: what is said for the pod as a whole, else the sums over its containers.
pub fn pod(pod: &Pod, node: &NodeFacts) -> Vec<CgroupWrite> {
    let whole = pod.spec.resources.as_ref();
    let request = match qos::of(pod) {
        QosClass::BestEffort => 0,
        QosClass::Guaranteed | QosClass::Burstable => {
            whole.and_then(cpu_request).unwrap_or_else(|| sum_cpu_requests(pod))
        }
    };
    let mut writes = vec![CgroupWrite::new("cpu.weight", weight(shares(request)))];
    // A limit for the whole pod only where each container has one, and none has processors to itself.
    let cpu = whole.and_then(cpu_limit).or_else(|| most_if_all(pod, cpu_limit));
    let cpu = cpu.filter(|_| !node.policy.cpus_assigned || cpus::whole(pod).iter().all(|count| *count == 0));
    if let Some(quota) = cpu.and_then(|milli| quota(milli, node)) {
        writes.push(quota);
    }
    if let Some(bytes) = memory_limit_of_pod(pod) {
        writes.push(CgroupWrite::new("memory.max", bytes));
    }
    if node.policy.pod_pids_max > 0 {
        writes.push(CgroupWrite::new("pids.max", node.policy.pod_pids_max));
    }
    writes.extend(memory::of_pod(pod, node));
    writes
}

/// The container's cgroup, before anything runs in it.
pub fn container_before(pod: &Pod, container: &Container, node: &NodeFacts) -> Vec<CgroupWrite> {
    let resources = &container.resources;
    let request = cpu_request(resources).or_else(|| cpu_limit(resources)).unwrap_or(0);
    let mut writes = vec![CgroupWrite::new("cpu.weight", weight(shares(request)))];
    writes.extend(memory::of_container(pod, container, node));
    writes
}

/// Where the container runs, if that is not wherever its pod may.
pub fn cpus(place: &Place) -> Option<CgroupWrite> {
    (!place.cpus.is_empty()).then(|| CgroupWrite::new(CPUS, &place.cpus))
}

/// What would only slow the runtime's own work down: written when the container is started. CPU time is not limited where
/// it is the container's own, as with kubelet.
pub fn container_after(container: &Container, place: &Place, node: &NodeFacts) -> Vec<CgroupWrite> {
    let limit = cpu_limit(&container.resources).filter(|_| !place.exclusive);
    limit.and_then(|milli| quota(milli, node)).into_iter().collect()
}

/// `cpu.max` for a limit in thousandths, if there is one and limits are enforced at all.
fn quota(milli: u64, node: &NodeFacts) -> Option<CgroupWrite> {
    let quota = quota_us(milli).filter(|_| !node.policy.cpu_unlimited)?;
    Some(CgroupWrite::new("cpu.max", format!("{quota} {PERIOD_US}")))
}

fn sum_cpu_requests(pod: &Pod) -> u64 {
    most(pod, |resources| cpu_request(resources).or_else(|| cpu_limit(resources)).unwrap_or(0))
}

/// Of a limit that every container has, what the pod may need.
fn most_if_all(pod: &Pod, of: impl Fn(&Resources) -> Option<u64>) -> Option<u64> {
    let all = pod.spec.all_containers().all(|container| of(&container.resources).is_some());
    all.then(|| most(pod, |resources| of(resources).unwrap_or(0)))
}

/// The most that containers which run at one time need together: the regular ones and all sidecars, or an
/// init container and the sidecars before it.
fn most(pod: &Pod, of: impl Fn(&Resources) -> u64) -> u64 {
    let (mut sidecars, mut peak) = (0_u64, 0);
    for container in &pod.spec.init_containers {
        let own = of(&container.resources);
        peak = peak.max(sidecars.saturating_add(own));
        if container.restarts_always() {
            sidecars = sidecars.saturating_add(own);
        }
    }
    let regular = pod.spec.containers.iter().map(|container| of(&container.resources));
    regular.fold(sidecars, u64::saturating_add).max(peak)
}

fn cpu_request(resources: &Resources) -> Option<u64> {
    positive(resources.requests.get("cpu"), quantity::Quantity::milli)
}

fn cpu_limit(resources: &Resources) -> Option<u64> {
    positive(resources.limits.get("cpu"), quantity::Quantity::milli)
}

/// What the pod as a whole may have of memory, if it is limited.
pub(crate) fn memory_limit_of_pod(pod: &Pod) -> Option<u64> {
    let whole = pod.spec.resources.as_ref().and_then(memory_limit);
    whole.or_else(|| most_if_all(pod, memory_limit)).filter(|bytes| *bytes > 0)
}

/// What its containers ask for of memory together, whatever is asked for the pod as a whole.
pub(crate) fn memory_requests(pod: &Pod) -> u64 {
    let of = |resources: &Resources| positive(resources.requests.get("memory"), quantity::Quantity::value);
    most(pod, |resources| of(resources).unwrap_or(0))
}

pub(super) fn memory_limit(resources: &Resources) -> Option<u64> {
    positive(resources.limits.get("memory"), quantity::Quantity::value)
}

/// Quantities are valid by now; one that is not positive is none.
fn positive(text: Option<&String>, unit: impl Fn(quantity::Quantity) -> i64) -> Option<u64> {
    let quantity = quantity::parse(text?).ok()?;
    u64::try_from(unit(quantity)).ok().filter(|value| *value > 0)
}
