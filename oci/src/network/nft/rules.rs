//! What must be in our table, as values that can be read: each rule prints as nft(8) would. Pure.
//!
//! - Pods reach the outside under the node's address.
//! - A port of the node leads to its pod: for the outside, for other pods and for the node itself, whose
//!   packets from 127.0.0.1 and ::1 may leave by the bridge for that (`route_localnet`; a route of the bridge's). What
//!   comes the other way, from a pod to 127.0.0.0/8, is dropped (to ::1 the kernel drops it itself): the node's loopback
//!   is its own.
//! - Names are asked for at the bridge's own address, also when a pod has port 53 of the node.
//! - Pods that a NetworkPolicy selects are held to it: what they send on their way through the node and to it, what they
//!   receive on the way through it. The node itself reaches all pods. Names are answered to all, and neighbours found.
//! - A pod that gets at a pod by a port of the node seems to be the node: the answer must come back this way.
//! - Several networks are kept apart (`apart`).

use super::{
    apart::{self, ACROSS, APART, BETWEEN},
    encode::NAME_LEN,
};
use berth_core::{
    manifest::types::policy::PolicyType,
    network::{
        HostPort, Protocol, Ranges,
        policy::{Cidr, Confinement, Opening, Ports},
    },
};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Our table's name; its family is `inet`.
pub(super) const TABLE: &str = "berth";
/// The node's way to itself.
const LOOPBACK: Interface = Interface::named("lo");
/// Where names are asked for.
const NAMES_PORT: u16 = 53;
/// What IPv6 does not work without (RFC 4890, 4.3 and 4.4): that a packet is too big, and who has which address
/// (neighbour solicitation, neighbour advertisement).
const ICMP6_NEEDED: [(u8, u8); 2] = [(2, 2), (135, 136)];
/// The chain of ports of the node.
const HOST_PORTS: &str = "hostports";
/// The chains of what pods may send and receive.
const SENDING: &str = "sending";
const RECEIVING: &str = "receiving";

/// An interface's name as the kernel compares it: filled up with zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::network) struct Interface(pub(super) [u8; NAME_LEN]);

impl Interface {
    /// Of a name that the kernel takes: what is longer is cut.
    pub(in crate::network) const fn named(name: &str) -> Self {
        let (mut padded, mut i) = ([0; NAME_LEN], 0);
        while i < name.len() && i < NAME_LEN - 1 {
            padded[i] = name.as_bytes()[i];
            i += 1;
        }
        Self(padded)
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(String::from_utf8_lossy(&self.0).trim_end_matches('\0'))
    }
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A chain, with its place in the kernel's way of packets if it has one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) name: &'static str,
    pub(super) hook: Option<Hook>,
}

/// Where the kernel looks into a chain: type, hook (`enum nf_inet_hooks`) and priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hook {
    pub(super) kind: &'static str,
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) priority: i32,
}

const fn hook(kind: &'static str, name: &'static str, number: u32, priority: i32) -> Option<Hook> {
    Some(Hook { kind, name, number, priority })
}

/// All chains; who is jumped to stands first.
pub(super) const CHAINS: [Chain; 12] = [
    Chain { name: HOST_PORTS, hook: None },
    Chain { name: APART, hook: None },
    Chain { name: ACROSS, hook: None },
    Chain { name: BETWEEN, hook: None },
    Chain { name: SENDING, hook: None },
    Chain { name: RECEIVING, hook: None },
    Chain { name: "passing", hook: hook("filter", "forward", 2, 0) },
    Chain { name: "arriving", hook: hook("filter", "input", 1, 0) },
    Chain { name: "guard", hook: hook("filter", "prerouting", 0, -300) },
    Chain { name: "incoming", hook: hook("nat", "prerouting", 0, -100) },
    Chain { name: "local", hook: hook("nat", "output", 3, -100) },
    Chain { name: "leaving", hook: hook("nat", "postrouting", 4, 100) },
];

