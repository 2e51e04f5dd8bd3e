//! Pages larger than usual as a resource: `hugepages-<size>` in limits, `HugePages-<size>` as an emptyDir's
//! medium. Pure.

use super::{
    quantity,
    types::{PodSpec, Resources},
};
use std::collections::{BTreeMap, BTreeSet};

/// What the names of these resources begin with; a size follows, `2Mi`.
pub const PREFIX: &str = "hugepages-";

/// The sizes (in bytes) that the resources have limits for, with the limits, in bytes.
pub fn limits(resources: &Resources) -> BTreeMap<u64, u64> {
    let entry = |(name, amount): (&String, &String)| {
        Some((bytes(name.strip_prefix(PREFIX)?)?, bytes(amount).unwrap_or(0)))
    };
    resources.limits.iter().filter_map(entry).collect()
}

/// The sizes that the pod uses, in bytes.
pub fn sizes(spec: &PodSpec) -> BTreeSet<u64> {
    let all = spec.all_containers().map(|container| &container.resources).chain(&spec.resources);
    all.flat_map(|resources| limits(resources).into_keys()).collect()
}

/// A size or an amount in bytes; none for what is no positive number.
pub fn bytes(text: &str) -> Option<u64> {
    let value = quantity::parse(text).ok()?.value();
    u64::try_from(value).ok().filter(|bytes| *bytes > 0)
}
