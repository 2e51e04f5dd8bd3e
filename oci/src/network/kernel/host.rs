//! Settings of the node without which pods' packets end at the bridge.

use crate::network::{link, netlink::Netlink};
use std::{fs, io, path::Path};

const SYSCTLS: &str = "/proc/sys/net";
/// Routes of the network namespace that the thread is in.
const ROUTES: &str = "/proc/thread-self/net";

/// The node speaks IPv6.
pub(in crate::network) fn has_ipv6() -> bool {
    read("ipv6/conf/all/disable_ipv6").is_some_and(|value| value == "0")
}

/// Lets the node pass packets on between interfaces.
///
/// # Errors
/// `/proc/sys` is not writable.
pub(in crate::network) fn forward(v4: bool, v6: bool) -> io::Result<()> {
    if v4 {
        set("ipv4/ip_forward", "1")?;
    }
    if v6 && read("ipv6/conf/all/forwarding").is_none_or(|value| value == "0") {
        keep_router_advertisements();
        set("ipv6/conf/all/forwarding", "1")?;
    }
    Ok(())
}

/// A node that forwards no longer listens to routers, unless told to do both: it would lose its own way out
/// (Documentation/networking/ip-sysctl.rst, `accept_ra`).
fn keep_router_advertisements() {
    let Ok(interfaces) = fs::read_dir(Path::new(SYSCTLS).join("ipv6/conf")) else { return };
    for name in interfaces.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let setting = format!("ipv6/conf/{name}/accept_ra");
        if name != "all" && read(&setting).is_some_and(|value| value == "1") {
            // An interface that goes away meanwhile.
            let _ = set(&setting, "2");
        }
    }
}

/// What the bridge needs: packets from the node's loopback, when they lead to a port of a pod; no router but
/// the node itself.
///
/// # Errors
/// `/proc/sys` is not writable.
pub(in crate::network) fn bridge(name: &str, v6: bool) -> io::Result<()> {
    set(&format!("ipv4/conf/{name}/route_localnet"), "1")?;
    // Before a pod is on it nobody can have its addresses, and afterwards nobody may: it is usable at once.
    let mut settings = ["accept_ra", "accept_dad"].into_iter().filter(|_| v6);
    settings.try_for_each(|setting| set(&format!("ipv6/conf/{name}/{setting}"), "0"))
}

/// What the node sends to its own ::1, and a port leads on to a pod, finds its way back. Where the kernel has packets on
/// bridges pass the packet rules (`br_netfilter`) they are the node's again too early, and dropped as what no wire may
/// bring (RFC 4291, 2.5.3).
pub(in crate::network) fn lets_loopback6_come_back() -> bool {
    read("bridge/bridge-nf-call-ip6tables").is_none_or(|value| value == "0")
}

/// The interface passes frames on and is nobody itself: it asks for no router, and tells of no groups.
///
/// # Errors
/// `/proc/sys` is not writable.
pub(in crate::network) fn without_ipv6(name: &str) -> io::Result<()> {
    set(&format!("ipv6/conf/{name}/disable_ipv6"), "1")
}

/// For the interfaces that a new network namespace will get, in that namespace: there is no router to be asked
/// for, nobody who could have the same address, and no shorter way than the one by the node.
pub(in crate::network) fn quiet(v6: bool) -> io::Result<()> {
    set("ipv4/conf/all/accept_redirects", "0")?;
    set("ipv4/conf/default/accept_redirects", "0")?;
    for setting in ["accept_ra", "accept_dad", "router_solicitations", "accept_redirects"] {
        if v6 {
            set(&format!("ipv6/conf/default/{setting}"), "0")?;
        }
    }
    Ok(())
}

/// The MTU of the interface with the default route; none if there is no such route.
pub(in crate::network) fn mtu_of_the_way_out(netlink: &mut Netlink) -> Option<u32> {
    let routes = |name: &str| fs::read_to_string(Path::new(ROUTES).join(name)).unwrap_or_default();
    let (v4, v6) = (routes("route"), routes("ipv6_route"));
    let name = default_v4(&v4).or_else(|| default_v6(&v6))?;
    link::mtu(netlink, name).ok().flatten()
}

/// Columns: interface, destination, gateway, flags, …, mask the eighth.
fn default_v4(routes: &str) -> Option<&str> {
    routes.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words.get(1) == Some(&"00000000") && words.get(7) == Some(&"00000000")).then(|| words[0])
    })
}

/// Columns: destination, its prefix, source, its prefix, next hop, …, interface the last. The kernel also
/// lists a route over `lo` that refuses everything.
fn default_v6(routes: &str) -> Option<&str> {
    routes.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let any = words.first()?.bytes().all(|byte| byte == b'0') && words.get(1) == Some(&"00");
        words.last().copied().filter(|name| any && *name != "lo")
    })
}

fn read(setting: &str) -> Option<String> {
    fs::read_to_string(Path::new(SYSCTLS).join(setting)).ok().map(|text| text.trim().to_owned())
}

/// Written only if it differs: `/proc/sys` may be read-only and right.
fn set(setting: &str, value: &str) -> io::Result<()> {
    if read(setting).is_some_and(|there| there == value) {
        return Ok(());
    }
    let path = Path::new(SYSCTLS).join(setting);
    fs::write(&path, value).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot write {value} to {}: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_out_is_found_in_the_kernels_tables() {
        let v4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            eth1\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            eth0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
        assert_eq!(default_v4(v4), Some("eth0"));
        assert_eq!(default_v4(&v4.replace("00000000\t0202", "01000000\t0202")), None);
        let zero = "0".repeat(32);
        let refusing = format!("{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n");
        assert_eq!(default_v6(&refusing), None);
        let wan = format!("{zero} 00 {zero} 00 fe80{} 00000400 1 0 00450003     wan0\n", "0".repeat(28));
        assert_eq!(default_v6(&(refusing + &wan)), Some("wan0"));
        assert_eq!(default_v6("\n"), None);
    }
}
