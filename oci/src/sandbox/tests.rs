//! Sandboxes made, broken off, completed and removed, with real mounts and namespaces.

use super::*;
use crate::{
    checkpoint,
    fsys::mounts,
    testing::{node, pod, with_roots},
};
use berth_core::{
    event::Checkpoint,
    ids::PodUid,
    manifest::types::{EmptyDir, HostPath, PodSecurityContext, PodSpec, Volume},
    time::{Mono, Now},
};
use nix::sched::{CloneFlags, setns};
use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
};

fn volumes() -> Vec<Volume> {
    let empty_dir = |name: &str, medium: &str| Volume {
        name: name.into(),
        empty_dir: Some(EmptyDir { medium: medium.into(), size_limit: Some("1Mi".into()) }),
        ..Volume::default()
    };
    vec![empty_dir("disk", ""), empty_dir("memory", "Memory")]
}

fn spec() -> PodSpec {
    let security_context = PodSecurityContext { fs_group: Some(4242), ..PodSecurityContext::default() };
    PodSpec { volumes: volumes(), security_context, ..PodSpec::default() }
}

/// Everything that a complete sandbox has.
fn assert_complete(roots: &Roots, pod: &DesiredPod) {
    for kind in namespaces::kinds(&pod.pod.spec) {
        assert!(fsys::is_namespace(&roots.pod_ns(&pod.uid, kind)), "{kind}");
    }
    let run = roots.pod_run(&pod.uid);
    let tmpfs =
        [roots.pod_etc(&pod.uid), roots.pod_shm(&pod.uid), roots.pod_memory_volume(&pod.uid, "memory")];
    for path in tmpfs {
        assert!(fsys::is_tmpfs_mount(&path), "{path:?}");
    }
    for file in ["hosts", "hostname", "resolv.conf"] {
        assert!(fs::metadata(run.join("etc").join(file)).unwrap().len() > 0, "{file}");
    }
    assert_eq!(mounts::below(&run.canonicalize().unwrap()).unwrap().len(), 6);
    assert!(roots.pod_cgroup(pod).join("cgroup.procs").exists());
    assert!(roots.pod_log(pod).is_dir());
    assert!(records::read_sandbox(roots, &pod.uid).unwrap().unwrap().ready);
    let disk = fs::metadata(roots.pod_disk_volume(&pod.uid, "disk")).unwrap();
    assert_eq!((disk.mode() & 0o7777, disk.gid()), (0o2777, 4242));
}

#[test]
fn what_the_kernel_lacks_is_told_and_does_not_stop_the_pod() {
    with_roots(|roots| {
        let pod = pod(spec());
        create(roots, &node(), &pod).unwrap();
        let controllers = fs::read_to_string(roots.cgroup.join("cgroup.controllers")).unwrap();
        let has = |name: &str| controllers.split_whitespace().any(|controller| controller == name);
        for name in cgroup::CONTROLLERS {
            let told = warnings(roots, &pod.uid).iter().any(|warning| warning.message.contains(name));
            assert!(has(name) || told, "{name} of {controllers:?}");
        }
        warnings::write(roots, &pod.uid, &[]).unwrap();
        assert!(warnings(roots, &pod.uid).is_empty());
        remove(roots, &pod).unwrap();
    });
}

/// Nothing of any sandbox is left.
fn assert_nothing(roots: &Roots) {
    let empty = |path: &Path| fs::read_dir(path).map(Iterator::count).unwrap_or(0);
    for path in [roots.pods_run(), roots.pods_state(), roots.pods_log(), roots.log_links()] {
        assert_eq!(empty(&path), 0, "{path:?}");
    }
    assert!(mounts::below(&roots.run.canonicalize().unwrap()).unwrap().is_empty());
    assert!(teardown_finds_nothing(roots));
}

fn teardown_finds_nothing(roots: &Roots) -> bool {
    crate::teardown::find_pod(&roots.kubepods(), &pod(spec()).uid).is_empty()
}

#[test]
fn a_sandbox_is_made_and_removed_and_both_twice_over() {
    with_roots(|roots| {
        let pod = pod(spec());
        for _ in 0..2 {
            remove(roots, &pod).unwrap();
            for _ in 0..2 {
                create(roots, &node(), &pod).unwrap();
                assert_complete(roots, &pod);
            }
            remove(roots, &pod).unwrap();
            assert_nothing(roots);
        }
    });
}

