//! Runs prepared and removed, with real mounts, cgroups and processes.

use super::*;
use crate::{
    Error, fsys,
    fsys::mounts::below,
    paths::Roots,
    records, sandbox,
    testing::{node, pod, with_roots},
};
use berth_core::{
    action::ImageFacts,
    ids::ContainerId,
    manifest::{
        DesiredPod,
        objects::Objects,
        types::{Container, EmptyDir, HostPath, PodSpec, SecurityContext, Volume, VolumeMount},
    },
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
    process::{Child, Command},
    time::Duration,
};

const LONG: Duration = Duration::from_secs(60);

fn id() -> ContainerId {
    ContainerId("00112233445566778899aabbccddeeff".into())
}

fn mount(name: &str, path: &str, sub_path: Option<&str>, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        read_only,
        sub_path: sub_path.map(str::to_owned),
        ..VolumeMount::default()
    }
}

fn spec(mounts: Vec<VolumeMount>) -> PodSpec {
    let data = Volume { name: "data".into(), empty_dir: Some(EmptyDir::default()), ..Volume::default() };
    let conf = Volume {
        name: "conf".into(),
        host_path: Some(HostPath { path: "/etc".into(), ..HostPath::default() }),
        ..Volume::default()
    };
    let container = Container {
        name: "app".into(),
        command: vec!["/bin/sh".into()],
        volume_mounts: mounts,
        termination_message_path: Some("/dev/termination-log".into()),
        ..Container::default()
    };
    PodSpec { containers: vec![container], volumes: vec![data, conf], ..PodSpec::default() }
}

/// An image of one layer that has `sh` in its user database.
fn image(roots: &Roots) -> ImageFacts {
    let layer = roots.state.join("layer");
    fs::create_dir_all(layer.join("etc")).unwrap();
    fs::write(layer.join("etc/passwd"), "web:x:33:34::/srv:/bin/sh\n").unwrap();
    ImageFacts {
        reference: "web:1".into(),
        layers: vec![layer.to_str().unwrap().into()],
        user: "web".into(),
        ..ImageFacts::default()
    }
}

fn prepared(roots: &Roots, pod: &DesiredPod) -> crate::error::Result<Prepared> {
    prepared_as(roots, pod, "app")
}

fn prepared_as(roots: &Roots, pod: &DesiredPod, container: &str) -> crate::error::Result<Prepared> {
    let (id, image, objects) = (&id(), &image(roots), &Objects::default());
    let place = &berth_core::cpus::Place::default();
    let run = Run { desired: pod, container, attempt: 0, id, image, objects, devices: &[], place };
    prepare(roots, &node(), &run)
}

/// A process in the container's cgroup, as if the keeper had started it.
fn live_in(cgroup: &Path) -> Child {
    fs::create_dir_all(cgroup).unwrap();
    let child = Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(cgroup.join("cgroup.procs"), child.id().to_string()).unwrap();
    child
}

#[test]
fn mounts_are_resolved_in_order_and_etc_files_unless_mounted_over() {
    with_roots(|roots| {
        let mounts = vec![
            mount("data", "/srv/www/deep", None, true),
            mount("data", "/srv", Some("a/b"), false),
            mount("conf", "//etc//hosts/", Some("hostname"), true),
        ];
        let mut spec = spec(mounts);
        spec.containers[0].security_context =
            Some(SecurityContext { read_only_root_filesystem: Some(true), ..SecurityContext::default() });
        let pod = pod(spec);
        sandbox::create(roots, &node(), &pod).unwrap();
        fs::create_dir_all(roots.container_state(&id())).unwrap();
        let binds = mounts::resolve(roots, &pod, &pod.pod.spec.containers[0], &id(), &[]).unwrap();
        let (held, etc) = (roots.pod_subpaths(&pod.uid, &id()), roots.pod_etc(&pod.uid));
        let expected = [
            (held.join("1"), "/srv", false),
            (held.join("2"), "//etc//hosts/", true),
            (etc.join("hostname"), "/etc/hostname", true),
            (etc.join("resolv.conf"), "/etc/resolv.conf", true),
            (roots.termination_log(&id()), "/dev/termination-log", false),
            (roots.pod_disk_volume(&pod.uid, "data"), "/srv/www/deep", true),
        ];
        let found: Vec<_> =
            binds.iter().map(|bind| (bind.source.clone(), &*bind.destination, bind.read_only)).collect();
        assert_eq!(found, expected);
        assert_eq!(fs::read(&binds[1].source).unwrap(), fs::read("/etc/hostname").unwrap());
        fs::write(binds[0].source.join("file"), "").unwrap();
        assert!(roots.pod_disk_volume(&pod.uid, "data").join("a/b/file").exists());
        // A pod is removed whole, whatever its containers held.
        sandbox::remove(roots, &pod).unwrap();
        assert!(Path::new("/etc/hostname").exists() && !roots.pod_run(&pod.uid).exists());
    });
}

#[test]
fn a_held_sub_path_stays_what_it_was_when_its_name_becomes_a_link() {
    with_roots(|roots| {
        let pod = pod(spec(vec![mount("data", "/srv", Some("sub"), false)]));
        sandbox::create(roots, &node(), &pod).unwrap();
        prepared(roots, &pod).unwrap();
        let held = roots.pod_subpaths(&pod.uid, &id()).join("0");
        let volume = roots.pod_disk_volume(&pod.uid, "data");
        fs::rename(volume.join("sub"), volume.join("moved")).unwrap();
        symlink("/etc", volume.join("sub")).unwrap();
        assert_eq!(fs::metadata(&held).unwrap().ino(), fs::metadata(volume.join("moved")).unwrap().ino());
        // The next run meets the link and is refused in words.
        let error = prepared(roots, &pod).unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{error}");
        assert!(error.to_string().contains("subPath \"sub\" is not within the volume"), "{error}");
        remove(roots, &id(), LONG).unwrap();
        assert!(volume.join("moved").is_dir());
    });
}

