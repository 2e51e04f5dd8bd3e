//! Scenes of a node that is full: who waits, who begins, who goes for whom.

use super::*;
use crate::manifest::types::ContainerPort;
use crate::node::{Amounts, CPU, NODE_CRITICAL, PODS};

/// A pod that asks for so many thousandths of a CPU, with a priority.
fn asking(name: &str, milli: u64, priority: i32) -> DesiredPod {
    let mut pod = pod(name, 1, &["app=nginx"], RestartPolicy::Always);
    let spec = &mut Arc::make_mut(&mut pod.pod).spec;
    spec.containers[0].resources.requests.insert("cpu".to_owned(), format!("{milli}m"));
    spec.priority = Some(priority);
    pod
}

fn node_of(milli: u64) -> Scene {
    let allocatable = Amounts::default().with(CPU, milli).with(PODS, 10);
    Scene::with(WorldConfig { allocatable, ..WorldConfig::default() }, Inventory::default())
}

fn runs(scene: &Scene, pod: &DesiredPod) -> bool {
    scene.world.runs(&pod.uid).iter().all(|run| run.pid.is_some())
}

fn reason(scene: &Scene, pod: &DesiredPod) -> String {
    let shown =
        crate::view::pod(&scene.world, scene.now, &crate::view::NodeView::default(), &pod.key).unwrap();
    let status = &shown["status"];
    format!("{} {}", status["phase"].as_str().unwrap(), status["reason"].as_str().unwrap_or_default())
}

#[test]
fn a_pod_that_does_not_fit_waits_and_begins_when_there_is_room() {
    let (a, b) = (asking("a", 700, 0), asking("b", 400, 0));
    let mut scene = node_of(1000);
    scene.desire(&[&a, &b]);
    scene.settle();
    assert!(runs(&scene, &a) && !runs(&scene, &b));
    assert_eq!(reason(&scene, &b), "Pending OutOfcpu");
    let told = scene.events.iter().find(|event| event.reason == "OutOfcpu").unwrap();
    assert!(
        told.message
            .starts_with("Node didn't have enough resource: cpu, requested: 400, used: 700, capacity: 1000"),
        "{told:?}"
    );
    assert_eq!(scene.wake, None);
    scene.desire(&[&b]);
    scene.exit(&a, "app", 143);
    scene.settle();
    assert!(runs(&scene, &b));
}

#[test]
fn higher_priorities_begin_first_wherever_they_stand() {
    let (a, b, c) = (asking("a", 600, 0), asking("b", 600, 5), asking("c", 400, 0));
    let mut scene = node_of(1000);
    scene.desire(&[&a, &b, &c]);
    scene.settle();
    assert_eq!([&a, &b, &c].map(|pod| runs(&scene, pod)), [false, true, true]);
}

#[test]
fn a_pod_goes_for_one_of_a_higher_priority_and_comes_back_when_there_is_room() {
    let (low, lower, high) = (asking("low", 500, 1), asking("lower", 400, 0), asking("high", 600, 2));
    let mut scene = node_of(1000);
    scene.desire(&[&low, &lower]);
    scene.settle();
    scene.desire(&[&low, &lower, &high]);
    // 100 + 400 would not do: the one of 500 has to go, and then the other one need not.
    assert_eq!(scene.doing(), ["signal 15", "save"]);
    let told = scene.events.iter().find(|event| event.reason == "Preempting").unwrap();
    assert_eq!(
        (&told.pod, &*told.message),
        (&low.key, "Preempted in order to admit pod default/high-node of priority 2.")
    );
    scene.settle();
    scene.pass(29);
    assert!(!scene.doing().contains(&"kill".to_owned()), "it has its own grace");
    scene.exit(&low, "app", 143);
    scene.settle();
    assert_eq!([&low, &lower, &high].map(|pod| runs(&scene, pod)), [false, true, true]);
    assert_eq!(reason(&scene, &low), "Pending OutOfcpu");
    scene.desire(&[&low, &lower]);
    scene.exit(&high, "app", 143);
    scene.settle();
    assert_eq!([&low, &lower].map(|pod| runs(&scene, pod)), [true, true]);
}

#[test]
fn room_that_is_being_made_is_not_given_to_others() {
    let (low, high, other) = (asking("low", 600, 0), asking("high", 1000, 9), asking("other", 400, 0));
    let mut scene = node_of(1000);
    scene.desire(&[&low]);
    scene.settle();
    scene.desire(&[&low, &high, &other]);
    scene.settle();
    assert_eq!([&high, &other].map(|pod| runs(&scene, pod)), [false, false]);
    scene.exit(&low, "app", 143);
    scene.settle();
    assert_eq!([&low, &high, &other].map(|pod| runs(&scene, pod)), [false, true, false]);
}

