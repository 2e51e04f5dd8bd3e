//! The pod's `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`: on a small tmpfs of their own, because
//! containers may write to the first and must not fill the node's `/run`.

mod hosts;
mod resolv;

use crate::{
    error::{Error, Result},
    fsys,
    node::NodeFacts,
    paths::Roots,
};
use berth_core::manifest::{DesiredPod, types::DnsPolicy};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Bytes in the kernel's host name; a longer one from the manifest is cut as kubelet cuts it.
pub const HOSTNAME_LEN_MAX: usize = 63;
/// Bytes taken from a file of the node's; the rest is left out, at a line's end.
pub const NODE_FILE_LEN_MAX_BYTES: u64 = 1024 * 1024;
/// The tmpfs with the three files: one of the node's at its longest, and room for a container's edits.
const ETC_TMPFS: &str = "mode=0755,size=2m,nr_inodes=16";
const HOSTS: &str = "hosts";
const HOSTNAME: &str = "hostname";
const RESOLV_CONF: &str = "resolv.conf";

/// The name that the pod's processes have for their host: the node's in a hostNetwork pod, else
/// `spec.hostname`, else the pod's name; at most 63 bytes.
pub fn hostname(node: &NodeFacts, pod: &DesiredPod) -> String {
    let spec = &pod.pod.spec;
    if spec.host_network {
        return node.hostname.clone();
    }
    let name = spec.hostname.as_deref().filter(|name| !name.is_empty()).unwrap_or(&pod.key.name);
    let mut end = name.len().min(HOSTNAME_LEN_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].trim_end_matches(['-', '.']).to_owned()
}

/// Makes the three files, or brings them up to date. Not yet visible to any container, or visible and
/// then changed in place.
pub(crate) fn create(roots: &Roots, node: &NodeFacts, pod: &DesiredPod) -> Result<()> {
    let etc = roots.pod_etc(&pod.uid);
    fsys::make_dirs(&etc, 0o755)?;
    if !fsys::is_tmpfs_mount(&etc) {
        fsys::mount_tmpfs(&etc, ETC_TMPFS, false)?;
    }
    put(&etc.join(HOSTNAME), &(hostname(node, pod) + "\n"))?;
    put(&etc.join(RESOLV_CONF), &resolv_conf(roots, pod)?)?;
    refresh_hosts(roots, node, pod)
}

/// Makes `hosts` what it should be, as before each container's start.
pub(crate) fn refresh_hosts(roots: &Roots, node: &NodeFacts, pod: &DesiredPod) -> Result<()> {
    let spec = &pod.pod.spec;
    let content = if spec.host_network {
        let of_node = read_node_file(&roots.node_etc.join(HOSTS))?;
        hosts::of_host_network(&of_node, &spec.host_aliases)
    } else {
        hosts::managed(&hostname(node, pod), &[], &spec.host_aliases)
    };
    put(&roots.pod_etc(&pod.uid).join(HOSTS), &content)
}

fn resolv_conf(roots: &Roots, pod: &DesiredPod) -> Result<String> {
    // There is no cluster DNS here, so the two cluster policies fall back to the node's, as kubelet's do.
    if pod.pod.spec.dns_policy == DnsPolicy::None {
        return Ok(String::new());
    }
    if roots.resolv_conf.as_os_str().is_empty() {
        return Ok(resolv::Resolver::local().render());
    }
    Ok(resolv::Resolver::parse(&read_node_file(&roots.resolv_conf)?).render())
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
