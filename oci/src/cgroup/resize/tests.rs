//! Resizes of cgroups that are directories of files: all that the kernel adds is seen in `tests/guest/limits`.

use super::*;
use crate::testing;
use berth_core::manifest::types::{PodSpec, Resources};

const OLD: u64 = 4_000_000;
const MORE: u64 = 8_000_000;
const LESS: u64 = 2_000_000;

/// A pod of one container with this limit of memory; its cgroup and the container's have `OLD`, and so much in use.
struct Scene {
    dir: tempfile::TempDir,
    pod: DesiredPod,
    place: Place,
}

impl Scene {
    fn new(limit: Option<u64>, used_of_container: u64, used_of_pod: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (sub, used) in [("", used_of_pod), ("c", used_of_container)] {
            let cgroup = dir.path().join(sub);
            fs::create_dir_all(&cgroup).unwrap();
            for (file, value) in [
                ("memory.max", OLD.to_string()),
                ("memory.current", used.to_string()),
                ("cpu.weight", "1".into()),
                ("cpu.max", "max 100000".into()),
                (CPUS, "\n".into()),
            ] {
                fs::write(cgroup.join(file), value).unwrap();
            }
        }
        let limits = limit.map(|bytes| ("memory".to_owned(), bytes.to_string())).into_iter().collect();
        let resources = Resources { limits, ..Resources::default() };
        let container = Container { name: "app".into(), resources, ..Container::default() };
        let pod = testing::pod(PodSpec { containers: vec![container], ..PodSpec::default() });
        Self { dir, pod, place: Place::default() }
    }

    fn resize(&self) -> Resize {
        let cgroup = self.dir.path().join("c");
        let target = Target { container: &self.pod.pod.spec.containers[0], place: &self.place, cgroup };
        Resize::of(&self.pod, &testing::node(), self.dir.path().to_owned(), &[target])
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.dir.path().join(file)).unwrap().trim().to_owned()
    }
}

#[test]
fn a_limit_that_is_not_lowered_below_what_is_in_use_can_be_set() {
    for (limit, container, pod, in_use) in [
        (Some(LESS), LESS, LESS, None),
        (Some(LESS), LESS + 1, 0, Some(("app", LESS + 1))),
        (Some(LESS), LESS, LESS + 1, Some(("", LESS + 1))),
        // More is in use than will be allowed, as it was before: nothing is lowered.
        (Some(OLD), OLD + 1, OLD + 1, None),
        (Some(MORE), MORE + 1, MORE + 1, None),
        (None, MORE, MORE, None),
    ] {
        let found = Scene::new(limit, container, pod).resize().in_use().unwrap();
        let found = found.as_ref().map(|found| (found.container.as_str(), found.used));
        assert_eq!(found, in_use, "{limit:?} {container} {pod}");
    }
}

#[test]
fn what_grows_grows_from_the_pod_down_and_what_shrinks_from_the_containers_up() {
    for (limit, pod) in [(MORE, MORE), (LESS, OLD)] {
        let scene = Scene::new(Some(limit), 0, 0);
        // The container's cannot be set: what came before it is, and what was to come after it is not.
        fs::remove_file(scene.dir.path().join("c/cpu.weight")).unwrap();
        fs::create_dir(scene.dir.path().join("c/cpu.weight")).unwrap();
        scene.resize().write().unwrap_err();
        assert_eq!(scene.read("memory.max"), pod.to_string());
        fs::remove_dir(scene.dir.path().join("c/cpu.weight")).unwrap();
        scene.resize().write().unwrap();
        assert_eq!(
            (scene.read("memory.max"), scene.read("c/memory.max")),
            (limit.to_string(), limit.to_string())
        );
    }
}

#[test]
fn what_is_limited_no_more_has_the_kernels_own_value() {
    let scene = Scene::new(None, 0, 0);
    fs::write(scene.dir.path().join("cpu.max"), "50000 100000").unwrap();
    scene.resize().write().unwrap();
    for file in ["memory.max", "c/memory.max", "cpu.max"] {
        assert!(scene.read(file).starts_with(UNLIMITED), "{file}: {}", scene.read(file));
    }
}

#[test]
fn processors_are_set_where_they_are_others_and_a_container_that_has_ended_is_left_out() {
    let mut scene = Scene::new(None, 0, 0);
    scene.place.cpus = "0-1,3".parse().unwrap();
    scene.resize().set_cpus().unwrap();
    assert_eq!((scene.read("c/cpuset.cpus"), scene.read(CPUS)), ("0-1,3".to_owned(), String::new()));
    fs::remove_dir_all(scene.dir.path().join("c")).unwrap();
    let resize = scene.resize();
    resize.set_cpus().unwrap();
    assert!(resize.in_use().unwrap().is_none());
    resize.write().unwrap();
}