#[test]
fn ports_of_one_for_whom_room_is_being_made_are_not_given_to_others() {
    let with_port = |mut pod: DesiredPod| {
        let port = ContainerPort { container_port: 80, host_port: Some(80), ..ContainerPort::default() };
        Arc::make_mut(&mut pod.pod).spec.containers[0].ports.push(port);
        pod
    };
    let (large, small) = (asking("large", 900, 0), with_port(asking("small", 0, 0)));
    let first = with_port(asking("first", 900, 5));
    let mut scene = node_of(1000);
    scene.desire(&[&large]);
    scene.settle();
    scene.desire(&[&large, &first, &small]);
    scene.settle();
    assert_eq!(reason(&scene, &small), "Pending NodePorts", "the other one only waits for room");
    scene.exit(&large, "app", 143);
    scene.settle();
    assert!(runs(&scene, &first) && !runs(&scene, &small) && !runs(&scene, &large));
}

#[test]
fn nobody_goes_for_an_equal_or_in_vain_or_for_one_that_does_not_want_it() {
    let low = asking("low", 600, 0);
    let mut modest = asking("modest", 600, 9);
    Arc::make_mut(&mut modest.pod).spec.preemption_policy = Some("Never".to_owned());
    for other in [asking("equal", 600, 0), asking("huge", 1001, NODE_CRITICAL), modest] {
        let mut scene = node_of(1000);
        scene.desire(&[&low]);
        scene.settle();
        scene.desire(&[&low, &other]);
        assert_eq!(scene.doing(), [""; 0], "{}", other.key);
        assert_eq!(reason(&scene, &other), "Pending OutOfcpu");
    }
}

#[test]
fn a_pod_that_has_not_started_anything_yet_makes_room_at_once() {
    let (low, high) = (asking("low", 600, 0), asking("high", 600, 1));
    let mut scene = node_of(1000);
    scene.desire(&[&low]);
    scene.desire(&[&low, &high]);
    scene.settle();
    assert_eq!([&low, &high].map(|pod| runs(&scene, pod)), [false, true]);
}

#[test]
fn what_was_found_running_is_never_refused() {
    let (a, b) = (asking("a", 700, 0), asking("b", 700, 0));
    let mut scene = node_of(2000);
    scene.desire(&[&a, &b]);
    scene.settle();
    let sandbox = |pod: &DesiredPod| SandboxRecord {
        desired: pod.clone(),
        ready: true,
        begun: Mono(1),
        ips: vec![],
        unsettled: false,
        given: None,
    };
    let container = |pod: &DesiredPod| ContainerRecord {
        id: scene.id(pod, "app"),
        pod: pod.uid.clone(),
        name: "app".to_owned(),
        attempt: 0,
        image: facts("nginx"),
        state: RecordState::Running { pid: 9, at: scene.now },
        devices: Vec::new(),
        given: None,
        standing: Standing::default(),
    };
    let inventory = Inventory {
        sandboxes: vec![sandbox(&a), sandbox(&b)],
        containers: vec![container(&a), container(&b)],
        ..Inventory::default()
    };
    let allocatable = Amounts::default().with(CPU, 1000);
    let mut less = Scene::with(WorldConfig { allocatable, ..WorldConfig::default() }, inventory);
    less.desire(&[&a, &b]);
    less.settle();
    assert_eq!([&a, &b].map(|pod| runs(&less, pod)), [true, true]);
}

#[test]
fn room_of_one_that_goes_after_another_one_is_waited_for() {
    use crate::manifest::start_after::ANNOTATION_START_AFTER;
    let (first, high) = (asking("first", 600, 0), asking("high", 600, 1));
    let mut second = asking("second", 0, 0);
    let inner = Arc::make_mut(&mut second.pod);
    inner.spec.node_name = Some("node".to_owned());
    inner.metadata.annotations.insert(ANNOTATION_START_AFTER.to_owned(), "first-node".to_owned());
    let mut scene = node_of(1000);
    scene.desire(&[&first, &second]);
    scene.settle();
    scene.desire(&[&high]);
    assert_eq!(scene.open.iter().map(|action| &action.pod).collect::<Vec<_>>(), [&second.uid]);
    assert_eq!(reason(&scene, &high), "Pending OutOfcpu");
    assert!(!scene.reasons().contains(&"Preempting"));
    for pod in [&second, &first] {
        scene.settle();
        scene.exit(pod, "app", 143);
    }
    scene.settle();
    assert!(runs(&scene, &high));
}
