//! Changes of a manifest that a pod takes on as it runs.

use super::*;
use crate::{
    check::{Answer, Purpose, Verdict},
    event::DesiredSet,
    manifest::{Format, LoadInput, load, merge, objects::Salt},
    view::{NodeView, pod_list},
};

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - {name: app, image: i:1}
";
const PROBED: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - {name: app, image: i:1, readinessProbe: {periodSeconds: 1, tcpSocket: {port: 80}}}
";
const LABELLED: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers: [{name: app, image: i:1}]
  volumes: [{name: d, downwardAPI: {items: [{path: l, fieldRef: {fieldPath: metadata.labels}}]}}]
";

/// What this file of manifests wants.
pub(super) fn set(text: &str) -> Arc<DesiredSet> {
    let input =
        LoadInput { file: "a", bytes: text.as_bytes(), format: Format::Yaml, node: "node", source: "file" };
    let set = merge(&[("a", load(&input))], &Salt::default());
    assert_eq!(set.problems, []);
    Arc::new(set)
}

/// With another label.
fn other(text: &str) -> Arc<DesiredSet> {
    set(&text.replace("app: web", "app: db"))
}

impl Scene {
    fn say(&mut self, set: &Arc<DesiredSet>) -> Plan {
        self.tell(&[Event::Desired(Arc::clone(set))])
    }

    fn shown(&self) -> serde_json::Value {
        pod_list(&self.world, self.now, &NodeView::default())["items"][0].clone()
    }

    fn is_ready(&self) -> bool {
        self.shown()["status"]["containerStatuses"][0]["ready"] == true
    }

    fn probe(&mut self, verdict: Verdict) {
        let answer = Answer { verdict, output: String::new() };
        self.answer("check Readiness", Outcome::Checked(answer));
    }

    /// What an agent after this one would find.
    fn inventory(&self, desired: &DesiredPod, checkpoint: Option<Checkpoint>) -> Inventory {
        let container = ContainerRecord {
            id: self.id(desired, "app"),
            pod: desired.uid.clone(),
            name: "app".to_owned(),
            attempt: 0,
            image: facts("i:1"),
            state: RecordState::Running { pid: 42, at: self.now },
            devices: Vec::new(),
            given: None,
            standing: Standing::default(),
        };
        Inventory {
            boot_id: "boot".to_owned(),
            sandboxes: vec![SandboxRecord {
                desired: desired.clone(),
                ready: true,
                begun: self.now.mono,
                ips: Vec::new(),
                unsettled: false,
                given: None,
            }],
            containers: vec![container],
            checkpoints: checkpoint.into_iter().collect(),
        }
    }

    fn checkpoint(&mut self) -> Checkpoint {
        self.saving().next().expect("nothing is saved").clone()
    }
}

fn running(text: &str) -> (Scene, DesiredPod) {
    let mut scene = Scene::new();
    let first = set(text);
    scene.say(&first);
    scene.settle();
    scene.events.clear();
    (scene, first.pods[0].clone())
}

#[test]
fn other_labels_are_taken_on_by_the_pod_that_runs_and_given_back() {
    let (mut scene, pod) = running(POD);
    let id = scene.id(&pod, "app");
    for (now, label) in [(other(POD), "db"), (set(POD), "web")] {
        scene.say(&now);
        assert_eq!(scene.doing(), ["update"]);
        let ActionKind::Update { desired } = &scene.open[0].kind else { panic!() };
        assert_eq!((&desired.uid, &*desired.pod.metadata.labels["app"]), (&pod.uid, label));
        scene.ok("update");
        assert_eq!(scene.doing(), ["save"]);
        assert_eq!(scene.checkpoint().lineage.unwrap().revision, now.pods[0].uid.to_string());
        scene.settle();
        let shown = scene.shown();
        assert_eq!(shown["metadata"]["uid"], *pod.uid.0);
        assert_eq!(shown["metadata"]["labels"]["app"], label);
        assert_eq!(shown["metadata"]["annotations"]["kubernetes.io/config.hash"], *now.pods[0].uid.0);
        assert_eq!((&scene.id(&pod, "app"), scene.world.standing(&now.pods[0].uid)), (&id, &pod.uid));
        scene.say(&now);
        assert_eq!((scene.open.len(), scene.wake), (0, None), "{:?}", scene.doing());
    }
    assert_eq!(scene.reasons(), ["Updated", "Updated"]);
    assert_eq!(scene.events[0].message, "Applied without a restart: metadata.labels");
}

