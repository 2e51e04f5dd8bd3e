//! Pods that run and are to have other resources.

use super::{in_place::set, *};
use crate::{
    event::DesiredSet,
    node::{Amounts, CPU},
    view::{NodeView, pod_list},
};
use serde_json::Value;

/// A pod with this request of its container, and what else is said of that.
fn pod(name: &str, milli: u32, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  containers: [{{name: app, image: i, \
         resources: {{requests: {{cpu: {milli}m}}}}{more}}}]\n---\n"
    )
}

/// A node with one CPU, on which these pods run.
fn running(text: &str) -> (Scene, Arc<DesiredSet>) {
    let config = WorldConfig {
        boot_id: "boot".to_owned(),
        allocatable: Amounts::default().with(CPU, 1000),
        ..WorldConfig::default()
    };
    let mut scene = Scene::with(config, Inventory::default());
    let first = set(text);
    scene.tell(&[Event::Desired(Arc::clone(&first))]);
    scene.settle();
    scene.events.clear();
    (scene, first)
}

impl Scene {
    fn now_is(&mut self, text: &str) -> Plan {
        self.tell(&[Event::Desired(set(text))])
    }

    fn pod_shown(&self, name: &str) -> Value {
        let list = pod_list(&self.world, self.now, &NodeView::default());
        let all = list["items"].as_array().unwrap();
        all.iter().find(|pod| pod["metadata"]["name"] == format!("{name}-node")).unwrap().clone()
    }

    fn resizes(&self) -> bool {
        self.doing().iter().any(|what| what.starts_with("resize"))
    }

    fn condition_of(&self, pod: &str, kind: &str) -> Value {
        let shown = self.pod_shown(pod);
        let all = shown["status"]["conditions"].as_array().unwrap();
        all.iter().find(|condition| condition["type"] == kind).cloned().unwrap_or_default()
    }
}

fn requests(shown: &Value) -> [&Value; 2] {
    let status = &shown["status"]["containerStatuses"][0];
    [&status["allocatedResources"]["cpu"], &status["resources"]["requests"]["cpu"]]
}

#[test]
fn a_pod_that_fits_gets_it_as_it_runs() {
    let (mut scene, first) = running(&pod("a", 300, ""));
    let id = scene.id(&first.pods[0], "app");
    scene.now_is(&pod("a", 600, ""));
    scene.ok("update");
    assert!(scene.resizes(), "{:?}", scene.doing());
    assert_eq!(scene.condition_of("a", "PodResizeInProgress")["status"], "True");
    assert_eq!(requests(&scene.pod_shown("a")), ["600m", "300m"]);
    scene.settle();
    assert_eq!(scene.condition_of("a", "PodResizeInProgress"), Value::Null);
    assert_eq!(requests(&scene.pod_shown("a")), ["600m", "600m"]);
    assert_eq!((scene.id(&first.pods[0], "app"), scene.reasons()), (id, vec!["ResizeStarted"]));
    assert_eq!((scene.open.len(), scene.wake), (0, None));
}

#[test]
fn one_that_does_not_fit_waits_until_there_is_room() {
    let (mut scene, first) = running(&(pod("a", 300, "") + &pod("b", 500, "")));
    for _ in 0..2 {
        scene.now_is(&(pod("a", 600, "") + &pod("b", 500, "")));
        scene.settle();
        let shown = scene.pod_shown("a");
        assert_eq!(
            (requests(&shown), &shown["spec"]["containers"][0]["resources"]["requests"]["cpu"]),
            (["300m", "300m"].map(|text| serde_json::json!(text)).each_ref(), &"600m".into())
        );
        assert_eq!(scene.condition_of("a", "PodResizePending")["reason"], "Deferred");
        assert_eq!(scene.reasons(), ["ResizeDeferred"], "told once");
    }
    // An agent that is new knows of it, too.
    assert_eq!(scene.wake, None);
    scene.now_is(&(pod("a", 600, "") + &pod("b", 400, "")));
    scene.settle();
    assert_eq!(requests(&scene.pod_shown("a")), ["600m", "600m"]);
    assert_eq!(scene.condition_of("a", "PodResizePending"), Value::Null);
    assert!(first.pods.iter().all(|pod| scene.world.runs(&pod.uid)[0].attempt == 0));
}

