//! Scenes of what a pod needs of its node, and of images that are volumes.

use super::*;
use crate::manifest::types::{
    AppArmorKind, AppArmorProfile, Container, ImageVolume, PodSpec, SeLinuxOptions, SecurityContext, Sysctl,
    Volume, VolumeMount,
};

fn with(change: impl Fn(&mut PodSpec)) -> DesiredPod {
    let mut pod = pod("web", 1, &["app=x"], RestartPolicy::Always);
    change(&mut std::sync::Arc::make_mut(&mut pod.pod).spec);
    pod
}

/// What is said of an init container.
fn init(spec: &mut PodSpec) -> &mut SecurityContext {
    spec.init_containers.push(Container { name: "init".to_owned(), ..Container::default() });
    spec.init_containers.last_mut().unwrap().security_context.get_or_insert_default()
}

fn default_profile() -> Option<AppArmorProfile> {
    Some(AppArmorProfile { kind: AppArmorKind::RuntimeDefault, localhost_profile: None })
}

#[test]
fn a_pod_that_may_not_run_here_is_refused_and_nothing_is_made_for_it() {
    let app_armor = |spec: &mut PodSpec, kind| {
        spec.security_context.app_armor_profile = Some(AppArmorProfile { kind, localhost_profile: None });
    };
    let sysctl = |name: &str| vec![Sysctl { name: name.to_owned(), value: "1".to_owned() }];
    let cases: &[(DesiredPod, Option<&str>)] = &[
        (with(|_| {}), None),
        (with(|spec| spec.security_context.sysctls = sysctl("net.ipv4.tcp_syncookies")), None),
        (with(|spec| spec.security_context.sysctls = sysctl("kernel.msgmax")), Some("SysctlForbidden")),
        (
            with(|spec| spec.node_selector = [("disk".to_owned(), "ssd".to_owned())].into()),
            Some("NodeAffinity"),
        ),
        (with(|spec| app_armor(spec, AppArmorKind::RuntimeDefault)), Some("AppArmor")),
        (with(|spec| app_armor(spec, AppArmorKind::Unconfined)), None),
        (with(|spec| init(spec).app_armor_profile = default_profile()), Some("AppArmor")),
        (with(|spec| init(spec).se_linux_options = Some(SeLinuxOptions::default())), Some("SELinux")),
        (
            with(|spec| spec.security_context.se_linux_options = Some(SeLinuxOptions::default())),
            Some("SELinux"),
        ),
    ];
    for (pod, reason) in cases {
        let mut scene = Scene::new();
        scene.desire(&[pod]);
        assert_eq!(scene.doing().is_empty(), reason.is_some(), "{:?}", pod.pod.spec);
        assert_eq!(scene.reasons().first(), reason.as_ref());
        if reason.is_some() {
            scene.desire(&[]);
            assert!(scene.world.pods().next().is_none(), "it can go again");
        }
    }
}

#[test]
fn an_image_that_is_a_volume_is_waited_for_by_those_who_mount_it() {
    let mut pod = pod("web", 1, &["a=x", "b=x"], RestartPolicy::Always);
    let spec = &mut std::sync::Arc::make_mut(&mut pod.pod).spec;
    let source = ImageVolume { reference: "data".to_owned(), pull_policy: None };
    for name in ["used", "unused"] {
        spec.volumes.push(Volume {
            name: name.to_owned(),
            image: Some(ImageVolume { reference: format!("{name}-{}", source.reference), ..source.clone() }),
            ..Volume::default()
        });
    }
    spec.containers[0].volume_mounts = vec![VolumeMount { name: "used".into(), ..VolumeMount::default() }];
    let mut scene = Scene::new();
    scene.desire(&[&pod]);
    assert_eq!(scene.doing(), ["image x", "image used-data", "create sandbox"]);
    scene.ok("create sandbox");
    scene.answer("image x", Outcome::Image(Box::new(facts("x"))));
    scene.fail("image used-data", FailReason::ErrImagePull);
    assert_eq!(scene.doing(), ["start b 0"], "the other container needs no such volume");
    scene.settle();
    scene.tell(&[Event::ImagesChanged]);
    scene.answer("image used-data", Outcome::Image(Box::new(facts("used-data"))));
    assert_eq!(scene.doing(), ["start a 0"]);
    let ActionKind::StartContainer { volumes, .. } = &scene.open[0].kind else { panic!() };
    assert_eq!(volumes, &[("used".to_owned(), facts("used-data"))]);
}
