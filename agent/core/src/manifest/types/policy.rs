//! `networking.k8s.io/v1.NetworkPolicy`: who may talk to whom.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// `networking.k8s.io/v1.NetworkPolicySpec`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct NetworkPolicySpec {
    pub pod_selector: LabelSelector,
    pub policy_types: Vec<PolicyType>,
    pub ingress: Vec<IngressRule>,
    pub egress: Vec<EgressRule>,
}

/// `networking.k8s.io/v1.PolicyType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum PolicyType {
    Ingress,
    Egress,
}

impl NetworkPolicySpec {
    /// The policy is about this way: by what it says, or else by what it has.
    pub fn is_about(&self, way: PolicyType) -> bool {
        if !self.policy_types.is_empty() {
            return self.policy_types.contains(&way);
        }
        way == PolicyType::Ingress || !self.egress.is_empty()
    }
}

/// `networking.k8s.io/v1.NetworkPolicyIngressRule`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct IngressRule {
    pub from: Vec<PolicyPeer>,
    pub ports: Vec<PolicyPort>,
}

/// `networking.k8s.io/v1.NetworkPolicyEgressRule`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct EgressRule {
    pub to: Vec<PolicyPeer>,
    pub ports: Vec<PolicyPort>,
}

/// `networking.k8s.io/v1.NetworkPolicyPeer`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct PolicyPeer {
    pub pod_selector: Option<LabelSelector>,
    pub namespace_selector: Option<LabelSelector>,
    pub ip_block: Option<IpBlock>,
}

/// `networking.k8s.io/v1.IPBlock`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct IpBlock {
    pub cidr: String,
    pub except: Vec<String>,
}

/// `networking.k8s.io/v1.NetworkPolicyPort`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct PolicyPort {
    pub protocol: Option<String>,
    pub port: Option<PortOrName>,
    pub end_port: Option<u16>,
}

/// A port by its number, or by the name that the pod's container gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[allow(missing_docs)]
pub enum PortOrName {
    Number(i64),
    Name(String),
}

/// `meta/v1.LabelSelector`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct LabelSelector {
    pub match_labels: BTreeMap<String, String>,
    pub match_expressions: Vec<LabelRequirement>,
}

/// `meta/v1.LabelSelectorRequirement`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct LabelRequirement {
    pub key: String,
    pub operator: LabelOperator,
    pub values: Vec<String>,
}

/// `meta/v1.LabelSelectorOperator`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum LabelOperator {
    In,
    NotIn,
    #[default]
    Exists,
    DoesNotExist,
}

impl LabelSelector {
    /// All that it says holds of these labels; one that says nothing fits everything.
    pub fn fits(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|wanted| {
                let value = labels.get(&wanted.key);
                let is_listed = || value.is_some_and(|value| wanted.values.contains(value));
                match wanted.operator {
                    LabelOperator::In => is_listed(),
                    LabelOperator::NotIn => !is_listed(),
                    LabelOperator::Exists => value.is_some(),
                    LabelOperator::DoesNotExist => value.is_none(),
                }
            })
    }
}

/// As kubectl shows one.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.match_labels.iter().map(|(key, value)| format!("{key}={value}"));
        let expressions = self.match_expressions.iter().map(|LabelRequirement { key, operator, values }| {
            let values = values.join(",");
            match operator {
                LabelOperator::In => format!("{key} in ({values})"),
                LabelOperator::NotIn => format!("{key} notin ({values})"),
                LabelOperator::Exists => key.clone(),
                LabelOperator::DoesNotExist => format!("!{key}"),
            }
        });
        let parts: Vec<String> = labels.chain(expressions).collect();
        if parts.is_empty() { f.write_str("<none>") } else { f.write_str(&parts.join(",")) }
    }
}
