//! `v1.ConfigMap`, `v1.Secret` and `v1.PersistentVolumeClaim`: the objects that stand beside pods.

use super::{Field, Kind, Literal, NEEDS_API, TEXTS, accepted, meta::OBJECT_METADATA, never, yes};

/// `v1.ConfigMap`.
pub(in super::super) const CONFIG_MAP: &[Field] = &[
    yes("apiVersion", Kind::Choice(&["v1"])).required("write `apiVersion: v1`"),
    yes("kind", Kind::Choice(&["ConfigMap"])).required("write `kind: ConfigMap`"),
    yes("metadata", Kind::Object(OBJECT_METADATA)).required("name the object in metadata.name"),
    yes("data", Kind::TextMap),
    yes("binaryData", Kind::TextMap),
    yes("immutable", Kind::Bool).or_false(),
];

/// `v1.Secret`.
pub(in super::super) const SECRET: &[Field] = &[
    yes("apiVersion", Kind::Choice(&["v1"])).required("write `apiVersion: v1`"),
    yes("kind", Kind::Choice(&["Secret"])).required("write `kind: Secret`"),
    yes("metadata", Kind::Object(OBJECT_METADATA)).required("name the object in metadata.name"),
    yes("type", Kind::Text).default(Literal::Text("Opaque")),
    yes("data", Kind::TextMap),
    yes("stringData", Kind::TextMap),
    yes("immutable", Kind::Bool).or_false(),
];

/// `v1.PersistentVolumeClaim`.
pub(in super::super) const CLAIM: &[Field] = &[
    yes("apiVersion", Kind::Choice(&["v1"])).required("write `apiVersion: v1`"),
    yes("kind", Kind::Choice(&["PersistentVolumeClaim"])).required("write `kind: PersistentVolumeClaim`"),
    yes("metadata", Kind::Object(OBJECT_METADATA)).required("name the object in metadata.name"),
    yes("spec", Kind::Object(CLAIM_SPEC)).required("say accessModes and resources.requests.storage"),
    accepted("status", Kind::Any, "a claim is bound as soon as a pod uses it"),
];

const NO_OTHER_VOLUMES: &str = "a claim is a directory of the node; there are no other volumes to choose";

const CLAIM_SPEC: &[Field] = &[
    yes("accessModes", Kind::List(&Kind::Choice(&["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce"])))
        .required("`[ReadWriteOnce]`"),
    yes("resources", Kind::Object(CLAIM_RESOURCES)).required("say requests.storage"),
    accepted("storageClassName", Kind::Text, "every claim is a directory of the node"),
    yes("volumeMode", Kind::Choice(&["Filesystem"])).default(Literal::Text("Filesystem")),
    never("volumeName", Kind::Text, NO_OTHER_VOLUMES),
    never("selector", Kind::Any, NO_OTHER_VOLUMES),
    never("dataSource", Kind::Any, NEEDS_API),
    never("dataSourceRef", Kind::Any, NEEDS_API),
    never("volumeAttributesClassName", TEXTS, NEEDS_API),
];

const CLAIM_RESOURCES: &[Field] =
    &[yes("requests", Kind::QuantityMap).required("say storage"), yes("limits", Kind::QuantityMap)];
