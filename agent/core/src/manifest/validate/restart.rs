//! A container's own restart policy and its rules by exit code.

use crate::manifest::{finding::Findings, path::Path, types::Container};
use std::collections::BTreeSet;

/// Rules of one container; Kubernetes' bound.
const RULES_MAX: usize = 20;
/// Exit codes of one rule; Kubernetes' bound.
const CODES_MAX: usize = 255;

pub(super) fn validate(container: &Container, path: &Path, findings: &mut Findings) {
    let rules = &container.restart_policy_rules;
    if container.restart_policy.is_none() && !rules.is_empty() {
        findings
            .required(&path.field("restartPolicy"), "with restartPolicyRules: what holds where none matches");
    }
    let path = path.field("restartPolicyRules");
    if rules.len() > RULES_MAX {
        findings.value(&path, format!("Too many: {}: must have at most {RULES_MAX} items", rules.len()));
    }
    for (i, rule) in rules.iter().enumerate() {
        let here = path.index(i);
        let here = here.field("exitCodes").field("values");
        let values = &rule.exit_codes.values;
        if values.is_empty() || values.len() > CODES_MAX {
            findings.value(&here, format!("must have 1 to {CODES_MAX} exit codes, and has {}", values.len()));
        }
        let mut seen = BTreeSet::new();
        for (j, code) in values.iter().enumerate().filter(|(_, code)| !seen.insert(**code)) {
            findings.duplicate(&here.index(j), &code.to_string(), "the rule has this code already");
        }
    }
}
