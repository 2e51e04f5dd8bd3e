//! Scenes of pods that have processors to themselves.

use super::{in_place::set, *};
use crate::{
    cpus::{Place, Policy},
    event::DesiredSet,
    resize::Given,
    view::{NodeView, pod_list},
};
use serde_json::Value;

/// A pod whose container asks for so much; with a limit of memory, so that it is Guaranteed.
fn pod(name: &str, cpu: &str) -> String {
    let resources = match cpu {
        "" => String::new(),
        cpu => format!(", resources: {{limits: {{cpu: {cpu}, memory: 1Mi}}}}"),
    };
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  containers: [{{name: {name}, image: i{resources}}}]\n---\n"
    )
}

/// Of so many processors the first is reserved.
fn config(count: u32) -> WorldConfig {
    let cores = (0..count).map(|cpu| [cpu].into_iter().collect()).collect();
    let cpus = Some(Policy { cores, reserved: [0].into_iter().collect() });
    WorldConfig { boot_id: "boot".to_owned(), cpus, ..WorldConfig::default() }
}

fn scene(count: u32) -> Scene {
    Scene::with(config(count), Inventory::default())
}

impl Scene {
    fn wants(&mut self, text: &str) -> Arc<DesiredSet> {
        let set = set(text);
        self.tell(&[Event::Desired(Arc::clone(&set))]);
        set
    }

    /// What is to go has time to.
    fn passes(&mut self) {
        for _ in 0..5 {
            self.pass(60);
            self.settle();
        }
    }

    /// Of each container that runs or is about to where it was told to: `a 2!` if nobody else is there.
    fn places(&self) -> Vec<String> {
        let containers = self.world.pods.values().flat_map(|pod| &pod.containers).filter(|c| c.may_run());
        let place = |container: &crate::world::state::Container| {
            let place = container.given.as_ref().map(|given| given.place.clone()).unwrap_or_default();
            format!("{} {}{}", container.name, place.cpus, if place.exclusive { "!" } else { "" })
        };
        let mut places: Vec<String> = containers.map(place).collect();
        places.sort();
        places
    }

    fn status_of(&self, name: &str) -> Value {
        let list = pod_list(&self.world, self.now, &NodeView::default());
        let all = list["items"].as_array().unwrap();
        all.iter().find(|pod| pod["metadata"]["name"] == format!("{name}-node")).unwrap()["status"].clone()
    }
}

#[test]
fn who_asks_for_whole_ones_has_them_and_the_others_are_gone_from_there_before() {
    let mut scene = scene(4);
    let shared = pod("a", "") + &pod("b", "500m");
    scene.wants(&shared);
    scene.settle();
    assert_eq!(scene.places(), ["a 0-3", "b 0-3"]);
    scene.wants(&(shared.clone() + &pod("c", "2")));
    for what in ["resize a 0,3", "resize b 0,3"] {
        assert!(scene.doing().iter().any(|doing| doing == what), "{:?}", scene.doing());
    }
    for what in ["image", "create sandbox"] {
        let outcome = if what == "image" { Outcome::Image(Box::new(facts("i"))) } else { Outcome::Ok };
        scene.answer(what, outcome);
    }
    let starts = |scene: &Scene| scene.doing().iter().any(|what| what.starts_with("start"));
    scene.answer("resize a", Outcome::Resized(None));
    assert!(!starts(&scene), "{:?}", scene.doing());
    scene.answer("resize b", Outcome::Resized(None));
    assert!(starts(&scene), "{:?}", scene.doing());
    assert_eq!(scene.status_of("a")["conditions"].as_array().unwrap().len(), 5, "{}", scene.status_of("a"));
    scene.settle();
    assert_eq!(scene.places(), ["a 0,3", "b 0,3", "c 1-2!"]);
    assert_eq!(
        scene.status_of("c")["containerStatuses"][0]["allocatedResourcesStatus"][0]["resources"][0]["resourceID"],
        "1"
    );
    // It goes, and the others are back.
    scene.wants(&shared);
    scene.passes();
    assert_eq!(scene.places(), ["a 0-3", "b 0-3"]);
    assert_eq!(scene.open.len(), 0);
}

