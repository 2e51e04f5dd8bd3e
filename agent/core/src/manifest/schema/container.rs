//! `v1.Container` and what hangs on it.

use super::{
    Field, INT32, Kind, Literal, PORT, PORT_OR_ZERO, TEXTS,
    handlers::{ENV_FROM, LIFECYCLE, PROBE, VALUE_FROM},
    later, never,
    security::SECURITY,
    yes,
};

/// `v1.Container`, regular or init.
pub(super) const CONTAINER: &[Field] = &[
    yes("name", Kind::Text).required("name the container"),
    yes("image", Kind::Text).required("the image to run, `registry/name:tag`"),
    yes("imagePullPolicy", Kind::Choice(&["Always", "IfNotPresent", "Never"])),
    yes("command", TEXTS),
    yes("args", TEXTS),
    yes("workingDir", Kind::Text),
    yes("ports", Kind::List(&Kind::Object(CONTAINER_PORT))),
    yes("env", Kind::List(&Kind::Object(ENV_VAR))),
    yes("envFrom", Kind::List(&Kind::Object(ENV_FROM))),
    yes("resources", Kind::Object(RESOURCES)),
    yes("resizePolicy", Kind::List(&Kind::Object(RESIZE_POLICY))),
    yes("restartPolicy", Kind::Choice(&["Always", "Never", "OnFailure"])),
    yes("restartPolicyRules", Kind::List(&Kind::Object(RESTART_RULE))),
    yes("volumeMounts", Kind::List(&Kind::Object(VOLUME_MOUNT))),
    never(
        "volumeDevices",
        Kind::List(&Kind::Object(VOLUME_DEVICE)),
        "raw block volumes need an API server, and there is none",
    ),
    yes("livenessProbe", Kind::Object(PROBE)),
    yes("readinessProbe", Kind::Object(PROBE)),
    yes("startupProbe", Kind::Object(PROBE)),
    yes("lifecycle", Kind::Object(LIFECYCLE)),
    yes("securityContext", Kind::Object(SECURITY)),
    yes("terminationMessagePath", Kind::Text).default(Literal::Text("/dev/termination-log")),
    yes("terminationMessagePolicy", Kind::Choice(&["FallbackToLogsOnError", "File"]))
        .default(Literal::Text("File")),
    yes("stdin", Kind::Bool).or_false(),
    later("stdinOnce", Kind::Bool, "stdin stays open for everybody who attaches; remove it").or_false(),
    yes("tty", Kind::Bool).or_false(),
];

/// `v1.EphemeralContainer`, as far as it differs.
pub(super) const EPHEMERAL: &[Field] =
    &[yes("name", Kind::Text), yes("image", Kind::Text), yes("targetContainerName", Kind::Text)];

const CONTAINER_PORT: &[Field] = &[
    yes("name", Kind::Text),
    yes("containerPort", PORT).required("the port on which the container listens"),
    yes("hostPort", PORT_OR_ZERO),
    yes("hostIP", Kind::Text),
    yes("protocol", Kind::Choice(&["SCTP", "TCP", "UDP"])).default(Literal::Text("TCP")),
];

const ENV_VAR: &[Field] = &[
    yes("name", Kind::Text).required("name the variable"),
    yes("value", Kind::Text),
    yes("valueFrom", Kind::Object(VALUE_FROM)),
];

/// `v1.ResourceRequirements`.
pub(super) const RESOURCES: &[Field] = &[
    yes("limits", Kind::QuantityMap),
    yes("requests", Kind::QuantityMap),
    never("claims", Kind::List(&Kind::Any), "resource claims need an API server, and there is none"),
];

const RESTART_RULE: &[Field] = &[
    yes("action", Kind::Choice(&["Restart", "RestartAllContainers"])).required("`Restart`"),
    yes("exitCodes", Kind::Object(EXIT_CODES)).required("the exit codes that the rule is for"),
];

const EXIT_CODES: &[Field] = &[
    yes("operator", Kind::Choice(&["In", "NotIn"])).required("`In` or `NotIn`"),
    yes("values", Kind::List(&INT32)),
];

const RESIZE_POLICY: &[Field] = &[
    yes("resourceName", Kind::Choice(&["cpu", "memory"])).required("`cpu` or `memory`"),
    yes("restartPolicy", Kind::Choice(&["NotRequired", "RestartContainer"]))
        .required("`NotRequired` or `RestartContainer`"),
];

const VOLUME_MOUNT: &[Field] = &[
    yes("name", Kind::Text).required("the name of a volume of the pod"),
    yes("mountPath", Kind::Text).required("the path in the container"),
    yes("readOnly", Kind::Bool).or_false(),
    yes("recursiveReadOnly", Kind::Choice(&["Disabled", "Enabled", "IfPossible"]))
        .default(Literal::Text("Disabled")),
    yes("subPath", Kind::Text),
    yes("subPathExpr", Kind::Text),
    yes("mountPropagation", Kind::Choice(&["Bidirectional", "HostToContainer", "None"]))
        .default(Literal::Text("None")),
];

const VOLUME_DEVICE: &[Field] = &[yes("name", Kind::Text), yes("devicePath", Kind::Text)];
