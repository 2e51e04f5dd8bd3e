//! The pod's names and how it looks names up: hostname, subdomain, dnsPolicy and dnsConfig, hostAliases.

use super::{names, syntax};
use crate::manifest::{
    finding::Findings,
    path::Path,
    types::{DnsConfig, DnsPolicy, HostAlias, PodSpec},
};
use std::net::IpAddr;

/// Name servers that a resolver looks at.
const NAMESERVERS_MAX: usize = 3;
/// Search domains.
const SEARCHES_MAX: usize = 32;
/// Characters of all search domains with a space between.
const SEARCH_LEN_MAX: usize = 2048;
/// Characters of the kernel's host name.
const HOSTNAME_LEN_MAX: usize = 64;
const NOT_AN_ADDRESS: &str = "not an IP address, like 192.0.2.1 or 2001:db8::1";

/// `path` is that of the spec.
pub(super) fn validate(spec: &PodSpec, path: &Path, findings: &mut Findings) {
    for (name, value) in [("hostname", &spec.hostname), ("subdomain", &spec.subdomain)] {
        if let Some(value) = value {
            syntax(names::dns_label(value), value, &path.field(name), findings);
        }
    }
    if let Some(name) = &spec.hostname_override {
        hostname_override(name, spec, &path.field("hostnameOverride"), findings);
    }
    let here = path.field("dnsConfig");
    if let Some(config) = &spec.dns_config {
        dns_config(config, &here, findings);
    }
    if spec.dns_policy == DnsPolicy::None {
        match &spec.dns_config {
            None => findings.required(&here, "must be given when dnsPolicy is None"),
            Some(config) if config.nameservers.is_empty() => findings
                .required(&here.field("nameservers"), "at least one name server when dnsPolicy is None"),
            Some(_) => {}
        }
    }
    host_aliases(&spec.host_aliases, &path.field("hostAliases"), findings);
}

fn hostname_override(name: &str, spec: &PodSpec, path: &Path, findings: &mut Findings) {
    syntax(names::dns_subdomain(name), name, path, findings);
    if name.len() > HOSTNAME_LEN_MAX {
        findings.invalid(path, name, "must be no more than 64 characters");
    }
    if spec.host_network {
        findings.forbidden(path, "may not be given when hostNetwork is true");
    }
    if spec.set_hostname_as_fqdn == Some(true) {
        findings.forbidden(path, "may not be given when setHostnameAsFQDN is true");
    }
}

fn dns_config(config: &DnsConfig, path: &Path, findings: &mut Findings) {
    let here = path.field("nameservers");
    if config.nameservers.len() > NAMESERVERS_MAX {
        let shown = config.nameservers.join(", ");
        findings.invalid(&here, &shown, "must not have more than 3 name servers");
    }
    for (i, server) in config.nameservers.iter().enumerate() {
        if server.parse::<IpAddr>().is_err() {
            findings.invalid(&here.index(i), server, NOT_AN_ADDRESS);
        }
    }
    let here = path.field("searches");
    let all = config.searches.join(" ");
    if config.searches.len() > SEARCHES_MAX {
        findings.invalid(&here, &all, "must not have more than 32 search paths");
    }
    if all.len() > SEARCH_LEN_MAX {
        findings.invalid(&here, &all, "must not have more than 2048 characters, spaces included");
    }
    for (i, search) in config.searches.iter().enumerate() {
        // Alone the dot is the root; at the end it changes nothing.
        let name = search.strip_suffix('.').unwrap_or(search);
        if search != "." {
            syntax(names::search_domain(name), search, &here.index(i), findings);
        }
    }
    for (i, option) in config.options.iter().enumerate() {
        let here = path.field("options").index(i);
        if option.name.is_empty() {
            findings.required(&here.field("name"), "must not be empty");
        }
        // Kubernetes takes these, and the file then says something else than what was meant.
        for (field, text) in [("name", Some(&option.name)), ("value", option.value.as_ref())] {
            if let Some(text) = text.filter(|text| text.contains(char::is_whitespace)) {
                findings.invalid(&here.field(field), text, "must not contain white space");
            }
        }
    }
}

fn host_aliases(aliases: &[HostAlias], path: &Path, findings: &mut Findings) {
    for (i, alias) in aliases.iter().enumerate() {
        let here = path.index(i);
        if alias.ip.parse::<IpAddr>().is_err() {
            findings.invalid(&here.field("ip"), &alias.ip, NOT_AN_ADDRESS);
        }
        for (j, hostname) in alias.hostnames.iter().enumerate() {
            syntax(names::dns_subdomain(hostname), hostname, &here.field("hostnames").index(j), findings);
        }
    }
}
