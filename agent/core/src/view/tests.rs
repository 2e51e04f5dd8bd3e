//! The view by golden files: what `kubectl`-like tools read. `BERTH_BLESS=1` writes them anew; the diff
//! is then the thing to review.

use super::{NodeView, pod, pod_list};
use crate::{
    event::{Event, Exit, FailReason, Inventory, Outcome},
    manifest::{DesiredPod, types::RestartPolicy},
    world::{
        WorldConfig,
        scene::{Scene, facts, pod as written, problem},
    },
};
use serde_json::{Value, json};
use std::path::PathBuf;

fn golden(name: &str, scene: &Scene) {
    let node = NodeView { name: "node".to_owned(), host_ips: vec!["192.0.2.7".to_owned()] };
    let shown = pod_list(&scene.world, scene.now, &node);
    let text = serde_json::to_string_pretty(&shown).unwrap() + "\n";
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/view/testdata").join(format!("{name}.json"));
    if std::env::var_os("BERTH_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{}", path.display());
}

fn web() -> DesiredPod {
    written("web", 1, &["app=nginx:1.29", "log=busybox"], RestartPolicy::Always)
}

fn running() -> Scene {
    let mut scene = Scene::new();
    scene.desire(&[&web()]);
    scene.settle();
    scene.now.mono = scene.now.mono.plus_s(5);
    scene
}

#[test]
fn a_running_pod() {
    golden("running", &running());
}

#[test]
fn a_pod_that_nobody_holds_to_its_limits() {
    let mut scene = running();
    let tell = |message: &str| Event::NotEnforced { pod: web().uid, message: message.to_owned() };
    scene.tell(&[tell("cgroup controller memory is not available"), tell("container app: no device rules")]);
    golden("not-enforced", &scene);
}

#[test]
fn a_pod_on_the_host_network_that_is_just_being_made() {
    let mut pod = web();
    let spec = &mut std::sync::Arc::make_mut(&mut pod.pod).spec;
    spec.host_network = true;
    spec.node_name = Some("node".to_owned());
    let mut scene = Scene::new();
    scene.desire(&[&pod]);
    golden("creating", &scene);
}

#[test]
fn a_pod_has_its_addresses_as_long_as_its_sandbox() {
    let mut scene = Scene::new();
    scene.desire(&[&web()]);
    let shown = |scene: &Scene| {
        let node = NodeView { name: "node".to_owned(), host_ips: vec!["192.0.2.7".to_owned()] };
        let status = pod(&scene.world, scene.now, &node, &web().key).unwrap()["status"].clone();
        (status["podIP"].clone(), status["podIPs"].clone(), status["hostIP"].clone())
    };
    assert_eq!(shown(&scene), (json!(null), json!(null), json!("192.0.2.7")));
    let ips = vec!["10.86.0.4".to_owned(), "fd00::4".to_owned()];
    scene.answer("create sandbox", Outcome::Sandbox { ips });
    let all = json!([{"ip": "10.86.0.4"}, {"ip": "fd00::4"}]);
    assert_eq!(shown(&scene), (json!("10.86.0.4"), all, json!("192.0.2.7")));
}

#[test]
fn a_crashing_container_beside_a_good_one() {
    let mut scene = running();
    for _ in 0..2 {
        let id = scene.id(&web(), "app");
        let exit = Exit { code: 137, signal: 9, oom: true, at: scene.now };
        scene.tell(&[Event::Exited { id, exit, message: String::new() }]);
        scene.settle();
    }
    golden("crash-loop", &scene);
}

#[test]
fn an_image_that_is_not_there() {
    let mut scene = Scene::new();
    scene.desire(&[&web()]);
    scene.fail("image nginx", FailReason::ErrImagePull);
    scene.fail("image busybox", FailReason::InvalidImageName);
    scene.ok("create sandbox");
    golden("image-pull", &scene);
}

#[test]
fn a_program_that_is_not_there() {
    let pod = written("job", 1, &["app=nginx"], RestartPolicy::Never);
    let mut scene = Scene::new();
    scene.desire(&[&pod]);
    scene.ok("create sandbox");
    scene.answer("image", Outcome::Image(Box::new(facts("nginx"))));
    scene.fail("start app", FailReason::RunContainerError);
    scene.settle();
    golden("start-error", &scene);
}

