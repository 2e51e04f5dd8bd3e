//! Scenes of init containers and sidecars: who waits for whom, what is run again, who stops when.

use super::*;

fn three(policy: RestartPolicy) -> DesiredPod {
    pod("app", 1, &["init a=x", "init b=x", "main=x"], policy)
}

fn with_sidecar(policy: RestartPolicy) -> DesiredPod {
    pod("app", 1, &["init a=x", "sidecar s=x", "sidecar t=x", "main=x"], policy)
}

/// Answers everything; every init container that has started succeeds.
fn initialise(scene: &mut Scene, pod: &DesiredPod, inits: &[&str]) {
    scene.settle();
    for init in inits {
        scene.exit(pod, init, 0);
        scene.settle();
    }
}

fn running_names(scene: &Scene, pod: &DesiredPod) -> Vec<String> {
    let runs = scene.world.runs(&pod.uid);
    runs.iter().filter(|run| run.pid.is_some()).map(|run| run.container.to_owned()).collect()
}

#[test]
fn init_containers_run_one_after_another_and_then_the_others() {
    let pod = three(RestartPolicy::Always);
    let mut scene = running(&pod);
    assert_eq!(running_names(&scene, &pod), ["a"]);
    scene.exit(&pod, "a", 0);
    scene.settle();
    assert_eq!(running_names(&scene, &pod), ["b"]);
    scene.exit(&pod, "b", 0);
    scene.settle();
    assert_eq!(running_names(&scene, &pod), ["main"]);
    scene.exit(&pod, "main", 1);
    scene.settle();
    assert_eq!(running_names(&scene, &pod), ["main"], "a restart does not initialise again");
    assert_eq!(scene.wake, None);
}

#[test]
fn a_failing_init_container_blocks_and_is_tried_again_or_fails_the_pod() {
    for policy in [RestartPolicy::Always, RestartPolicy::OnFailure] {
        let pod = three(policy);
        let mut scene = running(&pod);
        scene.exit(&pod, "a", 1);
        scene.settle();
        assert_eq!(running_names(&scene, &pod), ["a"], "the first restart is immediate");
        scene.exit(&pod, "a", 1);
        scene.settle();
        assert_eq!((running_names(&scene, &pod).len(), scene.wake), (0, Some(scene.now.mono.plus_s(10))));
        scene.pass(10);
        initialise(&mut scene, &pod, &["a", "b"]);
        assert_eq!(running_names(&scene, &pod), ["main"]);
    }
    let pod = three(RestartPolicy::Never);
    let mut scene = running(&pod);
    scene.exit(&pod, "a", 1);
    scene.settle();
    scene.pass(3600);
    assert_eq!((scene.open.len(), scene.wake), (0, None));
}

#[test]
fn sidecars_start_in_order_and_stay() {
    let pod = with_sidecar(RestartPolicy::Never);
    let mut scene = running(&pod);
    assert_eq!(running_names(&scene, &pod), ["a"]);
    scene.exit(&pod, "a", 0);
    scene.ok("save");
    scene.ok("remove container");
    assert_eq!(scene.doing(), ["start s 0"]);
    scene.answer("start s", Outcome::Started { pid: 1, at: scene.now });
    assert_eq!(scene.doing(), ["start t 0"]);
    scene.settle();
    assert_eq!(running_names(&scene, &pod), ["s", "t", "main"]);
    scene.exit(&pod, "s", 0);
    scene.settle();
    assert_eq!(running_names(&scene, &pod), ["s", "t", "main"], "it restarts whatever the pod's policy says");
}

#[test]
fn a_sidecar_that_ends_before_the_pod_is_initialised_holds_up_nobody() {
    let pod = pod("app", 1, &["sidecar s=x", "init a=x", "main=x"], RestartPolicy::Always);
    let mut scene = running(&pod);
    for _ in 0..2 {
        scene.exit(&pod, "s", 1);
        scene.settle();
    }
    assert_eq!(running_names(&scene, &pod), ["a"], "s waits for its back-off");
    scene.exit(&pod, "a", 0);
    scene.settle();
    assert_eq!(running_names(&scene, &pod), ["main"]);
    scene.pass(10);
    scene.settle();
    assert_eq!(running_names(&scene, &pod), ["s", "main"]);
}

#[test]
fn sidecars_end_with_the_last_regular_container_from_the_last_to_the_first() {
    let pod = with_sidecar(RestartPolicy::Never);
    let mut scene = running(&pod);
    initialise(&mut scene, &pod, &["a"]);
    scene.exit(&pod, "main", 0);
    scene.ok("save");
    assert_eq!(scene.doing(), ["signal 15", "remove container"], "t, and the remains of main");
    scene.settle();
    scene.pass(1);
    assert_eq!(scene.doing(), ["save"], "s waits for t");
    scene.ok("save");
    scene.exit(&pod, "t", 0);
    scene.ok("signal");
    scene.exit(&pod, "s", 0);
    scene.settle();
    scene.pass(3600);
    assert_eq!((scene.open.len(), scene.wake, scene.world.is_quiet()), (0, None, true));
}