#[test]
fn a_run_is_prepared_and_removed_and_both_twice_over() {
    with_roots(|roots| {
        let pod = pod(spec(vec![mount("data", "/srv", Some("sub"), false)]));
        sandbox::create(roots, &node(), &pod).unwrap();
        for _ in 0..2 {
            remove(roots, &id(), LONG).unwrap();
            for _ in 0..2 {
                let made = prepared(roots, &pod).unwrap();
                assert_eq!((made.log_uid, made.log_gid), (33, 34));
                assert_eq!(made.cgroup, roots.pod_cgroup(&pod).join(&*id().0));
                let state = roots.container_state(&id());
                assert_eq!(fs::metadata(state.join("upper")).unwrap().mode() & 0o7777, 0o755);
                assert_eq!(fs::metadata(roots.termination_log(&id())).unwrap().mode() & 0o777, 0o666);
                assert!(state.join("work").is_dir());
                let plan = crate::bundle::read_plan(&made.bundle).unwrap();
                assert_eq!(plan.cgroup, made.cgroup);
                assert_eq!(plan.overlay.unwrap().upper, state.join("upper"));
                // Which of the two files says it is the bundle's own business.
                let text = |name: &str| fs::read_to_string(made.bundle.join(name)).unwrap();
                let all = text(crate::bundle::CONFIG) + &text(crate::bundle::PLAN);
                let held = roots.pod_subpaths(&pod.uid, &id()).join("0");
                assert!(all.contains(held.to_str().unwrap()) && all.contains("/bin/sh"));
                let link = roots.log_link(&pod, "app", &id());
                assert_eq!(fs::read_link(link).unwrap(), roots.log_file(&pod, "app", 0));
                assert_eq!(records::inventory(roots).unwrap().containers[0].name, "app");
                assert!(fsys::is_tmpfs_mount(&roots.pod_etc(&pod.uid)));
            }
            fs::create_dir_all(roots.runtime_state().join(&*id().0)).unwrap();
            remove(roots, &id(), LONG).unwrap();
            let found = records::inventory(roots).unwrap();
            assert!(found.containers.is_empty() && found.leftovers.is_empty(), "{found:?}");
            assert!(found.layers.is_empty(), "{found:?}");
            assert!(below(&roots.pod_run(&pod.uid).join("subpaths")).unwrap().is_empty());
        }
        sandbox::remove(roots, &pod).unwrap();
        assert_eq!(fs::read_dir(roots.log_links()).unwrap().count(), 0);
    });
}

#[test]
fn a_second_prepare_does_not_touch_the_layer_of_a_running_container() {
    with_roots(|roots| {
        let pod = pod(spec(Vec::new()));
        sandbox::create(roots, &node(), &pod).unwrap();
        let made = prepared(roots, &pod).unwrap();
        let written = roots.container_state(&id()).join("upper/written");
        fs::write(&written, "").unwrap();
        let mut child = live_in(&made.cgroup);
        prepared(roots, &pod).unwrap();
        assert!(written.exists());
        kill(roots, &id()).unwrap();
        child.wait().unwrap();
        prepared(roots, &pod).unwrap();
        assert!(!written.exists(), "a dead try's layer cannot be mounted again");
        remove(roots, &id(), LONG).unwrap();
    });
}

#[test]
fn removal_kills_what_lives_in_the_cgroup_and_below_with_and_without_a_record() {
    with_roots(|roots| {
        let pod = pod(spec(Vec::new()));
        for with_record in [true, false] {
            sandbox::create(roots, &node(), &pod).unwrap();
            let made = prepared(roots, &pod).unwrap();
            let mut children = [live_in(&made.cgroup.join("own/nested")), live_in(&made.cgroup.join("own"))];
            if !with_record {
                fs::remove_file(roots.container_record(&id())).unwrap();
            }
            assert!(!oom_killed(roots, &id()));
            remove(roots, &id(), LONG).unwrap();
            assert!(!made.cgroup.exists() && !made.bundle.exists());
            for child in &mut children {
                assert!(!child.wait().unwrap().success());
            }
            sandbox::remove(roots, &pod).unwrap();
        }
    });
}

#[test]
fn the_end_of_a_long_termination_message_is_read_and_never_through_a_link() {
    with_roots(|roots| {
        assert_eq!(termination_message(roots, &id()), "");
        fs::create_dir_all(roots.container_state(&id())).unwrap();
        let path = roots.termination_log(&id());
        fs::write(&path, format!("{}end", "x".repeat(5000))).unwrap();
        let message = termination_message(roots, &id());
        assert!(message.len() == 4096 && message.ends_with("xend"));
        fs::remove_file(&path).unwrap();
        symlink("/etc/hostname", &path).unwrap();
        assert_eq!(termination_message(roots, &id()), "");
    });
}

#[test]
fn names_that_do_not_exist_are_errors_in_words() {
    with_roots(|roots| {
        let pod = pod(spec(vec![mount("ghost", "/srv", None, false)]));
        sandbox::create(roots, &node(), &pod).unwrap();
        assert!(prepared(roots, &pod).unwrap_err().to_string().contains("has no volume \"ghost\""));
        let missing = prepared_as(roots, &pod, "none").unwrap_err();
        assert!(missing.to_string().contains("pod default/web-box has no container \"none\""));
        remove(roots, &id(), LONG).unwrap();
    });
}
