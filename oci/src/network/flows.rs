//! Senders that know no connections (UDP), or long ones (SCTP), and ports of the node whose pod is another one by now: the
//! kernel sends on where the first packet went, and each packet keeps that alive. So when a port leads elsewhere, what
//! still goes where it led before is forgotten.

use super::{
    State, bridge, conntrack,
    conntrack::{End, Flow},
    netlink::Refused,
};
use berth_core::network::Protocol;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// A port of the node in one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port {
    protocol: Protocol,
    /// On this address only.
    at: Option<IpAddr>,
    number: u16,
    v6: bool,
}

/// Where ports of the node lead to.
pub(super) type Leads = BTreeMap<Port, End>;

/// Those of UDP and SCTP, as the packet rules have them: of two the pod that came later has one.
pub(super) fn leads(state: &State) -> Leads {
    let mut pods: Vec<_> = state.attached.values().collect();
    pods.sort_by_key(|attachment| std::cmp::Reverse(attachment.since));
    let mut leads = Leads::new();
    for attachment in pods {
        for port in attachment.ports.iter().filter(|port| port.protocol != Protocol::Tcp) {
            let families = attachment
                .addresses
                .iter()
                .filter(|address| port.host_ip.is_none_or(|ip| ip.is_ipv6() == address.is_ipv6()));
            for address in families {
                let at = port.host_ip.filter(|ip| !ip.is_unspecified());
                let (protocol, number, v6) = (port.protocol, port.host_port, address.is_ipv6());
                let key = Port { protocol, at, number, v6 };
                leads.entry(key).or_insert((*address, port.container_port));
            }
        }
    }
    leads
}

/// The kernel forgets what goes where ports led `before`, and not where they lead `now`. Asks nothing of it if that is the
/// same.
pub(super) fn forget_stale(before: &Leads, now: &Leads) -> Result<(), Refused> {
    let keys: BTreeSet<Port> = before.keys().chain(now.keys()).copied().collect();
    let changed: Vec<Port> = keys.into_iter().filter(|port| before.get(port) != now.get(port)).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let local: BTreeSet<IpAddr> = bridge::addresses().map(|(_, address)| address).collect();
    let is_local = |address: IpAddr| address.is_loopback() || local.contains(&address);
    for v6 in [false, true] {
        if changed.iter().any(|port| port.v6 == v6) {
            let forgotten = conntrack::forget(v6, |flow| is_stale(flow, &changed, now, is_local))?;
            if forgotten > 0 {
                tracing::debug!(forgotten, "senders to ports of the node are led to where these lead now");
            }
        }
    }
    Ok(())
}

/// It keeps packets to one of these ports from going where it leads.
fn is_stale(flow: &Flow, changed: &[Port], now: &Leads, is_local: impl Fn(IpAddr) -> bool) -> bool {
    let is_of = |port: &Port, (address, number): End| {
        port.protocol == flow.protocol
            && port.number == number
            && port.v6 == address.is_ipv6()
            && port.at.map_or_else(|| is_local(address), |at| at == address)
    };
    // What the node itself has sent from there, before a pod had the port: answers to that go to the node.
    let is_nodes = flow.from == flow.answered;
    changed.iter().any(|port| is_of(port, flow.to) || is_nodes && is_of(port, flow.from))
        && !now.iter().any(|(port, end)| is_of(port, flow.to) && *end == flow.answerer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> End {
        let address: std::net::SocketAddr = text.parse().unwrap();
        (address.ip(), address.port())
    }

    #[test]
    fn only_what_goes_to_a_port_and_elsewhere_than_it_leads_is_stale() {
        let port =
            |at: &str, number| Port { protocol: Protocol::Udp, at: at.parse().ok(), number, v6: false };
        let now = Leads::from([
            (port("", 53), end("10.86.0.2:5353")),
            (port("192.0.2.1", 54), end("10.86.0.2:54")),
        ]);
        let changed = [port("", 53), port("192.0.2.1", 54), port("", 55)];
        let is_local = |address: IpAddr| ["192.0.2.1", "127.0.0.1"].contains(&address.to_string().as_str());
        let (client, pod) = ("192.0.2.2:7000", "10.86.0.2:5353");
        for (from, to, answerer, answered, stale, why) in [
            (client, "192.0.2.1:53", "192.0.2.1:53", client, true, "seen while nobody had the port"),
            (client, "192.0.2.1:53", pod, client, false, "led where it leads"),
            (client, "192.0.2.1:53", "10.86.0.9:5353", client, true, "led to the pod before"),
            (client, "192.0.2.1:55", "10.86.0.9:55", client, true, "led to a pod that has gone"),
            (client, "192.0.2.1:56", "192.0.2.1:56", client, false, "of no pod"),
            ("10.86.0.7:9", "192.0.2.9:53", "192.0.2.9:53", "192.0.2.1:9", false, "to somebody else's port"),
            (client, "127.0.0.1:54", "127.0.0.1:54", client, false, "on another address of the node"),
            (client, "192.0.2.1:54", "192.0.2.1:54", client, true, "on this one"),
            ("192.0.2.1:53", client, client, "192.0.2.1:53", true, "sent by the node from the port"),
            (
                "10.86.0.7:53",
                client,
                client,
                "192.0.2.1:53",
                false,
                "sent by a pod, under the node's address",
            ),
        ] {
            let flow = Flow {
                protocol: Protocol::Udp,
                from: end(from),
                to: end(to),
                answerer: end(answerer),
                answered: end(answered),
            };
            assert_eq!(is_stale(&flow, &changed, &now, is_local), stale, "{why}");
            let other = Flow { protocol: Protocol::Sctp, ..flow };
            assert!(!is_stale(&other, &changed, &now, is_local), "{why}, of another protocol");
        }
    }
}
