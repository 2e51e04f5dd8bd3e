//! Scenes of lifecycle hooks: who waits for them, what follows when they fail, and that the grace holds over them.

use super::*;
use crate::{
    manifest::types::{ExecAction, Lifecycle, LifecycleHandler, SleepAction},
    view::{NodeView, pod_list},
};

fn exec() -> Option<LifecycleHandler> {
    let exec = Some(ExecAction { command: vec!["x".to_owned()] });
    Some(LifecycleHandler { exec, ..LifecycleHandler::default() })
}

fn sleep(seconds: u64) -> Option<LifecycleHandler> {
    Some(LifecycleHandler { sleep: Some(SleepAction { seconds }), ..LifecycleHandler::default() })
}

/// A pod of these containers, the first of which has hooks; its grace is 30 s.
fn with(containers: &[&str], post: Option<LifecycleHandler>, pre: Option<LifecycleHandler>) -> DesiredPod {
    let mut pod = pod("web", 1, containers, RestartPolicy::Always);
    let spec = &mut Arc::make_mut(&mut pod.pod).spec;
    let stop_signal = Some("SIGINT".to_owned());
    let hooked = spec.all_containers_mut().next().unwrap();
    hooked.lifecycle = Some(Lifecycle { post_start: post, pre_stop: pre, stop_signal });
    pod
}

/// It is started, and no hook is answered.
fn begun(pod: &DesiredPod) -> Scene {
    let mut scene = Scene::new();
    scene.desire(&[pod]);
    while let Some(i) = scene.doing().iter().position(|doing| !doing.starts_with("check")) {
        let doing = scene.doing()[i].clone();
        match doing.split(' ').next() {
            Some("image") => scene.answer(&doing, Outcome::Image(Box::new(facts("x")))),
            Some("start") => scene.answer(&doing, Outcome::Started { pid: 1, at: scene.now }),
            _ => scene.ok(&doing),
        };
    }
    scene
}

fn state(scene: &Scene) -> String {
    let shown = pod_list(&scene.world, scene.now, &NodeView::default());
    let status = &shown["items"][0]["status"];
    let first = &status["containerStatuses"][0];
    let state = first["state"].as_object().unwrap().keys().next().unwrap();
    format!("{} {state} {}", status["phase"].as_str().unwrap(), first["ready"])
}

#[test]
fn the_next_container_and_the_pods_phase_wait_for_the_hook_after_the_start() {
    let pod = with(&["app=x", "second=x"], exec(), None);
    let mut scene = begun(&pod);
    assert_eq!(
        (scene.doing(), state(&scene)),
        (vec!["check PostStart".to_owned()], "Pending waiting false".into())
    );
    scene.answer("check", Outcome::Checked(checked(Verdict::Success)));
    assert_eq!(scene.doing(), ["start second 0"]);
    scene.settle();
    assert_eq!(state(&scene), "Running running true");
    scene.pass(100);
    assert!(scene.open.is_empty());

    let pod = with(&["app=x", "second=x"], sleep(5), None);
    let mut scene = begun(&pod);
    assert!(scene.open.is_empty());
    scene.pass(5);
    assert_eq!(scene.doing(), ["start second 0"]);
}

#[test]
fn a_hook_after_the_start_that_fails_costs_the_run() {
    let pod = with(&["app=x"], exec(), exec());
    let mut scene = begun(&pod);
    scene.answer("check PostStart", Outcome::Checked(checked(Verdict::Failure)));
    let told: Vec<_> = scene.events.iter().rev().take(2).map(|e| (&*e.reason, &*e.message)).collect();
    assert_eq!(told, [("Killing", "FailedPostStartHook"), ("FailedPostStartHook", "PostStartHook failed")]);
    assert_eq!(scene.doing(), ["check PreStop", "save"]);
    assert!(!scene.world.has_come_up(&pod.uid), "while it is stopped");
    scene.ok("save");
    scene.answer("check PreStop", Outcome::Checked(checked(Verdict::Success)));
    assert_eq!(scene.doing(), ["signal 2"]);
    scene.ok("signal");
    scene.exit(&pod, "app", 0);
    scene.settle();
    let run = &scene.world.runs(&pod.uid)[0];
    assert_eq!((run.attempt, run.pid.is_some()), (1, true), "it is replaced");
}

