//! What NetworkPolicies mean for the pods that are there: of each pod that a policy selects, who may call it and
//! whom it may call. Pure; how packets are held to it is the shell's.
//!
//! As in Kubernetes: a pod that no policy selects for a way is free that way; one that any selects may do what one of
//! them allows, and nothing else. Answers to what was allowed are, the node always reaches its pods, and pods on the
//! node's network are none that a policy could be about. There are no Namespace objects: a namespace has the label
//! `kubernetes.io/metadata.name` and no other.

mod cidr;

use crate::{
    ids::PodKey,
    manifest::types::{
        ContainerPort, PodSpec,
        policy::{IpBlock, LabelSelector, NetworkPolicySpec, PolicyPeer, PolicyPort, PolicyType, PortOrName},
    },
    network::Protocol,
};
pub use cidr::Cidr;
use std::{collections::BTreeMap, fmt, net::IpAddr};

/// The label that a namespace has of itself.
pub const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";
/// Openings of one address and one way; one with more has none, and it is told.
pub const OPENINGS_MAX: usize = 4_096;
/// Openings of all pods together; who comes when there is no more room has none, and it is told.
pub const OPENINGS_OF_ALL_MAX: usize = 16_384;

/// Whom policies can hold: all pods with a network of their own, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Their networks are ours.
    #[default]
    Own,
    /// Their networks are made by CNI plugins.
    Plugins,
    /// They have none.
    Nothing,
}

/// A policy that is in force.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// Where it is: it selects pods of there.
    pub namespace: &'a str,
    /// What it says.
    pub spec: &'a NetworkPolicySpec,
}

/// A pod that is there, with a network of ours.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// Namespace and name.
    pub pod: &'a PodKey,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// Its addresses.
    pub addresses: &'a [IpAddr],
    /// Its ports that have a name.
    pub ports: &'a [NamedPort],
}

/// A port of a container that has a name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NamedPort {
    /// The name.
    pub name: String,
    /// What it is of.
    pub protocol: Protocol,
    /// The number in the pod.
    pub number: u16,
}

/// The ports of a pod that have a name.
pub fn named_ports(spec: &PodSpec) -> Vec<NamedPort> {
    let ports = spec.all_containers().flat_map(|container| &container.ports);
    let named = |port: &ContainerPort| {
        let name = port.name.clone().filter(|name| !name.is_empty())?;
        Some(NamedPort { name, protocol: Protocol::of(&port.protocol), number: port.container_port })
    };
    ports.filter_map(named).collect()
}

/// What one pod is held to on one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// Ingress: who may call it; egress: whom it may call.
    pub way: PolicyType,
    /// The pod's address.
    pub address: IpAddr,
    /// All that is allowed, of the address' family.
    pub openings: Vec<Opening>,
    /// There were more than there is room for, so there are none.
    pub overflowed: bool,
}

/// Something that is allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opening {
    /// The other side; none for everybody.
    pub peer: Option<Cidr>,
    /// Of those not these.
    pub except: Vec<Cidr>,
    /// The receiver's ports; none for everything, whether it has ports or not.
    pub ports: Option<Ports>,
}

/// Ports of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ports {
    /// What they are of.
    pub protocol: Protocol,
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// What all pods are held to, in a fixed order; nothing for those that are free.
pub fn confine(policies: &[Policy<'_>], members: &[Member<'_>]) -> Vec<Confinement> {
    let mut members: Vec<&Member<'_>> = members.iter().collect();
    members.sort_by_key(|member| member.pod);
    let mut found = Vec::new();
    let mut room = OPENINGS_OF_ALL_MAX;
    for way in [PolicyType::Egress, PolicyType::Ingress] {
        for member in &members {
            let selects = |policy: &&Policy<'_>| {
                policy.spec.is_about(way)
                    && policy.namespace == &*member.pod.namespace
                    && policy.spec.pod_selector.fits(member.labels)
            };
            let own: Vec<_> = policies.iter().filter(selects).collect();
            if own.is_empty() {
                continue;
            }
            for address in member.addresses {
                let mut openings = Vec::new();
                for policy in &own {
                    Rules { policy, member, members: &members, address: *address }
                        .openings(way, &mut openings);
                }
                openings.sort();
                openings.dedup();
                let overflowed = openings.len() > OPENINGS_MAX.min(room);
                if overflowed {
                    openings.clear();
                }
                room -= openings.len();
                found.push(Confinement { way, address: *address, openings, overflowed });
            }
        }
    }
    found
}

/// One policy for one address of a pod that it selects.
struct Rules<'a> {
    policy: &'a Policy<'a>,
    member: &'a Member<'a>,
    members: &'a [&'a Member<'a>],
    address: IpAddr,
}

