//! The pod's `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`: on a small tmpfs of their own, because
//! containers may write to the first and must not fill the node's `/run`.

mod hosts;
mod names;
mod resolv;

pub use names::{HOSTNAME_LEN_MAX, Names, names};

use crate::{
    error::{Error, Result},
    fsys, network,
    node::NodeFacts,
    paths::Roots,
};
use berth_core::manifest::{
    DesiredPod,
    types::{DnsPolicy, PodSpec},
};
use resolv::Resolver;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Bytes taken from a file of the node's; the rest is left out, at a line's end.
pub const NODE_FILE_LEN_MAX_BYTES: u64 = 1024 * 1024;
/// The tmpfs with the three files: one of the node's at its longest, and room for a container's edits.
const ETC_TMPFS: &str = "mode=0755,size=2m,nr_inodes=16";
const HOSTS: &str = "hosts";
const HOSTNAME: &str = "hostname";
const RESOLV_CONF: &str = "resolv.conf";

/// Makes the three files, or brings them up to date. Not yet visible to any container, or visible and
/// then changed in place.
pub(crate) fn create(roots: &Roots, node: &NodeFacts, pod: &DesiredPod) -> Result<()> {
    let etc = roots.pod_etc(&pod.uid);
    fsys::make_dirs(&etc, 0o755)?;
    if !fsys::is_tmpfs_mount(&etc) {
        fsys::mount_tmpfs(&etc, ETC_TMPFS, false)?;
    }
    put(&etc.join(HOSTNAME), &format!("{}\n", names(node, pod)?.kernel()))?;
    put(&etc.join(RESOLV_CONF), &resolv_conf(roots, node, pod)?)?;
    refresh_hosts(roots, node, pod)
}

/// Makes `hosts` what it should be, as before each container's start.
pub(crate) fn refresh_hosts(roots: &Roots, node: &NodeFacts, pod: &DesiredPod) -> Result<()> {
    let spec = &pod.pod.spec;
    let content = if spec.host_network {
        let of_node = read_node_file(&roots.node_etc.join(HOSTS))?;
        hosts::of_host_network(&of_node, &spec.host_aliases)
    } else {
        hosts::managed(&names(node, pod)?, &network::addresses(roots, &pod.uid), &spec.host_aliases)
    };
    put(&roots.pod_etc(&pod.uid).join(HOSTS), &content)
}

/// Whether the pod asks for a cluster's name servers. On the node's network only with all the letters.
fn wants_cluster(spec: &PodSpec) -> bool {
    match spec.dns_policy {
        DnsPolicy::ClusterFirst => !spec.host_network,
        DnsPolicy::ClusterFirstWithHostNet => true,
        DnsPolicy::Default | DnsPolicy::None => false,
    }
}

/// The pod asks for a cluster's name servers and the node knows of none: it gets the node's own, and is told.
pub(crate) fn lacks_cluster_dns(node: &NodeFacts, pod: &DesiredPod) -> bool {
    node.policy.cluster_dns.is_empty() && pod_dns(node, pod).is_none() && wants_cluster(&pod.pod.spec)
}

/// Our own name server, for a pod with a network of ours, and for one on the node's network that asks for it.
fn pod_dns(node: &NodeFacts, pod: &DesiredPod) -> Option<IpAddr> {
    node.policy.pod_dns.filter(|_| !pod.pod.spec.host_network || network::asks_for_names(&pod.pod.spec))
}

fn resolv_conf(roots: &Roots, node: &NodeFacts, pod: &DesiredPod) -> Result<String> {
    let spec = &pod.pod.spec;
    let of_node = || {
        if roots.resolv_conf.as_os_str().is_empty() {
            return Ok(Resolver::local());
        }
        read_node_file(&roots.resolv_conf).map(|text| Resolver::parse(&text))
    };
    let mut resolver = if spec.dns_policy == DnsPolicy::None {
        Resolver::default()
    } else if wants_cluster(spec) && !node.policy.cluster_dns.is_empty() {
        of_node()?.of_cluster(&node.policy.cluster_dns, &node.policy.cluster_domain, &pod.key.namespace)
    } else if let Some(server) = pod_dns(node, pod).filter(|_| wants_cluster(spec)) {
        let server = network::name_server_of(roots, &pod.uid).unwrap_or(server);
        let of_node = of_node()?;
        let here = if spec.host_network { of_node.on_the_node() } else { Vec::new() };
        let mut resolver = of_node.of_pods(server, &node.policy.cluster_domain, &pod.key.namespace);
        resolver.ask_then(here);
        resolver
    } else {
        of_node()?
    };
    if let Some(config) = &spec.dns_config {
        resolver.add(config);
    }
    Ok(resolver.render())
}

/// Writes in place (containers have the file itself mounted), and only what differs.
fn put(path: &Path, content: &str) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == content.as_bytes()) {
        return Ok(());
    }
    let flags = libc::O_NOFOLLOW;
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .custom_flags(flags)
        .open(path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .map_err(Error::io("write", path))
}

/// A file of the node's; one that is not there is empty, what is not text is replaced.
fn read_node_file(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(NODE_FILE_LEN_MAX_BYTES + 1).read_to_end(&mut bytes)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        result => result.map_err(Error::io("read", path))?,
    };
    if bytes.len() as u64 > NODE_FILE_LEN_MAX_BYTES {
        let line_end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        bytes.truncate(line_end);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
