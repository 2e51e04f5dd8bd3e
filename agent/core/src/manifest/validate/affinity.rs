//! What a pod wants of its node: `nodeSelector` and required node affinity.

use super::{names, syntax};
use crate::manifest::{
    finding::Findings,
    path::Path,
    types::{NodeSelectorOperator as Operator, NodeSelectorRequirement, PodSpec},
};

/// The one field of a node that can be asked for.
const NODE_NAME: &str = "metadata.name";

/// `path` is that of the spec.
pub(super) fn validate(spec: &PodSpec, path: &Path, findings: &mut Findings) {
    for (key, value) in &spec.node_selector {
        let here = path.field("nodeSelector").entry(key);
        syntax(names::qualified(key), key, &here, findings);
        syntax(names::label_value(value), value, &here, findings);
    }
    let node = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let Some(required) = node.and_then(|node| node.required.as_ref()) else { return };
    let here = path.field("affinity").field("nodeAffinity");
    let here = here.field("requiredDuringSchedulingIgnoredDuringExecution").field("nodeSelectorTerms");
    if required.node_selector_terms.is_empty() {
        findings.required(&here, "must have at least one node selector term");
    }
    for (i, term) in required.node_selector_terms.iter().enumerate() {
        for (j, wanted) in term.match_expressions.iter().enumerate() {
            let here = here.index(i).field("matchExpressions").index(j);
            syntax(names::qualified(&wanted.key), &wanted.key, &here.field("key"), findings);
            expression(wanted, &here, findings);
        }
        for (j, wanted) in term.match_fields.iter().enumerate() {
            field(wanted, &here.index(i).field("matchFields").index(j), findings);
        }
    }
}

fn expression(wanted: &NodeSelectorRequirement, path: &Path, findings: &mut Findings) {
    let here = path.field("values");
    match wanted.operator {
        Operator::In | Operator::NotIn if wanted.values.is_empty() => {
            findings.required(&here, "must be specified when `operator` is In or NotIn");
        }
        Operator::Exists | Operator::DoesNotExist if !wanted.values.is_empty() => {
            findings.forbidden(&here, "may not be specified when `operator` is Exists or DoesNotExist");
        }
        Operator::Gt | Operator::Lt if wanted.values.len() != 1 => {
            findings.required(&here, "must be specified single value when `operator` is Lt or Gt");
        }
        Operator::Gt | Operator::Lt => {
            for text in wanted.values.iter().filter(|text| text.parse::<i64>().is_err()) {
                findings.invalid(&here.index(0), text, "must be a whole number: it is compared");
            }
        }
        _ => {}
    }
}

fn field(wanted: &NodeSelectorRequirement, path: &Path, findings: &mut Findings) {
    if wanted.key != NODE_NAME {
        findings.invalid(
            &path.field("key"),
            &wanted.key,
            "not a valid field selector key: write metadata.name",
        );
    }
    if !matches!(wanted.operator, Operator::In | Operator::NotIn) {
        findings.value(&path.field("operator"), "must be In or NotIn for a field");
    }
    if wanted.values.len() != 1 {
        findings.required(&path.field("values"), "must be only one value for a field");
    }
}
