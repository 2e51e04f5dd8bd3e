//! What a pod may know of itself: fields and amounts, as variables and files have them. Pure.

use crate::{
    error::{Error, Result},
    node::NodeFacts,
};
use berth_core::manifest::{
    DesiredPod, quantity, subscript,
    types::{Container, PodSpec, ResourceFieldRef},
};
use std::collections::BTreeMap;

/// Where pod and node are to be reached; the first address of each is the one that a single field has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Addresses {
    pub(crate) host: Vec<String>,
    pub(crate) pod: Vec<String>,
}

impl Addresses {
    /// A pod on the node's network has the node's addresses, another one its own.
    pub(crate) fn of(spec: &PodSpec, host: Vec<String>, own: &[String]) -> Self {
        let pod = if spec.host_network { host.clone() } else { own.to_vec() };
        Self { host, pod }
    }
}

/// The value of `fieldPath`, for a variable. `addresses` is asked only when it matters.
///
/// # Errors
/// [`Error::Config`]: there is no such field; the address that it names does not exist.
pub(crate) fn field(pod: &DesiredPod, path: &str, addresses: impl FnOnce() -> Addresses) -> Result<String> {
    let metadata = &pod.pod.metadata;
    let one = |addresses: Vec<String>| addresses.into_iter().next().unwrap_or_default();
    Ok(match path {
        "metadata.name" => metadata.name.clone(),
        "metadata.namespace" => metadata.namespace.clone(),
        "metadata.uid" => metadata.uid.clone(),
        "spec.nodeName" => pod.pod.spec.node_name.clone().unwrap_or_default(),
        // There is nobody to give it one.
        "spec.serviceAccountName" => String::new(),
        "status.hostIP" => one(addresses().host),
        "status.hostIPs" => addresses().host.join(","),
        "status.podIP" => one(addresses().pod),
        "status.podIPs" => addresses().pod.join(","),
        _ => match subscript(path) {
            Some(("metadata.labels", key)) => metadata.labels.get(key).cloned().unwrap_or_default(),
            Some(("metadata.annotations", key)) => metadata.annotations.get(key).cloned().unwrap_or_default(),
            _ => return Err(Error::Config(format!("fieldPath {path:?} is not supported"))),
        },
    })
}

/// The content of a file with the field `path`: as a variable has it, or all labels or annotations, one a line.
///
/// # Errors
/// As [`field`].
pub(crate) fn file(pod: &DesiredPod, path: &str) -> Result<String> {
    let all = |entries: &BTreeMap<String, String>| {
        let lines: Vec<String> =
            entries.iter().map(|(key, value)| format!("{key}={}", quoted(value))).collect();
        lines.join("\n")
    };
    match path {
        "metadata.labels" => Ok(all(&pod.pod.metadata.labels)),
        "metadata.annotations" => Ok(all(&pod.pod.metadata.annotations)),
        path => field(pod, path, Addresses::default),
    }
}

/// As Go's `%q` writes it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// An amount, in units of its divisor, rounded up. What is not limited is limited by the pod, or the node.
///
/// # Errors
/// [`Error::Config`]: there is no such container.
pub(crate) fn resource(
    node: &NodeFacts,
    spec: &PodSpec,
    own: &Container,
    wanted: &ResourceFieldRef,
) -> Result<String> {
    let named = Some(wanted.container_name.as_str()).filter(|name| !name.is_empty());
    let container = named.map_or(Some(own), |name| spec.container(name));
    let container = container
        .ok_or_else(|| Error::Config(format!("the pod has no container {:?}", wanted.container_name)))?;
    let (which, name) = wanted.resource.split_once('.').unwrap_or_default();
    let nano = |text: &String| quantity::parse(text).map_or(0, quantity::Quantity::nano);
    let amount = if which == "limits" {
        let of_pod = || spec.resources.as_ref().and_then(|whole| whole.limits.get(name)).map(nano);
        let own = container.resources.limits.get(name).map(nano);
        own.filter(|own| *own > 0).or_else(of_pod).unwrap_or_else(|| of_node(node, name))
    } else {
        container.resources.requests.get(name).map_or(0, nano)
    };
    let divisor = wanted.divisor.as_ref().map(nano).filter(|divisor| *divisor > 0).unwrap_or(NANO);
    Ok(((amount + divisor - 1) / divisor).to_string())
}

/// Billionths in one.
const NANO: i128 = 1_000_000_000;