#[test]
fn a_completed_job() {
    let pod = written("job", 1, &["app=nginx"], RestartPolicy::OnFailure);
    let mut scene = Scene::new();
    scene.desire(&[&pod]);
    scene.settle();
    scene.pass(61);
    scene.exit(&pod, "app", 0);
    scene.settle();
    golden("completed", &scene);
}

#[test]
fn an_old_revision_that_goes_and_a_new_one_that_waits() {
    let mut scene = running();
    let new = written("web", 2, &["app=nginx:1.30"], RestartPolicy::Always);
    scene.pass(60);
    scene.desire(&[&new]);
    golden("update", &scene);
    let shown = pod(&scene.world, scene.now, &NodeView::default(), &new.key).unwrap();
    assert!(shown["metadata"]["deletionTimestamp"].is_string(), "the one that still runs is shown");
}

#[test]
fn a_manifest_that_broke_under_a_running_pod() {
    let mut scene = running();
    scene.desire_with(&[&web()], &[problem("web.yaml", None)]);
    golden("manifest-invalid", &scene);
}

#[test]
fn a_pod_for_which_there_is_no_room() {
    let allocatable = crate::node::Amounts::default().with("pods", 0);
    let mut scene = Scene::with(WorldConfig { allocatable, ..WorldConfig::default() }, Inventory::default());
    scene.desire(&[&web()]);
    golden("refused", &scene);
}

#[test]
fn phases_are_kubelets() {
    // Per container: not started, running, or ended with this code.
    #[derive(Clone, Copy)]
    enum Is {
        New,
        Runs,
        Ended(i32),
    }
    use Is::{Ended, New, Runs};
    use RestartPolicy::{Always, Never, OnFailure};
    for (policy, containers, phase) in [
        (Always, [New, New], "Pending"),
        (Always, [Runs, New], "Pending"),
        (Always, [Runs, Runs], "Running"),
        (Always, [Runs, Ended(1)], "Running"),
        (Always, [Ended(0), Ended(0)], "Running"),
        (OnFailure, [Runs, Ended(0)], "Running"),
        (OnFailure, [Ended(0), Ended(0)], "Succeeded"),
        (OnFailure, [Ended(0), Ended(1)], "Running"),
        (Never, [Ended(0), Ended(0)], "Succeeded"),
        (Never, [Ended(0), Ended(1)], "Failed"),
        (Never, [New, Ended(1)], "Pending"),
    ] {
        let pod = written("p", 1, &["a=x", "b=y"], policy);
        let mut scene = Scene::new();
        scene.desire(&[&pod]);
        scene.ok("create sandbox");
        for (name, image, is) in [("a", "x", containers[0]), ("b", "y", containers[1])] {
            let New = is else {
                scene.answer(&format!("image {image}"), Outcome::Image(Box::new(facts(image))));
                scene.answer(&format!("start {name}"), Outcome::Started { pid: 1, at: scene.now });
                continue;
            };
            scene.fail(&format!("image {image}"), FailReason::ErrImagePull);
        }
        for (name, is) in [("a", containers[0]), ("b", containers[1])] {
            if let Ended(code) = is {
                scene.exit(&pod, name, code);
            }
        }
        let shown: Value = pod_list(&scene.world, scene.now, &NodeView::default());
        assert_eq!(shown["items"][0]["status"]["phase"], phase, "{policy:?}");
    }
}

#[test]
fn a_termination_message_is_shown_and_the_containers_of_a_pod_share_the_room() {
    for (containers, room) in [(1, 4096), (2, 4096), (4, 3072), (24, 512)] {
        let names: Vec<String> = (0..containers).map(|n| format!("c{n}=app")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let many = written("a", 1, &names, RestartPolicy::Never);
        let mut scene = Scene::new();
        scene.desire(&[&many]);
        scene.settle();
        scene.exit_saying(&many, "c0", 3, &"m".repeat(5000));
        // Told again: the first telling counts.
        scene.exit_saying(&many, "c0", 3, "another");
        scene.settle();
        let node = NodeView { name: "node".to_owned(), host_ips: Vec::new() };
        let shown = pod_list(&scene.world, scene.now, &node);
        let message = shown.pointer("/items/0/status/containerStatuses/0/state/terminated/message");
        let len = message.and_then(Value::as_str).map(str::len);
        assert_eq!(len, Some(room), "{containers}");
    }
}
