//! Scenes of probes: when they are asked, what their answers lead to, and what outlives the agent.

use super::*;
use crate::{
    manifest::types::{Container, Probe, TcpSocket},
    view::{NodeView, pod_list},
};
use serde_json::Value;

fn tcp(period_s: u32, failures: u32) -> Option<Probe> {
    Some(Probe {
        tcp_socket: Some(TcpSocket { port: crate::manifest::types::PortRef::Number(80), host: None }),
        timeout_seconds: Some(1),
        period_seconds: Some(period_s),
        success_threshold: Some(1),
        failure_threshold: Some(failures),
        ..Probe::default()
    })
}

/// A pod of one container, changed so.
fn with(policy: RestartPolicy, change: impl FnOnce(&mut Container)) -> DesiredPod {
    let mut pod = pod("web", 1, &["app=nginx"], policy);
    change(&mut Arc::make_mut(&mut pod.pod).spec.containers[0]);
    pod
}

/// It runs, and nothing that was asked of it is answered.
fn begun(pod: &DesiredPod) -> Scene {
    let mut scene = Scene::new();
    scene.desire(&[pod]);
    scene.ok("create sandbox");
    scene.answer("image", Outcome::Image(Box::new(facts("nginx"))));
    scene.answer("start app", Outcome::Started { pid: 42, at: scene.now });
    while scene.doing().iter().any(|doing| doing == "save") {
        scene.ok("save");
    }
    scene
}

fn say(scene: &mut Scene, verdict: Verdict) {
    scene.answer("check", Outcome::Checked(checked(verdict)));
}

fn status(scene: &Scene) -> Value {
    let shown = pod_list(&scene.world, scene.now, &NodeView::default());
    shown["items"][0]["status"]["containerStatuses"][0].clone()
}

fn last(scene: &Scene) -> (&str, &str) {
    let event = scene.events.last().unwrap();
    (&event.reason, &event.message)
}

#[test]
fn readiness_follows_the_probe_and_restarts_nothing() {
    let pod = with(RestartPolicy::Always, |c| c.readiness_probe = tcp(10, 2));
    let mut scene = begun(&pod);
    assert_eq!(scene.doing(), ["check Readiness"], "at once");
    assert_eq!((&status(&scene)["ready"], &status(&scene)["started"]), (&false.into(), &true.into()));
    say(&mut scene, Verdict::Success);
    assert_eq!(scene.doing(), ["note false true"]);
    scene.settle();
    assert_eq!(status(&scene)["ready"], true);
    assert_eq!(scene.wake, Some(scene.now.mono.plus_s(10)));
    for ready in [true, false, false] {
        scene.pass(10);
        say(&mut scene, Verdict::Failure);
        assert_eq!(status(&scene)["ready"], ready);
        scene.settle();
    }
    assert_eq!(last(&scene), ("Unhealthy", "Readiness probe failed: it says so"));
    scene.pass(10);
    say(&mut scene, Verdict::Warning);
    assert_eq!(last(&scene), ("ProbeWarning", "Readiness probe warning: it says so"));
    assert_eq!(status(&scene)["ready"], true);
}

#[test]
fn liveness_has_the_container_killed_with_the_probes_grace_and_run_again() {
    for (policy, code, runs) in [
        (RestartPolicy::Always, 0, true),
        // It was not its own end.
        (RestartPolicy::OnFailure, 0, true),
        (RestartPolicy::Never, 143, false),
    ] {
        let pod = with(policy, |c| {
            c.liveness_probe = tcp(10, 2);
            c.liveness_probe.as_mut().unwrap().termination_grace_period_seconds = Some(3);
        });
        let mut scene = begun(&pod);
        say(&mut scene, Verdict::Failure);
        scene.settle();
        scene.pass(10);
        say(&mut scene, Verdict::Failure);
        let again = if runs { ", will be restarted" } else { "" };
        assert_eq!(last(&scene), ("Killing", &*format!("Container app failed liveness probe{again}")));
        scene.ok("signal 15");
        scene.settle();
        scene.pass(2);
        assert!(scene.open.is_empty(), "{:?}: nothing is asked while it stops", scene.doing());
        if runs {
            scene.pass(1);
            assert_eq!(scene.doing(), ["kill"], "three seconds, not the pod's thirty");
            scene.ok("kill");
        }
        scene.exit(&pod, "app", code);
        scene.settle();
        let restarts = scene.world.runs(&pod.uid)[0].attempt;
        assert_eq!((restarts == 1, scene.world.runs(&pod.uid)[0].pid.is_some()), (runs, runs), "{policy:?}");
        scene.pass(1);
        assert!(scene.open.is_empty(), "the new run begins with no failures");
    }
}

