//! Scenes of devices that come and go.

use super::*;
use crate::devices::{DEVICES, Grant, Seen};

const SCANNER: &str = "/dev/serial/by-id/usb-scanner";
const CAM: &str = "example.com/cam";

fn seen(there: &[(&str, &str)], lacking: &[(&str, &str)]) -> Event {
    let map = |list: &[(&str, &str)]| list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Event::Devices(Arc::new(Seen { there: map(there), lacking: map(lacking), problems: Vec::new() }))
}

fn with_path(policy: RestartPolicy) -> DesiredPod {
    let mut pod = pod("web", 1, &["app=nginx"], policy);
    let annotation = (DEVICES.to_owned(), format!("[{{path: {SCANNER}}}]"));
    Arc::make_mut(&mut pod.pod).metadata.annotations.extend([annotation]);
    pod
}

/// A pod whose containers each want so many of the kind.
fn with_limits(name: &str, containers: &[&str], count: u32) -> DesiredPod {
    let mut pod = pod(name, 1, containers, RestartPolicy::Always);
    let spec = &mut Arc::make_mut(&mut pod.pod).spec;
    for container in spec.containers.iter_mut().chain(&mut spec.init_containers) {
        container.resources.limits.insert(CAM.to_owned(), count.to_string());
    }
    pod
}

fn shown(scene: &Scene, pod: &DesiredPod) -> serde_json::Value {
    crate::view::pod(&scene.world, scene.now, &crate::view::NodeView::default(), &pod.key).unwrap()["status"]
        .clone()
}

fn waits(scene: &Scene, pod: &DesiredPod) -> (String, String) {
    let status = shown(scene, pod);
    let waiting = &status["containerStatuses"][0]["state"]["waiting"];
    let text = |name: &str| waiting[name].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("message"))
}

fn granted(plan: &Plan) -> Vec<Vec<Grant>> {
    let starts = plan.actions.iter().filter_map(|action| match &action.kind {
        ActionKind::StartContainer { devices, .. } => Some(devices.clone()),
        _ => None,
    });
    starts.collect()
}

/// Answers all but starts, and says what the containers that start are given.
fn settle(scene: &mut Scene, first: Plan) -> Vec<String> {
    let mut all = granted(&first);
    while let Some(next) = scene.doing().first().cloned() {
        let outcome = match next.split_once(' ') {
            Some(("image", image)) => Outcome::Image(Box::new(facts(image))),
            Some(("start", _)) => Outcome::Started { pid: 42, at: scene.now },
            _ => Outcome::Ok,
        };
        let plan = scene.answer(&next, outcome);
        all.extend(granted(&plan));
    }
    all.into_iter().flatten().map(|grant| grant.device).collect()
}

#[test]
fn a_pod_waits_visibly_for_its_device_and_begins_when_it_comes() {
    let pod = with_path(RestartPolicy::Always);
    let mut scene = Scene::new();
    scene.desire(&[&pod]);
    assert!(scene.open.is_empty(), "{:?}", scene.doing());
    let message = format!("container app waits for a device: {SCANNER} is not there");
    assert_eq!(waits(&scene, &pod), ("DeviceUnavailable".to_owned(), message));
    assert_eq!((scene.reasons(), scene.wake), (vec!["DeviceUnavailable"], None));
    let plan = scene.tell(&[seen(&[(SCANNER, "c188:0")], &[])]);
    assert_eq!(settle(&mut scene, plan), [SCANNER]);
    assert_eq!(scene.world.runs(&pod.uid)[0].pid, Some(42));
}

#[test]
fn a_device_that_goes_is_told_once_and_stops_nothing() {
    let pod = with_path(RestartPolicy::Always);
    let mut scene = Scene::new();
    scene.tell(&[seen(&[(SCANNER, "c188:0")], &[])]);
    scene.desire(&[&pod]);
    scene.settle();
    scene.tell(&[seen(&[], &[])]);
    scene.tell(&[seen(&[], &[])]);
    assert!(scene.open.is_empty());
    assert_eq!(scene.reasons().iter().filter(|reason| **reason == "DeviceGone").count(), 1);
    let conditions = shown(&scene, &pod)["conditions"].to_string();
    assert!(conditions.contains("DevicesPresent") && conditions.contains("of container app is gone"));
    // What ends while it is away waits for it, and comes back with it.
    scene.exit(&pod, "app", 1);
    scene.settle();
    scene.pass(1000);
    assert!(scene.open.is_empty(), "{:?}", scene.doing());
    assert_eq!(waits(&scene, &pod).0, "DeviceUnavailable");
    let plan = scene.tell(&[seen(&[(SCANNER, "c188:0")], &[])]);
    assert_eq!(settle(&mut scene, plan), [SCANNER]);
    assert!(!shown(&scene, &pod)["conditions"].to_string().contains("DevicesPresent"));
}

