//! Probes, lifecycle hooks, and where environment variables can come from.

use super::{COUNT, Field, INT64, Kind, TEXTS, later, never, yes};

const NO_CONFIG_MAPS: &str = "ConfigMaps need an API server, and there is none; write the value here";
const NO_SECRETS: &str = "Secrets need an API server, and there is none; mount a file with hostPath";

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
pub(super) const ENV_FROM: &[Field] = &[
    yes("prefix", Kind::Text),
    never("configMapRef", Kind::Object(REF), NO_CONFIG_MAPS),
    never("secretRef", Kind::Object(REF), NO_SECRETS),
];

/// `v1.EnvVarSource`.
pub(super) const VALUE_FROM: &[Field] = &[
    yes("fieldRef", Kind::Object(FIELD_REF)),
    yes("resourceFieldRef", Kind::Object(RESOURCE_FIELD_REF)),
    never("configMapKeyRef", Kind::Object(KEY_REF), NO_CONFIG_MAPS),
    never("secretKeyRef", Kind::Object(KEY_REF), NO_SECRETS),
    later("fileKeyRef", Kind::Any),
];

/// `v1.ObjectFieldSelector`.
pub(super) const FIELD_REF: &[Field] = &[yes("apiVersion", Kind::Text), yes("fieldPath", Kind::Text)];

/// `v1.ResourceFieldSelector`.
pub(super) const RESOURCE_FIELD_REF: &[Field] =
    &[yes("containerName", Kind::Text), yes("resource", Kind::Text), yes("divisor", Kind::Quantity)];

const REF: &[Field] = &[yes("name", Kind::Text), yes("optional", Kind::Bool)];

const KEY_REF: &[Field] = &[yes("name", Kind::Text), yes("key", Kind::Text), yes("optional", Kind::Bool)];
