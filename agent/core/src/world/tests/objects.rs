//! Pods and the objects beside them: who waits for what, and what a change of an object does.

use super::*;
use crate::{
    event::DesiredSet,
    manifest::{Format, LoadInput, load, merge, objects::Salt},
    view::{NodeView, pod_list},
};

const POD: &str = r"
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - {name: app, image: i:1, env: [{name: A, valueFrom: {configMapKeyRef: {name: conf, key: a}}}]}
";

const FILES: &str = r"
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers: [{name: app, image: i:1}]
  volumes: [{name: conf, configMap: {name: conf, items: [{key: a, path: a}]}}]
";

/// The pod, beside a ConfigMap with this value of its key `a`, if there is one.
fn set(value: Option<&str>) -> Arc<DesiredSet> {
    set_of(POD, value)
}

fn set_of(pod: &str, value: Option<&str>) -> Arc<DesiredSet> {
    let object = value.map(|value| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: conf}}\ndata: {{a: '{value}'}}\n---")
    });
    let text = object.unwrap_or_default() + pod;
    let input =
        LoadInput { file: "a", bytes: text.as_bytes(), format: Format::Yaml, node: "node", source: "file" };
    let set = merge(&[("a", load(&input))], &Salt::default());
    assert_eq!(set.problems, []);
    Arc::new(set)
}

impl Scene {
    fn set(&mut self, set: &Arc<DesiredSet>) -> Plan {
        self.tell(&[Event::Desired(Arc::clone(set))])
    }

    fn waiting(&self) -> String {
        let list = pod_list(&self.world, self.now, &NodeView::default());
        let state = &list["items"][0]["status"]["containerStatuses"][0]["state"]["waiting"];
        format!("{}: {}", state["reason"].as_str().unwrap(), state["message"].as_str().unwrap())
    }
}

#[test]
fn a_pod_waits_for_what_its_variables_need_and_begins_when_it_comes() {
    let mut scene = Scene::new();
    scene.set(&set(None));
    assert_eq!((scene.open.len(), scene.wake), (0, None));
    let waiting = "CreateContainerConfigError: configmap \"conf\" not found";
    assert_eq!(scene.waiting(), waiting);
    scene.set(&set(None));
    assert_eq!(scene.reasons(), ["Failed"], "it is told once");
    scene.set(&set(Some("1")));
    scene.settle();
    let pod = &set(Some("1")).pods[0];
    assert!(scene.world.runs(&pod.uid)[0].pid.is_some());
}

#[test]
fn an_action_has_the_objects_that_its_pod_names_and_no_other() {
    let mut scene = Scene::new();
    scene.set(&set(Some("1")));
    scene.ok("create sandbox");
    scene.answer("image", Outcome::Image(Box::new(facts("i:1"))));
    let ActionKind::StartContainer { objects, .. } = &scene.open[0].kind else { panic!() };
    let names: Vec<String> = objects.iter().map(|object| object.key.to_string()).collect();
    assert_eq!(names, ["configmap default/conf"]);
}

#[test]
fn a_pod_that_runs_is_replaced_for_another_value_and_not_for_the_want_of_one() {
    let (one, two, none) = (set(Some("1")), set(Some("2")), set(None));
    let mut scene = Scene::new();
    scene.set(&one);
    scene.settle();
    scene.set(&none);
    assert_eq!((scene.open.len(), scene.wake), (0, None), "{:?}", scene.doing());
    scene.set(&one);
    assert_eq!((scene.open.len(), scene.wake), (0, None), "{:?}", scene.doing());
    scene.set(&none);
    scene.set(&two);
    assert_eq!(scene.doing(), ["signal 15"]);
    scene.exit(&one.pods[0], "app", 0);
    scene.settle();
    assert!(scene.world.runs(&one.pods[0].uid).is_empty());
    assert!(scene.world.runs(&two.pods[0].uid)[0].pid.is_some());
}

#[test]
fn a_pod_that_was_found_running_goes_on_without_its_object() {
    let (one, none) = (set(Some("1")), set(None));
    let pod = &one.pods[0];
    let mut scene = Scene::new();
    scene.set(&one);
    scene.settle();
    let record = SandboxRecord {
        desired: pod.clone(),
        ready: true,
        begun: scene.now.mono,
        ips: Vec::new(),
        unsettled: false,
        given: None,
    };
    let container = ContainerRecord {
        id: scene.id(pod, "app"),
        pod: pod.uid.clone(),
        name: "app".to_owned(),
        attempt: 0,
        image: facts("i:1"),
        state: RecordState::Running { pid: 42, at: scene.now },
        devices: Vec::new(),
        given: None,
        standing: Standing::default(),
    };
    let found = Inventory {
        boot_id: "boot".to_owned(),
        sandboxes: vec![record],
        containers: vec![container],
        ..Inventory::default()
    };
    let mut scene = Scene::found_at(found, scene.now);
    scene.set(&none);
    scene.settle();
    assert_eq!(scene.world.runs(&pod.uid)[0].pid, Some(42));
}

#[test]
fn a_start_that_failed_for_want_of_an_object_is_tried_again_when_objects_change() {
    let (one, none) = (set(Some("1")), set(None));
    let mut scene = Scene::new();
    scene.set(&one);
    scene.settle();
    scene.set(&none);
    scene.exit(&one.pods[0], "app", 1);
    scene.settle_but_starts();
    scene.fail("start app", FailReason::CreateContainerConfigError);
    scene.settle_but_starts();
    assert_eq!(scene.open.len(), 0);
    scene.set(&one);
    assert_eq!(scene.doing(), ["start app 1"]);
}

impl Scene {
    /// Answers everything well but starts.
    fn settle_but_starts(&mut self) {
        while let Some(at) =
            self.open.iter().position(|action| !matches!(action.kind, ActionKind::StartContainer { .. }))
        {
            let action = self.open.remove(at).id;
            self.tell(&[Event::Done { action, outcome: Outcome::Ok }]);
        }
    }
}

#[test]
fn a_pod_waits_for_what_its_volumes_need() {
    let mut scene = Scene::new();
    scene.set(&set_of(FILES, None));
    assert_eq!((scene.open.len(), scene.wake), (0, None));
    let waiting =
        "ContainerCreating: MountVolume.SetUp failed for volume \"conf\": configmap \"conf\" not found";
    assert_eq!((scene.waiting().as_str(), scene.reasons()), (waiting, vec!["FailedMount"]));
    scene.set(&set_of(FILES, Some("1")));
    scene.settle();
    assert!(scene.world.runs(&set_of(FILES, None).pods[0].uid)[0].pid.is_some());
}

#[test]
fn files_follow_their_objects_and_the_pod_runs_on() {
    let [one, two, none] = [Some("1"), Some("2"), None].map(|value| set_of(FILES, value));
    let mut scene = Scene::new();
    scene.set(&one);
    scene.settle();
    scene.set(&two);
    assert_eq!(scene.doing(), ["refresh files"]);
    scene.set(&one);
    assert_eq!(scene.doing(), ["refresh files"], "one after another");
    scene.ok("refresh");
    assert_eq!(scene.doing(), ["refresh files"]);
    scene.fail("refresh", FailReason::Internal);
    assert_eq!((scene.open.len(), scene.events.last().unwrap().reason.as_str()), (0, "FailedMount"));
    scene.pass(60);
    scene.ok("refresh");
    assert_eq!((scene.open.len(), scene.wake), (0, None));
    scene.set(&none);
    assert_eq!((scene.open.len(), scene.wake), (0, None), "they stay as they were");
    scene.set(&one);
    assert_eq!((scene.open.len(), scene.wake), (0, None));
}
