//! kubelet's own cases of its source by HTTP (`pkg/kubelet/config/http_test.go`), each under its name, and the defects of
//! that source that are not to be had here: the address of the simulator says these things, and what the machine runs
//! is looked at when it has come to rest.

use super::{
    Sabotage, Sim,
    address::{NO_PODS, Says, pod},
    chaos::Phase,
    machine::Dials,
    queue::Happening,
    trace::Trace,
};
use berth_core::view::{self, NodeView};

/// Happenings until a machine on which nothing breaks has come to rest.
const REST_MAX: usize = 20_000;

/// A machine on which nothing breaks, with one file (the pod `p0`), and an address.
struct Scene(Sim);

impl Scene {
    fn new() -> Self {
        let mut sim = Sim::new(1, Sabotage::None, Trace::on());
        sim.allocatable = berth_core::node::Amounts::default();
        sim.machine.dials = Dials::default();
        sim.machine.missing.clear();
        sim.machine.free_slots();
        sim.chaos.phase = Phase::Peace { since: 0 };
        sim.manifests.only("serve");
        sim.queue.push(0, Happening::AgentUp);
        let mut scene = Self(sim);
        scene.rests();
        scene
    }

    /// The address says this, and the agent has asked.
    fn says(&mut self, text: &str, means: Option<&[&str]>) -> Vec<String> {
        self.hears(Says::Text(text.to_owned(), None), means)
    }

    fn hears(&mut self, says: Says, means: Option<&[&str]>) -> Vec<String> {
        self.0.manifests.address.say(says, means);
        self.asks()
    }

    /// The agent looks at its sources; what runs then.
    fn asks(&mut self) -> Vec<String> {
        self.0.sources_changed(0);
        self.rests()
    }

    /// Goes on until what is said is what is; the pods that run and their images.
    fn rests(&mut self) -> Vec<String> {
        let sim = &mut self.0;
        for _ in 0..REST_MAX {
            let Some((at, what)) = sim.queue.pop() else { break };
            sim.now = at;
            let looked = matches!(what, Happening::ReadSources(_));
            sim.happen(what);
            if let Some((rule, why)) = sim.oracle.verdict() {
                panic!("{rule:?}: {why}\n{}", sim.trace.lines().join("\n"));
            }
            let since = sim.now;
            if !looked && sim.converged(since) {
                break;
            }
        }
        let world = &sim.agent.as_ref().expect("an agent").world;
        let shown = view::pod_list(world, sim.clocks(), &NodeView::default());
        let items = shown["items"].as_array().unwrap().iter();
        let mut running: Vec<String> = items
            .filter(|pod| pod["status"]["phase"] == "Running")
            .map(|pod| {
                let name = pod["metadata"]["name"].as_str().unwrap().trim_end_matches("-node");
                format!("{name}={}", pod["spec"]["containers"][0]["image"].as_str().unwrap())
            })
            .collect();
        running.sort();
        running
    }

    fn problems(&mut self) -> usize {
        self.0.manifests.read(&mut Default::default()).problems.len()
    }
}

#[test]
fn url_error_not_exist_no_update() {
    let mut scene = Scene::new();
    assert_eq!(scene.hears(Says::Nothing, None), ["p0=serve"]);
    // And of what was known nothing goes.
    assert_eq!(scene.says(&pod("a", "serve"), Some(&["a"])), ["a=serve", "p0=serve"]);
    assert_eq!(scene.hears(Says::Nothing, None), ["a=serve", "p0=serve"]);
}

#[test]
fn extract_from_http_badness() {
    let mut scene = Scene::new();
    assert_eq!(scene.says("bad json", None), ["p0=serve"]);
    assert_eq!(scene.problems(), 1);
}

#[test]
fn extract_invalid_pods() {
    let spec =
        |spec: &str| format!("{{apiVersion: v1, kind: Pod, metadata: {{name: foo}}, spec: {{{spec}}}}}");
    let container = "containers: [{name: c, image: serve}]";
    for (case, text) in [
        ("Invalid version", pod("foo", "serve").replace("v1", "v9")),
        (
            "Invalid volume name",
            spec(&format!("{container}, volumes: [{{name: \"_INVALID_\", emptyDir: {{}}}}]")),
        ),
        (
            "Duplicate volume names",
            spec(&format!(
                "{container}, volumes: [{{name: my-vol, emptyDir: {{}}}}, {{name: my-vol, emptyDir: {{}}}}]"
            )),
        ),
        ("Unspecified container name", spec("containers: [{name: \"\", image: serve}]")),
        ("Invalid container name", spec("containers: [{name: \"_INVALID_\", image: serve}]")),
    ] {
        let mut scene = Scene::new();
        assert_eq!(scene.says(&text, None), ["p0=serve"], "{case}");
        assert!(scene.problems() > 0, "{case}");
        // One of these beside a right one: the answer counts whole or not at all.
        assert_eq!(scene.says(&pod("a", "serve"), Some(&["a"])), ["a=serve", "p0=serve"], "{case}");
        assert_eq!(
            scene.says(&format!("{}\n---\n{text}", pod("b", "serve")), None),
            ["a=serve", "p0=serve"],
            "{case}"
        );
    }
}