#[test]
fn a_sidecar_is_signalled_after_those_that_it_serves_and_has_what_is_left_of_the_grace() {
    let pod = with_sidecar(RestartPolicy::Always);
    let mut scene = running(&pod);
    initialise(&mut scene, &pod, &["a"]);
    scene.desire(&[]);
    assert_eq!(scene.doing(), ["signal 15"], "main");
    scene.ok("signal");
    scene.pass(20);
    scene.exit(&pod, "main", 0);
    scene.ok("signal");
    scene.settle();
    scene.pass(9);
    assert!(scene.open.is_empty());
    scene.pass(1);
    assert_eq!(scene.doing(), ["signal 15", "kill"], "the grace is over: s is asked, t is killed");
    scene.ok("kill");
    scene.ok("signal");
    scene.exit(&pod, "t", 137);
    scene.settle();
    scene.pass(1);
    assert!(scene.open.is_empty());
    scene.pass(1);
    assert_eq!(scene.doing(), ["kill"], "two seconds later");
    scene.ok("kill");
    scene.exit(&pod, "s", 137);
    scene.settle();
    assert_eq!(scene.world.pods().count(), 0);
}

#[test]
fn a_pod_that_goes_while_it_is_initialised_goes_at_once() {
    let pod = pod("app", 1, &["sidecar s=x", "init a=x", "main=x"], RestartPolicy::Always);
    let mut scene = running(&pod);
    scene.desire(&[]);
    assert_eq!(scene.doing(), ["signal 15"]);
    scene.exit(&pod, "a", 143);
    scene.ok("signal");
    assert_eq!(scene.doing(), ["signal 15", "remove container"]);
    scene.exit(&pod, "s", 143);
    scene.settle();
    assert_eq!(scene.world.pods().count(), 0);
}

/// What an agent finds after a reboot, by the ends that the checkpoint tells of.
fn after_reboot(pod: &DesiredPod, ends: &[(&str, i32)]) -> Scene {
    let at = Now { mono: Mono(999), wall: Wall(3) };
    let memory = |(name, code): &(&str, i32)| {
        let exit = Exit { code: *code, signal: 0, oom: false, at };
        let id = ContainerId((*name).into());
        let (reason, message) = (EndReason::Exited, String::new());
        let last = Some(LastRun { id, started: at, exit, reason, message });
        ((*name).to_owned(), ContainerMemory { next_attempt: 1, last, ..ContainerMemory::default() })
    };
    let containers = ends.iter().map(memory).collect();
    let checkpoint = Checkpoint { started: at, containers, ..blank_checkpoint(pod, "earlier") };
    let mut scene = Scene::found(Inventory { checkpoints: vec![checkpoint], ..Inventory::default() });
    scene.desire(&[pod]);
    scene
}

#[test]
fn after_a_reboot_the_pod_is_initialised_again() {
    let pod = three(RestartPolicy::Always);
    let mut scene = after_reboot(&pod, &[("a", 0), ("b", 0), ("main", 1)]);
    scene.settle();
    assert_eq!(running_names(&scene, &pod), ["a"]);
    initialise(&mut scene, &pod, &["a", "b"]);
    assert_eq!(running_names(&scene, &pod), ["main"]);
    let attempts: Vec<u32> = scene.world.runs(&pod.uid).iter().map(|run| run.attempt).collect();
    assert_eq!(attempts, [1, 1, 1]);

    let done = three(RestartPolicy::OnFailure);
    assert!(after_reboot(&done, &[("a", 0), ("b", 0), ("main", 0)]).open.is_empty());
    let failed = three(RestartPolicy::Never);
    assert!(after_reboot(&failed, &[("a", 1)]).open.is_empty());
}

#[test]
fn an_agent_that_is_new_does_not_initialise_a_pod_again() {
    let pod = three(RestartPolicy::Always);
    let at = Now { mono: Mono(1500), wall: Wall(7) };
    let record = |name: &str, state| ContainerRecord {
        id: ContainerId(name.into()),
        pod: pod.uid.clone(),
        name: name.to_owned(),
        attempt: 0,
        image: facts("x"),
        state,
        devices: Vec::new(),
        given: None,
        standing: Standing::default(),
    };
    let exit = Exit { code: 0, signal: 0, oom: false, at };
    let ended = || RecordState::Exited { started: at, exit, message: String::new() };
    let found = |containers| Inventory {
        boot_id: "boot".to_owned(),
        sandboxes: vec![SandboxRecord {
            desired: pod.clone(),
            ready: true,
            begun: Mono(1000),
            ips: Vec::new(),
            unsettled: false,
            given: None,
        }],
        containers,
        checkpoints: Vec::new(),
    };
    let start = |containers| {
        let mut scene = Scene::found(found(containers));
        scene.desire(&[&pod]);
        scene.settle();
        running_names(&scene, &pod)
    };
    assert_eq!(start(vec![record("a", ended())]), ["b"]);
    assert_eq!(start(vec![record("a", ended()), record("b", ended())]), ["main"]);
    let main = RecordState::Running { pid: 3, at };
    assert_eq!(start(vec![record("main", main)]), ["main"], "what initialised it is not remembered");
}