#[test]
fn a_device_that_comes_back_as_another_one_is_given_by_a_restart() {
    for (policy, restarts) in [(RestartPolicy::Always, true), (RestartPolicy::Never, false)] {
        let pod = with_path(policy);
        let mut scene = Scene::new();
        scene.tell(&[seen(&[(SCANNER, "c188:0")], &[])]);
        scene.desire(&[&pod]);
        scene.settle();
        scene.tell(&[seen(&[], &[])]);
        scene.tell(&[seen(&[(SCANNER, "c188:0")], &[])]);
        assert!(scene.open.is_empty() && scene.reasons().contains(&"DeviceBack"));
        scene.tell(&[seen(&[(SCANNER, "c188:1")], &[])]);
        assert_eq!(scene.doing().contains(&"signal 15".to_owned()), restarts, "{:?}", scene.doing());
    }
}

#[test]
fn devices_of_a_limit_are_one_containers_at_a_time() {
    let (one, two) = (with_limits("one", &["a=i"], 1), with_limits("two", &["b=i"], 1));
    let (left, right) = ("example.com/cam=left", "example.com/cam=right");
    let mut scene = Scene::new();
    scene.tell(&[seen(&[(left, "c81:0")], &[(right, "/dev/video1 is not there")])]);
    let plan = scene.desire(&[&one, &two]);
    assert_eq!(settle(&mut scene, plan), [left]);
    let message = "container b waits for a device: requested example.com/cam: 1, free: 0, in use: 1; /dev/video1 is not there";
    assert_eq!(waits(&scene, &two), ("DeviceUnavailable".to_owned(), message.to_owned()));
    let plan = scene.tell(&[seen(&[(left, "c81:0"), (right, "c81:1")], &[])]);
    assert_eq!(settle(&mut scene, plan), [right]);
    // The first pod goes, and its device is free for a third one.
    let three = with_limits("three", &["c=i"], 1);
    let plan = scene.desire(&[&two, &three]);
    assert!(granted(&plan).is_empty());
    scene.ok("signal");
    scene.exit(&one, "a", 0);
    let plan = scene.pass(0);
    assert_eq!(settle(&mut scene, plan), [left]);
}

#[test]
fn an_init_container_passes_its_device_on() {
    let pod = with_limits("one", &["init prepare=i", "main=i"], 1);
    let mut scene = Scene::new();
    scene.tell(&[seen(&[("example.com/cam=left", "c81:0")], &[])]);
    let plan = scene.desire(&[&pod]);
    assert_eq!(settle(&mut scene, plan), ["example.com/cam=left"]);
    let plan = scene.exit(&pod, "prepare", 0);
    assert_eq!(settle(&mut scene, plan), ["example.com/cam=left"]);
    // Two that run side by side cannot share.
    let both = with_limits("two", &["a=i", "b=i"], 1);
    let mut scene = Scene::new();
    scene.tell(&[seen(&[("example.com/cam=left", "c81:0")], &[])]);
    scene.desire(&[&both]);
    assert!(scene.open.is_empty());
    assert!(waits(&scene, &both).1.contains("container b waits"), "{:?}", waits(&scene, &both));
}

#[test]
fn a_container_that_was_found_keeps_its_device() {
    let (one, two) = (with_limits("one", &["a=i"], 1), with_limits("two", &["b=i"], 1));
    let now = Scene::new().now;
    let grant =
        Grant { device: "example.com/cam=right".into(), identity: "c81:1".into(), ..Grant::default() };
    let record = ContainerRecord {
        id: ContainerId("a".into()),
        pod: one.uid.clone(),
        name: "a".to_owned(),
        attempt: 0,
        image: facts("i"),
        state: RecordState::Running { pid: 42, at: now },
        devices: vec![grant],
        given: None,
        standing: Standing::default(),
    };
    let sandbox = SandboxRecord {
        desired: one.clone(),
        ready: true,
        begun: now.mono,
        ips: Vec::new(),
        unsettled: false,
        given: None,
    };
    let found = Inventory {
        boot_id: "boot".to_owned(),
        sandboxes: vec![sandbox],
        containers: vec![record],
        ..Inventory::default()
    };
    let mut scene = Scene::found_at(found, now);
    scene.tell(&[seen(&[("example.com/cam=left", "c81:0"), ("example.com/cam=right", "c81:1")], &[])]);
    let plan = scene.desire(&[&two, &one]);
    assert_eq!(settle(&mut scene, plan), ["example.com/cam=left"]);
}
