//! Scenes of answers that come late, twice, in another order, or never.

use super::*;

#[test]
fn an_unanswered_start_is_killed_and_removed_before_another() {
    let pod = web();
    let mut scene = Scene::new();
    scene.desire(&[&pod]);
    scene.answer("image", Outcome::Image(Box::new(facts("nginx"))));
    scene.ok("create sandbox");
    scene.pass(59);
    let late = scene.open.remove(0).id;
    scene.pass(1);
    assert_eq!(scene.doing(), ["kill"]);
    scene.ok("kill");
    assert!(scene.open.is_empty(), "an exit may still be told");
    scene.pass(5);
    scene.ok("remove container");
    assert_eq!(scene.doing(), ["start app 0"]);
    // The answer comes after all: a process that nobody knows.
    scene.tell(&[Event::Done { action: late, outcome: Outcome::Started { pid: 1, at: scene.now } }]);
    assert_eq!(scene.doing(), ["start app 0", "kill"]);
    assert_ne!(scene.id(&pod, "app"), kill_target(&scene));
}

fn kill_target(scene: &Scene) -> ContainerId {
    let kills = scene.open.iter().find_map(|action| match &action.kind {
        ActionKind::Kill { id } => Some(id.clone()),
        _ => None,
    });
    kills.unwrap()
}

#[test]
fn answers_that_nobody_waits_for_change_nothing() {
    let pod = web();
    let mut scene = running(&pod);
    let before = format!("{:?}", scene.world);
    let actions = (0..40).map(crate::ids::ActionId);
    let answers = [Outcome::Ok, Outcome::Started { pid: 1, at: scene.now }, Outcome::Image(Box::default())];
    for action in actions {
        for outcome in answers.clone() {
            assert_eq!(scene.tell(&[Event::Done { action, outcome }]), Plan::default());
        }
    }
    let exit = Exit { code: 0, signal: 0, oom: false, at: scene.now };
    scene.tell(&[Event::Exited { id: ContainerId("nobody".into()), exit, message: String::new() }]);
    assert_eq!(format!("{:?}", scene.world), before);
}

/// A pod whose start was taken for lost and cleared, and the number of that start.
fn lost_start(pod: &DesiredPod) -> (Scene, crate::ids::ActionId) {
    let mut scene = Scene::new();
    scene.desire(&[pod]);
    scene.answer("image", Outcome::Image(Box::new(facts("nginx"))));
    scene.ok("create sandbox");
    let start = scene.open.remove(0).id;
    scene.pass(60);
    scene.ok("kill");
    scene.pass(5);
    (scene, start)
}

#[test]
fn a_process_that_turns_up_late_is_cleared_before_anything_else_of_its_pod() {
    let pod = web();
    let (mut scene, start) = lost_start(&pod);
    scene.fail("remove container", FailReason::Internal);
    let late = Event::Done { action: start, outcome: Outcome::Started { pid: 1, at: scene.now } };
    scene.tell(&[late]);
    scene.pass(1);
    assert_eq!(scene.doing(), ["kill"], "what is being removed may live: it is killed again");

    let (mut scene, start) = lost_start(&pod);
    scene.fail("remove container", FailReason::Internal);
    scene.pass(1);
    let remove = scene.open.remove(0).id;
    scene.desire(&[]);
    let late = Event::Done { action: start, outcome: Outcome::Started { pid: 1, at: scene.now } };
    scene.tell(&[Event::Done { action: remove, outcome: Outcome::Ok }, late]);
    assert_eq!(scene.doing(), ["kill"], "the sandbox stays while its container may live");
    scene.ok("kill");
    scene.pass(5);
    scene.ok("remove container");
    assert_eq!(scene.doing(), ["remove sandbox"]);
}

#[test]
fn no_container_starts_beside_a_process_that_turned_up_late() {
    let pod = web();
    for told_by_keeper in [false, true] {
        let (mut scene, start) = lost_start(&pod);
        let action = scene.open.remove(0);
        let ActionKind::RemoveContainer { id } = action.kind else { panic!() };
        let at = scene.now;
        let late = if told_by_keeper {
            Event::Started { id, pid: 1, at }
        } else {
            Event::Done { action: start, outcome: Outcome::Started { pid: 1, at } }
        };
        scene.tell(&[Event::Done { action: action.id, outcome: Outcome::Ok }, late]);
        late_process_is_cleared(scene);
    }
}

fn late_process_is_cleared(mut scene: Scene) {
    assert_eq!(scene.doing(), ["kill"]);
    let id = kill_target(&scene);
    scene.ok("kill");
    let exit = Exit { code: 137, signal: 9, oom: false, at: scene.now };
    scene.tell(&[Event::Exited { id, exit, message: String::new() }]);
    scene.ok("remove container");
    assert_eq!(scene.doing(), ["start app 0"], "its end was told: nothing more to wait for");
}

#[test]
fn an_exit_may_be_told_before_the_start() {
    let pod = web();
    let mut scene = Scene::new();
    scene.desire(&[&pod]);
    scene.answer("image", Outcome::Image(Box::new(facts("nginx"))));
    scene.ok("create sandbox");
    let begun = scene.now;
    scene.now.mono = scene.now.mono.plus_s(2);
    scene.exit(&pod, "app", 3);
    assert_eq!(scene.doing(), ["start app 0", "save"]);
    scene.ok("save");
    assert_eq!(scene.doing(), ["start app 0"], "one action at a time for one container");
    let at = Now { mono: begun.mono.plus_s(1), ..begun };
    scene.answer("start", Outcome::Started { pid: 1, at });
    assert_eq!(scene.doing(), ["remove container"]);
    scene.ok("remove container");
    scene.answer("start app 1", Outcome::Started { pid: 2, at: scene.now });
    let ActionKind::SaveCheckpoint { checkpoint } = scene.open[0].kind.clone() else { panic!() };
    assert_eq!(checkpoint.containers["app"].last.as_ref().unwrap().started, at);
}

#[test]
fn a_pod_that_goes_waits_for_no_image() {
    let pod = web();
    let mut scene = Scene::new();
    scene.desire(&[&pod]);
    let image = scene.open.remove(0).id;
    scene.ok("create sandbox");
    scene.desire(&[]);
    scene.ok("remove sandbox");
    scene.ok("drop");
    assert_eq!((scene.wake, scene.world.is_quiet()), (None, true));
    scene.desire(&[&pod]);
    scene.tell(&[Event::Done { action: image, outcome: Outcome::Image(Box::new(facts("nginx"))) }]);
    assert_eq!(scene.doing(), ["image nginx", "create sandbox"], "the old answer is not the new pod's");
}