#[test]
fn what_the_node_does_not_have_is_infeasible_and_can_be_taken_back() {
    // A uid that the manifest gives, too: then nothing else of the pod is another.
    for uid in ["", ", uid: given"] {
        let pod = |milli| pod(&format!("a{uid}"), milli, "");
        let (mut scene, _) = running(&pod(300));
        scene.now_is(&pod(1500));
        scene.settle();
        let condition = scene.condition_of("a", "PodResizePending");
        assert_eq!(condition["reason"], "Infeasible");
        assert_eq!(
            condition["message"],
            "Node didn't have enough capacity: cpu, requested: 1500, capacity: 1000"
        );
        scene.now_is(&pod(300));
        scene.settle();
        assert_eq!(scene.condition_of("a", "PodResizePending"), Value::Null);
        assert_eq!(requests(&scene.pod_shown("a")), ["300m", "300m"]);
    }
}

#[test]
fn what_one_gives_back_another_one_gets_at_once() {
    let (mut scene, _) = running(&(pod("a", 300, "") + &pod("b", 500, "")));
    scene.now_is(&(pod("a", 600, "") + &pod("b", 400, "")));
    assert_eq!(scene.reasons().iter().filter(|reason| **reason == "ResizeStarted").count(), 2);
    assert!(!scene.reasons().contains(&"ResizeDeferred"));
    scene.settle();
    assert_eq!(["a", "b"].map(|name| requests(&scene.pod_shown(name))[1].clone()), ["600m", "400m"]);
    // One that goes makes room in the step in which nothing of it is left.
    let (mut scene, first) = running(&(pod("a", 300, "") + &pod("b", 500, "")));
    scene.now_is(&pod("a", 600, ""));
    scene.settle();
    assert_eq!(scene.condition_of("a", "PodResizePending")["reason"], "Deferred");
    scene.exit(&first.pods[1], "app", 143);
    scene.settle();
    assert_eq!(requests(&scene.pod_shown("a")), ["600m", "600m"]);
}

#[test]
fn one_that_is_ended_while_it_waits_begins_with_what_it_wants() {
    let (a, more) = (pod("a", 300, ""), pod("a", 600, ""));
    let important = pod("b", 800, "").replace("spec:\n", "spec:\n  priority: 5\n");
    let beside = pod("c", 500, "").replace("spec:\n", "spec:\n  priority: 1\n");
    let (mut scene, first) = running(&(a + &beside));
    scene.now_is(&(more.clone() + &beside));
    scene.settle();
    assert_eq!(scene.condition_of("a", "PodResizePending")["reason"], "Deferred");
    scene.now_is(&(more.clone() + &important));
    scene.settle();
    for pod in &first.pods {
        scene.exit(pod, "app", 143);
    }
    scene.settle();
    assert_eq!(scene.condition_of("a", "PodResizePending"), Value::Null);
    assert_eq!(scene.pod_shown("a")["status"]["phase"], "Pending");
    let b = scene.world.pods.values().find(|pod| &*pod.desired.key.name == "b-node").unwrap().desired.clone();
    scene.now_is(&more);
    scene.settle();
    scene.exit(&b, "app", 143);
    scene.settle();
    assert_eq!(requests(&scene.pod_shown("a")), ["600m", "600m"]);
    assert!(!scene.reasons().contains(&"ResizeStarted"));
}

#[test]
fn a_container_that_wants_to_be_restarted_for_it_is_and_no_other() {
    let policy =
        ", resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}]}, {name: other, image: i";
    let (mut scene, first) = running(&pod("a", 300, policy));
    let other = scene.id(&first.pods[0], "other");
    scene.now_is(&pod("a", 400, policy));
    assert!(scene.doing().contains(&"signal 15".to_owned()), "{:?}", scene.doing());
    scene.exit(&first.pods[0], "app", 0);
    scene.settle();
    assert_eq!(requests(&scene.pod_shown("a")), ["400m", "400m"]);
    let runs = scene.world.runs(&first.pods[0].uid);
    assert_eq!((runs[0].attempt, runs[0].pid.is_some(), runs[1].attempt), (1, true, 0));
    assert_eq!(scene.id(&first.pods[0], "other"), other);
    assert!(scene.events.iter().any(|event| event.message == "Container app resize requires restart"));
    assert_eq!((scene.open.len(), scene.wake), (0, None));
}
