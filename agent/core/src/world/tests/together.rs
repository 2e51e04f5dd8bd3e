//! Scenes of pods that begin after others, and go before them.

use super::*;
use crate::{
    event::{DesiredSet, Shutdown},
    manifest::start_after::ANNOTATION_START_AFTER,
    world::ShutdownTime,
};

fn after(name: &str, others: &str, policy: RestartPolicy) -> DesiredPod {
    let mut pod = pod(name, 1, &["app=nginx"], policy);
    let inner = Arc::make_mut(&mut pod.pod);
    inner.spec.node_name = Some("node".to_owned());
    if !others.is_empty() {
        inner.metadata.annotations.insert(ANNOTATION_START_AFTER.to_owned(), others.to_owned());
    }
    pod
}

fn runs(scene: &Scene, pods: &[&DesiredPod]) -> Vec<bool> {
    pods.iter().map(|pod| scene.world.runs(&pod.uid).iter().any(|run| run.pid.is_some())).collect()
}

fn said(scene: &Scene, pod: &DesiredPod) -> String {
    let shown =
        crate::view::pod(&scene.world, scene.now, &crate::view::NodeView::default(), &pod.key).unwrap();
    shown["status"]["message"].as_str().unwrap_or_default().to_owned()
}

fn refused<'a>(scene: &'a Scene, pod: &DesiredPod) -> Vec<&'a str> {
    let of_it = scene.events.iter().filter(|event| event.pod == pod.key && event.warning);
    of_it.map(|event| event.reason.as_str()).collect()
}

#[test]
fn a_pod_begins_when_those_are_ready_that_it_names_or_have_succeeded_if_they_are_to_end() {
    use RestartPolicy::{Always, Never};
    let (web, db, job) =
        (after("web", "db, job-node", Always), after("db", "", Always), after("job", "", Never));
    let mut scene = Scene::new();
    scene.desire(&[&web]);
    assert_eq!(said(&scene, &web), "it begins after pod default/db, which no manifest has");
    scene.desire(&[&web, &db, &job]);
    assert_eq!(said(&scene, &web), "it begins when pod default/db-node is Ready");
    scene.settle();
    assert_eq!(runs(&scene, &[&web, &db, &job]), [false, true, true]);
    assert_eq!(said(&scene, &web), "it begins when pod default/job-node has succeeded");
    scene.exit(&job, "app", 0);
    scene.settle();
    assert_eq!(runs(&scene, &[&web]), [true]);
    // What becomes of them later does not matter.
    scene.exit(&db, "app", 1);
    scene.settle();
    assert_eq!(runs(&scene, &[&web]), [true]);
}

#[test]
fn one_that_has_succeeded_counts_for_ever_and_one_that_has_failed_never() {
    use RestartPolicy::{Always, Never};
    for (code, begins) in [(0, true), (1, false)] {
        let (web, job) = (after("web", "job", Always), after("job", "", Never));
        let mut scene = Scene::new();
        scene.desire(&[&job]);
        scene.settle();
        scene.exit(&job, "app", code);
        scene.settle();
        scene.desire(&[&web, &job]);
        scene.settle();
        assert_eq!(runs(&scene, &[&web]), [begins], "{code}");
        assert_eq!(said(&scene, &web).ends_with("which has failed"), !begins);
    }
}

