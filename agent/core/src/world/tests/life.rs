//! Scenes of a pod's life: start, exits, back-off, removal, limits.

use super::*;
use crate::{
    action::ImageFacts,
    view::{NodeView, pod_list},
};

#[test]
fn images_and_sandbox_come_side_by_side_and_containers_one_after_another() {
    let pod = pod("web", 1, &["a=x", "b=y", "c=x"], RestartPolicy::Always);
    let mut scene = Scene::new();
    scene.desire(&[&pod]);
    assert_eq!(scene.doing(), ["image x", "image y", "create sandbox"]);
    scene.ok("create sandbox");
    scene.answer("image x", Outcome::Image(Box::new(facts("x"))));
    assert_eq!(scene.doing(), ["image y", "start a 0"]);
    scene.answer("start a", Outcome::Started { pid: 1, at: scene.now });
    assert_eq!(scene.doing(), ["image y"], "b's image is on its way: c waits");
    scene.fail("image y", FailReason::ErrImagePull);
    assert_eq!(scene.doing(), ["start c 0"], "b's image failed: c does not wait");
    scene.settle();
    assert!(scene.wake.is_some(), "b's image is tried again");
    scene.tell(&[Event::ImagesChanged]);
    assert_eq!(scene.doing(), ["image y"], "new images end the wait");
    scene.settle();
    assert_eq!((scene.wake, scene.world.is_quiet()), (None, true));
}

#[test]
fn an_exit_is_saved_before_it_is_acknowledged() {
    let pod = web();
    let mut scene = running(&pod);
    scene.exit(&pod, "app", 1);
    assert_eq!(scene.doing(), ["save"]);
    scene.exit(&pod, "app", 7);
    assert_eq!(scene.doing(), ["save"], "the second telling changes nothing");
    let ActionKind::SaveCheckpoint { checkpoint } = scene.open[0].kind.clone() else { panic!() };
    let memory = &checkpoint.containers["app"];
    assert_eq!((memory.next_attempt, memory.last.as_ref().unwrap().exit.code), (1, 1));
    scene.ok("save");
    assert_eq!(scene.doing(), ["remove container"]);
    scene.ok("remove");
    assert_eq!(scene.doing(), ["start app 1"], "the first restart is immediate");
}

#[test]
fn a_disk_that_takes_nothing_does_not_hold_the_pod_for_ever() {
    let pod = web();
    let mut scene = running(&pod);
    scene.exit(&pod, "app", 1);
    scene.fail("save", FailReason::Internal);
    scene.pass(1);
    scene.fail("save", FailReason::Internal);
    assert_eq!(scene.doing(), Vec::<String>::new());
    scene.pass(2);
    scene.fail("save", FailReason::Internal);
    assert_eq!(scene.doing(), ["remove container"]);
    assert!(scene.reasons().contains(&"FailedCheckpoint"));
    scene.ok("remove");
    scene.answer("start app 1", Outcome::Started { pid: 1, at: scene.now });
    scene.pass(60);
    assert_eq!(scene.doing(), ["save"], "it goes on trying");
}

#[test]
fn crashes_back_off_and_say_so_once() {
    let pod = web();
    let mut scene = running(&pod);
    scene.exit(&pod, "app", 1);
    scene.settle();
    for wait_s in [10, 20, 40] {
        scene.exit(&pod, "app", 1);
        scene.settle();
        scene.pass(wait_s - 1);
        assert_eq!((scene.doing().len(), scene.wake), (0, Some(scene.now.mono.plus_s(1))));
        scene.pass(1);
        assert!(scene.doing()[0].starts_with("start app"));
        scene.settle();
    }
    assert_eq!(scene.reasons().iter().filter(|reason| **reason == "BackOff").count(), 3);
    scene.pass(601);
    scene.exit(&pod, "app", 1);
    scene.ok("save");
    scene.ok("remove");
    assert_eq!(scene.doing(), ["start app 5"], "a long run ends the row");
}

#[test]
fn a_removed_pod_goes_step_by_step_and_its_successor_comes_at_once() {
    let (old, new) = (web(), pod("web", 2, &["app=nginx"], RestartPolicy::Always));
    let mut scene = running(&old);
    scene.desire(&[&new]);
    assert_eq!(scene.doing(), ["signal 15"]);
    scene.ok("signal");
    scene.pass(29);
    assert_eq!(scene.doing(), ["save"], "that its grace is going on");
    scene.ok("save");
    scene.pass(1);
    assert_eq!(scene.doing(), ["kill"]);
    scene.ok("kill");
    scene.exit(&old, "app", 137);
    scene.ok("remove container");
    scene.ok("remove sandbox");
    assert_eq!(scene.doing(), ["drop"]);
    scene.ok("drop");
    assert_eq!(scene.doing(), ["image nginx", "create sandbox"]);
    assert!(scene.open.iter().all(|action| action.pod == new.uid));
}

