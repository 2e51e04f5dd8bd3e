//! Requests and limits of a container.

use crate::manifest::{
    finding::{Findings, quote},
    path::Path,
    quantity::{self, Quantity},
    types::Resources,
};

/// What a container may ask for.
const KNOWN: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// Bytes of memory under which no container can start: below it the unit is surely wrong.
const MEMORY_PLAUSIBLE_BYTES: i64 = 128 * 1024;

pub(super) fn validate(resources: &Resources, path: &Path, findings: &mut Findings) {
    for (name, limit) in &resources.limits {
        amount(name, limit, &path.field("limits").entry(name), findings);
    }
    for (name, request) in &resources.requests {
        // A request that equals its limit was most likely filled in from there, and what is wrong with it was
        // said there.
        if resources.limits.get(name) != Some(request) {
            amount(name, request, &path.field("requests").entry(name), findings);
        }
    }
    for (name, request) in &resources.requests {
        let Some(limit) = resources.limits.get(name) else { continue };
        let over = match (quantity::parse(request), quantity::parse(limit)) {
            (Ok(request), Ok(limit)) => request.nano() > limit.nano(),
            _ => false,
        };
        if over {
            let why = format!("must be less than or equal to the {name} limit of {limit}");
            findings.invalid(&path.field("requests").entry(name), request, &why);
        }
    }
}

fn amount(name: &str, text: &str, path: &Path, findings: &mut Findings) {
    if name.starts_with("hugepages-") {
        findings.key(path, "not supported yet: remove it");
    } else if !KNOWN.contains(&name) {
        let (name, known) = (quote(name), KNOWN.join(", "));
        findings
            .key(path, format!("Unsupported value: {name}: there are {known}; devices come in by hostPath"));
    }
    // `check` has refused what does not parse.
    let Ok(amount) = quantity::parse(text) else { return };
    if amount.is_negative() {
        findings.invalid(path, text, "must be greater than or equal to 0");
    } else {
        plausible(name, text, amount, path, findings);
    }
}

/// What Kubernetes takes and a user hardly means.
fn plausible(name: &str, text: &str, amount: Quantity, path: &Path, findings: &mut Findings) {
    if name == "memory" && amount.is_positive() && amount.value() < MEMORY_PLAUSIBLE_BYTES {
        let remedy = match text.strip_suffix('m') {
            Some(number) => format!("m means thousandths; was {number}Mi meant?"),
            None => "add a unit, like Mi".to_owned(),
        };
        findings.warn(path, format!("{text} of memory is less than any container needs: {remedy}"));
    }
    if name == "ephemeral-storage" {
        findings.warn(path, "not enforced yet: the pod runs, and may write more");
    }
}
