//! Whether the node is one that a pod wants: `nodeSelector` and required node affinity against the node's
//! labels, as kubelet looks at them for pods that no scheduler has placed. Pure.

use crate::manifest::types::{NodeSelectorOperator, NodeSelectorRequirement, NodeSelectorTerm, PodSpec};
use std::collections::BTreeMap;

/// The node's labels.
pub type Labels = BTreeMap<String, String>;

/// What the pod wants and the node is not; none if it fits.
pub(super) fn mismatch(spec: &PodSpec, node: &str, labels: &Labels) -> Option<String> {
    let missing = spec.node_selector.iter().find(|(key, value)| labels.get(*key) != Some(value));
    if let Some((key, value)) = missing {
        return Some(format!(
            "nodeSelector wants the label {key}={value}, which this node has not (nodeLabels in the configuration)"
        ));
    }
    let required = spec.affinity.as_ref()?.node_affinity.as_ref()?.required.as_ref()?;
    // One term is enough.
    let fits = required.node_selector_terms.iter().any(|term| fits(term, node, labels));
    let why =
        "no term of the required nodeAffinity fits this node's labels (nodeLabels in the configuration)";
    (!fits).then(|| why.to_owned())
}

/// All that the term says holds; a term that says nothing fits nothing.
fn fits(term: &NodeSelectorTerm, node: &str, labels: &Labels) -> bool {
    let says_something = !(term.match_expressions.is_empty() && term.match_fields.is_empty());
    says_something
        && term.match_expressions.iter().all(|wanted| holds(wanted, labels.get(&wanted.key).map(String::as_str)))
        // There is one such field, `metadata.name`.
        && term.match_fields.iter().all(|wanted| holds(wanted, Some(node)))
}

fn holds(wanted: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let is_listed = || value.is_some_and(|value| wanted.values.iter().any(|listed| listed == value));
    let numbers = || {
        let bound: i64 = wanted.values.first()?.parse().ok()?;
        Some((value?.parse::<i64>().ok()?, bound))
    };
    match wanted.operator {
        NodeSelectorOperator::In => is_listed(),
        NodeSelectorOperator::NotIn => !is_listed(),
        NodeSelectorOperator::Exists => value.is_some(),
        NodeSelectorOperator::DoesNotExist => value.is_none(),
        NodeSelectorOperator::Gt => numbers().is_some_and(|(value, bound)| value > bound),
        NodeSelectorOperator::Lt => numbers().is_some_and(|(value, bound)| value < bound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_nodes_labels_decide() {
        let labels: Labels = [("disk", "ssd"), ("line", "4"), ("kubernetes.io/os", "linux")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let required = |terms| {
            json!({"affinity": {"nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}})
        };
        let expression = |key, operator, values: &[&str]| {
            required(json!([{"matchExpressions": [{"key": key, "operator": operator, "values": values}]}]))
        };
        for (spec, fits) in [
            (json!({}), true),
            (json!({"nodeSelector": {"disk": "ssd"}}), true),
            (json!({"nodeSelector": {"disk": "ssd", "line": "5"}}), false),
            (json!({"nodeSelector": {"gpu": ""}}), false),
            (expression("disk", "In", &["hdd", "ssd"]), true),
            (expression("disk", "NotIn", &["ssd"]), false),
            (expression("gpu", "NotIn", &["a"]), true),
            (expression("gpu", "Exists", &[]), false),
            (expression("gpu", "DoesNotExist", &[]), true),
            (expression("line", "Gt", &["3"]), true),
            (expression("line", "Lt", &["4"]), false),
            (expression("disk", "Gt", &["3"]), false),
            (required(json!([])), false),
            (required(json!([{}])), false),
            (
                required(
                    json!([{}, {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["box"]}]}]),
                ),
                true,
            ),
            (
                required(
                    json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["other"]}]}]),
                ),
                false,
            ),
        ] {
            let read: PodSpec = serde_json::from_value(spec.clone()).unwrap();
            let said = mismatch(&read, "box", &labels);
            assert_eq!(said.is_none(), fits, "{spec}: {said:?}");
        }
    }
}
