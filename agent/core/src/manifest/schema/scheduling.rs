//! What a scheduler would read.

use super::{Field, INT32, INT64, Kind, NO_SCHEDULER, TEXTS, accepted, yes};

/// `v1.Toleration`.
pub(super) const TOLERATION: &[Field] = &[
    yes("key", Kind::Text),
    yes("operator", Kind::Choice(&["Equal", "Exists", "Gt", "Lt"])),
    yes("value", Kind::Text),
    yes("effect", Kind::Choice(&["", "NoExecute", "NoSchedule", "PreferNoSchedule"])),
    yes("tolerationSeconds", INT64),
];

/// `v1.Affinity`.
pub(super) const AFFINITY: &[Field] = &[
    yes("nodeAffinity", Kind::Object(NODE_AFFINITY)),
    accepted("podAffinity", Kind::Object(POD_AFFINITY), NO_SCHEDULER),
    accepted("podAntiAffinity", Kind::Object(POD_AFFINITY), NO_SCHEDULER),
];

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

const NODE_AFFINITY: &[Field] = &[
    yes(REQUIRED, Kind::Object(&[yes("nodeSelectorTerms", Kind::List(&Kind::Object(NODE_SELECTOR_TERM)))])),
    accepted(
        PREFERRED,
        Kind::List(&Kind::Object(&[
            yes("weight", INT32),
            yes("preference", Kind::Object(NODE_SELECTOR_TERM)),
        ])),
        NO_SCHEDULER,
    ),
];

const NODE_SELECTOR_TERM: &[Field] = &[
    yes("matchExpressions", Kind::List(&Kind::Object(NODE_REQUIREMENT))),
    yes("matchFields", Kind::List(&Kind::Object(NODE_REQUIREMENT))),
];

const NODE_REQUIREMENT: &[Field] = &[
    yes("key", Kind::Text).required("the label's key"),
    yes("operator", Kind::Choice(&["DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"]))
        .required("one of \"In\", \"NotIn\", \"Exists\", \"DoesNotExist\", \"Gt\", \"Lt\""),
    yes("values", TEXTS),
];

const REQUIREMENT: &[Field] = &[yes("key", Kind::Text), yes("operator", Kind::Text), yes("values", TEXTS)];

const POD_AFFINITY: &[Field] = &[
    yes(REQUIRED, Kind::List(&Kind::Object(POD_AFFINITY_TERM))),
    yes(
        PREFERRED,
        Kind::List(&Kind::Object(&[
            yes("weight", INT32),
            yes("podAffinityTerm", Kind::Object(POD_AFFINITY_TERM)),
        ])),
    ),
];

const POD_AFFINITY_TERM: &[Field] = &[
    yes("labelSelector", Kind::Object(LABEL_SELECTOR)),
    yes("namespaces", TEXTS),
    yes("topologyKey", Kind::Text),
    yes("namespaceSelector", Kind::Object(LABEL_SELECTOR)),
    yes("matchLabelKeys", TEXTS),
    yes("mismatchLabelKeys", TEXTS),
];

const LABEL_SELECTOR: &[Field] =
    &[yes("matchLabels", Kind::TextMap), yes("matchExpressions", Kind::List(&Kind::Object(REQUIREMENT)))];

/// `v1.TopologySpreadConstraint`.
pub(super) const TOPOLOGY_SPREAD: &[Field] = &[
    yes("maxSkew", INT32),
    yes("topologyKey", Kind::Text),
    yes("whenUnsatisfiable", Kind::Text),
    yes("labelSelector", Kind::Object(LABEL_SELECTOR)),
    yes("minDomains", INT32),
    yes("nodeAffinityPolicy", Kind::Text),
    yes("nodeTaintsPolicy", Kind::Text),
    yes("matchLabelKeys", TEXTS),
];

/// `v1.PodReadinessGate`.
pub(super) const READINESS_GATE: &[Field] = &[yes("conditionType", Kind::Text)];

/// `v1.PodResourceClaim`.
pub(super) const RESOURCE_CLAIM: &[Field] = &[
    yes("name", Kind::Text),
    yes("resourceClaimName", Kind::Text),
    yes("resourceClaimTemplateName", Kind::Text),
];
