//! The text of /etc/hosts. Pure.

use super::Names;
use berth_core::manifest::types::HostAlias;

/// What stands in every pod's file before its own lines.
const LOCAL: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::0\tip6-localnet\n\
    fe00::0\tip6-mcastprefix\n\
    fe00::1\tip6-allnodes\n\
    fe00::2\tip6-allrouters\n";
/// The pod's own name when it has no address but its loopback's.
const NO_ADDRESS: &str = "127.0.0.1";

/// For a pod with a network of its own. Without an address the host name means the loopback, so that a
/// program that looks itself up starts offline too.
pub(super) fn managed(names: &Names, addresses: &[String], aliases: &[HostAlias]) -> String {
    let full = names.full.as_ref().map_or_else(String::new, |full| format!("{full}\t"));
    let mut text = format!("# Kubernetes-managed hosts file.\n{LOCAL}");
    let own = addresses.iter().map(String::as_str);
    for address in own.chain(addresses.is_empty().then_some(NO_ADDRESS)) {
        text += &format!("{address}\t{full}{}\n", names.host);
    }
    text + &entries(aliases)
}

/// For a pod that shares the node's network: the node's file and the aliases.
pub(super) fn of_host_network(node: &str, aliases: &[HostAlias]) -> String {
    let end = if node.is_empty() || node.ends_with('\n') { "" } else { "\n" };
    format!("# Kubernetes-managed hosts file (host network).\n{node}{end}{}", entries(aliases))
}

fn entries(aliases: &[HostAlias]) -> String {
    if aliases.is_empty() {
        return String::new();
    }
    let line = |alias: &HostAlias| format!("{}\t{}\n", alias.ip, alias.hostnames.join("\t"));
    format!("\n# Entries added by HostAliases.\n{}", aliases.iter().map(line).collect::<String>())
}