#[test]
fn removing_what_is_remembered_is_tried_three_times_however_many_saves_have_failed() {
    for failed_saves in 0..4 {
        let old = web();
        let mut scene = running(&old);
        scene.desire(&[]);
        scene.ok("signal");
        // The stop takes long enough to be remembered.
        for retry in 0..failed_saves {
            scene.pass(2 << retry);
            scene.fail("save", FailReason::Internal);
        }
        scene.exit(&old, "app", 143);
        scene.ok("remove container");
        scene.ok("remove sandbox");
        scene.desire(&[&old]);
        for _ in 0..3 {
            assert_eq!(scene.doing(), ["drop"], "after {failed_saves} failed saves: a new one waits");
            scene.fail("drop", FailReason::Internal);
            scene.pass(4);
        }
        assert_eq!(scene.doing(), ["image nginx", "create sandbox"], "after {failed_saves} failed saves");
    }
}

#[test]
fn without_grace_it_is_killed_at_once_and_an_early_end_is_taken_early() {
    let mut pod = web();
    Arc::make_mut(&mut pod.pod).spec.termination_grace_period_seconds = Some(0);
    let mut scene = running(&pod);
    scene.desire(&[]);
    assert_eq!(scene.doing(), ["kill"]);

    let pod = web();
    let mut scene = running(&pod);
    scene.desire(&[]);
    scene.exit(&pod, "app", 0);
    scene.ok("signal");
    assert_eq!(scene.doing(), ["remove container"]);
}

#[test]
fn of_many_updates_while_it_terminates_the_last_wins() {
    let mut scene = running(&web());
    for revision in 2..300 {
        scene.desire(&[&pod("web", revision, &["app=nginx"], RestartPolicy::Always)]);
    }
    let old = web();
    scene.desire(&[&old]);
    scene.exit(&old, "app", 0);
    scene.settle();
    assert_eq!(scene.world.pods().map(|pod| &pod.uid).collect::<Vec<_>>(), [&old.uid]);
    assert_eq!(scene.world.runs(&old.uid)[0].attempt, 0, "the same revision came back as a new pod");
    assert_eq!(scene.world.runs(&old.uid)[0].pid, Some(42));
}

#[test]
fn a_pod_with_its_own_uid_is_replaced_when_its_content_changes() {
    let with_uid = |image: &str| {
        let mut pod = pod("web", 1, &[&format!("app={image}")], RestartPolicy::Always);
        pod.uid = crate::ids::PodUid("mine".into());
        pod
    };
    let (old, new) = (with_uid("a"), with_uid("b"));
    let mut scene = running(&old);
    scene.desire(&[&with_uid("a")]);
    assert!(scene.open.is_empty());
    scene.desire(&[&new]);
    scene.exit(&old, "app", 0);
    scene.settle();
    let pods: Vec<_> = scene.world.pods().map(|pod| pod.pod.spec.containers[0].image.clone()).collect();
    assert_eq!(pods, ["b"]);
}

#[test]
fn a_program_that_cannot_be_started_counts_as_a_run_that_failed() {
    let pod = pod("job", 1, &["app=nginx"], RestartPolicy::Never);
    let mut scene = Scene::new();
    scene.desire(&[&pod]);
    scene.ok("create sandbox");
    scene.answer("image", Outcome::Image(Box::new(facts("nginx"))));
    scene.fail("start app 0", FailReason::RunContainerError);
    scene.ok("save");
    scene.ok("remove container");
    assert_eq!((scene.open.len(), scene.wake), (0, None));

    for reason in [FailReason::CreateContainerConfigError, FailReason::CreateContainerError] {
        let mut scene = Scene::new();
        scene.desire(&[&pod]);
        scene.ok("create sandbox");
        scene.answer("image", Outcome::Image(Box::new(facts("nginx"))));
        scene.fail("start app 0", reason);
        scene.ok("remove container");
        scene.pass(10);
        assert_eq!(scene.doing(), ["start app 0"], "nothing ran: it is no run");
    }
}

