//! The world by scenes: one promise each.

use super::{WorldConfig, scene::*, step};
use crate::{
    action::{ActionKind, Plan},
    event::{
        Checkpoint, ContainerMemory, ContainerRecord, EndReason, Event, Exit, FailReason, Inventory, LastRun,
        Outcome, RecordState, SandboxRecord,
    },
    ids::ContainerId,
    manifest::{DesiredPod, types::RestartPolicy},
    time::{Mono, Now, Wall},
};
use std::{collections::BTreeMap, sync::Arc};

fn web() -> DesiredPod {
    pod("web", 1, &["app=nginx"], RestartPolicy::Always)
}

fn running(pod: &DesiredPod) -> Scene {
    let mut scene = Scene::new();
    scene.desire(&[pod]);
    scene.settle();
    scene
}

/// What a killed agent leaves of a running pod.
fn left_running(pod: &DesiredPod, attempt: u32) -> Inventory {
    let at = Now { mono: Mono(5), wall: Wall(7) };
    let containers = pod.pod.spec.containers.iter().map(|spec| ContainerRecord {
        id: ContainerId(format!("{}-{attempt}", spec.name).as_str().into()),
        pod: pod.uid.clone(),
        name: spec.name.clone(),
        attempt,
        image: facts(&spec.image),
        state: RecordState::Running { pid: 9, at },
    });
    let containers = containers.collect();
    let sandboxes = vec![SandboxRecord { desired: pod.clone(), ready: true }];
    Inventory { boot_id: "boot".to_owned(), sandboxes, containers, checkpoints: Vec::new() }
}

fn checkpoint(pod: &DesiredPod, boot: &str, memory: ContainerMemory) -> Checkpoint {
    let containers = BTreeMap::from([(pod.pod.spec.containers[0].name.clone(), memory)]);
    let (uid, boot_id, started) = (pod.uid.clone(), boot.to_owned(), Now::default());
    Checkpoint { uid, boot_id, started, containers }
}

