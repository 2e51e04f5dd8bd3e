//! What the security modules AppArmor and SELinux are told of a process. Pure.

use berth_core::manifest::types::{AppArmorKind, AppArmorProfile, Container, Pod, SeLinuxOptions};
use serde::{Deserialize, Serialize};

/// The profile of AppArmor that `RuntimeDefault` means; the system loads it at boot.
pub const APP_ARMOR_DEFAULT: &str = "berth-default";

/// What a process writes to a file below `/proc/self/attr`, see `proc_pid_attr(5)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Label {
    /// `apparmor/exec`, or `exec`.
    pub file: String,
    /// The text for it.
    pub value: String,
    /// The profile or label, for messages.
    pub name: String,
}

/// Of a container: its own, else the pod's. A privileged one is confined by what it says itself only.
pub fn of(pod: &Pod, container: &Container) -> Vec<Label> {
    let own = container.security_context.as_ref();
    let of_pod = &pod.spec.security_context;
    let app_armor = own.and_then(|sc| sc.app_armor_profile.as_ref()).or(of_pod.app_armor_profile.as_ref());
    let se_linux = own.and_then(|sc| sc.se_linux_options.as_ref()).or(of_pod.se_linux_options.as_ref());
    app_armor.map(app_armor_label).into_iter().chain(se_linux.map(se_linux_label)).collect()
}

fn app_armor_label(profile: &AppArmorProfile) -> Label {
    let name = match profile.kind {
        AppArmorKind::Unconfined => "unconfined",
        AppArmorKind::RuntimeDefault => APP_ARMOR_DEFAULT,
        AppArmorKind::Localhost => profile.localhost_profile.as_deref().unwrap_or_default(),
    };
    Label {
        file: "apparmor/exec".into(),
        value: format!("exec {name}"),
        name: format!("AppArmor profile {name}"),
    }
}

/// What is not said is what containers usually have.
fn se_linux_label(options: &SeLinuxOptions) -> Label {
    let or = |text: &Option<String>, usual: &str| {
        text.clone().filter(|text| !text.is_empty()).unwrap_or_else(|| usual.to_owned())
    };
    let (user, role) = (or(&options.user, "system_u"), or(&options.role, "system_r"));
    let (kind, level) = (or(&options.kind, "container_t"), or(&options.level, "s0"));
    let label = format!("{user}:{role}:{kind}:{level}");
    Label { file: "exec".into(), name: format!("SELinux label {label}"), value: label }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_containers_own_comes_before_the_pods() {
        for (of_pod, own, expected) in [
            (json!({}), json!({}), &[][..]),
            (json!({"appArmorProfile": {"type": "RuntimeDefault"}}), json!({}), &["exec berth-default"]),
            (
                json!({"appArmorProfile": {"type": "RuntimeDefault"}}),
                json!({"appArmorProfile": {"type": "Localhost", "localhostProfile": "web"}}),
                &["exec web"],
            ),
            (json!({}), json!({"appArmorProfile": {"type": "Unconfined"}}), &["exec unconfined"]),
            (
                json!({"seLinuxOptions": {"level": "s0:c1,c2"}}),
                json!({}),
                &["system_u:system_r:container_t:s0:c1,c2"],
            ),
            (
                json!({"seLinuxOptions": {"level": "s0:c1,c2"}}),
                json!({"seLinuxOptions": {"type": "spc_t", "user": "u", "role": "r"}}),
                &["u:r:spc_t:s0"],
            ),
        ] {
            let mut pod = Pod::default();
            pod.spec.security_context = serde_json::from_value(of_pod).unwrap();
            let security_context = Some(serde_json::from_value(own).unwrap());
            let labels = of(&pod, &Container { security_context, ..Container::default() });
            assert_eq!(labels.iter().map(|label| label.value.as_str()).collect::<Vec<_>>(), expected);
        }
    }
}