/// One condition or what is done then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expr {
    /// IPv4 or IPv6.
    Family { v6: bool },
    /// Came by this interface.
    From(Interface),
    /// Leaves by this interface, or by any other one.
    By { interface: Interface, not: bool },
    /// The sender's address is in here. The family must have been looked at.
    Source { base: IpAddr, prefix: u8 },
    /// As [`Expr::Source`], the receiver's.
    Destination { base: IpAddr, prefix: u8 },
    /// The sender's or receiver's address is not in here.
    Not { source: bool, base: IpAddr, prefix: u8 },
    /// The receiver is the node.
    IsLocal,
    /// The kind of port.
    Protocol(Protocol),
    /// The receiver's port.
    Port(u16),
    /// The receiver's port is one of these.
    Ports { first: u16, last: u16 },
    /// Belongs to what was allowed before.
    IsAnswer,
    /// Speaks of IPv6 itself: a message of one of these types.
    Icmp6 { first: u8, last: u8 },
    /// Was sent to a port of the node.
    WasTranslated,
    /// Goes on in this chain.
    Jump(&'static str),
    /// Is left as it is.
    Return,
    /// Is not wanted.
    Drop,
    /// Gets the address of the interface by which it leaves.
    Masquerade,
    /// Goes there instead.
    SendTo(IpAddr, u16),
}

/// Conditions and what is done when all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) chain: &'static str,
    pub(super) exprs: Vec<Expr>,
}

/// The content of our table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct Ruleset(pub(super) Vec<Rule>);

/// A pod and its ports.
#[derive(Debug, Clone, Copy)]
pub(in crate::network) struct Pod<'a> {
    pub(in crate::network) addresses: &'a [IpAddr],
    pub(in crate::network) ports: &'a [HostPort],
}

/// A network's side of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) struct Side {
    pub(in crate::network) bridge: Interface,
    /// Of its pods, and the node's address beside them.
    pub(in crate::network) ranges: Ranges,
    /// Nothing gets out of it.
    pub(in crate::network) internal: bool,
}

impl Side {
    /// Where names are asked for.
    fn names(&self) -> impl Iterator<Item = [Expr; 5]> {
        let gateways = self.ranges.all().map(|range| range.gateway());
        gateways
            .flat_map(|at| [Protocol::Udp, Protocol::Tcp].map(|protocol| names_at(self.bridge, at, protocol)))
    }
}

/// The rules for these networks and pods; of two with the same port the one that stands first has it. `loopback6`: ports
/// lead to pods from ::1, too.
pub(in crate::network) fn ruleset<'a>(
    sides: &[Side],
    loopback6: bool,
    pods: impl Iterator<Item = Pod<'a>> + Clone,
    confinements: &[Confinement],
) -> Ruleset {
    let mut rules = Vec::new();
    let v4 = Expr::Family { v6: false };
    let (loopback, loopback_prefix) = (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8);
    let to_loopback = Expr::Destination { base: loopback, prefix: loopback_prefix };
    for side in sides {
        rules.push(rule("guard", vec![v4, Expr::From(side.bridge), to_loopback, Expr::Drop]));
    }
    let is_apart = apart::is_needed(sides);
    if is_apart {
        rules.extend(apart::before(sides));
    }
    if !loopback6 {
        // Better refused at once than never answered.
        let to_loopback = Expr::Destination { base: Ipv6Addr::LOCALHOST.into(), prefix: 128 };
        rules.push(rule("local", vec![Expr::Family { v6: true }, to_loopback, Expr::Return]));
    }
    for names in sides.iter().flat_map(Side::names) {
        rules.push(rule("incoming", [&names[..], &[Expr::Return]].concat()));
        // From the node itself, too.
        let names = names.into_iter().filter(|expr| !matches!(expr, Expr::From(_)));
        rules.push(rule("local", names.chain([Expr::Return]).collect()));
    }
    for chain in ["incoming", "local"] {
        rules.push(rule(chain, vec![Expr::IsLocal, Expr::Jump(HOST_PORTS)]));
    }
    // What the node sends to itself keeps its address: who answers names knows the node by it.
    rules.push(rule("leaving", vec![Expr::By { interface: LOOPBACK, not: false }, Expr::Return]));
    sides.iter().for_each(|side| rules.extend(leaving(side, loopback6)));
    for pod in pods.clone() {
        for (port, address) in pod.ports.iter().flat_map(|port| pod.addresses.iter().map(move |a| (port, *a)))
        {
            rules.extend(to_pod(port, address));
        }
    }
    let to_node = apart::to_node(sides);
    if is_apart || !confinements.is_empty() {
        rules.push(rule("passing", vec![Expr::IsAnswer, Expr::Return]));
    }
    if is_apart {
        rules.extend(apart::between(sides, pods));
    }
    if !to_node.is_empty() || !confinements.is_empty() {
        rules.extend(welcome(sides));
    }
    rules.extend(to_node);
    if !confinements.is_empty() {
        rules.extend(confined(sides, confinements));
    }
    Ruleset(rules)
}