#[test]
fn a_circle_is_told_to_those_in_it_and_nobody_of_them_begins() {
    let policy = RestartPolicy::Always;
    let (a, b, c) = (after("a", "b", policy), after("b", "a", policy), after("c", "a", policy));
    let mut scene = Scene::new();
    scene.desire(&[&a]);
    scene.desire(&[&a, &b, &c]);
    scene.settle();
    assert_eq!(runs(&scene, &[&a, &b, &c]), [false; 3]);
    assert_eq!(refused(&scene, &a), ["StartAfter", "StartAfterCircle"]);
    assert_eq!(
        said(&scene, &a),
        "berth/start-after makes a circle: default/a-node after default/b-node after default/a-node; none of these \
         begins until it is broken"
    );
    assert_eq!((refused(&scene, &b), refused(&scene, &c)), (vec!["StartAfterCircle"], vec!["StartAfter"]));
    let mut free = pod("b", 2, &["app=nginx"], policy);
    Arc::make_mut(&mut free.pod).spec.node_name = Some("node".to_owned());
    scene.desire(&[&a, &free, &c]);
    scene.settle();
    assert_eq!(runs(&scene, &[&a, &free, &c]), [true; 3]);
}

#[test]
fn nobody_takes_the_room_of_one_after_which_it_begins() {
    use crate::node::{Amounts, CPU};
    let policy = RestartPolicy::Always;
    let asking = |mut pod: DesiredPod, priority| {
        let spec = &mut Arc::make_mut(&mut pod.pod).spec;
        spec.priority = Some(priority);
        spec.containers[0].resources.requests.insert("cpu".to_owned(), "600m".to_owned());
        pod
    };
    let (web, db) = (asking(after("web", "db", policy), 9), asking(after("db", "", policy), 0));
    let allocatable = Amounts::default().with(CPU, 1000);
    let mut scene = Scene::with(WorldConfig { allocatable, ..WorldConfig::default() }, Inventory::default());
    scene.desire(&[&web, &db]);
    scene.settle();
    assert_eq!(runs(&scene, &[&web, &db]), [false, true]);
    assert_eq!(refused(&scene, &db), [""; 0]);
}

#[test]
fn those_that_go_together_go_in_the_opposite_order() {
    let policy = RestartPolicy::Always;
    let (web, db) = (after("web", "db", policy), after("db", "", policy));
    let mut scene = Scene::new();
    scene.desire(&[&web, &db]);
    scene.settle();
    assert_eq!(runs(&scene, &[&web, &db]), [true, true]);
    scene.desire(&[]);
    assert_eq!(scene.doing(), ["signal 15"]);
    scene.ok("signal");
    // What crashes while it lets the others go first does not start again.
    scene.exit(&db, "app", 1);
    scene.pass(5);
    scene.exit(&web, "app", 0);
    scene.settle();
    assert!(scene.world.pods().next().is_none());
    // One that goes alone does not wait.
    scene.desire(&[&web, &db]);
    scene.settle();
    scene.desire(&[&web]);
    assert!(scene.doing().contains(&"signal 15".to_owned()));
}

#[test]
fn nobody_is_waited_for_much_longer_than_its_grace() {
    let policy = RestartPolicy::Always;
    let (web, db) = (after("web", "db", policy), after("db", "", policy));
    let mut scene = Scene::new();
    scene.desire(&[&web, &db]);
    scene.settle();
    scene.desire(&[]);
    let of_db = |scene: &Scene| scene.open.iter().any(|action| action.pod == db.uid);
    for _ in 0..39 {
        scene.pass(1);
        assert!(!of_db(&scene));
        // Its killing does not work.
        while let Some(next) = scene.doing().first().cloned() {
            scene.fail(&next, FailReason::Internal);
        }
    }
    scene.pass(1);
    assert!(of_db(&scene));
}

