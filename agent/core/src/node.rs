//! What the node has for pods, what pods ask of it, and whether that fits. Pure; kubelet's sums and words.

use crate::manifest::{
    quantity,
    types::{PodSpec, Resources},
};
use std::collections::BTreeMap;

/// Amounts by the name of the resource: `cpu` in thousandths, all others in their unit (bytes, pods). What is not
/// in it is zero of a request, and of what there is not bounded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Amounts(BTreeMap<String, u64>);

/// The resource that is short, and the figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// Its name.
    pub resource: String,
    /// Asked for.
    pub requested: u64,
    /// Given away already.
    pub used: u64,
    /// What there is.
    pub capacity: u64,
}

/// Pods at one time, as a resource.
pub const PODS: &str = "pods";
/// Containers at one time, which only Berth counts.
pub const CONTAINERS: &str = "containers";
/// Processors that a container has to itself, which only Berth counts; there are some under the static policy.
pub const EXCLUSIVE: &str = "exclusive-cpus";
/// CPU time.
pub const CPU: &str = "cpu";
/// Bytes of memory.
pub const MEMORY: &str = "memory";

/// Looked at in this order, then the others by name.
const FIRST: [&str; 4] = [PODS, CPU, MEMORY, crate::storage::EPHEMERAL];

impl Amounts {
    /// With one more.
    #[must_use]
    pub fn with(mut self, resource: &str, amount: u64) -> Self {
        self.0.insert(resource.to_owned(), amount);
        self
    }

    /// Quantities, as a manifest or the configuration has them; what is none counts for nothing.
    pub fn read(quantities: &BTreeMap<String, String>) -> Self {
        let amount = |(name, text): (&String, &String)| {
            let quantity = quantity::parse(text).ok()?;
            let amount = if name == CPU { quantity.milli() } else { quantity.value() };
            Some((name.clone(), u64::try_from(amount).unwrap_or(0)))
        };
        Self(quantities.iter().filter_map(amount).collect())
    }

    /// What a defaulted pod asks for: what is said for it as a whole; else what its containers ask for that run side by
    /// side, or as much as one of its init containers needs with the sidecars before it, if that is more.
    pub fn requests(spec: &PodSpec) -> Self {
        let of = |resources: &Resources| Self::read(&resources.requests);
        let mut together = Self::default();
        for container in &spec.containers {
            together.add(&of(&container.resources));
        }
        let (mut sidecars, mut most) = (Self::default(), Self::default());
        for init in &spec.init_containers {
            let mut own = of(&init.resources);
            if init.restarts_always() {
                sidecars.add(&own);
            } else {
                own.add(&sidecars);
                most.raise(&own);
            }
        }
        together.add(&sidecars);
        together.raise(&most);
        if let Some(whole) = &spec.resources {
            together.0.extend(of(whole).0);
        }
        together
    }

    /// Of this resource; none if it is not in it.
    pub fn get(&self, resource: &str) -> Option<u64> {
        self.0.get(resource).copied()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// Adds the other ones.
    pub fn add(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let sum = self.0.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*amount);
        }
    }

    /// Takes the other ones away, down to zero, from what is in it.
    pub fn take(&mut self, other: &Self) {
        for (name, amount) in &mut self.0 {
            *amount = amount.saturating_sub(other.get(name).unwrap_or(0));
        }
    }

    fn raise(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let most = self.0.entry(name.clone()).or_default();
            *most = (*most).max(*amount);
        }
    }

    /// The first resource of which `self`, a capacity, has not enough for `requested` beside `used`.
    pub fn shortage(&self, requested: &Self, used: &Self) -> Option<Shortage> {
        let others = requested.0.keys().map(String::as_str).filter(|name| !FIRST.contains(name));
        FIRST.into_iter().chain(others).find_map(|name| {
            let (requested, capacity) = (requested.get(name)?, self.get(name)?);
            let used = used.get(name).unwrap_or(0);
            let short = requested > 0 && requested > capacity.saturating_sub(used);
            short.then(|| Shortage { resource: name.to_owned(), requested, used, capacity })
        })
    }

    /// As a node's status shows an amount.
    pub fn show(resource: &str, amount: u64) -> String {
        match resource {
            CPU if !amount.is_multiple_of(1000) => format!("{amount}m"),
            CPU => (amount / 1000).to_string(),
            PODS | CONTAINERS | EXCLUSIVE => amount.to_string(),
            _ if amount.is_multiple_of(1024) => format!("{}Ki", amount / 1024),
            _ => amount.to_string(),
        }
    }
}

