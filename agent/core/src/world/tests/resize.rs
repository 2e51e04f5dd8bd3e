//! Scenes of resources that are others than those which cgroups were made for.

use super::*;
use crate::{
    manifest::types::Resources,
    resize::{Given, InUse, PodResources},
};

fn resources(memory: &str) -> Resources {
    Resources { limits: [("memory".to_owned(), memory.to_owned())].into(), ..Resources::default() }
}

fn with_memory(memory: &str) -> DesiredPod {
    let mut pod = web();
    Arc::make_mut(&mut pod.pod).spec.containers[0].resources = resources(memory);
    pod
}

/// A pod of which an earlier agent says that its cgroups were given this.
fn found(pod: &DesiredPod, given: &str, unsettled: bool) -> Inventory {
    let at = Now { mono: Mono(5), wall: Wall(7) };
    let spec = &pod.pod.spec.containers[0];
    let containers = vec![ContainerRecord {
        id: ContainerId("run".into()),
        pod: pod.uid.clone(),
        name: spec.name.clone(),
        attempt: 0,
        image: facts(&spec.image),
        state: RecordState::Running { pid: 9, at },
        devices: Vec::new(),
        given: Some(Given { resources: resources(given), ..Given::default() }),
        standing: Standing { started: true, ready: true, ..Standing::default() },
    }];
    let given = PodResources { pod: None, containers: vec![resources(given)] };
    let sandboxes = vec![SandboxRecord {
        desired: pod.clone(),
        ready: true,
        begun: Mono(1),
        ips: Vec::new(),
        unsettled,
        given: Some(given),
    }];
    Inventory { boot_id: "boot".to_owned(), sandboxes, containers, checkpoints: Vec::new() }
}

fn scene(given: &str, unsettled: bool) -> Scene {
    let pod = with_memory("2Mi");
    let mut scene = Scene::found(found(&pod, given, unsettled));
    scene.desire(&[&pod]);
    scene.ok("save");
    scene
}

#[test]
fn what_cgroups_have_already_is_not_written_again() {
    assert!(scene("2Mi", false).open.is_empty());
}

#[test]
fn what_is_other_or_not_known_is_written_until_that_is_confirmed() {
    for (given, unsettled) in [("1Mi", false), ("2Mi", true)] {
        let mut scene = scene(given, unsettled);
        assert_eq!(scene.doing(), ["resize app"], "{given} {unsettled}");
        scene.fail("resize", FailReason::Internal);
        assert!(scene.open.is_empty() && scene.reasons().contains(&"ResizeError"));
        scene.pass(1);
        assert_eq!(scene.doing(), ["resize app"]);
        scene.answer("resize", Outcome::Resized(None));
        scene.pass(3600);
        assert!(scene.open.is_empty(), "{:?}", scene.doing());
    }
}

#[test]
fn a_limit_below_what_is_in_use_is_tried_again_and_told_once() {
    let mut scene = scene("4Mi", false);
    for used in [5, 4, 3] {
        let in_use = InUse { container: "app".to_owned(), limit: 2, used };
        scene.answer("resize", Outcome::Resized(Some(in_use)));
        assert!(scene.open.is_empty());
        scene.pass(60);
        assert_eq!(scene.doing(), ["resize app"]);
    }
    assert_eq!(scene.reasons().iter().filter(|reason| **reason == "ResizeError").count(), 1);
    scene.answer("resize", Outcome::Resized(None));
    scene.pass(3600);
    assert!(scene.open.is_empty());
}

#[test]
fn a_pod_that_goes_waits_for_its_resize_and_asks_for_none() {
    let mut scene = scene("4Mi", false);
    scene.desire(&[]);
    let pod = with_memory("2Mi");
    scene.exit(&pod, "app", 0);
    for begins in ["signal", "remove container"] {
        scene.ok(begins);
    }
    assert_eq!(scene.doing(), ["resize app"], "the sandbox stays until it is answered");
    scene.fail("resize", FailReason::Internal);
    assert_eq!(scene.doing(), ["remove sandbox"]);
}