#[test]
fn limits_refuse_the_new_and_spare_the_running() {
    let allocatable = crate::node::Amounts::default().with("pods", 2).with("containers", 3);
    let config = WorldConfig { allocatable, ..WorldConfig::default() };
    let mut scene = Scene::with(config, Inventory::default());
    let big = pod("big", 1, &["a=x", "b=x", "c=x"], RestartPolicy::Always);
    let pods = ["p", "q", "r"].map(|name| pod(name, 1, &["a=x"], RestartPolicy::Always));
    scene.desire(&[&pods[0], &big, &pods[1], &pods[2]]);
    scene.settle();
    let runs =
        |scene: &Scene, pod: &DesiredPod| scene.world.runs(&pod.uid).iter().all(|run| run.pid.is_some());
    assert!(
        runs(&scene, &pods[0]) && runs(&scene, &pods[1]) && !runs(&scene, &pods[2]) && !runs(&scene, &big)
    );
    let refused: Vec<_> = scene.reasons().into_iter().filter(|reason| reason.starts_with("OutOf")).collect();
    assert_eq!(refused, ["OutOfcontainers", "OutOfpods"]);
    scene.desire(&[&big, &pods[1], &pods[2]]);
    scene.exit(&pods[0], "a", 0);
    scene.settle();
    assert!(runs(&scene, &pods[2]), "there is room again");
}

#[test]
fn a_problem_is_told_once_until_it_comes_back() {
    let mut scene = Scene::new();
    let wrong = [problem("x.yaml", None)];
    for problems in [&wrong[..], &wrong, &[], &wrong] {
        scene.desire_with(&[], problems);
    }
    assert_eq!(scene.reasons(), ["FailedValidation"; 2]);
    assert!(scene.events[0].message.starts_with("x.yaml:4:7:"), "{}", scene.events[0].message);
}

#[test]
fn what_a_pod_goes_without_is_told_once_and_keeps_nothing_from_running() {
    let pod = web();
    let mut scene = Scene::new();
    scene.desire(&[&pod]);
    let lacking = |message: &str| Event::NotEnforced { pod: pod.uid.clone(), message: message.to_owned() };
    scene.tell(&[lacking("no memory"), lacking("no pids"), lacking("no memory")]);
    scene.settle();
    scene.tell(&[lacking("no pids")]);
    let told = scene.events.iter().filter(|event| event.reason == "NotEnforced" && event.warning);
    let told: Vec<&str> = told.map(|event| event.message.as_str()).collect();
    assert_eq!(told, ["no memory", "no pids"]);
    assert!(scene.world.runs(&pod.uid)[0].pid.is_some());
}

#[test]
fn a_pod_that_is_active_for_too_long_fails_for_good_over_agents_and_boots() {
    let mut pod = web();
    Arc::make_mut(&mut pod.pod).spec.active_deadline_seconds = Some(60);
    let mut scene = running(&pod);
    assert_eq!(scene.wake, Some(scene.now.mono.plus_s(60)));
    scene.pass(60);
    assert!(scene.reasons().contains(&"DeadlineExceeded"));
    assert_eq!(scene.doing(), ["signal 15"]);
    scene.ok("signal");
    scene.exit(&pod, "app", 0);
    let kept = scene.saving().next().unwrap().clone();
    assert!(kept.expired);
    scene.settle();
    scene.pass(3600);
    assert_eq!((scene.open.len(), scene.wake), (0, None));

    let mut scene = Scene::found(Inventory { checkpoints: vec![kept], ..Inventory::default() });
    scene.desire(&[&pod]);
    assert!(scene.doing().iter().all(|doing| doing == "save"), "{:?}", scene.doing());
}

#[test]
fn an_image_whose_registry_could_not_be_asked_runs_and_says_so() {
    let pod = pod("web", 1, &["app=nginx"], RestartPolicy::Always);
    for unasked in ["", "hub.test/nginx cannot be reached"] {
        let mut scene = Scene::new();
        scene.desire(&[&pod]);
        scene.ok("create sandbox");
        let facts = ImageFacts { unasked: unasked.to_owned(), ..facts("nginx") };
        scene.answer("image", Outcome::Image(Box::new(facts)));
        scene.settle();
        assert!(scene.world.runs(&pod.uid)[0].pid.is_some());
        let list = pod_list(&scene.world, scene.now, &NodeView::default());
        let conditions = list["items"][0]["status"]["conditions"].as_array().unwrap();
        let shown = conditions.iter().find(|condition| condition["type"] == "ImagesCurrent");
        let shown =
            shown.map(|shown| (shown["status"].as_str().unwrap(), shown["message"].as_str().unwrap()));
        let told = scene.events.iter().filter(|event| event.reason == "RegistryUnreachable" && event.warning);
        let message = format!("Container image \"nginx\" is the one that is here: {unasked}");
        let expected = (!unasked.is_empty()).then_some(("False", &*message));
        assert_eq!((shown, told.count()), (expected, usize::from(!unasked.is_empty())));
    }
}
