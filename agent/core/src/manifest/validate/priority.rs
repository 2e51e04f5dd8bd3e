//! The pod's priority: there is nobody who would know other classes than those that every cluster has.

use super::{names, syntax};
use crate::{
    manifest::{
        finding::{Findings, quote},
        path::Path,
        types::PodSpec,
    },
    node::priority_of_class,
};

pub(super) fn validate(spec: &PodSpec, path: &Path, findings: &mut Findings) {
    let Some(class) = &spec.priority_class_name else { return };
    let here = path.field("priorityClassName");
    syntax(names::dns_subdomain(class), class, &here, findings);
    match (priority_of_class(class), spec.priority) {
        (Some(known), Some(given)) if known != given => {
            let why = format!("the priority of {class} is {known}; remove priority, or the class");
            findings.invalid(&path.field("priority"), &given.to_string(), &why);
        }
        (None, None) => findings.value(
            &here,
            format!(
                "Unsupported value: {}: there are system-node-critical and system-cluster-critical; for another \
                 class write its number too, as spec.priority",
                quote(class)
            ),
        ),
        _ => {}
    }
}
