//! Scenes of a node that runs short: who goes, in which order, and who comes back when.

use super::*;
use crate::{
    ids::PodUid,
    node::{CLUSTER_CRITICAL, NODE_CRITICAL},
    pressure::{Condition, Level, Limits, Observation, PodUse, Settings, Signal, Uses},
    view::{NodeView, node as node_view},
};

const MEMORY: Signal = Signal::MemoryAvailable;
const DISK: Signal = Signal::NodefsAvailable;

fn limits(list: &[(Signal, &str)]) -> Limits {
    list.iter().map(|(signal, text)| (*signal, text.parse().unwrap())).collect()
}

fn settings() -> Settings {
    Settings { hard: limits(&[(MEMORY, "100Mi"), (DISK, "10%")]), ..Settings::default() }
}

fn node(settings: Settings) -> Scene {
    let config = WorldConfig {
        boot_id: "boot".to_owned(),
        node_name: "box".to_owned(),
        pressure: settings,
        ..WorldConfig::default()
    };
    Scene::with(config, Inventory::default())
}

/// A pod with a priority that asks for so much memory.
fn asking(name: &str, memory: &str, priority: i32) -> DesiredPod {
    let mut pod = pod(name, 1, &["app=nginx"], RestartPolicy::Always);
    let spec = &mut Arc::make_mut(&mut pod.pod).spec;
    if !memory.is_empty() {
        spec.containers[0].resources.requests.insert("memory".to_owned(), memory.to_owned());
    }
    spec.priority = Some(priority);
    pod
}

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

fn look(scene: &Scene, levels: &[(Signal, u64)]) -> Observation {
    let level = |available| Level { available, capacity: GIB };
    let levels = levels.iter().map(|(signal, available)| (*signal, level(*available))).collect();
    Observation { at: scene.now.mono, levels, images_apart: false }
}

fn see(scene: &mut Scene, levels: &[(Signal, u64)]) -> Plan {
    let seen = look(scene, levels);
    scene.tell(&[Event::Observed(Box::new(seen))])
}

fn sees(scene: &mut Scene, levels: &[(Signal, u64)]) -> Plan {
    let seen = look(scene, levels);
    scene.answer("observe", Outcome::Observed(Box::new(seen)))
}

fn uses(list: &[(&DesiredPod, u64)]) -> Outcome {
    let one = |(pod, total): &(&DesiredPod, u64)| {
        let containers = [("app".to_owned(), *total)].into();
        (pod.uid.clone(), PodUse { total: *total, containers })
    };
    Outcome::Weighed(list.iter().map(one).collect::<Uses>())
}

fn status(scene: &Scene, pod: &DesiredPod) -> (String, String, String) {
    let shown = crate::view::pod(&scene.world, scene.now, &NodeView::default(), &pod.key).unwrap();
    let text = |name: &str| shown["status"][name].as_str().unwrap_or_default().to_owned();
    (text("phase"), text("reason"), text("message"))
}

fn holds(scene: &Scene, condition: Condition) -> bool {
    scene.world.condition(condition).is_some_and(|standing| standing.holds)
}

/// The evicted pod's process ends, and all of it goes.
fn goes(scene: &mut Scene, pod: &DesiredPod) {
    scene.exit(pod, "app", 143);
    while let Some(next) = scene.doing().into_iter().find(|doing| doing != "observe") {
        scene.ok(&next);
    }
}

fn evicted(scene: &Scene) -> Vec<&str> {
    let events = scene.events.iter().filter(|event| event.reason == "Evicted");
    events.map(|event| &*event.pod.name).collect()
}

#[test]
fn a_node_that_is_not_short_makes_nobody_wake() {
    let pod = web();
    let mut scene = node(settings());
    scene.desire(&[&pod]);
    scene.settle();
    for available in [GIB, 300 * MIB, 200 * MIB] {
        see(&mut scene, &[(MEMORY, available), (DISK, GIB)]);
        assert_eq!((scene.wake, scene.open.len()), (None, 0), "{available}");
    }
    // Near its threshold and falling: another look, until it falls no more.
    see(&mut scene, &[(MEMORY, 150 * MIB), (DISK, GIB)]);
    assert_eq!(scene.wake, Some(scene.now.mono.plus_s(10)));
    scene.pass(10);
    sees(&mut scene, &[(MEMORY, 150 * MIB), (DISK, GIB)]);
    assert_eq!((scene.wake, scene.open.len()), (None, 0));
    assert!(!holds(&scene, Condition::MemoryPressure));
}