#[test]
fn extract_pods_from_http_single_pod() {
    let mut scene = Scene::new();
    assert_eq!(scene.says(&pod("foo", "serve"), Some(&["foo"])), ["foo=serve", "p0=serve"]);
    assert_eq!(
        scene.says(&pod("foo", "stubborn"), Some(&["foo"])),
        ["foo=stubborn", "p0=serve"],
        "another revision"
    );
}

#[test]
fn extract_pods_from_http_multiple_pods() {
    let mut scene = Scene::new();
    let items = [pod("bar", "serve"), pod("foo", "serve")].join(", ");
    for kind in ["PodList", "List"] {
        let list = format!("{{apiVersion: v1, kind: {kind}, items: [{items}]}}");
        assert_eq!(
            scene.says(&list, Some(&["bar", "foo"])),
            ["bar=serve", "foo=serve", "p0=serve"],
            "{kind}"
        );
        assert_eq!(scene.says(&pod("foo", "serve"), Some(&["foo"])), ["foo=serve", "p0=serve"], "{kind}");
    }
}

/// That the header really goes out is for the client's tests and for those against nginx.
#[test]
fn url_with_header() {
    let mut scene = Scene::new();
    let only = Says::Text(pod("foo", "serve"), Some("metadata-flavor: testing"));
    assert_eq!(scene.hears(only.clone(), Some(&["foo"])), ["p0=serve"]);
    scene.0.manifests.address.token = Some("metadata-flavor: testing");
    assert_eq!(scene.hears(only, Some(&["foo"])), ["foo=serve", "p0=serve"]);
}

/// kubelet terminates all pods, and does not take them up again when the same body comes back.
#[test]
fn an_empty_body_takes_nothing_away_and_only_a_list_without_items_does() {
    let mut scene = Scene::new();
    let foo = pod("foo", "serve");
    scene.says(&foo, Some(&["foo"]));
    assert_eq!(scene.says("", None), ["foo=serve", "p0=serve"]);
    assert_eq!(scene.says(&foo, Some(&["foo"])), ["foo=serve", "p0=serve"]);
    assert_eq!(scene.says(NO_PODS, Some(&[])), ["p0=serve"]);
    assert_eq!(scene.says(&foo, Some(&["foo"])), ["foo=serve", "p0=serve"]);
}

/// kubelet remembers a body before it is parsed: what is wrong with it is told once.
#[test]
fn a_wrong_body_is_told_for_as_long_as_it_is_said() {
    let mut scene = Scene::new();
    scene.says("bad json", None);
    for _ in 0..3 {
        scene.asks();
        assert_eq!(scene.problems(), 1);
    }
    scene.says(&pod("foo", "serve"), Some(&["foo"]));
    assert_eq!(scene.problems(), 0);
}

/// With kubelet nothing is removed or replaced, not even what comes from files, until each source was heard.
#[test]
fn an_address_that_never_answers_holds_up_no_file() {
    let mut scene = Scene::new();
    scene.hears(Says::Nothing, None);
    scene.0.manifests.only("stubborn");
    assert_eq!(scene.asks(), ["p0=stubborn"], "a file that changes");
    scene.0.manifests.remove_files();
    assert_eq!(scene.asks(), Vec::<String>::new(), "a file that goes");
}

/// kubelet has lost them.
#[test]
fn after_a_power_cut_without_network_the_pods_are_there() {
    let mut scene = Scene::new();
    scene.says(&pod("foo", "serve"), Some(&["foo"]));
    scene.0.manifests.address.say(Says::Nothing, None);
    scene.0.power_cut();
    assert_eq!(scene.rests(), ["foo=serve", "p0=serve"]);
}

#[test]
fn of_a_pod_in_two_sources_the_file_goes_before_the_address() {
    let mut scene = Scene::new();
    assert_eq!(scene.says(&pod("p0", "stubborn"), Some(&["p0"])), ["p0=serve"]);
    scene.0.manifests.remove_files();
    assert_eq!(scene.asks(), ["p0=stubborn"]);
}
