//! What the security modules AppArmor and SELinux are told of a process. Pure.

use crate::node::NodeFacts;
use berth_core::manifest::types::{AppArmorKind, AppArmorProfile, Container, Pod, SeLinuxOptions};
use serde::{Deserialize, Serialize};

/// The profile of AppArmor that `RuntimeDefault` means: `berth.apparmor` in the recipe's files. The system loads it at boot.
pub const APP_ARMOR_DEFAULT: &str = "berth-default";

/// The level of SELinux where none is said.
const LEVEL: &str = "s0";

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

/// Of a container: its own, else the pod's. `has_default`: [`APP_ARMOR_DEFAULT`] is loaded.
pub fn of(pod: &Pod, container: &Container, node: &NodeFacts, has_default: bool) -> Vec<Label> {
    let own = container.security_context.as_ref();
    let of_pod = &pod.spec.security_context;
    let app_armor = own.and_then(|sc| sc.app_armor_profile.as_ref()).or(of_pod.app_armor_profile.as_ref());
    let app_armor = match app_armor {
        // There only `Unconfined` gets this far, and all are.
        _ if !node.app_armor => None,
        Some(profile) => Some(app_armor_label(profile)),
        // As with kubelet: the default one, where there is one.
        None => (has_default && !container.is_privileged()).then(|| profile(APP_ARMOR_DEFAULT)),
    };
    app_armor.into_iter().chain(se_linux(pod, container).map(se_linux_label)).collect()
}

/// The SELinux label of the files that the container may have for itself: of what it gets of the image, of its pod's volumes.
/// None where nothing was said of it.
pub fn of_files(pod: &Pod, container: &Container) -> Option<String> {
    let options = se_linux(pod, container)?;
    let level = options.level.as_deref().filter(|level| !level.is_empty()).unwrap_or(LEVEL);
    Some(format!("system_u:object_r:container_file_t:{level}"))
}

fn se_linux<'a>(pod: &'a Pod, container: &'a Container) -> Option<&'a SeLinuxOptions> {
    let own = container.security_context.as_ref().and_then(|sc| sc.se_linux_options.as_ref());
    own.or(pod.spec.security_context.se_linux_options.as_ref())
}

fn app_armor_label(wanted: &AppArmorProfile) -> Label {
    profile(match wanted.kind {
        AppArmorKind::Unconfined => "unconfined",
        AppArmorKind::RuntimeDefault => APP_ARMOR_DEFAULT,
        AppArmorKind::Localhost => wanted.localhost_profile.as_deref().unwrap_or_default(),
    })
}

fn profile(name: &str) -> Label {
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
    let (kind, level) = (or(&options.kind, "container_t"), or(&options.level, LEVEL));
    let label = format!("{user}:{role}:{kind}:{level}");
    Label { file: "exec".into(), name: format!("SELinux label {label}"), value: label }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_containers_own_comes_before_the_pods() {
        for (of_pod, own, expected) in [
            (json!({}), json!({}), &["exec berth-default"][..]),
            (json!({}), json!({"privileged": true}), &[]),
            (json!({"appArmorProfile": {"type": "RuntimeDefault"}}), json!({}), &["exec berth-default"]),
            (
                json!({"appArmorProfile": {"type": "RuntimeDefault"}}),
                json!({"appArmorProfile": {"type": "Localhost", "localhostProfile": "web"}}),
                &["exec web"],
            ),
            (json!({}), json!({"appArmorProfile": {"type": "Unconfined"}}), &["exec unconfined"]),
            (
                json!({"appArmorProfile": {"type": "Unconfined"}, "seLinuxOptions": {"level": "s0:c1,c2"}}),
                json!({}),
                &["exec unconfined", "system_u:system_r:container_t:s0:c1,c2"],
            ),
            (
                json!({"seLinuxOptions": {"level": "s0:c1,c2"}}),
                json!({"privileged": true, "seLinuxOptions": {"type": "spc_t", "user": "u", "role": "r"}}),
                &["u:r:spc_t:s0"],
            ),
        ] {
            assert_eq!(values(&of_pod, &own, true, true), expected);
        }
    }

    #[test]
    fn the_default_profile_is_for_who_names_none_where_it_is_loaded_and_for_who_asks_for_it() {
        let asks = json!({"appArmorProfile": {"type": "RuntimeDefault"}});
        assert_eq!(values(&json!({}), &json!({}), true, false), [""; 0]);
        assert_eq!(values(&asks, &json!({}), true, false), ["exec berth-default"]);
    }

    #[test]
    fn files_have_the_level_of_the_process() {
        for (of_pod, own, expected) in [
            (json!({}), json!({}), None),
            (json!({"seLinuxOptions": {}}), json!({}), Some("system_u:object_r:container_file_t:s0")),
            (
                json!({"seLinuxOptions": {"level": "s0:c1,c2"}}),
                json!({}),
                Some("system_u:object_r:container_file_t:s0:c1,c2"),
            ),
            (
                json!({"seLinuxOptions": {"level": "s0:c1,c2"}}),
                json!({"seLinuxOptions": {"level": "s0:c3", "type": "web_t", "user": "u"}}),
                Some("system_u:object_r:container_file_t:s0:c3"),
            ),
        ] {
            let (pod, container) = with(&of_pod, &own);
            assert_eq!(of_files(&pod, &container).as_deref(), expected);
        }
    }

    #[test]
    fn a_kernel_without_app_armor_is_told_nothing_of_it() {
        for own in [json!({}), json!({"appArmorProfile": {"type": "Unconfined"}})] {
            assert_eq!(values(&json!({}), &own, false, false), [""; 0]);
        }
    }

    fn with(of_pod: &Value, own: &Value) -> (Pod, Container) {
        let mut pod = Pod::default();
        pod.spec.security_context = serde_json::from_value(of_pod.clone()).unwrap();
        let security_context = Some(serde_json::from_value(own.clone()).unwrap());
        (pod, Container { security_context, ..Container::default() })
    }

    fn values(of_pod: &Value, own: &Value, app_armor: bool, has_default: bool) -> Vec<String> {
        let (pod, container) = with(of_pod, own);
        let node = NodeFacts { app_armor, ..crate::testing::node() };
        of(&pod, &container, &node, has_default).into_iter().map(|label| label.value).collect()
    }
}
