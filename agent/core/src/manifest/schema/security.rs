//! `v1.PodSecurityContext` and `v1.SecurityContext`.

use super::{Field, ID, Kind, Literal, TEXTS, WINDOWS, accepted, never, yes};

/// `v1.PodSecurityContext`.
pub(super) const POD_SECURITY: &[Field] = &[
    yes("runAsUser", ID),
    yes("runAsGroup", ID),
    yes("runAsNonRoot", Kind::Bool),
    yes("fsGroup", ID),
    yes("fsGroupChangePolicy", Kind::Choice(&["Always", "OnRootMismatch"])).default(Literal::Text("Always")),
    yes("supplementalGroups", Kind::List(&ID)),
    yes("supplementalGroupsPolicy", Kind::Choice(&["Merge", "Strict"])).default(Literal::Text("Merge")),
    yes("seccompProfile", Kind::Object(SECCOMP)),
    yes("appArmorProfile", Kind::Object(APP_ARMOR)),
    yes("seLinuxOptions", Kind::Object(SELINUX)),
    accepted(
        "seLinuxChangePolicy",
        Kind::Choice(&["MountOption", "Recursive"]),
        "volumes are relabelled file by file, in either way",
    ),
    yes("sysctls", Kind::List(&Kind::Object(SYSCTL))),
    never("windowsOptions", Kind::Any, WINDOWS),
];

/// `v1.SecurityContext`.
pub(super) const SECURITY: &[Field] = &[
    yes("runAsUser", ID),
    yes("runAsGroup", ID),
    yes("runAsNonRoot", Kind::Bool),
    yes("capabilities", Kind::Object(&[yes("add", TEXTS), yes("drop", TEXTS)])),
    yes("privileged", Kind::Bool).or_false(),
    yes("readOnlyRootFilesystem", Kind::Bool).or_false(),
    yes("allowPrivilegeEscalation", Kind::Bool),
    yes("seccompProfile", Kind::Object(SECCOMP)),
    yes("appArmorProfile", Kind::Object(APP_ARMOR)),
    yes("seLinuxOptions", Kind::Object(SELINUX)),
    yes("procMount", Kind::Choice(&["Default", "Unmasked"])).default(Literal::Text("Default")),
    never("windowsOptions", Kind::Any, WINDOWS),
];

const SYSCTL: &[Field] = &[
    yes("name", Kind::Text).required("the setting, like net.ipv4.tcp_syncookies"),
    yes("value", Kind::Text).required("the value, in quotes if it is a number"),
];

const SECCOMP: &[Field] = &[
    yes("type", Kind::Choice(&["Localhost", "RuntimeDefault", "Unconfined"]))
        .required("one of \"Localhost\", \"RuntimeDefault\", \"Unconfined\""),
    yes("localhostProfile", Kind::Text),
];

const APP_ARMOR: &[Field] = &[
    yes("type", Kind::Choice(&["Localhost", "RuntimeDefault", "Unconfined"]))
        .required("one of \"Localhost\", \"RuntimeDefault\", \"Unconfined\""),
    yes("localhostProfile", Kind::Text),
];

const SELINUX: &[Field] =
    &[yes("user", Kind::Text), yes("role", Kind::Text), yes("type", Kind::Text), yes("level", Kind::Text)];
