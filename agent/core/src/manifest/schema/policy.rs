//! `networking.k8s.io/v1.NetworkPolicy`.

use super::{Field, Kind, PORT, TEXTS, accepted, meta::OBJECT_METADATA, yes};

/// `networking.k8s.io/v1.NetworkPolicy`.
pub(in super::super) const NETWORK_POLICY: &[Field] = &[
    yes("apiVersion", Kind::Choice(&["networking.k8s.io/v1"]))
        .required("write `apiVersion: networking.k8s.io/v1`"),
    yes("kind", Kind::Choice(&["NetworkPolicy"])).required("write `kind: NetworkPolicy`"),
    yes("metadata", Kind::Object(OBJECT_METADATA)).required("name the object in metadata.name"),
    yes("spec", Kind::Object(SPEC)),
    accepted("status", Kind::Any, "a policy is in force as soon as it is read"),
];

const SPEC: &[Field] = &[
    yes("podSelector", Kind::Object(SELECTOR)),
    yes("policyTypes", Kind::List(&Kind::Choice(&["Egress", "Ingress"]))),
    yes("ingress", Kind::List(&Kind::Object(&[yes("from", PEERS), yes("ports", PORTS)]))),
    yes("egress", Kind::List(&Kind::Object(&[yes("to", PEERS), yes("ports", PORTS)]))),
];

const PEERS: Kind = Kind::List(&Kind::Object(&[
    yes("podSelector", Kind::Object(SELECTOR)),
    yes("namespaceSelector", Kind::Object(SELECTOR)),
    yes(
        "ipBlock",
        Kind::Object(&[yes("cidr", Kind::Text).required("10.0.0.0/8, say"), yes("except", TEXTS)]),
    ),
]));

const PORTS: Kind = Kind::List(&Kind::Object(&[
    yes("protocol", Kind::Choice(&["SCTP", "TCP", "UDP"])),
    yes("port", Kind::IntOrText),
    yes("endPort", PORT),
]));

const SELECTOR: &[Field] =
    &[yes("matchLabels", Kind::TextMap), yes("matchExpressions", Kind::List(&Kind::Object(REQUIREMENT)))];

const REQUIREMENT: &[Field] = &[
    yes("key", Kind::Text).required("the label's key"),
    yes("operator", Kind::Choice(&["DoesNotExist", "Exists", "In", "NotIn"]))
        .required("one of \"In\", \"NotIn\", \"Exists\", \"DoesNotExist\""),
    yes("values", TEXTS),
];