fn rule(chain: &'static str, exprs: Vec<Expr>) -> Rule {
    Rule { chain, exprs }
}

/// Under which address it leaves, what a network's pods send, and what comes to them from the node's loopback.
fn leaving(side: &Side, loopback6: bool) -> Vec<Rule> {
    let by = |not| Expr::By { interface: side.bridge, not };
    let mut rules = Vec::new();
    for range in side.ranges.all() {
        let family = Expr::Family { v6: range.base().is_ipv6() };
        let from_pods = Expr::Source { base: range.base(), prefix: range.prefix() };
        if !side.internal {
            rules.push(rule("leaving", vec![family, from_pods, by(true), Expr::Masquerade]));
        }
        rules
            .push(rule("leaving", vec![family, from_pods, by(false), Expr::WasTranslated, Expr::Masquerade]));
    }
    let loopbacks = [(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8), (Ipv6Addr::LOCALHOST.into(), 128)];
    for (base, prefix) in loopbacks.into_iter().filter(|(base, _)| base.is_ipv4() || loopback6) {
        let family = Expr::Family { v6: base.is_ipv6() };
        rules.push(rule("leaving", vec![family, Expr::Source { base, prefix }, by(false), Expr::Masquerade]));
    }
    rules
}

/// What every pod may send to the node, whatever else it may not.
fn welcome(sides: &[Side]) -> Vec<Rule> {
    let mut rules = vec![rule("arriving", vec![Expr::IsAnswer, Expr::Return])];
    for (first, last) in ICMP6_NEEDED {
        rules.push(rule(
            "arriving",
            vec![Expr::Family { v6: true }, Expr::Icmp6 { first, last }, Expr::Return],
        ));
    }
    for names in sides.iter().flat_map(Side::names) {
        rules.push(rule("arriving", [&names[..], &[Expr::Return]].concat()));
    }
    rules
}

/// What pods are held to.
fn confined(sides: &[Side], confinements: &[Confinement]) -> Vec<Rule> {
    let mut rules =
        vec![rule("passing", vec![Expr::Jump(SENDING)]), rule("passing", vec![Expr::Jump(RECEIVING)])];
    for side in sides {
        rules.push(rule("arriving", vec![Expr::From(side.bridge), Expr::Jump(SENDING)]));
    }
    for Confinement { way, address, openings, .. } in confinements {
        let one = Cidr::of(*address);
        let (chain, is_sender) = match way {
            PolicyType::Egress => (SENDING, true),
            PolicyType::Ingress => (RECEIVING, false),
        };
        let family = Expr::Family { v6: address.is_ipv6() };
        for opening in openings {
            let open = [&[family, side(one, is_sender)][..], &opened(opening, !is_sender), &[Expr::Return]];
            rules.push(rule(chain, open.concat()));
        }
        rules.push(rule(chain, vec![family, side(one, is_sender), Expr::Drop]));
    }
    rules
}

pub(super) fn side(cidr: Cidr, source: bool) -> Expr {
    let (base, prefix) = (cidr.base(), cidr.prefix());
    if source { Expr::Source { base, prefix } } else { Expr::Destination { base, prefix } }
}

/// The conditions of an opening; `source`: the other side is the sender.
fn opened(opening: &Opening, source: bool) -> Vec<Expr> {
    let mut exprs: Vec<Expr> =
        opening.peer.into_iter().filter(|peer| peer.prefix() > 0).map(|peer| side(peer, source)).collect();
    let not = |except: &Cidr| Expr::Not { source, base: except.base(), prefix: except.prefix() };
    exprs.extend(opening.except.iter().map(not));
    if let Some(Ports { protocol, first, last }) = opening.ports {
        exprs.push(Expr::Protocol(protocol));
        match (first, last) {
            (0, u16::MAX) => {}
            (first, last) if first == last => exprs.push(Expr::Port(first)),
            (first, last) => exprs.push(Expr::Ports { first, last }),
        }
    }
    exprs
}

/// Names are asked for at the bridge's own address.
fn names_at(bridge: Interface, gateway: IpAddr, protocol: Protocol) -> [Expr; 5] {
    let to_us = side(Cidr::of(gateway), false);
    let family = Expr::Family { v6: gateway.is_ipv6() };
    [family, Expr::From(bridge), to_us, Expr::Protocol(protocol), Expr::Port(NAMES_PORT)]
}