/// What there is of it for pods.
fn of_node(node: &NodeFacts, name: &str) -> i128 {
    let amount = match name {
        "cpu" => return i128::from(node.allocatable_milli()) * NANO / 1000,
        "memory" => node.allocatable_memory_bytes(),
        "ephemeral-storage" => node.storage_bytes.saturating_sub(node.policy.withheld_storage_bytes),
        _ => 0,
    };
    i128::from(amount) * NANO
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn fields_have_the_values_of_the_pod() {
        let pod = testing::pod(PodSpec { host_network: true, ..PodSpec::default() });
        let host = vec!["192.0.2.1".to_owned(), "2001:db8::1".to_owned()];
        let value = |path: &str| field(&pod, path, || Addresses::of(&pod.pod.spec, host.clone(), &[])).ok();
        for (path, expected) in [
            ("metadata.namespace", Some("")),
            ("status.hostIP", Some("192.0.2.1")),
            ("status.podIPs", Some("192.0.2.1,2001:db8::1")),
            ("spec.serviceAccountName", Some("")),
            ("metadata.labels['none']", Some("")),
            ("metadata.labels", None),
            ("status.phase", None),
        ] {
            assert_eq!(value(path).as_deref(), expected, "{path}");
        }
        let own = testing::pod(PodSpec::default());
        for addresses in [&[][..], &["10.86.0.4".to_owned(), "fd00::4".to_owned()]] {
            let of = || Addresses::of(&own.pod.spec, host.clone(), addresses);
            assert_eq!(field(&own, "status.podIPs", of).unwrap(), addresses.join(","));
        }
    }

    #[test]
    fn a_file_has_all_labels_a_line_each() {
        let mut pod = testing::pod(PodSpec::default());
        let metadata = &mut std::sync::Arc::make_mut(&mut pod.pod).metadata;
        metadata.annotations = [("b", "two\nlines"), ("a", "a \"word\"\u{7}")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let expected = "a=\"a \\\"word\\\"\\x07\"\nb=\"two\\nlines\"";
        assert_eq!(file(&pod, "metadata.annotations").unwrap(), expected);
        assert_eq!(file(&pod, "metadata.labels").unwrap(), "");
    }

    #[test]
    fn amounts_are_counted_in_their_divisor_and_rounded_up() {
        let amounts = |list: &[(&str, &str)]| {
            list.iter().map(|(name, amount)| ((*name).to_owned(), (*amount).to_owned())).collect()
        };
        let mut container = Container { name: "c".into(), ..Container::default() };
        container.resources.limits = amounts(&[("cpu", "1500m"), ("hugepages-2Mi", "4Mi")]);
        container.resources.requests = amounts(&[("memory", "1025Ki")]);
        let node =
            NodeFacts { cpus: 4, memory_bytes: 1 << 30, storage_bytes: 1 << 40, ..NodeFacts::default() };
        let spec = PodSpec { containers: vec![container.clone()], ..PodSpec::default() };
        for (container_name, resource, divisor, expected) in [
            ("", "limits.cpu", None, Some("2")),
            ("", "limits.cpu", Some("1m"), Some("1500")),
            ("c", "limits.memory", None, Some("1073741824")),
            ("", "limits.memory", Some("0"), Some("1073741824")),
            ("", "limits.ephemeral-storage", Some("1Gi"), Some("1024")),
            ("", "requests.memory", Some("1Mi"), Some("2")),
            ("", "requests.cpu", None, Some("0")),
            ("", "limits.hugepages-2Mi", Some("1Mi"), Some("4")),
            ("none", "limits.cpu", None, None),
        ] {
            let wanted = ResourceFieldRef {
                container_name: container_name.into(),
                resource: resource.into(),
                divisor: divisor.map(str::to_owned),
            };
            let got = super::resource(&node, &spec, &container, &wanted).ok();
            assert_eq!(got.as_deref(), expected, "{resource} / {divisor:?}");
        }
        let mut less = node;
        less.policy.withheld_memory_bytes = 1 << 29;
        less.policy.withheld_storage_bytes = 1 << 39;
        less.policy.reserved_milli = 500;
        for (name, amount) in [("memory", 1 << 29), ("ephemeral-storage", 1 << 39)] {
            assert_eq!(of_node(&less, name) / NANO, amount, "{name}");
        }
        assert_eq!(of_node(&less, "cpu"), 3_500 * NANO / 1000);
    }
}
