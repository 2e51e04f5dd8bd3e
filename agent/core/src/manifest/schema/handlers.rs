//! Probes, lifecycle hooks, and where environment variables can come from.

use super::{COUNT, Field, Kind, Literal, PORT, TEXTS, never, yes};

/// `v1.Probe`.
pub(super) const PROBE: &[Field] = &[
    yes("exec", Kind::Object(EXEC)),
    yes("httpGet", Kind::Object(HTTP_GET)),
    yes("tcpSocket", Kind::Object(TCP_SOCKET)),
    yes("grpc", Kind::Object(&[yes("port", PORT).required("the port's number"), yes("service", Kind::Text)])),
    yes("initialDelaySeconds", SECONDS).default(Literal::Int(0)),
    yes("timeoutSeconds", SECONDS).default(Literal::Int(1)),
    yes("periodSeconds", SECONDS).default(Literal::Int(10)),
    yes("successThreshold", SECONDS).default(Literal::Int(1)),
    yes("failureThreshold", SECONDS).default(Literal::Int(3)),
    yes("terminationGracePeriodSeconds", Kind::Int(1, i64::MAX)),
];

/// Whole numbers of probes, as the Kubernetes API bounds them.
const SECONDS: Kind = Kind::Int(0, i32::MAX as i64);

/// `v1.Lifecycle`.
pub(super) const LIFECYCLE: &[Field] = &[
    yes("postStart", Kind::Object(HANDLER)),
    yes("preStop", Kind::Object(HANDLER)),
    yes("stopSignal", Kind::Text),
];

const HANDLER: &[Field] = &[
    yes("exec", Kind::Object(EXEC)),
    yes("httpGet", Kind::Object(HTTP_GET)),
    never("tcpSocket", Kind::Object(TCP_SOCKET), "Kubernetes has no such hook: it would always fail"),
    yes("sleep", Kind::Object(&[yes("seconds", COUNT)])),
];

const EXEC: &[Field] = &[yes("command", TEXTS).required("the program and its arguments")];

const HTTP_GET: &[Field] = &[
    yes("path", Kind::Text).default(Literal::Text("/")),
    yes("port", Kind::IntOrText).required(A_PORT),
    yes("host", Kind::Text),
    yes("scheme", Kind::Choice(&["HTTP", "HTTPS"])).default(Literal::Text("HTTP")),
    yes("httpHeaders", Kind::List(&Kind::Object(HTTP_HEADER))),
];

const HTTP_HEADER: &[Field] =
    &[yes("name", Kind::Text).required("the header's name"), yes("value", Kind::Text)];

const TCP_SOCKET: &[Field] = &[yes("port", Kind::IntOrText).required(A_PORT), yes("host", Kind::Text)];

const A_PORT: &str = "the port's number, or the name of one of the container's ports";

/// `v1.EnvFromSource`.
pub(super) const ENV_FROM: &[Field] =
    &[yes("prefix", Kind::Text), yes("configMapRef", Kind::Object(REF)), yes("secretRef", Kind::Object(REF))];

/// `v1.EnvVarSource`.
pub(super) const VALUE_FROM: &[Field] = &[
    yes("fieldRef", Kind::Object(FIELD_REF)),
    yes("resourceFieldRef", Kind::Object(RESOURCE_FIELD_REF)),
    yes("configMapKeyRef", Kind::Object(KEY_REF)),
    yes("secretKeyRef", Kind::Object(KEY_REF)),
    yes("fileKeyRef", Kind::Object(FILE_KEY_REF)),
];

/// `v1.FileKeySelector`.
const FILE_KEY_REF: &[Field] = &[
    yes("volumeName", Kind::Text).required("the name of an emptyDir of the pod"),
    yes("path", Kind::Text).required("the file in the volume"),
    yes("key", Kind::Text).required("the variable in the file"),
    yes("optional", Kind::Bool).or_false(),
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