#[test]
fn a_sandbox_that_was_broken_off_anywhere_is_completed_or_removed() {
    type Break = fn(&Roots, &PodUid);
    let breaks: [(&str, Break); 7] = [
        ("not ready", |_, _| {}),
        ("one namespace missing", |roots, uid| mounts::unmount(&roots.pod_ns(uid, "uts")).unwrap()),
        ("no namespace", |roots, uid| {
            mounts::unmount_below(&roots.pod_run(uid).join("ns")).unwrap();
            fs::remove_dir_all(roots.pod_run(uid).join("ns")).unwrap();
        }),
        ("files half written", |roots, uid| fs::write(roots.pod_etc(uid).join("hosts"), "# Kube").unwrap()),
        ("volume not mounted", |roots, uid| {
            mounts::unmount(&roots.pod_memory_volume(uid, "memory")).unwrap()
        }),
        ("record half written", |roots, uid| fs::write(roots.pod_record(uid), "{").unwrap()),
        ("only the directory", |roots, uid| {
            mounts::unmount_below(&roots.pod_run(uid)).unwrap();
            fs::remove_dir_all(roots.pod_run(uid)).unwrap();
            fs::create_dir(roots.pod_run(uid)).unwrap();
        }),
    ];
    with_roots(|roots| {
        let pod = pod(spec());
        for (name, breaks) in breaks {
            for complete in [true, false] {
                create(roots, &node(), &pod).unwrap();
                fs::remove_file(roots.pod_ready(&pod.uid)).unwrap();
                breaks(roots, &pod.uid);
                if complete {
                    create(roots, &node(), &pod).unwrap();
                    assert_complete(roots, &pod);
                    remove(roots, &pod).unwrap();
                } else {
                    remove_leftover(roots, &pod.uid).unwrap();
                }
                eprintln!("{name}, completed: {complete}");
                assert_nothing(roots);
            }
        }
    });
}

#[test]
fn the_namespaces_have_the_pods_name_and_a_loopback() {
    with_roots(|roots| {
        let spec = PodSpec { hostname: Some("db".into()), ..spec() };
        let pod = pod(spec);
        create(roots, &node(), &pod).unwrap();
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                for kind in ["net", "uts", "ipc"] {
                    setns(File::open(roots.pod_ns(&pod.uid, kind)).unwrap(), CloneFlags::empty()).unwrap();
                }
                assert_eq!(nix::unistd::gethostname().unwrap(), "db");
                let listener = std::net::TcpListener::bind("127.0.0.1:80").unwrap();
                std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                std::net::TcpListener::bind("[::1]:81").map(drop)
            });
            if let Err(error) = inside.join().unwrap() {
                eprintln!("skipped in part: no IPv6 in this kernel ({error})");
            }
        });
        assert_ne!(nix::unistd::gethostname().unwrap(), "db", "this thread has its own name still");
        remove(roots, &pod).unwrap();
    });
}

#[test]
fn a_pod_may_share_the_nodes_namespaces() {
    with_roots(|roots| {
        fs::write(roots.node_etc.join("hosts"), "10.0.0.9 box\n").unwrap();
        let pod = pod(PodSpec { host_network: true, host_ipc: true, ..PodSpec::default() });
        create(roots, &node(), &pod).unwrap();
        assert!(!roots.pod_run(&pod.uid).join("ns").exists() && !roots.pod_shm(&pod.uid).exists());
        let etc = |name: &str| fs::read_to_string(roots.pod_etc(&pod.uid).join(name)).unwrap();
        assert_eq!(etc("hosts"), "# Kubernetes-managed hosts file (host network).\n10.0.0.9 box\n");
        assert_eq!(
            (etc("hostname").as_str(), etc("resolv.conf").as_str()),
            ("box\n", "nameserver 10.0.0.1\n")
        );
        remove(roots, &pod).unwrap();
        assert_nothing(roots);
    });
}

#[test]
fn a_reboot_keeps_what_is_on_disk_and_makes_the_rest_anew() {
    with_roots(|roots| {
        let pod = pod(spec());
        create(roots, &node(), &pod).unwrap();
        let (disk, memory) =
            (roots.pod_disk_volume(&pod.uid, "disk"), roots.pod_memory_volume(&pod.uid, "memory"));
        for volume in [&disk, &memory] {
            fs::write(volume.join("data"), "").unwrap();
        }
        mounts::unmount_below(&roots.pod_run(&pod.uid)).unwrap();
        fs::remove_dir_all(roots.pods_run()).unwrap();
        create(roots, &node(), &pod).unwrap();
        assert_complete(roots, &pod);
        assert!(disk.join("data").exists() && !memory.join("data").exists());
        assert_eq!(fs::metadata(disk.join("data")).unwrap().gid(), 4242);
        remove(roots, &pod).unwrap();
    });
}

