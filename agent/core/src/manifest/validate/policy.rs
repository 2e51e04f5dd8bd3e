//! What the Kubernetes API asks of a NetworkPolicy beyond its schema.

use super::{names, syntax};
use crate::{
    manifest::{
        finding::Findings,
        path::Path,
        types::policy::{
            IpBlock, LabelOperator, LabelSelector, NetworkPolicySpec, PolicyPeer, PolicyPort, PortOrName,
        },
    },
    network::policy::Cidr,
};

/// Exceptions of one block of addresses: so many conditions the kernel takes in one rule.
const EXCEPT_MAX: usize = 32;

/// `path` is that of the spec.
pub(in super::super) fn validate(spec: &NetworkPolicySpec, path: &Path, findings: &mut Findings) {
    selector(&spec.pod_selector, &path.field("podSelector"), findings);
    for (i, rule) in spec.ingress.iter().enumerate() {
        let here = path.field("ingress").index(i);
        peers(&rule.from, &here.field("from"), findings);
        ports(&rule.ports, &here.field("ports"), findings);
    }
    for (i, rule) in spec.egress.iter().enumerate() {
        let here = path.field("egress").index(i);
        peers(&rule.to, &here.field("to"), findings);
        ports(&rule.ports, &here.field("ports"), findings);
    }
}

fn peers(peers: &[PolicyPeer], path: &Path, findings: &mut Findings) {
    for (i, peer) in peers.iter().enumerate() {
        let here = path.index(i);
        let selects = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
        match &peer.ip_block {
            None if !selects => {
                findings.required(&here, "must specify a peer: podSelector, namespaceSelector or ipBlock");
            }
            Some(_) if selects => {
                findings.forbidden(&here, "may not specify both ipBlock and another peer");
            }
            Some(block) => ip_block(block, &here.field("ipBlock"), findings),
            None => {}
        }
        for (field, own) in
            [("podSelector", &peer.pod_selector), ("namespaceSelector", &peer.namespace_selector)]
        {
            own.iter().for_each(|own| selector(own, &here.field(field), findings));
        }
    }
}

fn ip_block(block: &IpBlock, path: &Path, findings: &mut Findings) {
    let outer: Cidr = match block.cidr.parse() {
        Ok(outer) => outer,
        Err(why) => return findings.invalid(&path.field("cidr"), &block.cidr, &why),
    };
    if block.except.len() > EXCEPT_MAX {
        findings
            .value(&path.field("except"), format!("Too many: at most {EXCEPT_MAX} exceptions are possible"));
    }
    for (i, except) in block.except.iter().enumerate() {
        let here = path.field("except").index(i);
        match except.parse::<Cidr>() {
            Err(why) => findings.invalid(&here, except, &why),
            Ok(inner) if !outer.covers(&inner) || inner == outer => {
                findings.invalid(
                    &here,
                    except,
                    &format!("must be a strict subset of `cidr`, which is {outer}"),
                );
            }
            Ok(_) => {}
        }
    }
}

fn ports(ports: &[PolicyPort], path: &Path, findings: &mut Findings) {
    for (i, port) in ports.iter().enumerate() {
        let here = path.index(i);
        match (&port.port, port.end_port) {
            (Some(PortOrName::Number(number)), end) => {
                if !(1..=65_535).contains(number) {
                    let why = "must be between 1 and 65535, inclusive";
                    findings.invalid(&here.field("port"), &number.to_string(), why);
                }
                if end.is_some_and(|end| i64::from(end) < *number) {
                    let why = "must be greater than or equal to `port`";
                    findings.invalid(&here.field("endPort"), &end.unwrap_or_default().to_string(), why);
                }
            }
            (Some(PortOrName::Name(name)), end) => {
                syntax(names::port_name(name), name, &here.field("port"), findings);
                if end.is_some() {
                    findings.forbidden(&here.field("endPort"), "may not be specified when `port` is a name");
                }
            }
            (None, Some(_)) => {
                findings.forbidden(&here.field("endPort"), "may not be specified when `port` is not");
            }
            (None, None) => {}
        }
    }
}

fn selector(selector: &LabelSelector, path: &Path, findings: &mut Findings) {
    for (key, value) in &selector.match_labels {
        let here = path.field("matchLabels").entry(key);
        syntax(names::qualified(key), key, &here, findings);
        syntax(names::label_value(value), value, &here, findings);
    }
    for (i, wanted) in selector.match_expressions.iter().enumerate() {
        let here = path.field("matchExpressions").index(i);
        syntax(names::qualified(&wanted.key), &wanted.key, &here.field("key"), findings);
        match wanted.operator {
            LabelOperator::In | LabelOperator::NotIn if wanted.values.is_empty() => {
                findings.required(&here.field("values"), "must be specified when `operator` is In or NotIn");
            }
            LabelOperator::Exists | LabelOperator::DoesNotExist if !wanted.values.is_empty() => {
                let why = "may not be specified when `operator` is Exists or DoesNotExist";
                findings.forbidden(&here.field("values"), why);
            }
            _ => {}
        }
    }
}
