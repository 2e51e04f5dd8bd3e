//! `v1.Pod` and `v1.PodSpec`.

use super::{
    COUNT, Field, INT32, Kind, Literal, NEEDS_API, NO_SCHEDULER, TEXTS, accepted,
    container::{CONTAINER, EPHEMERAL, RESOURCES},
    later,
    meta::METADATA,
    never,
    scheduling::{AFFINITY, READINESS_GATE, RESOURCE_CLAIM, TOLERATION, TOPOLOGY_SPREAD},
    security::POD_SECURITY,
    volume::VOLUME,
    yes,
};

/// `v1.Pod`.
pub(in super::super) const POD: &[Field] = &[
    yes("apiVersion", Kind::Choice(&["v1"])).required("write `apiVersion: v1`"),
    yes("kind", Kind::Choice(&["Pod"])).required("write `kind: Pod`"),
    yes("metadata", Kind::Object(METADATA)).required("name the pod in metadata.name"),
    yes("spec", Kind::Object(SPEC)).required("list the containers in spec.containers"),
    accepted("status", Kind::Any, "the agent says what the status is; what stands in a manifest is ignored"),
];

const NO_TAINTS: &str =
    "one of node.kubernetes.io/memory-pressure is heeded; nothing else keeps pods from this node";

const SPEC: &[Field] = &[
    yes("containers", Kind::List(&Kind::Object(CONTAINER))).required("a pod has at least one container"),
    yes("initContainers", Kind::List(&Kind::Object(CONTAINER))),
    never(
        "ephemeralContainers",
        Kind::List(&Kind::Object(EPHEMERAL)),
        "not allowed in a manifest; use `berth exec`",
    ),
    yes("volumes", Kind::List(&Kind::Object(VOLUME))),
    yes("restartPolicy", Kind::Choice(&["Always", "Never", "OnFailure"])).default(Literal::Text("Always")),
    yes("terminationGracePeriodSeconds", COUNT).default(Literal::Int(30)),
    yes("activeDeadlineSeconds", Kind::Int(1, i32::MAX as i64)),
    yes("hostNetwork", Kind::Bool).or_false(),
    yes("hostPID", Kind::Bool).or_false(),
    yes("hostIPC", Kind::Bool).or_false(),
    yes("shareProcessNamespace", Kind::Bool).or_false(),
    yes("hostUsers", Kind::Bool).default(Literal::Bool(true)),
    yes("securityContext", Kind::Object(POD_SECURITY)),
    yes("resources", Kind::Object(RESOURCES)),
    yes("hostname", Kind::Text),
    yes("subdomain", Kind::Text),
    yes("setHostnameAsFQDN", Kind::Bool).or_false(),
    yes("hostnameOverride", Kind::Text),
    yes("hostAliases", Kind::List(&Kind::Object(HOST_ALIAS))),
    yes("dnsPolicy", Kind::Choice(&["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]))
        .default(Literal::Text("ClusterFirst")),
    yes("dnsConfig", Kind::Object(DNS_CONFIG)),
    yes("nodeName", Kind::Text),
    accepted("schedulerName", Kind::Text, "there is no scheduler; shown in the pod")
        .default(Literal::Text("default-scheduler")),
    accepted("tolerations", Kind::List(&Kind::Object(TOLERATION)), NO_TAINTS),
    accepted("enableServiceLinks", Kind::Bool, "there are no services to link; shown in the pod")
        .default(Literal::Bool(true)),
    yes("nodeSelector", Kind::TextMap),
    yes("affinity", Kind::Object(AFFINITY)),
    accepted("topologySpreadConstraints", Kind::List(&Kind::Object(TOPOLOGY_SPREAD)), NO_SCHEDULER),
    never(
        "schedulingGates",
        Kind::List(&Kind::Object(NAMED)),
        "nothing lifts them; Kubernetes refuses them for a pod that has its node",
    ),
    accepted("schedulingGroup", Kind::Any, NO_SCHEDULER),
    accepted("workloadRef", Kind::Any, NO_SCHEDULER),
    yes("priorityClassName", Kind::Text),
    yes("priority", INT32),
    yes("preemptionPolicy", Kind::Choice(&["Never", "PreemptLowerPriority"]))
        .default(Literal::Text("PreemptLowerPriority")),
    never(
        "readinessGates",
        Kind::List(&Kind::Object(READINESS_GATE)),
        "who sets such conditions does it through an API server, and there is none; use a readinessProbe",
    ),
    later("runtimeClassName", Kind::Text, "there is one runtime; remove it"),
    never("overhead", Kind::QuantityMap, "it belongs to a RuntimeClass, and there is no API server"),
    accepted("os", Kind::Object(OS), "every node of Berth is Linux"),
    never("serviceAccountName", Kind::Text, NEEDS_API),
    never("serviceAccount", Kind::Text, NEEDS_API),
    never("automountServiceAccountToken", Kind::Bool, NEEDS_API).or_false(),
    never(
        "imagePullSecrets",
        Kind::List(&Kind::Object(NAMED)),
        "names and passwords of registries stand in /etc/berth/auth.json (registryAuthPath), for all pods",
    ),
    never("resourceClaims", Kind::List(&Kind::Object(RESOURCE_CLAIM)), NEEDS_API),
];

const HOST_ALIAS: &[Field] = &[yes("ip", Kind::Text).required("an IP address"), yes("hostnames", TEXTS)];

const DNS_CONFIG: &[Field] = &[
    yes("nameservers", TEXTS),
    yes("searches", TEXTS),
    yes("options", Kind::List(&Kind::Object(&[yes("name", Kind::Text), yes("value", Kind::Text)]))),
];

const OS: &[Field] = &[yes("name", Kind::Choice(&["linux"]))];

const NAMED: &[Field] = &[yes("name", Kind::Text)];