#[test]
fn on_the_way_down_lower_priorities_go_first_and_the_order_of_the_manifests_counts_before() {
    let policy = RestartPolicy::Always;
    let ranked = |mut pod: DesiredPod, priority| {
        Arc::make_mut(&mut pod.pod).spec.priority = Some(priority);
        pod
    };
    let (low, high) = (ranked(after("low", "", policy), 1), ranked(after("high", "", policy), 9));
    // It begins after one of a low priority, so it goes before that.
    let vip = ranked(after("vip", "low", policy), 5);
    // It is not there yet, and will not come any more.
    let never = ranked(after("never", "nobody", policy), 9);
    let there = || DesiredSet {
        pods: [&low, &high, &vip, &never].map(|pod| pod.clone()).into(),
        ..DesiredSet::default()
    };
    for (shutdown, set) in [(Shutdown::Drain, DesiredSet::default()), (Shutdown::Halt, there())] {
        let mut scene = Scene::new();
        scene.tell(&[Event::Desired(Arc::new(there()))]);
        scene.settle();
        scene.tell(&[Event::Desired(Arc::new(DesiredSet { shutdown: Some(shutdown), ..set }))]);
        assert_eq!(goes(&mut scene, &[&low, &high, &vip]), ["vip-node", "low-node", "high-node"]);
        let left = if shutdown == Shutdown::Halt { 3 } else { 0 };
        assert_eq!(scene.world.pods().count(), left, "{shutdown:?}");
        assert_eq!((scene.wake, scene.world.is_quiet()), (None, true));
    }
}

/// Answers everything well until nothing is open, signals by the end of the process; returns who got them, in order.
fn goes(scene: &mut Scene, pods: &[&DesiredPod]) -> Vec<String> {
    let mut order = Vec::new();
    while let Some(action) = scene.open.first().cloned() {
        if let ActionKind::Signal { .. } = action.kind {
            let pod = pods.iter().find(|pod| pod.uid == action.pod).unwrap();
            order.push(pod.key.name.to_string());
            scene.ok("signal");
            scene.exit(pod, "app", 0);
        } else {
            let next = scene.doing()[0].clone();
            assert!(!next.starts_with("start") && !next.starts_with("create"), "{next}");
            scene.ok(&next);
        }
    }
    order
}

/// After how many seconds each of `pods`, of these priorities and graces, got its signal when the machine goes down, and
/// after how many it was killed: nobody ends of itself, and a kill ends it.
fn halted(shutdown: ShutdownTime, pods: &[(&str, i32, u64)]) -> Vec<(String, u64, u64)> {
    let pods: Vec<DesiredPod> = pods
        .iter()
        .map(|(name, priority, grace_s)| {
            let (name, after_which) = name.split_once('>').unwrap_or((name, ""));
            let mut pod = after(name, after_which, RestartPolicy::Always);
            let spec = &mut Arc::make_mut(&mut pod.pod).spec;
            (spec.priority, spec.termination_grace_period_seconds) = (Some(*priority), Some(*grace_s));
            pod
        })
        .collect();
    let config = WorldConfig { boot_id: "boot".to_owned(), shutdown, ..WorldConfig::default() };
    let mut scene = Scene::with(config, Inventory::default());
    scene.desire(&pods.iter().collect::<Vec<_>>());
    scene.settle();
    let set = DesiredSet { pods: pods.clone(), shutdown: Some(Shutdown::Halt), ..DesiredSet::default() };
    scene.tell(&[Event::Desired(Arc::new(set))]);
    let begun = scene.now.mono;
    let mut told: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for _ in 0..1000 {
        while let Some(action) = scene.open.first().cloned() {
            let after_s = scene.now.mono.since(begun) / crate::time::NS_PER_S;
            let pod = pods.iter().find(|pod| pod.uid == action.pod).unwrap();
            let name = pod.key.name.trim_end_matches("-node").to_owned();
            let next = scene.doing()[0].clone();
            scene.ok(&next);
            match action.kind {
                ActionKind::Signal { .. } => told.entry(name).or_default().0 = after_s,
                ActionKind::Kill { .. } => {
                    told.entry(name).or_default().1 = after_s;
                    scene.exit(pod, "app", 137);
                }
                _ => {}
            }
        }
        scene.pass(1);
    }
    pods.iter()
        .map(|pod| pod.key.name.trim_end_matches("-node").to_owned())
        .map(|name| {
            let (signalled, killed) = told[&name];
            (name, signalled, killed)
        })
        .collect()
}