impl Rules<'_> {
    fn openings(&self, way: PolicyType, to: &mut Vec<Opening>) {
        match way {
            // Names of ports mean what they mean in the selected pod itself.
            PolicyType::Ingress => self.policy.spec.ingress.iter().for_each(|rule| {
                self.open(&rule.from, &resolve(&rule.ports, self.member.ports), to);
            }),
            PolicyType::Egress => {
                self.policy.spec.egress.iter().for_each(|rule| self.open_out(&rule.to, &rule.ports, to));
            }
        }
    }

    fn open(&self, peers: &[PolicyPeer], ports: &[Option<Ports>], to: &mut Vec<Opening>) {
        if peers.is_empty() {
            push(None, &[], ports, to);
        }
        for peer in peers {
            let addresses = self.selected(peer).flat_map(|member| member.addresses).copied();
            let near = addresses.filter(|other| self.is_near(*other));
            near.for_each(|other| push(Some(Cidr::of(other)), &[], ports, to));
            if let Some((cidr, except)) = self.block(peer) {
                push(Some(cidr), &except, ports, to);
            }
        }
    }

    /// Names of ports mean what they mean in whoever is called.
    fn open_out(&self, peers: &[PolicyPeer], ports: &[PolicyPort], to: &mut Vec<Opening>) {
        let is_name = |port: &&PolicyPort| matches!(port.port, Some(PortOrName::Name(_)));
        let (names, numbers): (Vec<&PolicyPort>, Vec<&PolicyPort>) = ports.iter().partition(is_name);
        if names.is_empty() || !numbers.is_empty() {
            self.open(peers, &resolve(numbers, &[]), to);
        }
        let everybody =
            [PolicyPeer { namespace_selector: Some(LabelSelector::default()), ..PolicyPeer::default() }];
        // Blocks of addresses have no names of ports.
        for peer in if peers.is_empty() { &everybody } else { peers }.iter().filter(|_| !names.is_empty()) {
            for member in self.selected(peer) {
                let ports = resolve(names.iter().copied(), member.ports);
                let near = member.addresses.iter().filter(|other| self.is_near(**other));
                near.for_each(|other| push(Some(Cidr::of(*other)), &[], &ports, to));
            }
        }
    }

    /// Pods that the peer selects; none for a block of addresses.
    fn selected<'s>(&'s self, peer: &'s PolicyPeer) -> impl Iterator<Item = &'s Member<'s>> {
        let by_pods = peer.ip_block.is_none();
        self.members.iter().copied().filter(move |member| {
            let of_namespace = match &peer.namespace_selector {
                None => &*member.pod.namespace == self.policy.namespace,
                Some(selector) => {
                    let label = (NAMESPACE_LABEL.to_owned(), member.pod.namespace.to_string());
                    selector.fits(&BTreeMap::from([label]))
                }
            };
            by_pods
                && of_namespace
                && peer.pod_selector.as_ref().is_none_or(|selector| selector.fits(member.labels))
        })
    }

    /// The block of addresses of the same family that it means.
    fn block(&self, peer: &PolicyPeer) -> Option<(Cidr, Vec<Cidr>)> {
        let IpBlock { cidr, except } = peer.ip_block.as_ref()?;
        let cidr: Cidr = cidr.parse().ok()?;
        let except = except.iter().filter_map(|text| text.parse().ok()).collect();
        self.is_near(cidr.base()).then_some((cidr, except))
    }

    fn is_near(&self, other: IpAddr) -> bool {
        other.is_ipv4() == self.address.is_ipv4()
    }
}

/// One that is none for no restriction; a name that the pod does not have opens nothing.
fn resolve<'p>(ports: impl IntoIterator<Item = &'p PolicyPort>, named: &[NamedPort]) -> Vec<Option<Ports>> {
    let mut ports = ports.into_iter().peekable();
    if ports.peek().is_none() {
        return vec![None];
    }
    let mut found = Vec::new();
    for port in ports {
        let protocol = Protocol::of(port.protocol.as_deref().unwrap_or_default());
        let from = |first, last| Some(Ports { protocol, first, last });
        match &port.port {
            None => found.push(from(0, u16::MAX)),
            Some(PortOrName::Number(number)) => {
                // What is none was refused before.
                let Ok(first) = u16::try_from(*number) else { continue };
                found.push(from(first, port.end_port.unwrap_or(first)));
            }
            Some(PortOrName::Name(name)) => {
                let own = named.iter().filter(|own| own.name == *name && own.protocol == protocol);
                found.extend(own.map(|own| from(own.number, own.number)));
            }
        }
    }
    found
}

fn push(peer: Option<Cidr>, except: &[Cidr], ports: &[Option<Ports>], to: &mut Vec<Opening>) {
    to.extend(ports.iter().map(|ports| Opening { peer, except: except.to_vec(), ports: *ports }));
}

/// One line for each, for people and for tests.
impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (way, side) = match self.way {
            PolicyType::Ingress => ("may be called", "by"),
            PolicyType::Egress => ("may call", "at"),
        };
        if self.openings.is_empty() {
            return writeln!(f, "{} {way} nothing and nobody", self.address);
        }
        for Opening { peer, except, ports } in &self.openings {
            write!(f, "{} {way}", self.address)?;
            match ports {
                None => write!(f, " for anything")?,
                Some(Ports { protocol, first, last }) => {
                    write!(f, " for {} {first}-{last}", protocol.as_str())?;
                }
            }
            match peer {
                None => write!(f, " {side} anybody")?,
                Some(peer) => write!(f, " {side} {peer}")?,
            }
            except.iter().try_for_each(|except| write!(f, " not {except}"))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