#[test]
fn for_want_of_memory_pods_go_one_by_one_by_kubernetes_ranking_and_critical_ones_never() {
    let (guaranteed, greedy) = (asking("within", "200Mi", 0), asking("greedy", "10Mi", 0));
    let (low, vital) = (asking("low", "", -5), asking("vital", "", NODE_CRITICAL));
    let (cluster, high) = (asking("cluster", "", CLUSTER_CRITICAL), asking("high", "", 1000));
    let all = [&guaranteed, &greedy, &low, &vital, &cluster, &high];
    let mut scene = node(settings());
    scene.desire(&all);
    scene.settle();
    let used = [
        (&guaranteed, 150 * MIB),
        (&greedy, 300 * MIB),
        (&low, 20 * MIB),
        (&vital, 400 * MIB),
        (&cluster, 400 * MIB),
        (&high, 100 * MIB),
    ];
    see(&mut scene, &[(MEMORY, 99 * MIB)]);
    assert!(holds(&scene, Condition::MemoryPressure));
    for (victim, left) in [(&low, 4), (&greedy, 3), (&high, 2), (&guaranteed, 1)] {
        assert_eq!(scene.doing(), [format!("weigh memory.available {left}")]);
        scene.answer("weigh", uses(&used));
        assert_eq!(evicted(&scene).last(), Some(&&*victim.key.name));
        assert!(scene.doing().iter().all(|doing| ["signal 15", "save"].contains(&doing.as_str())));
        // Nobody else goes while it is there, whatever is seen.
        scene.ok("save");
        see(&mut scene, &[(MEMORY, MIB)]);
        assert!(!scene.doing().iter().any(|doing| doing.starts_with("weigh")), "{:?}", scene.doing());
        goes(&mut scene, victim);
        assert_eq!(scene.doing(), ["observe"]);
        sees(&mut scene, &[(MEMORY, 99 * MIB)]);
    }
    assert_eq!(scene.doing(), [""; 0]);
    assert!(scene.reasons().contains(&"EvictionInVain"));
    assert_eq!(status(&scene, &vital).0, "Running");
    let told = scene.events.iter().find(|event| event.reason == "Evicted").unwrap();
    assert_eq!(
        told.message,
        "The node was low on resource: memory. Threshold quantity: 102400Ki, available: 101376Ki. Container app \
         was using 20480Ki, request is 0, has larger consumption of memory."
    );
}

#[test]
fn the_grace_is_a_second_for_hard_thresholds_and_the_configured_one_for_soft_ones() {
    for (hard, soft, max_s, wait_s, grace_s) in
        [("100Mi", "200Mi", 0, 0, 1), ("1Mi", "200Mi", 5, 60, 5), ("1Mi", "200Mi", 100, 60, 30)]
    {
        let settings = Settings {
            hard: limits(&[(MEMORY, hard)]),
            soft: limits(&[(MEMORY, soft)]),
            soft_grace_s: [(MEMORY, 60)].into(),
            max_pod_grace_s: max_s,
            ..Settings::default()
        };
        let pod = web();
        let mut scene = node(settings);
        scene.desire(&[&pod]);
        scene.settle();
        let begun = scene.now.mono;
        see(&mut scene, &[(MEMORY, 50 * MIB)]);
        assert!(holds(&scene, Condition::MemoryPressure), "{hard}");
        while !scene.doing().iter().any(|doing| doing.starts_with("weigh")) {
            scene.pass(10);
            if scene.doing() == ["observe"] {
                sees(&mut scene, &[(MEMORY, 50 * MIB)]);
            }
        }
        assert_eq!(scene.now.mono, begun.plus_s(wait_s), "{hard}");
        scene.answer("weigh", uses(&[(&pod, MIB)]));
        scene.ok("signal");
        scene.pass(grace_s - 1);
        assert!(!scene.doing().contains(&"kill".to_owned()));
        scene.pass(1);
        assert!(scene.doing().contains(&"kill".to_owned()), "{:?}", scene.doing());
    }
}

