//! Whether this kernel has what pods' networks are made of: all of it is made once, in a network namespace that
//! is gone at once. For `berth doctor`; changes nothing on the node, but the kernel may load modules for it.

use super::{
    INTERFACE, bridge, lacking, link,
    netlink::Netlink,
    nft::{self, Nft},
    no_rules, not_held,
};
use crate::error::Error;
use berth_core::{
    manifest::types::policy::PolicyType,
    network::{
        HostPort, Protocol, Ranges,
        named::BRIDGE,
        policy::{Confinement, Opening},
    },
};
use nix::sched::{CloneFlags, unshare};
use std::{
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr},
    os::fd::AsRawFd,
    thread,
};

/// What was found; an error says what the kernel lacks and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Bridge and pairs of interfaces: without them no pod has a network.
    pub links: Result<(), String>,
    /// Packet rules: without them pods reach each other and the node only.
    pub rules: Result<(), String>,
    /// Rules for the bridge: without them a pod may send under another one's address.
    pub origins: Result<(), String>,
}

/// Tries.
///
/// # Errors
/// It cannot be tried: only root can.
pub fn attempt() -> io::Result<Trial> {
    let work = || {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let ns = File::open("/proc/thread-self/ns/net")?;
        Ok(Trial { links: links(&ns).map_err(text), rules: rules().map_err(text), origins: origins() })
    };
    thread::scope(|scope| {
        scope.spawn(work).join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    })
}

fn text(error: Error) -> String {
    match error {
        Error::Network(text) => text,
        other => other.to_string(),
    }
}

fn links(ns: &File) -> Result<(), Error> {
    let no_bridge = |error| lacking(&error, "bridge", "CONFIG_BRIDGE", "make a bridge");
    let mut netlink = Netlink::route().map_err(no_bridge)?;
    link::ensure_bridge(&mut netlink, BRIDGE, [2, 0, 0, 0, 0, 1], bridge::MTU_DEFAULT).map_err(no_bridge)?;
    let index = link::index(&mut netlink, BRIDGE).map_err(no_bridge)?.unwrap_or_default();
    let pair = link::Pair {
        outer: "trial",
        inner: INTERFACE,
        mac: [2, 0, 0, 0, 0, 2],
        mtu: bridge::MTU_DEFAULT,
        bridge: index,
        ns: ns.as_raw_fd(),
    };
    link::add_pair(&mut netlink, &pair)
        .map_err(|error| lacking(&error, "veth", "CONFIG_VETH", "make an interface"))
}

/// One of each kind.
fn rules() -> Result<(), Error> {
    let ranges: Ranges = "10.86.0.0/16,fd62:6572:7468::/64".parse().unwrap_or_default();
    let addresses: Vec<IpAddr> = ranges.all().map(|range| range.address(2)).collect();
    let ports = [HostPort { protocol: Protocol::Tcp, host_ip: None, host_port: 80, container_port: 80 }];
    let openings = vec![Opening { peer: None, except: Vec::new(), ports: None }];
    let confined = |address: &IpAddr| Confinement {
        way: PolicyType::Ingress,
        address: *address,
        openings: openings.clone(),
        overflowed: false,
    };
    let vault: Ranges = "10.87.0.0/16".parse().unwrap_or_default();
    let side =
        |name: &str, ranges, internal| nft::Side { bridge: nft::Interface::named(name), ranges, internal };
    let sides = [side(BRIDGE, ranges, false), side("berth-trial", vault, true)];
    let confinements: Vec<Confinement> = addresses.iter().map(confined).collect();
    let pods = [nft::Pod { addresses: &addresses, ports: &ports }];
    Nft::open()
        .and_then(|mut nft| nft.apply(nft::ruleset(&sides, true, pods.into_iter(), &confinements)))
        .map_err(|error| no_rules(&error, "way out of the node and no hostPort"))
}

fn origins() -> Result<(), String> {
    let origin = nft::Origin {
        link: "trial".to_owned(),
        mac: [2, 0, 0, 0, 0, 2],
        addresses: vec![Ipv4Addr::new(10, 86, 0, 2).into()],
    };
    Nft::open().and_then(|mut nft| nft.hold(vec![origin])).map_err(|error| not_held(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The machine of the tests has all; what a kernel without says is tried where there is one.
    #[test]
    fn a_kernel_that_has_all_is_found_to() {
        if !nix::unistd::geteuid().is_root() {
            return eprintln!("skipped: needs root");
        }
        assert_eq!(attempt().unwrap(), Trial { links: Ok(()), rules: Ok(()), origins: Ok(()) });
    }
}