/// None for an address of the family that the port is not on.
fn to_pod(port: &HostPort, address: IpAddr) -> Option<Rule> {
    let mut exprs = vec![Expr::Family { v6: address.is_ipv6() }];
    if let Some(ip) = port.host_ip {
        if ip.is_ipv6() != address.is_ipv6() {
            return None;
        }
        if !ip.is_unspecified() {
            exprs.push(Expr::Destination { base: ip, prefix: if ip.is_ipv6() { 128 } else { 32 } });
        }
    }
    exprs.extend([
        Expr::Protocol(port.protocol),
        Expr::Port(port.host_port),
        Expr::SendTo(address, port.container_port),
    ]);
    Some(Rule { chain: HOST_PORTS, exprs })
}

/// As nft(8) prints it.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = |address: &IpAddr| if address.is_ipv6() { "ip6" } else { "ip" };
        match self {
            Self::Family { v6 } => write!(f, "meta nfproto {}", if *v6 { "ipv6" } else { "ipv4" }),
            Self::From(interface) => write!(f, "iifname \"{interface}\""),
            Self::By { interface, not } => {
                write!(f, "oifname {}\"{interface}\"", if *not { "!= " } else { "" })
            }
            Self::Source { base, prefix } => write!(f, "{} saddr {base}/{prefix}", ip(base)),
            Self::Destination { base, prefix } => write!(f, "{} daddr {base}/{prefix}", ip(base)),
            Self::Not { source, base, prefix } => {
                write!(f, "{} {} != {base}/{prefix}", ip(base), if *source { "saddr" } else { "daddr" })
            }
            Self::IsLocal => f.write_str("fib daddr type local"),
            Self::Ports { first, last } => write!(f, "th dport {first}-{last}"),
            Self::IsAnswer => f.write_str("ct state established,related"),
            Self::Icmp6 { first, last } if first == last => write!(f, "icmpv6 type {first}"),
            Self::Icmp6 { first, last } => write!(f, "icmpv6 type {first}-{last}"),
            Self::Protocol(protocol) => write!(f, "meta l4proto {}", protocol.as_str().to_lowercase()),
            Self::Port(port) => write!(f, "th dport {port}"),
            Self::WasTranslated => f.write_str("ct status dnat"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Return => f.write_str("return"),
            Self::Drop => f.write_str("drop"),
            Self::Masquerade => f.write_str("masquerade"),
            Self::SendTo(IpAddr::V4(address), port) => write!(f, "dnat ip to {address}:{port}"),
            Self::SendTo(IpAddr::V6(address), port) => write!(f, "dnat ip6 to [{address}]:{port}"),
        }
    }
}

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table inet {TABLE} {{")?;
        for chain in CHAINS {
            writeln!(f, "\tchain {} {{", chain.name)?;
            if let Some(Hook { kind, name, priority, .. }) = chain.hook {
                writeln!(f, "\t\ttype {kind} hook {name} priority {priority}; policy accept;")?;
            }
            for rule in self.0.iter().filter(|rule| rule.chain == chain.name) {
                let words: Vec<String> = rule.exprs.iter().map(Expr::to_string).collect();
                writeln!(f, "\t\t{}", words.join(" "))?;
            }
            writeln!(f, "\t}}")?;
        }
        writeln!(f, "}}")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The default network alone.
    fn default(ranges: &str) -> [Side; 1] {
        [side_of("berth0", ranges, false)]
    }

    fn side_of(bridge: &str, ranges: &str, internal: bool) -> Side {
        Side { bridge: Interface::named(bridge), ranges: ranges.parse().unwrap(), internal }
    }

    fn is_golden(name: &str, rules: &Ruleset) {
        let text = rules.to_string();
        let path = format!("{}/src/network/nft/golden/{name}.nft", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("BERTH_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(path).unwrap_or_default());
    }

    /// Every kind of rule.
    pub(in crate::network::nft) fn full() -> Ruleset {
        let port = |protocol, ip: &str, host_port, container_port| HostPort {
            protocol,
            host_ip: ip.parse().ok(),
            host_port,
            container_port,
        };
        let ports = [
            port(Protocol::Tcp, "", 8080, 80),
            port(Protocol::Udp, "0.0.0.0", 53, 5353),
            port(Protocol::Sctp, "::", 9, 9),
            port(Protocol::Tcp, "127.0.0.1", 81, 80),
            port(Protocol::Tcp, "2001:db8::7", 82, 80),
        ];
        let addresses = ["10.86.0.2".parse().unwrap(), "fd00::2".parse().unwrap()];
        let pods = [Pod { addresses: &addresses, ports: &ports }, Pod { addresses: &addresses, ports: &[] }];
        let at = |text: &str| text.parse::<Cidr>().unwrap();
        let opening = |peer: &str, except: &[&str], ports| Opening {
            peer: (!peer.is_empty()).then(|| at(peer)),
            except: except.iter().map(|text| at(text)).collect(),
            ports,
        };
        let ports = |protocol, first, last| Some(Ports { protocol, first, last });
        let confined = |way, address: usize, openings| Confinement {
            way,
            address: addresses[address],
            openings,
            overflowed: false,
        };
        let confinements = [
            confined(
                PolicyType::Egress,
                0,
                vec![
                    opening("", &[], ports(Protocol::Udp, 53, 53)),
                    opening(
                        "192.0.2.0/24",
                        &["192.0.2.8/32", "192.0.2.128/25"],
                        ports(Protocol::Tcp, 8000, 8999),
                    ),
                ],
            ),
            confined(PolicyType::Ingress, 0, vec![opening("10.86.0.3/32", &[], None)]),
            confined(
                PolicyType::Ingress,
                1,
                vec![opening("::/0", &["fd00::/8"], ports(Protocol::Sctp, 0, u16::MAX))],
            ),
        ];
        ruleset(&default("10.86.0.0/16,fd00::/64"), true, pods.into_iter(), &confinements)
    }

    #[test]
    fn the_table_is_this() {
        is_golden("full", &full());
    }

    /// Networks beside each other, one of them without a way out; a policy in one.
    pub(in crate::network::nft) fn several() -> Ruleset {
        let sides = [
            side_of("berth0", "10.86.0.0/16,fd00::/64", false),
            side_of("berth-plant", "10.87.0.0/16,fd01::/64", false),
            side_of("berth-vault", "10.88.0.0/24", true),
        ];
        let port = |host_ip: &str, host_port| HostPort {
            protocol: Protocol::Tcp,
            host_ip: host_ip.parse().ok(),
            host_port,
            container_port: 80,
        };
        let at = |list: &[&str]| -> Vec<IpAddr> { list.iter().map(|text| text.parse().unwrap()).collect() };
        let (plant, vault) = (at(&["10.87.0.2", "fd01::2"]), at(&["10.88.0.2"]));
        let (both, one) = ([port("", 8080), port("192.0.2.1", 8081)], [port("", 8082)]);
        let pods = [Pod { addresses: &plant, ports: &both }, Pod { addresses: &vault, ports: &one }];
        let confinements = [Confinement {
            way: PolicyType::Ingress,
            address: plant[0],
            openings: Vec::new(),
            overflowed: false,
        }];
        ruleset(&sides, true, pods.into_iter(), &confinements)
    }

    #[test]
    fn several_networks_are_kept_apart_by_this() {
        is_golden("several", &several());
    }

    /// Nothing is spent on what is not there: without policies and internal networks the node's side is as it was.
    #[test]
    fn a_second_network_costs_what_keeps_it_apart() {
        let one = default("10.86.0.0/16");
        let two = [one[0], side_of("berth-plant", "10.87.0.0/16", false)];
        let text = |sides: &[Side]| ruleset(sides, true, [].into_iter(), &[]).to_string();
        let (alone, beside) = (text(&one), text(&two));
        assert!(!alone.contains("jump apart") && !alone.contains("jump between"), "{alone}");
        assert!(beside.contains("jump apart") && beside.contains("jump between"), "{beside}");
        let arriving =
            |text: &str| text.split("chain arriving").nth(1).unwrap().split('}').next().map(str::to_owned);
        assert_eq!(arriving(&alone), arriving(&beside));
    }

    #[test]
    fn one_family_has_nothing_of_the_other() {
        let addresses: [IpAddr; 1] = ["fd00::2".parse().unwrap()];
        let ports = [HostPort { protocol: Protocol::Tcp, host_ip: None, host_port: 1, container_port: 2 }];
        let pods = [Pod { addresses: &addresses, ports: &ports }];
        let text = ruleset(&default("fd00::/64"), false, pods.into_iter(), &[]).to_string();
        assert!(!text.contains("10.86"), "{text}");
        assert!(text.contains("ip6 daddr ::1/128 return"), "{text}");
        assert!(text.contains("th dport 1 dnat ip6 to [fd00::2]:2"), "{text}");
    }
}
