//! AppArmor profiles in annotations, the way before `appArmorProfile`. Kubelet heeds them in static pods: for a container
//! that says nothing itself, and before what the pod says for all.

use super::{
    finding::Findings,
    path::Path,
    types::{AppArmorKind, AppArmorProfile, Container, Pod},
};

/// Before the name of the container that it is for.
const ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";
const LOCALHOST: &str = "localhost/";

/// What the annotation's value says; none if it is none of what may stand there.
fn read(value: &str) -> Option<AppArmorProfile> {
    let localhost = value.strip_prefix(LOCALHOST).filter(|name| !name.is_empty());
    let kind = match value {
        "runtime/default" => AppArmorKind::RuntimeDefault,
        "unconfined" => AppArmorKind::Unconfined,
        _ => localhost.map(|_| AppArmorKind::Localhost)?,
    };
    Some(AppArmorProfile { kind, localhost_profile: localhost.map(str::to_owned) })
}

/// Gives containers what annotations say of them.
pub(super) fn fill(pod: &mut Pod) {
    for (key, value) in &pod.metadata.annotations {
        let Some((name, profile)) = key.strip_prefix(ANNOTATION).zip(read(value)) else { continue };
        for container in pod.spec.all_containers_mut().filter(|container| container.name == name) {
            container
                .security_context
                .get_or_insert_default()
                .app_armor_profile
                .get_or_insert_with(|| profile.clone());
        }
    }
}

/// Of a pod for which [`fill`] was done.
pub(super) fn validate(pod: &Pod, base: &Path, findings: &mut Findings) {
    let annotations = base.field("metadata").field("annotations");
    for (key, value) in &pod.metadata.annotations {
        let Some(name) = key.strip_prefix(ANNOTATION) else { continue };
        let here = annotations.entry(key);
        let Some(container) = pod.spec.all_containers().find(|container| container.name == name) else {
            findings.invalid(&here, name, "the pod has no container of this name");
            continue;
        };
        match read(value) {
            None => findings.invalid(
                &here,
                value,
                "write runtime/default, unconfined or localhost/<profile>; or appArmorProfile in the container's securityContext",
            ),
            Some(profile) if of(container) != Some(&profile) => {
                findings.forbidden(&here, "the container's appArmorProfile says otherwise; remove this");
            }
            Some(_) => {}
        }
    }
}

fn of(container: &Container) -> Option<&AppArmorProfile> {
    container.security_context.as_ref()?.app_armor_profile.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::types::SecurityContext;

    #[test]
    fn annotations_say_what_containers_do_not_say_themselves() {
        use AppArmorKind::{Localhost, RuntimeDefault, Unconfined};
        let profile =
            |kind, name: Option<&str>| AppArmorProfile { kind, localhost_profile: name.map(str::to_owned) };
        for (value, own, expected, wrong) in [
            ("runtime/default", None, Some(profile(RuntimeDefault, None)), false),
            ("unconfined", None, Some(profile(Unconfined, None)), false),
            ("localhost/mine", None, Some(profile(Localhost, Some("mine"))), false),
            ("localhost/", None, None, true),
            ("docker/default", None, None, true),
            ("unconfined", Some(profile(Unconfined, None)), Some(profile(Unconfined, None)), false),
            ("unconfined", Some(profile(RuntimeDefault, None)), Some(profile(RuntimeDefault, None)), true),
        ] {
            let mut pod = Pod::default();
            pod.metadata.annotations.insert(format!("{ANNOTATION}init"), value.to_owned());
            let context =
                own.map(|own| SecurityContext { app_armor_profile: Some(own), ..Default::default() });
            let container = |name: &str| Container { name: name.to_owned(), ..Container::default() };
            pod.spec.init_containers.push(Container { security_context: context, ..container("init") });
            pod.spec.containers.push(container("main"));
            for _ in 0..2 {
                fill(&mut pod);
                assert_eq!(of(&pod.spec.init_containers[0]), expected.as_ref(), "{value}");
                assert_eq!(of(&pod.spec.containers[0]), None);
            }
            let mut findings = Findings::default();
            validate(&pod, &Path::default(), &mut findings);
            assert_eq!(!findings.problems.is_empty(), wrong, "{value}");
        }
    }
}