#[test]
fn nothing_else_is_asked_until_the_startup_probe_has_succeeded() {
    let pod = with(RestartPolicy::Always, |c| {
        c.startup_probe = tcp(1, 3);
        c.liveness_probe = tcp(10, 1);
        c.readiness_probe = tcp(10, 1);
    });
    let mut scene = begun(&pod);
    for _ in 0..2 {
        assert_eq!(scene.doing(), ["check Startup"]);
        say(&mut scene, Verdict::Failure);
        scene.pass(1);
    }
    assert_eq!(status(&scene)["started"], false);
    say(&mut scene, Verdict::Success);
    assert_eq!(scene.doing(), ["check Liveness", "check Readiness", "note true false"]);
    assert_eq!((&status(&scene)["ready"], &status(&scene)["started"]), (&false.into(), &true.into()));
    scene.settle();
    scene.pass(5);
    assert!(scene.open.is_empty(), "the startup probe is over");
}

#[test]
fn a_startup_probe_that_fails_too_often_restarts_the_container() {
    let pod = with(RestartPolicy::Always, |c| c.startup_probe = tcp(1, 2));
    let mut scene = begun(&pod);
    say(&mut scene, Verdict::Failure);
    scene.pass(1);
    say(&mut scene, Verdict::Failure);
    assert_eq!(last(&scene), ("Killing", "Container app failed startup probe, will be restarted"));
    assert_eq!(scene.doing(), ["signal 15"]);
}

#[test]
fn delay_and_period_are_kept_and_a_question_that_is_open_is_not_asked_again() {
    let pod = with(RestartPolicy::Always, |c| {
        c.liveness_probe = tcp(5, 3);
        c.liveness_probe.as_mut().unwrap().initial_delay_seconds = 20;
    });
    let mut scene = begun(&pod);
    scene.pass(19);
    assert!(scene.open.is_empty());
    scene.pass(1);
    assert_eq!(scene.doing(), ["check Liveness"]);
    scene.pass(6);
    assert_eq!(scene.doing(), ["check Liveness"]);
    say(&mut scene, Verdict::Success);
    assert_eq!(scene.doing(), ["check Liveness"], "its time had come meanwhile");
}

#[test]
fn a_lost_answer_is_a_failure_and_a_question_that_could_not_be_asked_is_nothing() {
    let pod = with(RestartPolicy::Always, |c| c.liveness_probe = tcp(1, 1));
    let mut scene = begun(&pod);
    scene.fail("check", FailReason::Internal);
    assert_eq!(last(&scene).0, "Unhealthy");
    scene.pass(1);
    assert_eq!(scene.doing(), ["check Liveness"]);
    scene.open.clear();
    scene.pass(31);
    assert_eq!(scene.doing(), ["signal 15"]);
}

#[test]
fn an_answer_about_an_earlier_run_does_not_count() {
    let pod = with(RestartPolicy::Always, |c| c.liveness_probe = tcp(10, 1));
    let mut scene = begun(&pod);
    let old = scene.open.remove(0).id;
    scene.exit(&pod, "app", 1);
    scene.settle();
    assert_eq!(scene.world.runs(&pod.uid)[0].attempt, 1);
    let events = scene.events.len();
    scene.tell(&[Event::Done { action: old, outcome: Outcome::Checked(checked(Verdict::Failure)) }]);
    assert_eq!((scene.events.len(), scene.open.len()), (events, 0));
}