#[test]
fn files_that_tell_of_labels_follow_them() {
    let (mut scene, _) = running(LABELLED);
    scene.say(&other(LABELLED));
    assert_eq!(scene.doing()[0], "refresh files");
    scene.ok("refresh files");
    assert_eq!(scene.doing(), ["update"]);
}

#[test]
fn what_cannot_be_written_down_is_tried_again() {
    let (mut scene, pod) = running(POD);
    scene.say(&other(POD));
    scene.fail("update", FailReason::Internal);
    scene.settle();
    assert_eq!(scene.reasons(), ["Updated", "FailedUpdate"]);
    let wait = scene.wake.expect("it is tried again").since(scene.now.mono) / crate::time::NS_PER_S;
    scene.pass(wait + 1);
    assert_eq!(scene.doing(), ["update"]);
    assert!(scene.world.runs(&pod.uid)[0].pid.is_some());
}

#[test]
fn the_next_agent_goes_on_with_it_whatever_of_it_was_written_down() {
    let (scene, pod) = running(POD);
    let now = other(POD);
    let applied = DesiredPod { uid: pod.uid.clone(), ..now.pods[0].clone() };
    for (record, doing) in [(&pod, "update"), (&applied, "save")] {
        let mut next = Scene::found(scene.inventory(record, None));
        next.say(&now);
        assert_eq!(next.doing(), [doing]);
        next.settle();
        assert_eq!(next.shown()["metadata"]["labels"]["app"], "db");
        assert_eq!(next.id(&pod, "app"), scene.id(&pod, "app"));
        next.say(&set(POD));
        assert!(!next.doing().contains(&"signal 15".to_owned()));
    }
}

#[test]
fn it_is_the_same_whichever_is_known_first() {
    let (scene, pod) = running(POD);
    let mut next = Scene::new();
    next.world = World::new(WorldConfig { boot_id: "boot".to_owned(), ..WorldConfig::default() });
    next.say(&other(POD));
    assert_eq!(next.open.len(), 0);
    next.tell(&[Event::Inventory(Box::new(scene.inventory(&pod, None)))]);
    assert_eq!(next.doing(), ["update"]);
}

#[test]
fn after_a_reboot_it_is_the_same_pod() {
    let (mut scene, pod) = running(POD);
    scene.say(&other(POD));
    scene.ok("update");
    let checkpoint = scene.checkpoint();
    // The power went before the third revision was seen.
    for now in [other(POD), set(&POD.replace("app: web", "app: third")), set(POD)] {
        let found = Inventory {
            boot_id: "next".to_owned(),
            checkpoints: vec![checkpoint.clone()],
            ..Inventory::default()
        };
        let mut next = Scene::found(found);
        next.say(&now);
        next.settle();
        let shown = next.shown();
        assert_eq!(shown["metadata"]["uid"], *pod.uid.0);
        assert_eq!(shown["metadata"]["labels"]["app"], *now.pods[0].pod.metadata.labels["app"]);
        assert_eq!(shown["status"]["containerStatuses"][0]["restartCount"], 1);
    }
    let mut next = Scene::found(Inventory { checkpoints: vec![checkpoint], ..Inventory::default() });
    let now = set(&POD.replace("i:1", "i:2"));
    next.say(&now);
    assert!(next.doing().contains(&"drop".to_owned()), "{:?}", next.doing());
    next.settle();
    assert_eq!(next.shown()["metadata"]["uid"], *now.pods[0].uid.0);
}