#[test]
fn a_pod_that_does_not_hear_costs_nobody_its_stop_signal() {
    use crate::node::{CLUSTER_CRITICAL, NODE_CRITICAL};
    let time = ShutdownTime { all_s: 80, critical_s: 20 };
    let named = |list: &[(&str, u64, u64)]| -> Vec<(String, u64, u64)> {
        list.iter().map(|(name, signalled, killed)| ((*name).to_owned(), *signalled, *killed)).collect()
    };
    for (pods, expected) in [
        // There is time enough for all.
        (vec![("low", 0, 30), ("critical", NODE_CRITICAL, 10)], vec![("low", 0, 30), ("critical", 30, 40)]),
        (vec![("low", 0, 300), ("critical", NODE_CRITICAL, 300)], vec![("low", 0, 60), ("critical", 60, 80)]),
        // One that needs less leaves the rest to those before it.
        (vec![("low", 0, 300), ("high", 9, 5)], vec![("low", 0, 55), ("high", 55, 60)]),
        (vec![("low", 0, 300), ("high", 9, 300)], vec![("low", 0, 30), ("high", 30, 60)]),
        // Side by side they share nothing.
        (vec![("one", 0, 300), ("two", 0, 40)], vec![("one", 0, 60), ("two", 0, 40)]),
        // Nor do the critical ones go with the others.
        (
            vec![("cluster", CLUSTER_CRITICAL, 300), ("node", NODE_CRITICAL, 300)],
            vec![("cluster", 0, 40), ("node", 40, 80)],
        ),
        // The order of the manifests makes turns, too.
        (vec![("web>db", 0, 300), ("db", 0, 300)], vec![("web", 0, 30), ("db", 30, 60)]),
    ] {
        assert_eq!(halted(time, &pods), named(&expected));
    }
    let pods = [("low", 0, 300), ("critical", NODE_CRITICAL, 5)];
    let all_the_time = ShutdownTime { all_s: 0, critical_s: 0 };
    assert_eq!(halted(all_the_time, &pods), named(&[("low", 0, 300), ("critical", 300, 305)]));
}

#[test]
fn who_was_on_its_way_out_already_has_no_more_time_than_the_others() {
    let mut slow = web();
    Arc::make_mut(&mut slow.pod).spec.termination_grace_period_seconds = Some(600);
    let mut scene = running(&slow);
    scene.desire(&[]);
    scene.ok("signal");
    scene.pass(100);
    let halt = DesiredSet { shutdown: Some(Shutdown::Halt), ..DesiredSet::default() };
    scene.tell(&[Event::Desired(Arc::new(halt))]);
    scene.settle();
    scene.pass(59);
    assert_eq!(scene.doing(), [""; 0]);
    scene.pass(1);
    assert_eq!(scene.doing(), ["kill"]);
}

#[test]
fn when_the_machine_goes_down_pods_stay_what_they_are_for_the_next_boot() {
    let pod = web();
    let mut scene = running(&pod);
    let halt =
        DesiredSet { pods: vec![pod.clone()], shutdown: Some(Shutdown::Halt), ..DesiredSet::default() };
    scene.tell(&[Event::Desired(Arc::new(halt))]);
    scene.ok("signal");
    scene.pass(2);
    let kept = scene.saving().last().cloned().unwrap();
    scene.exit(&pod, "app", 143);
    scene.settle();
    assert!(!scene.doing().iter().any(|what| what == "remove sandbox" || what == "drop"));
    // Of what it remembers another boot begins the container anew.
    let inventory = Inventory { boot_id: "next".to_owned(), checkpoints: vec![kept], ..Inventory::default() };
    let mut next = Scene::found(inventory);
    next.desire(&[&pod]);
    next.settle();
    assert!(runs(&next, &[&pod])[0]);
    assert_eq!(next.world.runs(&pod.uid)[0].attempt, 1);
}
