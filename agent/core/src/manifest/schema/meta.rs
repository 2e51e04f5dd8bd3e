//! `meta/v1.ObjectMeta` and the frame of documents.

use super::{COUNT, Field, Kind, NEEDS_API, TEXTS, accepted, never, yes};

const SERVER_SIDE: &str = "an API server writes it; it is ignored";

/// `meta/v1.ObjectMeta`.
pub(super) const METADATA: &[Field] = &[
    yes("name", Kind::Text).required("name the pod; the node's name is added to it"),
    yes("namespace", Kind::Text).default(super::Literal::Text("default")),
    yes("uid", Kind::Text),
    yes("labels", Kind::TextMap),
    yes("annotations", Kind::TextMap),
    never("generateName", Kind::Text, "a static pod has a fixed name; use name"),
    never("ownerReferences", Kind::List(&Kind::Any), NEEDS_API),
    never("finalizers", TEXTS, NEEDS_API),
    never("deletionTimestamp", Kind::Text, "remove the manifest to delete the pod"),
    never("deletionGracePeriodSeconds", COUNT, "use spec.terminationGracePeriodSeconds"),
    accepted("creationTimestamp", Kind::Any, SERVER_SIDE),
    accepted("resourceVersion", Kind::Any, SERVER_SIDE),
    accepted("generation", Kind::Any, SERVER_SIDE),
    accepted("selfLink", Kind::Any, SERVER_SIDE),
    accepted("managedFields", Kind::Any, SERVER_SIDE),
];

/// `meta/v1.ObjectMeta` of what stands beside the pods.
pub(super) const OBJECT_METADATA: &[Field] = &[
    yes("name", Kind::Text).required("name the object"),
    yes("namespace", Kind::Text).default(super::Literal::Text("default")),
    accepted("uid", Kind::Text, SERVER_SIDE),
    accepted("labels", Kind::TextMap, "for people; nothing selects by them"),
    accepted("annotations", Kind::TextMap, "for people"),
    never("generateName", Kind::Text, "pods find it by a fixed name; use name"),
    never("ownerReferences", Kind::List(&Kind::Any), NEEDS_API),
    never("finalizers", TEXTS, NEEDS_API),
    never("deletionTimestamp", Kind::Text, "remove the manifest to delete the object"),
    never("deletionGracePeriodSeconds", COUNT, "remove the manifest to delete the object"),
    accepted("creationTimestamp", Kind::Any, SERVER_SIDE),
    accepted("resourceVersion", Kind::Any, SERVER_SIDE),
    accepted("generation", Kind::Any, SERVER_SIDE),
    accepted("selfLink", Kind::Any, SERVER_SIDE),
    accepted("managedFields", Kind::Any, SERVER_SIDE),
];

/// `v1.PodList` and `v1.List`.
pub(in super::super) const LIST: &[Field] = &[
    yes("apiVersion", Kind::Choice(&["v1"])).required("write `apiVersion: v1`"),
    yes("kind", Kind::Text),
    accepted("metadata", Kind::Any, "a list has no metadata that matters"),
    yes("items", Kind::List(&Kind::Any)),
];
