//! The pod's own names, by kubelet's rules. Pure.

use crate::{
    error::{Error, Result},
    node::NodeFacts,
};
use berth_core::manifest::DesiredPod;

/// Bytes of a name that kubelet makes a host name of; a longer one is cut.
pub const HOSTNAME_LEN_MAX: usize = 63;
/// Bytes in the kernel's host name.
const KERNEL_LEN_MAX: usize = 64;

/// How the pod is called from inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The name without a domain.
    pub host: String,
    /// The name with the pod's domain, if it has one.
    pub full: Option<String>,
    /// The second is the host name, too.
    is_full: bool,
}

impl Names {
    /// The host name that the kernel tells.
    pub fn kernel(&self) -> &str {
        self.full.as_deref().filter(|_| self.is_full).unwrap_or(&self.host)
    }
}

/// The node's in a hostNetwork pod, else `spec.hostnameOverride`, `spec.hostname` or the pod's name; below
/// `spec.subdomain`, if there is one.
///
/// # Errors
/// [`Error::Config`]: with its domain the name is too long for the kernel.
pub fn names(node: &NodeFacts, pod: &DesiredPod) -> Result<Names> {
    let spec = &pod.pod.spec;
    let given = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    let plain = |host: String| Names { host, full: None, is_full: false };
    if spec.host_network {
        return Ok(plain(node.hostname.clone()));
    }
    if let Some(name) = given(&spec.hostname_override) {
        return Ok(plain(name));
    }
    let host = cut(&given(&spec.hostname).unwrap_or_else(|| pod.key.name.to_string()));
    let Some(subdomain) = given(&spec.subdomain) else { return Ok(plain(host)) };
    let cluster = match node.policy.cluster_domain.as_str() {
        "" => String::new(),
        domain => format!(".{domain}"),
    };
    let full = format!("{host}.{subdomain}.{}.svc{cluster}", pod.key.namespace);
    let is_full = spec.set_hostname_as_fqdn == Some(true);
    if is_full && full.len() > KERNEL_LEN_MAX {
        return Err(Error::Config(format!(
            "setHostnameAsFQDN: the name {full} has {} characters, and {KERNEL_LEN_MAX} is the most for a host \
             name: shorten hostname or subdomain",
            full.len()
        )));
    }
    Ok(Names { host, full: Some(full), is_full })
}

fn cut(name: &str) -> String {
    name[..name.floor_char_boundary(HOSTNAME_LEN_MAX)].trim_end_matches(['-', '.']).to_owned()
}
