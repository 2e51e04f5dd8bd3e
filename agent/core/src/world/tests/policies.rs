//! NetworkPolicies that hold a pod to nothing: told once, shown as long as it is so, and nothing waits for them.

use super::*;
use crate::{
    event::DesiredSet,
    manifest::{Format, LoadInput, load, merge, objects::Salt},
    network::policy::Reach,
    view::{NodeView, pod_list},
};

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {app: web}}\n\
    spec: {containers: [{name: app, image: i:1}], hostNetwork: HOST}\n---\n";

/// The pod, on the node's network or not, beside a policy about pods with this label.
fn set(host: bool, app: &str) -> Arc<DesiredSet> {
    let policy = format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: closed}}\n\
         spec: {{podSelector: {{matchLabels: {{app: {app}}}}}}}\n"
    );
    let text = POD.replace("HOST", &host.to_string()) + &policy;
    let input =
        LoadInput { file: "a", bytes: text.as_bytes(), format: Format::Yaml, node: "node", source: "file" };
    let set = merge(&[("a", load(&input))], &Salt::default());
    assert_eq!(set.problems, []);
    Arc::new(set)
}

fn scene(policies: Reach) -> Scene {
    let config = WorldConfig { boot_id: "boot".to_owned(), policies, ..WorldConfig::default() };
    Scene::with(config, Inventory::default())
}

/// What the pod's condition says of it, if anything.
fn shown(scene: &Scene) -> Option<String> {
    let list = pod_list(&scene.world, scene.now, &NodeView::default());
    let conditions = list["items"][0]["status"]["conditions"].as_array()?.clone();
    let condition = conditions.into_iter().find(|condition| condition["type"] == "SpecEnforced")?;
    assert_eq!((&condition["status"], &condition["reason"]), (&"False".into(), &"NotEnforced".into()));
    Some(condition["message"].as_str()?.to_owned())
}

#[test]
fn a_policy_that_cannot_hold_a_pod_is_shown_there() {
    let of_plugins = "its network is made by CNI plugins; one of them must see to it";
    for (policies, host, app, why) in [
        (Reach::Own, false, "web", None),
        (Reach::Own, true, "web", Some("it is on the node's network")),
        (Reach::Plugins, true, "web", Some("it is on the node's network")),
        (Reach::Plugins, false, "web", Some(of_plugins)),
        (Reach::Plugins, false, "db", None),
        (Reach::Nothing, false, "web", None),
    ] {
        let mut scene = scene(policies);
        let set = set(host, app);
        scene.tell(&[Event::Desired(Arc::clone(&set))]);
        scene.settle();
        assert!(scene.world.runs(&set.pods[0].uid)[0].pid.is_some());
        let expected = why.map(|why| format!("NetworkPolicy closed does not hold the pod: {why}"));
        assert_eq!(shown(&scene), expected, "{policies:?} {host} {app}");
        let told = scene.events.iter().filter(|event| event.reason == "NotEnforced" && event.warning);
        assert_eq!(told.count(), usize::from(why.is_some()));
    }
}

#[test]
fn what_the_kernel_does_not_take_is_shown_until_it_does() {
    let mut scene = scene(Reach::Own);
    let set = set(false, "web");
    scene.tell(&[Event::Desired(Arc::clone(&set))]);
    scene.settle();
    let key = &set.pods[0].key;
    for unheld in [vec![(key.clone(), "no room".to_owned())], vec![]] {
        for _ in 0..2 {
            scene.tell(&[Event::Unheld(unheld.clone())]);
            let expected = (!unheld.is_empty())
                .then(|| "NetworkPolicy closed does not hold the pod: no room".to_owned());
            assert_eq!(shown(&scene), expected);
        }
    }
    assert_eq!(scene.reasons().iter().filter(|reason| **reason == "NotEnforced").count(), 1);
}