#[test]
fn a_pod_that_goes_is_asked_for_its_readiness_only() {
    let pod = with(RestartPolicy::Always, |c| {
        c.liveness_probe = tcp(1, 1);
        c.readiness_probe = tcp(1, 1);
    });
    let mut scene = begun(&pod);
    scene.settle();
    scene.desire(&[]);
    scene.ok("signal");
    scene.pass(1);
    assert_eq!(scene.doing(), ["save", "check Readiness"]);
    say(&mut scene, Verdict::Failure);
    assert_eq!(status(&scene)["ready"], false);
    assert!(!scene.reasons().contains(&"BackOff"));
}

#[test]
fn an_answer_that_was_out_when_the_pod_began_to_go_ends_no_sidecar() {
    let mut pod = pod("app", 1, &["sidecar s=x", "main=x"], RestartPolicy::Always);
    Arc::make_mut(&mut pod.pod).spec.init_containers[0].liveness_probe = tcp(1, 1);
    let mut scene = Scene::new();
    scene.desire(&[&pod]);
    scene.ok("create sandbox");
    scene.answer("image", Outcome::Image(Box::new(facts("x"))));
    scene.answer("start s", Outcome::Started { pid: 1, at: scene.now });
    scene.answer("start main", Outcome::Started { pid: 2, at: scene.now });
    scene.pass(1);
    assert!(scene.doing().contains(&"check Liveness".to_owned()), "{:?}", scene.doing());
    scene.desire(&[]);
    say(&mut scene, Verdict::Failure);
    assert!(!scene.events.iter().any(|event| event.message.contains("liveness")), "{:?}", scene.events);
}

#[test]
fn a_sidecar_holds_up_the_others_until_its_startup_probe_has_succeeded() {
    let mut pod = pod("app", 1, &["sidecar s=x", "main=x"], RestartPolicy::Always);
    Arc::make_mut(&mut pod.pod).spec.init_containers[0].startup_probe = tcp(1, 30);
    let mut scene = Scene::new();
    scene.desire(&[&pod]);
    scene.ok("create sandbox");
    scene.answer("image", Outcome::Image(Box::new(facts("x"))));
    scene.answer("start s", Outcome::Started { pid: 1, at: scene.now });
    scene.ok("save");
    assert_eq!(scene.doing(), ["check Startup"]);
    say(&mut scene, Verdict::Failure);
    scene.pass(1);
    say(&mut scene, Verdict::Success);
    assert_eq!(scene.doing(), ["note true false", "start main 0"]);
}

#[test]
fn a_new_agent_goes_on_from_what_is_noted() {
    let pod = with(RestartPolicy::Always, |c| {
        c.startup_probe = tcp(1, 3);
        c.readiness_probe = tcp(10, 3);
    });
    let at = Now { mono: Mono(1500), wall: Wall(7) };
    for (started, ready, asked) in
        [(true, true, "check Readiness"), (true, false, "check Readiness"), (false, false, "check Startup")]
    {
        let record = ContainerRecord {
            id: ContainerId("app".into()),
            pod: pod.uid.clone(),
            name: "app".to_owned(),
            attempt: 0,
            image: facts("nginx"),
            state: RecordState::Running { pid: 3, at },
            devices: Vec::new(),
            given: None,
            standing: Standing { started, ready, ..Standing::default() },
        };
        let sandbox = SandboxRecord {
            desired: pod.clone(),
            ready: true,
            begun: Mono(1000),
            ips: Vec::new(),
            unsettled: false,
            given: None,
        };
        let mut scene = Scene::found(Inventory {
            boot_id: "boot".to_owned(),
            sandboxes: vec![sandbox],
            containers: vec![record],
            checkpoints: Vec::new(),
        });
        scene.desire(&[&pod]);
        assert!(scene.doing().contains(&asked.to_owned()), "{:?}", scene.doing());
        let shown = status(&scene);
        assert_eq!((&shown["started"], &shown["ready"]), (&started.into(), &ready.into()));
    }
}
