//! Pages larger than usual as a resource: `hugepages-<size>` in limits, `HugePages-<size>` as an emptyDir's
//! medium. Pure.

use super::{
    quantity,
    types::{PodSpec, Resources},
};
use std::collections::{BTreeMap, BTreeSet};

/// What the names of these resources begin with; a size follows, `2Mi`.
pub const PREFIX: &str = "hugepages-";

/// The resource of pages of a size in bytes: `hugepages-2Mi`.
pub fn resource(size: u64) -> String {
    let kib = size >> 10;
    let (number, unit) = match kib {
        0x10_0000.. if kib.is_multiple_of(0x10_0000) => (kib >> 20, "Gi"),
        0x400.. if kib.is_multiple_of(0x400) => (kib >> 10, "Mi"),
        _ => (kib, "Ki"),
    };
    format!("{PREFIX}{number}{unit}")
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_one_name_and_is_found_in_it() {
        for (size, name) in [
            (64 << 10, "hugepages-64Ki"),
            (2 << 20, "hugepages-2Mi"),
            (32 << 20, "hugepages-32Mi"),
            (1 << 30, "hugepages-1Gi"),
            (1536 << 20, "hugepages-1536Mi"),
        ] {
            assert_eq!(resource(size), name);
            assert_eq!(bytes(name.strip_prefix(PREFIX).unwrap()), Some(size));
        }
    }
}