#[test]
fn a_soft_threshold_that_is_passed_again_in_its_grace_ends_nobody() {
    let settings = Settings {
        soft: limits(&[(MEMORY, "200Mi")]),
        soft_grace_s: [(MEMORY, 60)].into(),
        minimum_reclaim: limits(&[(MEMORY, "50Mi")]),
        ..Settings::default()
    };
    let mut scene = node(settings);
    scene.desire(&[&web()]);
    scene.settle();
    see(&mut scene, &[(MEMORY, 199 * MIB)]);
    // One that was met is met until there is so much more.
    for (available, weighs) in [(249, true), (250, false)] {
        scene.pass(60);
        sees(&mut scene, &[(MEMORY, available * MIB)]);
        assert_eq!(scene.doing().iter().any(|doing| doing.starts_with("weigh")), weighs, "{available}");
        scene.open.clear();
        scene.pass(100);
        scene.settle();
    }
}

#[test]
fn an_evicted_pod_comes_back_when_the_pressure_has_been_gone_for_the_transition_period() {
    let (hungry, vital) = (asking("hungry", "", 0), asking("vital", "", NODE_CRITICAL));
    let mut scene = node(settings());
    scene.desire(&[&hungry, &vital]);
    scene.settle();
    see(&mut scene, &[(MEMORY, 50 * MIB)]);
    scene.answer("weigh", uses(&[(&hungry, 500 * MIB)]));
    goes(&mut scene, &hungry);
    scene.pass(5);
    sees(&mut scene, &[(MEMORY, 550 * MIB)]);
    let (phase, reason, message) = status(&scene, &hungry);
    assert_eq!((&*phase, &*reason), ("Failed", "Evicted"));
    assert!(
        message.ends_with("It begins anew when nothing has caused MemoryPressure for 300 s."),
        "{message}"
    );
    let shown = crate::view::pod(&scene.world, scene.now, &NodeView::default(), &hungry.key).unwrap();
    let target = shown["status"]["conditions"].as_array().unwrap().iter();
    let target: Vec<_> = target.filter(|condition| condition["type"] == "DisruptionTarget").collect();
    assert_eq!((target.len(), &target[0]["reason"]), (1, &serde_json::json!("TerminationByKubelet")));
    assert!(holds(&scene, Condition::MemoryPressure));
    // What has asked for nothing does not begin meanwhile; what has does, and critical pods.
    let (small, asker, critical) =
        (asking("small", "", 5), asking("asker", "1Mi", 0), asking("more", "", CLUSTER_CRITICAL));
    scene.desire(&[&hungry, &vital, &small, &asker, &critical]);
    scene.settle();
    assert_eq!(status(&scene, &small).1, "MemoryPressure");
    assert_eq!([&asker, &critical].map(|pod| status(&scene, pod).0), ["Running", "Running"]);
    assert_eq!(scene.wake, Some(scene.now.mono.plus_s(295)));
    scene.pass(294);
    assert_eq!(status(&scene, &hungry).0, "Failed");
    scene.pass(1);
    scene.settle();
    assert_eq!([&hungry, &small].map(|pod| status(&scene, pod).0), ["Running", "Running"]);
    assert!(!holds(&scene, Condition::MemoryPressure));
    let told = ["NodeHasInsufficientMemory", "EvictionThresholdMet", "Evicted", "NodeHasSufficientMemory"];
    let seen: Vec<&str> = scene.reasons().into_iter().filter(|reason| told.contains(reason)).collect();
    assert_eq!(seen, told);
}