#[test]
fn another_image_still_makes_another_pod() {
    let (mut scene, pod) = running(POD);
    scene.say(&other(POD));
    scene.settle();
    let now = set(&POD.replace("i:1", "i:2"));
    scene.say(&now);
    assert_eq!(scene.doing()[0], "signal 15");
    scene.exit(&pod, "app", 0);
    scene.settle();
    assert_eq!(scene.shown()["metadata"]["uid"], *now.pods[0].uid.0);
}

#[test]
fn a_probe_that_changes_keeps_what_was_found_and_no_earlier_answer_counts() {
    let (mut scene, pod) = running(PROBED);
    assert!(scene.is_ready());
    scene.pass(1);
    scene.say(&set(&PROBED.replace("port: 80", "port: 81")));
    assert!(scene.is_ready(), "as it was");
    assert_eq!(scene.doing().iter().filter(|what| what.starts_with("check")).count(), 1);
    for _ in 0..3 {
        scene.probe(Verdict::Failure);
        scene.pass(1);
    }
    assert!(scene.is_ready(), "the first answer was to an earlier question");
    scene.probe(Verdict::Failure);
    assert!(!scene.is_ready());
    scene.say(&set(POD));
    assert!(scene.is_ready(), "there is nothing to say otherwise");
    scene.say(&set(PROBED));
    assert!(scene.is_ready(), "it was, and no probe has said otherwise");
    assert!(scene.world.runs(&pod.uid)[0].pid.is_some());
}

/// What is asked of containers.
fn asked(scene: &Scene) -> Vec<Purpose> {
    let checks = scene.open.iter().filter_map(|action| match &action.kind {
        ActionKind::Check { check, .. } => Some(check.purpose),
        _ => None,
    });
    checks.collect()
}

const LATER: &str =
    "image: i:1, startupProbe: {tcpSocket: {port: 80}}, livenessProbe: {tcpSocket: {port: 80}}";

#[test]
fn a_startup_probe_that_comes_later_is_over() {
    let (mut scene, _) = running(POD);
    scene.say(&set(&POD.replace("image: i:1", LATER)));
    assert_eq!(asked(&scene), [Purpose::Liveness]);
}

#[test]
fn a_startup_probe_that_the_next_agent_is_the_first_to_know_is_over_where_the_container_has_come_up() {
    let text = POD.replace("image: i:1", "image: i:1, lifecycle: {postStart: {sleep: {seconds: 5}}}");
    for (after_s, wanted) in [(4, &[][..]), (5, &[Purpose::Liveness])] {
        let (mut scene, pod) = running(&text);
        let found = scene.inventory(&pod, None);
        scene.pass(after_s);
        let mut next = Scene::found_at(found, scene.now);
        next.say(&set(&text.replace("image: i:1", LATER)));
        assert_eq!(asked(&next), wanted, "{after_s} s after the start");
    }
}

#[test]
fn a_pod_that_is_over_takes_it_on_and_stays_so() {
    let text = POD.replace("spec:", "spec:\n  restartPolicy: Never");
    let (mut scene, pod) = running(&text);
    scene.exit(&pod, "app", 0);
    scene.settle();
    scene.say(&other(&text));
    scene.settle();
    let shown = scene.shown();
    assert_eq!(
        (&shown["status"]["phase"], &shown["metadata"]["labels"]["app"]),
        (&"Succeeded".into(), &"db".into())
    );
    assert_eq!((scene.open.len(), scene.wake), (0, None));
}

#[test]
fn one_that_is_on_its_way_out_is_replaced() {
    let (mut scene, pod) = running(POD);
    scene.desire(&[]);
    assert_eq!(scene.doing()[0], "signal 15");
    let now = other(POD);
    scene.say(&now);
    scene.exit(&pod, "app", 0);
    scene.settle();
    assert_eq!(scene.shown()["metadata"]["uid"], *now.pods[0].uid.0);
    assert!(scene.world.runs(&pod.uid).is_empty());
}