#[test]
fn one_for_whom_there_are_too_few_waits_in_kubelets_words() {
    let mut scene = scene(3);
    scene.wants(&(pod("a", "2") + &pod("b", "1")));
    scene.settle();
    assert_eq!(scene.places(), ["a 1-2!"]);
    let status = scene.status_of("b");
    assert_eq!(status["reason"], "UnexpectedAdmissionError");
    let message = "Allocate failed due to not enough cpus available to satisfy request: requested=1, available=0, which \
                   is unexpected; the pod waits until there are enough";
    assert_eq!(status["message"], message);
    assert_eq!((scene.wake, scene.reasons().contains(&"UnexpectedAdmissionError")), (None, true));
    scene.wants(&pod("b", "1"));
    scene.passes();
    assert_eq!(scene.places(), ["b 1!"]);
}

#[test]
fn one_of_a_higher_priority_takes_them_from_one_of_a_lower() {
    let of = |name: &str, cpu: &str, rank: i32| {
        pod(name, cpu).replace("spec:\n", &format!("spec:\n  priority: {rank}\n"))
    };
    let mut scene = scene(4);
    let lower = of("a", "1", 0) + &of("b", "2", 1);
    scene.wants(&lower);
    scene.settle();
    assert_eq!(scene.places().len(), 2);
    scene.wants(&(lower + &of("c", "2", 2) + &of("d", "1", 0)));
    scene.passes();
    // The one of the lowest priority is not enough, and the other one is.
    assert_eq!(scene.places().iter().map(|place| &place[..1]).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(scene.status_of("b")["reason"], "UnexpectedAdmissionError");
    assert_eq!(scene.status_of("d")["reason"], "UnexpectedAdmissionError");
    assert_eq!(scene.wake, None);
}

#[test]
fn cpu_time_of_such_a_pod_is_not_changed_as_it_runs() {
    let mut scene = scene(4);
    for (has, wants) in [("2", "1"), ("2", "500m"), ("500m", "2")] {
        let known = scene.wants(&pod("a", has));
        scene.settle();
        let (id, places) = (scene.id(&known.pods[0], "a"), scene.places());
        scene.events.clear();
        scene.wants(&pod("a", wants));
        scene.settle();
        assert_eq!((scene.id(&known.pods[0], "a"), scene.places()), (id, places));
        assert_eq!(scene.reasons(), ["ResizeInfeasible"]);
        assert_eq!(
            scene.events[0].message,
            "Resize is infeasible for Guaranteed Pods alongside CPU Manager policy \"static\""
        );
        scene.wants("");
        scene.passes();
    }
}

/// What an agent finds where these containers run at these places.
fn found(set: &DesiredSet, places: &[&str]) -> Inventory {
    let sandboxes = set.pods.iter().map(|pod| SandboxRecord {
        desired: pod.clone(),
        ready: true,
        begun: Mono(1),
        ips: Vec::new(),
        unsettled: false,
        given: None,
    });
    let at = Now { mono: Mono(2), wall: Wall(2) };
    let containers = set.pods.iter().zip(places).map(|(pod, place)| {
        let container = &pod.pod.spec.containers[0];
        let cpus = place.trim_end_matches('!').parse().unwrap();
        let place = Place { cpus, exclusive: place.ends_with('!') };
        ContainerRecord {
            id: crate::ids::ContainerId(container.name.as_str().into()),
            pod: pod.uid.clone(),
            name: container.name.clone(),
            attempt: 0,
            image: facts("i"),
            devices: Vec::new(),
            given: Some(Given { resources: container.resources.clone(), place }),
            state: RecordState::Running { pid: 7, at },
            standing: crate::check::Standing::default(),
        }
    });
    Inventory {
        boot_id: "boot".to_owned(),
        sandboxes: sandboxes.collect(),
        containers: containers.collect(),
        ..Inventory::default()
    }
}

#[test]
fn the_next_agent_leaves_them_what_they_have_as_far_as_it_is_there() {
    let text = pod("a", "") + &pod("b", "1") + &pod("c", "2");
    let all = set(&text);
    for (count, before, after, told) in [
        // As an agent of the same policy has left it.
        (5, ["0,4", "3!", "1-2!"], ["a 0,4", "b 3!", "c 1-2!"], &[][..]),
        // Of one without the policy.
        (5, ["", "", ""], ["a 0,4", "b 3!", "c 1-2!"], &[]),
        // One that had CPU 7, which is gone.
        (5, ["0,4", "7!", "1-2!"], ["a 0,4", "b 3!", "c 1-2!"], &["CPUsGone"]),
        // There are fewer than are asked for: who runs runs on with the others.
        (3, ["0,4", "3!", "1-2!"], ["a 0", "b 0", "c 1-2!"], &["CPUsGone", "UnexpectedAdmissionError"]),
    ] {
        let mut scene = Scene::with(config(count), found(&all, &before));
        scene.wants(&text);
        scene.settle();
        assert_eq!(scene.places(), after, "{before:?}");
        let news: Vec<&str> = scene.reasons().into_iter().filter(|reason| *reason != "Updated").collect();
        assert_eq!(news, told, "{before:?}");
        assert!(all.pods.iter().all(|pod| scene.world.runs(&pod.uid)[0].pid == Some(7)), "{before:?}");
        assert_eq!((scene.open.len(), scene.wake), (0, None));
    }
    // Without the policy they are let go.
    let none = WorldConfig { cpus: None, ..config(5) };
    let mut scene = Scene::with(none, found(&all, &["0,4", "3!", "1-2!"]));
    scene.wants(&text);
    scene.settle();
    assert_eq!(scene.places(), ["a ", "b ", "c "]);
}

#[test]
fn one_that_cannot_have_its_own_any_more_is_not_started_again_until_it_can() {
    let text = pod("a", "1") + &pod("b", "1");
    let all = set(&text);
    let mut scene = Scene::with(config(2), found(&all, &["1!", "2!"]));
    scene.wants(&text);
    scene.settle();
    assert_eq!(scene.places(), ["a 1!", "b 0"]);
    scene.exit(&all.pods[1], "b", 1);
    scene.settle();
    scene.pass(400);
    scene.settle();
    assert_eq!(scene.places(), ["a 1!"]);
    let waiting = scene.status_of("b")["containerStatuses"][0]["state"]["waiting"]["reason"].clone();
    assert_eq!(waiting, "UnexpectedAdmissionError");
    scene.wants(&pod("b", "1"));
    scene.passes();
    assert_eq!(scene.places(), ["b 1!"]);
}

#[test]
fn nobody_begins_where_another_one_is_being_killed() {
    let mut scene = scene(2);
    let all = scene.wants(&pod("a", ""));
    scene.settle();
    scene.wants(&pod("b", "1"));
    // All but the other one's move and its end is done.
    let waits = |what: &String| ["signal", "resize"].iter().any(|word| what.starts_with(word));
    while let Some(next) = scene.doing().into_iter().find(|what| !waits(what)) {
        let image = || Outcome::Image(Box::new(facts("i")));
        scene.answer(&next, if next.starts_with("image") { image() } else { Outcome::Ok });
    }
    scene.ok("signal");
    scene.pass(30);
    scene.ok("kill");
    assert!(!scene.doing().iter().any(|what| what.starts_with("start")), "{:?}", scene.doing());
    scene.exit(&all.pods[0], "a", 137);
    while !scene.doing().iter().any(|what| what.starts_with("start")) {
        let next = scene.doing().into_iter().find(|what| !what.starts_with("resize")).unwrap();
        let image = || Outcome::Image(Box::new(facts("i")));
        scene.answer(&next, if next.starts_with("image") { image() } else { Outcome::Ok });
    }
}
