//! Probes, lifecycle hooks, and where environment variables can come from.

use super::{COUNT, Field, INT64, Kind, Literal, TEXTS, later, yes};

/// `v1.Probe`.
pub(super) const PROBE: &[Field] = &[
    yes("exec", Kind::Object(EXEC)),
    yes("httpGet", Kind::Object(HTTP_GET)),
    yes("tcpSocket", Kind::Object(TCP_SOCKET)),
    yes("grpc", Kind::Object(&[yes("port", COUNT), yes("service", Kind::Text)])),
    yes("initialDelaySeconds", COUNT),
    yes("timeoutSeconds", COUNT),
    yes("periodSeconds", COUNT),
    yes("successThreshold", COUNT),
    yes("failureThreshold", COUNT),
    yes("terminationGracePeriodSeconds", COUNT),
];

/// `v1.Lifecycle`.
pub(super) const LIFECYCLE: &[Field] = &[
    yes("postStart", Kind::Object(HANDLER)),
    yes("preStop", Kind::Object(HANDLER)),
    yes("stopSignal", Kind::Text),
];

const HANDLER: &[Field] = &[
    yes("exec", Kind::Object(EXEC)),
    yes("httpGet", Kind::Object(HTTP_GET)),
    yes("tcpSocket", Kind::Object(TCP_SOCKET)),
    yes("sleep", Kind::Object(&[yes("seconds", INT64)])),
];

const EXEC: &[Field] = &[yes("command", TEXTS)];

const HTTP_GET: &[Field] = &[
    yes("path", Kind::Text),
    yes("port", Kind::IntOrText),
    yes("host", Kind::Text),
    yes("scheme", Kind::Choice(&["HTTP", "HTTPS"])),
    yes("httpHeaders", Kind::List(&Kind::Object(&[yes("name", Kind::Text), yes("value", Kind::Text)]))),
];

const TCP_SOCKET: &[Field] = &[yes("port", Kind::IntOrText), yes("host", Kind::Text)];

/// `v1.EnvFromSource`.
pub(super) const ENV_FROM: &[Field] =
    &[yes("prefix", Kind::Text), yes("configMapRef", Kind::Object(REF)), yes("secretRef", Kind::Object(REF))];

/// `v1.EnvVarSource`.
pub(super) const VALUE_FROM: &[Field] = &[
    yes("fieldRef", Kind::Object(FIELD_REF)),
    yes("resourceFieldRef", Kind::Object(RESOURCE_FIELD_REF)),
    yes("configMapKeyRef", Kind::Object(KEY_REF)),
    yes("secretKeyRef", Kind::Object(KEY_REF)),
    later("fileKeyRef", Kind::Any),
];

/// `v1.ObjectFieldSelector`.
pub(super) const FIELD_REF: &[Field] = &[
    yes("apiVersion", Kind::Text).default(Literal::Text("v1")),
    yes("fieldPath", Kind::Text).required("the field, `metadata.name` say"),
];

/// `v1.ResourceFieldSelector`.
pub(super) const RESOURCE_FIELD_REF: &[Field] = &[
    yes("containerName", Kind::Text),
    yes("resource", Kind::Text).required("the resource, `limits.memory` say"),
    yes("divisor", Kind::Quantity),
];

const REF: &[Field] =
    &[yes("name", Kind::Text).required("the object's name"), yes("optional", Kind::Bool).or_false()];

const KEY_REF: &[Field] = &[
    yes("name", Kind::Text).required("the object's name"),
    yes("key", Kind::Text).required("the key in the object"),
    yes("optional", Kind::Bool).or_false(),
];
