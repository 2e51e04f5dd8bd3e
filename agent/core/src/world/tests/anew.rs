//! Scenes of pods that are started anew as a whole, because a rule says so.

use super::*;
use crate::manifest::types::{ExitCodes, InOrNot, RestartRule};

fn ruled() -> DesiredPod {
    let mut pod = pod("web", 1, &["init setup=x", "sidecar log=x", "app=x", "job=x"], RestartPolicy::Never);
    let rule = RestartRule {
        action: "RestartAllContainers".to_owned(),
        exit_codes: ExitCodes { operator: InOrNot::In, values: vec![42] },
    };
    let app = &mut Arc::make_mut(&mut pod.pod).spec.containers[0];
    (app.restart_policy, app.restart_policy_rules) = (Some(RestartPolicy::Never), vec![rule]);
    pod
}

/// All of it runs, the job has succeeded.
fn grown(pod: &DesiredPod) -> Scene {
    let mut scene = running(pod);
    scene.exit(pod, "setup", 0);
    scene.settle();
    scene.exit(pod, "job", 0);
    scene.settle();
    scene
}

fn attempts(scene: &Scene, pod: &DesiredPod) -> Vec<(String, u32, bool)> {
    let runs = scene.world.runs(&pod.uid).into_iter();
    runs.map(|run| (run.container.to_owned(), run.attempt, run.pid.is_some())).collect()
}

fn expect(scene: &Scene, pod: &DesiredPod, expected: [(u32, bool); 4]) {
    let expected: Vec<_> = ["setup", "log", "app", "job"]
        .iter()
        .zip(expected)
        .map(|(name, (attempt, runs))| ((*name).to_owned(), attempt, runs))
        .collect();
    assert_eq!(attempts(scene, pod), expected);
}

#[test]
fn all_containers_end_at_once_and_begin_again_in_their_order() {
    let pod = ruled();
    let mut scene = grown(&pod);
    expect(&scene, &pod, [(0, false), (0, true), (0, true), (0, false)]);
    scene.exit(&pod, "app", 42);
    assert!(scene.doing().contains(&"kill".to_owned()), "no grace: {:?}", scene.doing());
    assert!(
        !scene.doing().iter().any(|what| what.starts_with("create sandbox") || what.starts_with("start"))
    );
    assert!(scene.saving().next().unwrap().containers.values().all(|memory| memory.again));
    scene.settle();
    assert!(
        scene.open.is_empty(),
        "what was killed has not been told to have ended yet: {:?}",
        scene.doing()
    );
    scene.exit(&pod, "log", 137);
    scene.settle();
    expect(&scene, &pod, [(1, true), (0, false), (0, false), (0, false)]);
    scene.exit(&pod, "setup", 0);
    scene.settle();
    expect(&scene, &pod, [(1, false), (1, true), (1, true), (1, true)]);
    assert_eq!(scene.reasons().iter().filter(|reason| **reason == "RestartAllContainers").count(), 1);
    // Ends that no rule is about are the last ones, as the policy says.
    scene.exit(&pod, "app", 1);
    scene.exit(&pod, "job", 0);
    scene.settle();
    assert!(scene.world.is_quiet());
    expect(&scene, &pod, [(1, false), (1, true), (1, false), (1, false)]);
}

#[test]
fn an_agent_goes_on_with_what_the_one_before_it_has_begun() {
    let pod = ruled();
    let mut scene = grown(&pod);
    let log = scene.id(&pod, "log");
    scene.exit(&pod, "app", 42);
    let mut next = next(&scene, &pod, &[(&log, "log", RecordState::Running { pid: 9, at: scene.now })]);
    next.desire(&[&pod]);
    assert!(next.doing().contains(&"kill".to_owned()), "{:?}", next.doing());
    next.settle();
    next.exit(&pod, "log", 137);
    next.settle();
    expect(&next, &pod, [(1, true), (0, false), (0, false), (0, false)]);
}

/// What the next agent finds of these first runs, and of what is being saved.
fn next(scene: &Scene, pod: &DesiredPod, runs: &[(&ContainerId, &str, RecordState)]) -> Scene {
    let record = |(id, name, state): &(&ContainerId, &str, RecordState)| ContainerRecord {
        id: (*id).clone(),
        pod: pod.uid.clone(),
        name: (*name).to_owned(),
        attempt: 0,
        image: facts("x"),
        state: state.clone(),
        devices: Vec::new(),
        given: None,
        standing: Standing::default(),
    };
    let sandbox = SandboxRecord {
        desired: pod.clone(),
        ready: true,
        begun: Mono(1),
        ips: vec![],
        unsettled: false,
        given: None,
    };
    let inventory = Inventory {
        boot_id: "boot".to_owned(),
        sandboxes: vec![sandbox],
        containers: runs.iter().map(record).collect(),
        checkpoints: vec![scene.saving().next().unwrap().clone()],
    };
    Scene::found_at(inventory, scene.now)
}

#[test]
fn what_was_killed_to_begin_anew_does_not_count_when_the_next_agent_hears_of_it() {
    let pod = ruled();
    let mut scene = running(&pod);
    scene.exit(&pod, "setup", 0);
    scene.settle();
    let (log, job) = (scene.id(&pod, "log"), scene.id(&pod, "job"));
    scene.exit(&pod, "app", 42);
    let killed = Exit { code: 137, signal: 9, oom: false, at: scene.now };
    let ended = || RecordState::Exited { started: scene.now, exit: killed, message: String::new() };
    let mut next = next(&scene, &pod, &[(&log, "log", ended()), (&job, "job", ended())]);
    next.desire(&[&pod]);
    next.settle();
    expect(&next, &pod, [(1, true), (0, false), (0, false), (0, false)]);
    next.exit(&pod, "setup", 0);
    next.settle();
    expect(&next, &pod, [(1, false), (1, true), (1, true), (1, true)]);
}

#[test]
fn what_has_completed_keeps_its_room_where_it_may_begin_anew() {
    let allocatable = crate::node::Amounts::default().with("pods", 9).with("containers", 4);
    let other = pod("other", 1, &["a=x"], RestartPolicy::Always);
    for (rules, begins) in [(true, false), (false, true)] {
        let mut web = ruled();
        if !rules {
            Arc::make_mut(&mut web.pod).spec.containers[0].restart_policy_rules.clear();
        }
        let config = WorldConfig { allocatable: allocatable.clone(), ..WorldConfig::default() };
        let mut scene = Scene::with(config, Inventory::default());
        scene.desire(&[&web]);
        scene.settle();
        for name in ["setup", "job"] {
            scene.exit(&web, name, 0);
            scene.settle();
        }
        scene.desire(&[&web, &other]);
        scene.settle();
        assert_eq!(scene.world.runs(&other.uid).iter().any(|run| run.pid.is_some()), begins, "{rules}");
    }
}