#[test]
fn on_a_full_disk_images_go_first_then_who_has_written_most_and_nobody_for_nothing() {
    let (writer, reader) = (asking("writer", "", 0), asking("reader", "", 0));
    let mut scene = node(settings());
    scene.desire(&[&writer, &reader]);
    scene.settle();
    see(&mut scene, &[(DISK, GIB / 20)]);
    assert_eq!(scene.doing(), ["reclaim"]);
    scene.ok("reclaim");
    assert_eq!(scene.doing(), ["observe"]);
    sees(&mut scene, &[(DISK, GIB / 20)]);
    let used = [(&writer, 500 * MIB), (&reader, MIB / 2)];
    scene.answer("weigh", uses(&used));
    assert_eq!(evicted(&scene), ["writer-node"]);
    goes(&mut scene, &writer);
    sees(&mut scene, &[(DISK, GIB / 20)]);
    scene.answer("weigh", uses(&used));
    assert_eq!(evicted(&scene), ["writer-node"], "{:?}", scene.doing());
    assert_eq!(status(&scene, &reader).0, "Running");
    let new = asking("new", "1Mi", 0);
    scene.desire(&[&writer, &reader, &new]);
    assert_eq!(status(&scene, &new).1, "DiskPressure");
    // It is not weighed again at once; when there is still less, it is.
    scene.pass(10);
    sees(&mut scene, &[(DISK, GIB / 20)]);
    assert_eq!(scene.wake, Some(scene.now.mono.plus_s(60)));
    scene.pass(60);
    sees(&mut scene, &[(DISK, GIB / 30)]);
    assert_eq!(scene.doing(), ["reclaim"]);
}

#[test]
fn on_a_file_system_of_images_alone_no_pod_goes() {
    let hard = limits(&[(Signal::ImagefsAvailable, "10%")]);
    let mut scene = node(Settings { hard, ..Settings::default() });
    scene.desire(&[&web()]);
    scene.settle();
    let seen = Observation { images_apart: true, ..look(&scene, &[(Signal::ImagefsAvailable, GIB / 20)]) };
    scene.tell(&[Event::Observed(Box::new(seen.clone()))]);
    scene.ok("reclaim");
    scene.answer("observe", Outcome::Observed(Box::new(seen)));
    assert_eq!(scene.doing(), [""; 0]);
    assert!(holds(&scene, Condition::DiskPressure));
}

#[test]
fn an_agent_after_this_one_knows_why_the_pod_waits() {
    let evicted = |mono: u64| crate::event::Evicted {
        cause: crate::event::Cause::Evicted,
        message: "m".to_owned(),
        at: Now { mono: Mono(mono), ..Now::default() },
        count: 1,
        short_of: Some(Condition::MemoryPressure),
        grace_max_s: Some(1),
    };
    let at_s = 100_u64;
    for (boot, now_s, phase) in
        [("boot", at_s + 299, "Failed"), ("boot", at_s + 300, "Pending"), ("another", at_s + 1, "Pending")]
    {
        let pod = web();
        let checkpoint = Checkpoint {
            evicted: Some(evicted(at_s * crate::time::NS_PER_S)),
            ..blank_checkpoint(&pod, boot)
        };
        let inventory = Inventory { checkpoints: vec![checkpoint], ..Inventory::default() };
        let now = Now { mono: Mono(now_s * crate::time::NS_PER_S), ..Now::default() };
        let mut scene = Scene::found_at(inventory, now);
        scene.desire(&[&pod]);
        assert_eq!(status(&scene, &pod).0, phase, "{boot} {now_s}");
    }
}

#[test]
fn the_node_shows_its_conditions_and_taints() {
    let mut scene = node(settings());
    scene.desire(&[]);
    let shown = |scene: &Scene| node_view(&scene.world, &NodeView::default());
    assert_eq!(shown(&scene)["status"]["conditions"][0]["status"], "Unknown");
    see(&mut scene, &[(MEMORY, GIB), (DISK, 0)]);
    let node = shown(&scene);
    let conditions = node["status"]["conditions"].as_array().unwrap();
    let brief = |n: usize| {
        let text = |name: &str| conditions[n][name].as_str().unwrap().to_owned();
        format!("{} {} {}", text("type"), text("status"), text("reason"))
    };
    assert_eq!(brief(0), "MemoryPressure False KubeletHasSufficientMemory");
    assert_eq!(brief(1), "DiskPressure True KubeletHasDiskPressure");
    assert_eq!(brief(2), "PIDPressure False KubeletHasSufficientPID");
    assert_eq!(brief(3), "Ready True AgentServes");
    assert_eq!(node["spec"]["taints"][0]["key"], "node.kubernetes.io/disk-pressure");
    let nobody = PodUid("".into());
    let told = scene.events.iter().find(|event| event.reason == "NodeHasDiskPressure").unwrap();
    assert_eq!((&*told.pod.name, &told.uid), ("box", &nobody));
}