/// Priority of `system-node-critical`.
pub const NODE_CRITICAL: i32 = 2_000_001_000;
/// Priority of `system-cluster-critical`. Pods of this or a higher one are critical.
pub const CLUSTER_CRITICAL: i32 = 2_000_000_000;

/// The priority of a class that every cluster has; none of others.
pub fn priority_of_class(name: &str) -> Option<i32> {
    match name {
        "system-node-critical" => Some(NODE_CRITICAL),
        "system-cluster-critical" => Some(CLUSTER_CRITICAL),
        _ => None,
    }
}

/// A pod's priority: higher ones go first. Zero if nothing is said.
pub fn priority(spec: &PodSpec) -> i32 {
    let of_class = || spec.priority_class_name.as_deref().and_then(priority_of_class);
    spec.priority.or_else(of_class).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_are_what_can_be_used_at_one_time() {
        let ask = |cpu: &str, memory: &str| json!({"requests": {"cpu": cpu, "memory": memory}});
        let main = |n: u32| json!({"name": format!("m{n}"), "resources": ask("100m", "10Mi")});
        let sidecar = json!({"name": "s", "restartPolicy": "Always", "resources": ask("50m", "5Mi")});
        let init = |cpu: &str| json!({"name": "i", "resources": ask(cpu, "1Mi")});
        for (spec, cpu, memory_mi) in [
            (json!({"containers": [main(1)]}), 100, 10),
            (json!({"containers": [main(1), main(2)]}), 200, 20),
            (json!({"containers": [main(1)], "initContainers": [init("90m")]}), 100, 10),
            (json!({"containers": [main(1)], "initContainers": [init("300m")]}), 300, 10),
            (json!({"containers": [main(1)], "initContainers": [sidecar, init("300m")]}), 350, 15),
            (json!({"containers": [main(1)], "initContainers": [init("120m"), sidecar]}), 150, 15),
            (json!({"containers": [main(1)], "resources": {"requests": {"cpu": "2"}}}), 2000, 10),
            (json!({"containers": [main(1)], "initContainers": [init("9u")]}), 100, 10),
        ] {
            let read: PodSpec = serde_json::from_value(spec.clone()).unwrap();
            let sum = Amounts::requests(&read);
            assert_eq!((sum.get(CPU), sum.get(MEMORY)), (Some(cpu), Some(memory_mi << 20)), "{spec}");
        }
    }

    #[test]
    fn what_is_short_is_told_in_kubelets_order() {
        let amounts = |list: &[(&str, u64)]| {
            list.iter().fold(Amounts::default(), |amounts, (name, amount)| amounts.with(name, *amount))
        };
        let node = amounts(&[(CPU, 1000), (MEMORY, 100), (PODS, 2)]);
        for (requested, used, short) in [
            (&[(CPU, 1000)][..], &[][..], None),
            (&[(CPU, 1)], &[(CPU, 1000)], Some((CPU, 1, 1000, 1000))),
            (&[(CPU, 0)], &[(CPU, 1001)], None),
            (&[(MEMORY, 51), (CPU, 1001)], &[(MEMORY, 50)], Some((CPU, 1001, 0, 1000))),
            (&[(MEMORY, 51), (PODS, 1)], &[(MEMORY, 50), (PODS, 1)], Some((MEMORY, 51, 50, 100))),
            (&[(MEMORY, 51), (PODS, 1)], &[(MEMORY, 50), (PODS, 2)], Some((PODS, 1, 2, 2))),
            (&[("hugepages-2Mi", 5)], &[], None),
        ] {
            let found = node.shortage(&amounts(requested), &amounts(used));
            let found = found.as_ref().map(|s| (s.resource.as_str(), s.requested, s.used, s.capacity));
            assert_eq!(found, short, "{requested:?} {used:?}");
        }
    }

    #[test]
    fn priorities_are_the_specs_or_those_of_the_classes_that_every_cluster_has() {
        for (spec, expected) in [
            (json!({}), 0),
            (json!({"priority": -5}), -5),
            (json!({"priorityClassName": "system-node-critical"}), NODE_CRITICAL),
            (json!({"priorityClassName": "system-cluster-critical"}), CLUSTER_CRITICAL),
            (json!({"priorityClassName": "mine", "priority": 7}), 7),
        ] {
            assert_eq!(priority(&serde_json::from_value(spec).unwrap()), expected);
        }
    }

    #[test]
    fn amounts_are_shown_as_a_node_shows_them() {
        for (resource, amount, shown) in [
            (CPU, 2000, "2"),
            (CPU, 1500, "1500m"),
            (MEMORY, 2048, "2Ki"),
            (MEMORY, 5, "5"),
            (PODS, 110, "110"),
        ] {
            assert_eq!(Amounts::show(resource, amount), shown);
        }
    }
}
