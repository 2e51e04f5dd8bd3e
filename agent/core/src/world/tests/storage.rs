//! Scenes of pods that write more than they may, and come back.

use super::*;
use crate::{
    manifest::types::{EmptyDir, Volume},
    storage::StorageUse,
    time::NS_PER_S,
};

fn limited(policy: RestartPolicy) -> DesiredPod {
    let mut pod = pod("web", 1, &["app=nginx"], policy);
    let dir = EmptyDir { size_limit: Some("1Ki".to_owned()), ..EmptyDir::default() };
    let volume = Volume { name: "data".to_owned(), empty_dir: Some(dir), ..Volume::default() };
    Arc::make_mut(&mut pod.pod).spec.volumes.push(volume);
    pod
}

fn found(bytes: u64) -> Outcome {
    let volumes = [("data".to_owned(), bytes)].into();
    Outcome::Measured(Box::new(StorageUse { volumes, ..StorageUse::default() }))
}

fn status(scene: &Scene, pod: &DesiredPod) -> (String, String) {
    let shown =
        crate::view::pod(&scene.world, scene.now, &crate::view::NodeView::default(), &pod.key).unwrap();
    let text = |name: &str| shown["status"][name].as_str().unwrap_or_default().to_owned();
    (text("phase"), text("reason"))
}

/// Lets the pod be found over its limit and goes on until nothing of it is left.
fn evict(scene: &mut Scene, pod: &DesiredPod) {
    scene.pass(10);
    scene.answer("measure", found(1025));
    assert!(scene.doing().contains(&"signal 15".to_owned()), "{:?}", scene.doing());
    let saved = scene.saving().next().unwrap();
    assert!(saved.evicted.is_some() && saved.terminating.is_some());
    scene.ok("signal");
    scene.exit(pod, "app", 143);
    while let Some(next) = scene.doing().first().cloned() {
        scene.ok(&next);
    }
}

#[test]
fn pods_without_such_limits_are_not_measured() {
    let pod = web();
    let mut scene = running(&pod);
    assert_eq!(scene.wake, None);
    assert!(scene.pass(1000).actions.is_empty());
}

#[test]
fn a_pod_within_its_limits_is_measured_each_period_and_rests_if_that_takes_long() {
    let pod = limited(RestartPolicy::Always);
    let mut scene = running(&pod);
    scene.pass(10);
    scene.answer("measure", found(1024));
    assert_eq!(scene.wake, Some(scene.now.mono.plus_s(10)));
    scene.pass(10);
    let slow = StorageUse { took_ms: 4_000, cut: true, ..StorageUse::default() };
    scene.answer("measure", Outcome::Measured(Box::new(slow)));
    assert_eq!(scene.wake, Some(scene.now.mono.plus_s(80)));
    assert_eq!(scene.reasons().last(), Some(&"NotEnforced"));
    scene.pass(80);
    scene.fail("measure", FailReason::Internal);
    assert_eq!(scene.wake, Some(scene.now.mono.plus_s(10)));
}

#[test]
fn a_pod_that_writes_too_much_goes_wholly_and_begins_anew_after_a_wait_that_doubles() {
    let pod = limited(RestartPolicy::Always);
    let mut scene = running(&pod);
    for wait_s in [10, 20, 40] {
        let from = scene.now.mono.plus_s(10);
        evict(&mut scene, &pod);
        assert_eq!(status(&scene, &pod), ("Failed".to_owned(), "Evicted".to_owned()));
        assert_eq!(scene.wake, Some(from.plus_s(wait_s)));
        scene.pass(wait_s - 1);
        assert!(scene.open.is_empty());
        scene.pass(1);
        scene.settle();
        assert_eq!(status(&scene, &pod), ("Running".to_owned(), String::new()));
        assert_eq!(scene.world.runs(&pod.uid)[0].attempt, 0, "it is a new pod");
    }
    let evictions = scene.events.iter().filter(|event| event.reason == "Evicted");
    assert_eq!(evictions.count(), 3);
    // A long time without one ends the row.
    for _ in 0..70 {
        scene.pass(10);
        scene.settle();
    }
    let from = scene.now.mono.plus_s(10);
    evict(&mut scene, &pod);
    assert_eq!(scene.wake, Some(from.plus_s(10)));
}

#[test]
fn one_that_is_never_to_be_restarted_has_failed_for_good_and_an_agent_after_this_one_knows() {
    let pod = limited(RestartPolicy::Never);
    let mut scene = running(&pod);
    evict(&mut scene, &pod);
    assert_eq!(status(&scene, &pod), ("Failed".to_owned(), "Evicted".to_owned()));
    assert_eq!(scene.wake, None);
    scene.pass(1000);
    assert!(scene.open.is_empty());
    let evicted = crate::event::Evicted {
        cause: crate::event::Cause::Evicted,
        message: "m".to_owned(),
        at: Now { mono: Mono(NS_PER_S), ..Now::default() },
        count: 1,
        short_of: None,
        grace_max_s: None,
    };
    for (policy, boot, phase) in [
        (RestartPolicy::Never, "another", "Failed"),
        (RestartPolicy::Always, "boot", "Failed"),
        (RestartPolicy::Always, "another", "Pending"),
    ] {
        let pod = limited(policy);
        let checkpoint = Checkpoint { evicted: Some(evicted.clone()), ..blank_checkpoint(&pod, boot) };
        let inventory = Inventory { checkpoints: vec![checkpoint], ..Inventory::default() };
        let mut scene = Scene::found_at(inventory, Now { mono: Mono(5 * NS_PER_S), ..Now::default() });
        scene.desire(&[&pod]);
        assert_eq!(status(&scene, &pod).0, phase, "{policy:?} {boot}");
        assert_eq!(scene.open.is_empty(), phase == "Failed");
        scene.desire(&[]);
        scene.settle();
        assert!(scene.world.pods().next().is_none());
    }
}

#[test]
fn a_pod_that_is_removed_while_it_is_evicted_does_not_come_back() {
    let pod = limited(RestartPolicy::Always);
    let mut scene = running(&pod);
    scene.pass(10);
    scene.answer("measure", found(1025));
    scene.desire(&[]);
    scene.exit(&pod, "app", 143);
    scene.settle();
    scene.pass(1000);
    assert!(scene.open.is_empty() && scene.world.pods().next().is_none());
}