#[test]
fn removal_takes_links_and_logs_of_this_pod_only_and_leaves_the_checkpoint() {
    with_roots(|roots| {
        let pod = pod(spec());
        create(roots, &node(), &pod).unwrap();
        let log = roots.log_file(&pod, "app", 0);
        fs::create_dir(log.parent().unwrap()).unwrap();
        fs::write(&log, "").unwrap();
        let (own, other) = (roots.log_links().join("own.log"), roots.log_links().join("other.log"));
        symlink(&log, &own).unwrap();
        symlink("/var/log/pods/default_other_1/app/0.log", &other).unwrap();
        let memory = Checkpoint {
            uid: pod.uid.clone(),
            boot_id: String::new(),
            started: Now::default(),
            active: None,
            terminating: None,
            ending: None,
            expired: false,
            evicted: None,
            lineage: None,
            containers: Default::default(),
        };
        checkpoint::save(roots, &memory).unwrap();
        remove(roots, &pod).unwrap();
        assert!(own.symlink_metadata().is_err() && other.symlink_metadata().is_ok());
        assert_eq!(checkpoint::load(roots, &pod.uid).0, Some(memory));
        checkpoint::drop(roots, &pod.uid).unwrap();
        fs::remove_file(other).unwrap();
        assert_nothing(roots);
    });
}

#[test]
fn a_host_path_that_is_not_there_fails_and_the_rest_can_be_removed() {
    with_roots(|roots| {
        let volume = Volume {
            name: "config".into(),
            host_path: Some(HostPath {
                path: "/no/such/directory".into(),
                kind: berth_core::manifest::types::HostPathType::Directory,
            }),
            ..Volume::default()
        };
        let pod = pod(PodSpec { volumes: vec![volume], ..PodSpec::default() });
        let error = create(roots, &node(), &pod).unwrap_err().to_string();
        assert_eq!(
            error,
            "volume \"config\": hostPath type check failed: /no/such/directory is not a directory"
        );
        assert!(!records::read_sandbox(roots, &pod.uid).unwrap().unwrap().ready);
        remove(roots, &pod).unwrap();
        assert_nothing(roots);
    });
}

#[test]
fn a_uid_that_is_no_file_name_is_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let roots = Roots { run: at("run"), state: at("state"), log: at("log"), ..Roots::default() };
    fs::create_dir_all(roots.pods_run().join("precious")).unwrap();
    fs::create_dir_all(roots.pods_state().join("precious")).unwrap();
    for uid in ["", ".", "..", "a/b", "../x", "a b", &"x".repeat(65)] {
        let pod = DesiredPod { uid: PodUid(uid.into()), ..pod(PodSpec::default()) };
        assert!(create(&roots, &node(), &pod).unwrap_err().to_string().contains("uid"), "{uid}");
        remove(&roots, &pod).unwrap();
        remove_leftover(&roots, &pod.uid).unwrap();
    }
    assert!(roots.pods_run().join("precious").exists() && roots.pods_state().join("precious").exists());
}

#[test]
fn a_spare_set_of_namespaces_serves_one_pod() {
    with_roots(|roots| {
        let (spares, network) = (Spares::default(), Arc::new(Network::none(roots)));
        let inode = |pod: &DesiredPod, kind| fs::metadata(roots.pod_ns(&pod.uid, kind)).unwrap().ino();
        let named = |uid: &str, spec| DesiredPod { uid: PodUid(uid.into()), ..pod(spec) };
        let pods = ["ready", "not-ready"].map(|uid| named(uid, spec()));
        spares.refill();
        for pod in &pods {
            create_with(roots, &node(), pod, Mono(0), &Objects::default(), &spares, &network).unwrap();
            assert_complete(roots, pod);
        }
        for kind in namespaces::KINDS {
            assert_ne!(inode(&pods[0], kind), inode(&pods[1], kind), "{kind}");
        }
        // Whoever has the host's network takes no spare: it stays for the next.
        spares.refill();
        let host = named("host", PodSpec { host_network: true, ..spec() });
        create_with(roots, &node(), &host, Mono(0), &Objects::default(), &spares, &network).unwrap();
        assert_eq!(namespaces::kinds(&host.pod.spec), ["ipc"]);
        assert!(spares.is_ready());
        for pod in pods.iter().chain([&host]) {
            remove(roots, pod).unwrap();
        }
    });
}