#[test]
fn the_hook_before_the_stop_comes_first_and_is_part_of_the_grace() {
    let pod = with(&["app=x", "second=x"], None, exec());
    let mut scene = begun(&pod);
    scene.desire(&[]);
    assert_eq!(scene.doing(), ["signal 15", "check PreStop"], "the other one has none");
    scene.ok("signal");
    scene.exit(&pod, "second", 0);
    scene.pass(20);
    scene.answer("check", Outcome::Checked(checked(Verdict::Failure)));
    assert!(scene.reasons().contains(&"FailedPreStopHook"));
    scene.ok("signal 2");
    scene.settle();
    scene.pass(9);
    assert!(scene.open.is_empty());
    scene.pass(1);
    assert_eq!(scene.doing(), ["kill"], "thirty seconds after the beginning");
}

#[test]
fn a_hook_before_the_stop_that_does_not_end_is_given_up_with_the_grace() {
    let pod = with(&["app=x"], None, exec());
    let mut scene = begun(&pod);
    scene.desire(&[]);
    scene.pass(30);
    assert_eq!(scene.doing(), ["check PreStop", "signal 2"]);
    scene.ok("signal");
    scene.pass(1);
    assert!(!scene.doing().contains(&"kill".to_owned()));
    scene.pass(1);
    assert!(scene.doing().contains(&"kill".to_owned()), "{:?}", scene.doing());
}

#[test]
fn a_sleep_before_the_stop_needs_nobody_and_no_grace_means_no_hook() {
    let mut pod = with(&["app=x"], None, sleep(7));
    let mut scene = begun(&pod);
    scene.desire(&[]);
    scene.pass(6);
    scene.settle();
    assert!(scene.open.is_empty());
    scene.pass(1);
    assert_eq!(scene.doing(), ["signal 2"]);

    Arc::make_mut(&mut pod.pod).spec.termination_grace_period_seconds = Some(0);
    let mut scene = begun(&pod);
    scene.desire(&[]);
    assert_eq!(scene.doing(), ["kill"]);
}

#[test]
fn hooks_of_sidecars_begin_with_the_stop_and_their_signals_wait_for_their_turn() {
    let pod = with(&["sidecar s=x", "main=x"], None, exec());
    let mut scene = begun(&pod);
    scene.desire(&[]);
    assert_eq!(scene.doing(), ["signal 15", "check PreStop"]);
    scene.ok("signal");
    scene.answer("check", Outcome::Checked(checked(Verdict::Success)));
    assert!(scene.open.is_empty());
    scene.exit(&pod, "main", 0);
    assert!(scene.doing().contains(&"signal 2".to_owned()));
}

#[test]
fn a_new_agent_does_not_begin_a_hook_again_and_waits_for_it_as_long_as_it_may_take() {
    let at = Now { mono: Mono(1500), wall: Wall(7) };
    for (standing, asked) in [
        (Standing::default(), vec!["check PostStart"]),
        (Standing { post_start: true, ..Standing::default() }, vec![]),
        (Standing { post_start: true, pre_stop: true, ..Standing::default() }, vec![]),
    ] {
        let pod = with(&["app=x"], exec(), exec());
        let record = ContainerRecord {
            id: ContainerId("app".into()),
            pod: pod.uid.clone(),
            name: "app".to_owned(),
            attempt: 0,
            image: facts("x"),
            state: RecordState::Running { pid: 3, at },
            devices: Vec::new(),
            given: None,
            standing,
        };
        let mut scene = Scene::found(Inventory {
            boot_id: "boot".to_owned(),
            sandboxes: vec![SandboxRecord {
                desired: pod.clone(),
                ready: true,
                begun: Mono(1000),
                ips: Vec::new(),
                unsettled: false,
                given: None,
            }],
            containers: vec![record],
            checkpoints: Vec::new(),
        });
        scene.desire(&[&pod]);
        let checks = |scene: &Scene| -> Vec<String> {
            scene.doing().into_iter().filter(|doing| doing.starts_with("check")).collect()
        };
        assert_eq!(checks(&scene), asked);
        scene.settle();
        scene.desire(&[]);
        if !standing.pre_stop {
            assert!(scene.doing().contains(&"check PreStop".to_owned()), "{:?}", scene.doing());
            continue;
        }
        scene.pass(29);
        scene.settle();
        assert_eq!(scene.doing(), [""; 0], "nobody knows whether it is over");
        scene.pass(1);
        assert_eq!(scene.doing(), ["signal 2"]);
        scene.ok("signal");
        scene.pass(2);
        assert!(scene.doing().contains(&"kill".to_owned()), "{:?}", scene.doing());
    }
}
