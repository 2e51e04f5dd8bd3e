//! Whom the node itself asks, by its resolv.conf(5). Pure.

use std::net::IpAddr;

/// Name servers that are asked; a C library looks at no more.
pub const UPSTREAMS_MAX: usize = 3;

/// A name server of the node's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its address.
    pub address: IpAddr,
    /// By which interface it is reached, when the address alone does not say: name or number.
    pub interface: Option<String>,
}

/// The name servers in the text of a resolv.conf(5), in its order, none of `own`: those would be ourselves.
pub fn upstreams(text: &str, own: &[IpAddr]) -> Vec<Upstream> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let text = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())?;
        let (address, interface) = match text.split_once('%') {
            Some((address, interface)) => (address, Some(interface.to_owned())),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        Some(Upstream { address: address.to_canonical(), interface })
    };
    // The first three are the node's; one of them that is us is not replaced by a fourth.
    let first = text.lines().filter_map(server).take(UPSTREAMS_MAX);
    first.filter(|server| !own.contains(&server.address)).collect()
}
