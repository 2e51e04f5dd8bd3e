//! Scenes of an agent that is new: what it finds, what it does not, what it is told to remember.

use super::*;

/// What a killed agent leaves of a running pod.
fn left_running(pod: &DesiredPod, attempt: u32) -> Inventory {
    let at = Now { mono: Mono(5), wall: Wall(7) };
    let containers = pod.pod.spec.all_containers().map(|spec| ContainerRecord {
        id: ContainerId(format!("{}-{attempt}", spec.name).as_str().into()),
        pod: pod.uid.clone(),
        name: spec.name.clone(),
        attempt,
        image: facts(&spec.image),
        state: RecordState::Running { pid: 9, at },
        devices: Vec::new(),
        given: None,
        standing: Standing::default(),
    });
    let containers = containers.collect();
    let sandboxes = vec![SandboxRecord {
        desired: pod.clone(),
        ready: true,
        begun: Mono(1),
        ips: Vec::new(),
        unsettled: false,
        given: None,
    }];
    Inventory { boot_id: "boot".to_owned(), sandboxes, containers, checkpoints: Vec::new() }
}

fn checkpoint(pod: &DesiredPod, boot: &str, memory: ContainerMemory) -> Checkpoint {
    let containers = BTreeMap::from([(pod.pod.spec.containers[0].name.clone(), memory)]);
    Checkpoint { containers, ..blank_checkpoint(pod, boot) }
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
fn nothing_is_planned_before_both_inventory_and_desired_set() {
    let pod = web();
    let mut world = World::new(WorldConfig::default());
    let desired =
        Event::Desired(Arc::new(crate::event::DesiredSet { pods: vec![pod.clone()], ..Default::default() }));
    assert_eq!(step(&mut world, Now::default(), &[desired]), Plan::default());
    assert!(!step(&mut world, Now::default(), &[Event::Inventory(Box::default())]).actions.is_empty());

    let mut scene = Scene::found(left_running(&pod, 0));
    scene.pass(3600);
    assert!(scene.open.is_empty(), "the sources have not spoken: the pod may be wanted");
    scene.desire(&[]);
    assert_eq!(scene.doing(), ["signal 15"], "an empty set is a statement");
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
    found.containers[0].state = RecordState::Exited { started: at, exit, message: String::new() };
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
    assert_eq!(scene.doing(), ["save"], "that its grace is going on");
    scene.ok("save");
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
        ..ContainerMemory::default()
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
    let last = Some(last(1, Mono(3)));
    let memory = ContainerMemory {
        next_attempt: 2,
        backoff_step: 1,
        last,
        running,
        stop: None,
        doomed: None,
        again: false,
    };
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

/// Runs `pod`, has it removed, and gives what an agent that comes `after_s` seconds later finds of it.
fn left_stopping(pod: &DesiredPod, after_s: u64) -> (Inventory, Now) {
    let mut scene = running(pod);
    scene.desire(&[]);
    scene.ok("signal");
    scene.pass(after_s);
    let mut left = left_running(pod, 0);
    left.checkpoints.extend(scene.saving().cloned());
    (left, scene.now)
}

#[test]
fn grace_goes_on_where_the_last_agent_left_it() {
    let pod = web();
    let grace_s = pod.pod.spec.termination_grace_period_seconds.unwrap_or_default();
    let (left, now) = left_stopping(&pod, 10);
    let mut scene = Scene::found_at(left, now);
    scene.desire(&[]);
    assert_eq!(scene.doing(), [""; 0], "its signal has arrived");
    scene.pass(grace_s - 11);
    assert_eq!(scene.doing(), [""; 0], "its grace is not over");
    scene.pass(1);
    assert_eq!(scene.doing(), ["kill"]);
}

#[test]
fn a_deadline_counts_from_the_pods_turn_over_agents() {
    let (old, mut new) = (web(), pod("web", 2, &["app=nginx"], RestartPolicy::Always));
    Arc::make_mut(&mut new.pod).spec.active_deadline_seconds = Some(60);
    let mut scene = running(&old);
    scene.desire(&[&new]);
    scene.ok("signal");
    scene.pass(20);
    scene.exit(&old, "app", 0);
    scene.settle();
    let turn = scene.now.mono;
    assert_eq!(scene.wake, Some(turn.plus_s(60)), "what it waited does not count");
    scene.exit(&new, "app", 1);
    let kept = scene.saving().next().unwrap().clone();
    assert_eq!(kept.active, Some(turn));

    for (checkpoints, begun, over) in [
        (vec![kept.clone()], turn.plus_s(5), turn.plus_s(60)),
        (vec![], turn.plus_s(5), turn.plus_s(65)),
        // As an older version has left it.
        (vec![Checkpoint { active: None, ..kept.clone() }], Mono(0), kept.started.mono.plus_s(60)),
    ] {
        let mut left = left_running(&new, 1);
        left.sandboxes[0].begun = begun;
        left.checkpoints = checkpoints;
        let mut again = Scene::found_at(left, scene.now);
        again.desire(&[&new]);
        again.settle();
        assert_eq!(again.wake, Some(over));
    }
}

#[test]
fn what_was_on_its_way_out_goes_though_its_manifest_is_back() {
    let pod = web();
    let (left, now) = left_stopping(&pod, 10);
    let mut scene = Scene::found_at(left, now);
    scene.desire(&[&pod]);
    assert_eq!(scene.doing(), [""; 0]);
    scene.exit(&pod, "app", 0);
    scene.settle();
    assert_eq!(scene.world.runs(&pod.uid)[0].attempt, 0, "a new pod, without the memory of the old one");
}

#[test]
fn a_stop_that_is_over_soon_is_not_written_down() {
    let pod = web();
    let mut scene = running(&pod);
    scene.settle();
    scene.desire(&[]);
    scene.ok("signal");
    scene.exit(&pod, "app", 0);
    assert!(!scene.doing().iter().any(|doing| doing == "save"), "{:?}", scene.doing());
}