fn last(code: i32, at: Mono) -> LastRun {
    let at = Now { mono: at, wall: Wall(3) };
    let exit = Exit { code, signal: 0, oom: false, at };
    LastRun {
        id: ContainerId("old".into()),
        started: at,
        exit,
        reason: EndReason::Exited,
        message: String::new(),
    }
}

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
fn nothing_is_planned_before_both_inventory_and_desired_set() {
    let pod = web();
    let mut world = super::World::new(WorldConfig::default());
    let desired =
        Event::Desired(Arc::new(crate::event::DesiredSet { pods: vec![pod.clone()], problems: vec![] }));
    assert_eq!(step(&mut world, Now::default(), &[desired]), Plan::default());
    assert!(!step(&mut world, Now::default(), &[Event::Inventory(Box::default())]).actions.is_empty());

    let mut scene = Scene::found(left_running(&pod, 0));
    scene.pass(3600);
    assert!(scene.open.is_empty(), "the sources have not spoken: the pod may be wanted");
    scene.desire(&[]);
    assert_eq!(scene.doing(), ["signal 15"], "an empty set is a statement");
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
    assert!(scene.open.is_empty());
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
fn what_ran_before_the_agent_runs_on_untouched() {
    let pod = web();
    let mut scene = Scene::found(left_running(&pod, 3));
    scene.desire(&[&pod]);
    assert_eq!(scene.doing(), ["save"], "its start had not been saved");
    scene.settle();
    assert_eq!(scene.world.runs(&pod.uid)[0].attempt, 3);
    scene.exit(&pod, "app", 0);
    scene.settle();
    assert_eq!(scene.world.runs(&pod.uid)[0].attempt, 4);
}

#[test]
fn a_start_of_an_earlier_agent_is_waited_for() {
    let pod = web();
    let mut found = left_running(&pod, 0);
    found.containers[0].state = RecordState::Creating;
    let mut scene = Scene::found(found.clone());
    scene.desire(&[&pod]);
    assert!(scene.open.is_empty());
    let id = found.containers[0].id.clone();
    scene.tell(&[Event::Started { id: id.clone(), pid: 5, at: scene.now }]);
    assert_eq!((scene.world.runs(&pod.uid)[0].pid, scene.doing()), (Some(5), vec!["save".to_owned()]));

    let mut scene = Scene::found(found);
    scene.desire(&[&pod]);
    scene.pass(60);
    assert_eq!(scene.doing(), ["kill"]);
}

#[test]
fn an_unknown_record_is_cleared_and_its_attempt_used_again() {
    let pod = web();
    let mut found = left_running(&pod, 0);
    found.containers[0].state = RecordState::Unknown;
    let mut scene = Scene::found(found);
    scene.desire(&[&pod]);
    assert_eq!(scene.doing(), ["kill"]);
    scene.ok("kill");
    scene.ok("remove container");
    assert_eq!(scene.doing(), ["start app 0"]);
}

#[test]
fn an_exit_while_the_agent_was_away_counts_once() {
    let pod = web();
    let mut found = left_running(&pod, 0);
    let at = Now { mono: Mono(6), wall: Wall(8) };
    let exit = Exit { code: 2, signal: 0, oom: false, at };
    found.containers[0].state = RecordState::Exited { started: at, exit };
    let mut scene = Scene::found(found.clone());
    scene.desire(&[&pod]);
    let ActionKind::SaveCheckpoint { checkpoint } = scene.open[0].kind.clone() else { panic!() };
    assert_eq!(checkpoint.containers["app"].next_attempt, 1);
    // The agent dies after the save and before the acknowledgement: the exit is told again.
    found.checkpoints.push(*checkpoint);
    let mut scene = Scene::found(found);
    scene.desire(&[&pod]);
    assert_eq!(scene.doing(), ["remove container"]);
    scene.ok("remove");
    assert_eq!(scene.doing(), ["start app 1"]);
}

#[test]
fn a_pod_removed_while_the_agent_was_away_gets_its_full_grace() {
    let pod = web();
    let mut scene = Scene::found(left_running(&pod, 0));
    scene.desire(&[]);
    assert_eq!(scene.doing(), ["signal 15"]);
    scene.ok("signal");
    scene.pass(29);
    assert!(scene.open.is_empty());
    scene.pass(1);
    assert_eq!(scene.doing(), ["kill"]);
}

#[test]
fn a_broken_manifest_harms_no_pod_even_if_the_agent_restarts() {
    let pod = web();
    let mut scene = Scene::found(left_running(&pod, 0));
    scene.desire_with(&[], &[problem("web.yaml", None)]);
    assert_eq!(scene.doing(), ["save"]);
    scene.settle();
    let other = crate::ids::PodKey { namespace: "default".into(), name: "other".into() };
    scene.desire_with(&[], &[problem("web.yaml", Some(other))]);
    assert_eq!(scene.doing(), ["signal 15"], "the problem is another pod's: this one was taken out");
}

#[test]
fn a_checkpoint_without_a_pod_goes_when_all_manifests_can_be_read() {
    let pod = web();
    let checkpoints = vec![checkpoint(&pod, "boot", ContainerMemory::default())];
    let mut scene = Scene::found(Inventory { checkpoints, ..Inventory::default() });
    scene.desire_with(&[], &[problem("web.yaml", None)]);
    assert!(scene.open.is_empty());
    scene.desire(&[]);
    assert_eq!(scene.doing(), ["drop"]);
    scene.settle();
    assert!(scene.open.is_empty());
}

#[test]
fn a_container_without_a_pod_is_cleared() {
    let mut found = left_running(&web(), 0);
    found.sandboxes.clear();
    let mut scene = Scene::found(found);
    scene.desire(&[]);
    assert_eq!(scene.doing(), ["kill"]);
    scene.ok("kill");
    scene.pass(5);
    scene.ok("remove container");
    assert_eq!((scene.open.len(), scene.wake), (0, None));
}

#[test]
fn after_a_reboot_the_first_start_is_immediate_and_the_next_waits_by_its_level() {
    let pod = web();
    let memory = ContainerMemory {
        next_attempt: 5,
        backoff_step: 3,
        last: Some(last(1, Mono(999_999_000_000_000))),
        running: None,
    };
    let checkpoints = vec![checkpoint(&pod, "earlier", memory)];
    let mut scene = Scene::found(Inventory { checkpoints, ..Inventory::default() });
    scene.desire(&[&pod]);
    scene.settle();
    assert_eq!(scene.world.runs(&pod.uid)[0].attempt, 5);
    scene.exit(&pod, "app", 1);
    scene.settle();
    assert_eq!(scene.wake, Some(scene.now.mono.plus_s(80)));
}

#[test]
fn a_run_that_ended_with_the_boot_is_counted() {
    let pod = web();
    let running = Some(Now { mono: Mono(4), wall: Wall(4) });
    let memory = ContainerMemory { next_attempt: 2, backoff_step: 1, last: Some(last(1, Mono(3))), running };
    let checkpoints = vec![checkpoint(&pod, "earlier", memory)];
    let mut scene = Scene::found(Inventory { checkpoints, ..Inventory::default() });
    scene.desire(&[&pod]);
    scene.settle();
    assert_eq!((scene.world.runs(&pod.uid)[0].attempt, scene.wake), (2, None));
}

#[test]
fn a_completed_pod_stays_completed() {
    for (policy, code, done) in [
        (RestartPolicy::Never, 0, true),
        (RestartPolicy::Never, 1, true),
        (RestartPolicy::OnFailure, 0, true),
        (RestartPolicy::OnFailure, 1, false),
        (RestartPolicy::Always, 0, false),
    ] {
        let pod = pod("job", 1, &["app=nginx"], policy);
        let last = Some(last(code, Mono(1)));
        let memory = ContainerMemory { next_attempt: 1, last, ..ContainerMemory::default() };
        for boot in ["boot", "earlier"] {
            let checkpoints = vec![checkpoint(&pod, boot, memory.clone())];
            let mut scene = Scene::found(Inventory { checkpoints, ..Inventory::default() });
            scene.desire(&[&pod]);
            assert_eq!(scene.open.is_empty(), done, "{policy:?} {code} {boot}");
        }
    }
}

#[test]
fn a_never_pod_does_not_run_again_when_a_reboot_ended_it() {
    let pod = pod("job", 1, &["app=nginx"], RestartPolicy::Never);
    let memory = ContainerMemory { next_attempt: 1, running: Some(Now::default()), ..Default::default() };
    let checkpoints = vec![checkpoint(&pod, "earlier", memory)];
    let mut scene = Scene::found(Inventory { checkpoints, ..Inventory::default() });
    scene.desire(&[&pod]);
    assert_eq!(scene.doing(), ["save"]);
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

    let mut scene = Scene::new();
    scene.desire(&[&pod]);
    scene.ok("create sandbox");
    scene.answer("image", Outcome::Image(Box::new(facts("nginx"))));
    scene.fail("start app 0", FailReason::CreateContainerConfigError);
    scene.ok("remove container");
    scene.pass(10);
    assert_eq!(scene.doing(), ["start app 0"], "nothing ran: it is no run");
}

#[test]
fn limits_refuse_the_new_and_spare_the_running() {
    let config = WorldConfig { pods_max: 2, containers_max: 3, ..WorldConfig::default() };
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
    scene.tell(&[Event::Exited { id: ContainerId("nobody".into()), exit }]);
    assert_eq!(format!("{:?}", scene.world), before);
}
