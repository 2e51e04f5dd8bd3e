//! Which name means which pods. Pure.
//!
//! Names are relative to a namespace: `<pod>`, with the node's name behind it or without, and
//! `<hostname>.<subdomain>`; with `.<namespace>` they mean the same from everywhere. Below `svc`, or `svc.<cluster
//! domain>`, are the same names again: nobody else is asked about those.

use crate::{
    ids::PodKey,
    manifest::types::PodSpec,
    network::{Range, Ranges},
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// Pods that one name leads to; further ones are left out.
const PODS_OF_A_NAME_MAX: usize = 16;
/// The part of a cluster's domain where pods are found, as in Kubernetes.
const SERVICES: &str = "svc";
/// The namespace of who has none.
const NAMESPACE_DEFAULT: &str = "default";

/// A pod that is there.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    /// Namespace and name.
    pub pod: &'a PodKey,
    /// What else it is called in its namespace: [`names_of`].
    pub names: &'a [String],
    /// Its addresses.
    pub addresses: &'a [IpAddr],
}

/// Names and addresses of all pods of one network of ours. Nothing at all if there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Zone {
    ranges: Ranges,
    /// By name with the namespace behind it.
    names: BTreeMap<String, Vec<IpAddr>>,
    /// Whose address it is: namespace, and the name that it is found by.
    people: BTreeMap<IpAddr, (Arc<str>, String)>,
    /// Pods on the node's network ask, too.
    node_asks: bool,
    /// Nobody outside is asked.
    closed: bool,
}

/// What a name means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// Pods with these addresses.
    Pods(&'a [IpAddr]),
    /// It stood for an address, which has this name.
    Name(&'a str),
    /// It could be ours only, and is nobody's.
    Nobody,
    /// Somebody else may know.
    Elsewhere,
}

/// What a pod is called in its namespace, beside its full name: the name in its manifest, and its place below
/// `subdomain`.
pub fn names_of(pod: &PodKey, spec: &PodSpec, host: &str, node: &str) -> Vec<String> {
    let plain = pod.name.strip_suffix(node).and_then(|name| name.strip_suffix('-'));
    let subdomain = spec.subdomain.as_deref().filter(|name| !name.is_empty());
    let below = subdomain.map(|subdomain| format!("{host}.{subdomain}"));
    plain.filter(|name| !name.is_empty()).map(str::to_owned).into_iter().chain(below).collect()
}

impl Zone {
    /// Of these pods; `ranges`: their addresses and the node's beside them.
    pub fn new<'a>(ranges: Ranges, hosts: impl Iterator<Item = Host<'a>>) -> Self {
        let mut zone = Self { ranges, ..Self::default() };
        for host in hosts {
            let namespace = &host.pod.namespace;
            let full = format!("{}.{namespace}", host.pod.name);
            for name in host.names.iter().map(|name| format!("{name}.{namespace}")).chain([full.clone()]) {
                let known = zone.names.entry(name.to_ascii_lowercase()).or_default();
                let room = (PODS_OF_A_NAME_MAX * 2).saturating_sub(known.len());
                known.extend(host.addresses.iter().take(room));
            }
            // Where it says itself to be, if it does.
            let shown = host.names.last().filter(|name| name.contains('.'));
            let shown = shown.map_or(full, |name| format!("{name}.{namespace}"));
            for address in host.addresses {
                zone.people.insert(*address, (Arc::clone(namespace), shown.clone()));
            }
        }
        zone
    }

    /// Pods on the node's network ask, too, or none does: under the node's address.
    #[must_use]
    pub fn asked_by_node(self, node_asks: bool) -> Self {
        Self { node_asks, ..self }
    }

    /// Of a network without a way out: names do not get out either.
    #[must_use]
    pub fn closed(self, closed: bool) -> Self {
        Self { closed, ..self }
    }

    /// See [`Self::closed`].
    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// There is nobody who asks.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty() && !self.node_asks
    }

    /// See [`Self::asked_by_node`].
    pub(super) const fn node_asks(&self) -> bool {
        self.node_asks
    }

    /// Where pods ask: the node's addresses beside theirs.
    pub fn servers(&self) -> Vec<IpAddr> {
        self.ranges.all().map(|range| range.gateway()).collect()
    }

    /// It is the node itself, at its address beside the pods'.
    pub fn is_node(&self, address: IpAddr) -> bool {
        self.ranges.all().any(|range| range.gateway() == address)
    }

    /// Is answered: a pod, or the node.
    pub fn serves(&self, address: IpAddr) -> bool {
        self.is_node(address) || self.people.contains_key(&address)
    }

    pub(super) fn find(&self, name: &str, domain: &str, from: IpAddr) -> Found<'_> {
        if let Some(address) = reverse(name) {
            return match self.people.get(&address) {
                Some((_, name)) => Found::Name(name),
                None if self.ranges.all().any(|range: Range| range.contains(address)) => Found::Nobody,
                None => Found::Elsewhere,
            };
        }
        let (below_domain, inner) = match below(name, &domain.to_ascii_lowercase()) {
            Some(inner) => (true, inner),
            None => (false, name),
        };
        let (ours, inner) = match below(inner, SERVICES) {
            Some(inner) => (true, inner),
            None => (below_domain, inner),
        };
        let asker = self.people.get(&from).map_or(NAMESPACE_DEFAULT, |(namespace, _)| namespace);
        let near = self.names.get(&format!("{inner}.{asker}"));
        match near.or_else(|| self.names.get(inner)) {
            Some(addresses) => Found::Pods(addresses),
            None if ours => Found::Nobody,
            None => Found::Elsewhere,
        }
    }
}

/// What stands before `domain`; nothing is before the domain itself.
fn below<'a>(name: &'a str, domain: &str) -> Option<&'a str> {
    if domain.is_empty() {
        return None;
    }
    let before = name.strip_suffix(domain)?;
    if before.is_empty() { Some(before) } else { before.strip_suffix('.') }
}

/// The address that a name below `in-addr.arpa` or `ip6.arpa` stands for (RFC 1035, 3.5; RFC 3596, 2.5).
fn reverse(name: &str) -> Option<IpAddr> {
    if let Some(parts) = below(name, "in-addr.arpa") {
        let text: Vec<&str> = parts.rsplit('.').collect();
        return text.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    }
    let digits: Vec<&str> = below(name, "ip6.arpa")?.rsplit('.').collect();
    if digits.len() != 32 || digits.iter().any(|digit| digit.len() != 1) {
        return None;
    }
    u128::from_str_radix(&digits.concat(), 16).ok().map(|bits| Ipv6Addr::from_bits(bits).into())
}
