//! Records, and what is left without one.

use super::*;
use berth_core::{action::ImageFacts, check::Standing, ids::PodKey, manifest::types::Pod};
use std::sync::Arc;

fn roots(dir: &Path) -> Roots {
    Roots { run: dir.join("run"), state: dir.join("state"), log: dir.join("log"), ..Roots::default() }
}

fn desired(uid: &str) -> DesiredPod {
    DesiredPod {
        key: PodKey { namespace: "default".into(), name: "web-box".into() },
        uid: PodUid(uid.into()),
        base: None,
        values: None,
        pod: Arc::new(Pod::default()),
        origin: "web.yaml".into(),
    }
}

fn stored(id: &str) -> StoredContainer {
    let record = ContainerRecord {
        id: ContainerId(id.into()),
        pod: PodUid("u1".into()),
        name: "app".into(),
        attempt: 2,
        image: ImageFacts::default(),
        state: RecordState::Unknown,
        devices: Vec::new(),
        given: None,
        standing: Standing::default(),
    };
    StoredContainer {
        record,
        cgroup: "/sys/fs/cgroup/kubepods/podu1/c1".into(),
        pod: "default/web-box".into(),
    }
}

#[test]
fn records_come_back_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let roots = roots(dir.path());
    assert!(inventory(&roots).unwrap().sandboxes.is_empty());
    fs::create_dir_all(roots.pod_run(&PodUid("u1".into()))).unwrap();
    fs::create_dir_all(roots.bundle(&ContainerId("c1".into()))).unwrap();
    write_sandbox(&roots, &desired("u1"), Mono(7), PodResources::default()).unwrap();
    write_container(&roots, &stored("c1")).unwrap();
    let found = inventory(&roots).unwrap();
    assert_eq!(
        found.sandboxes,
        [SandboxRecord {
            desired: desired("u1"),
            ready: false,
            begun: Mono(7),
            ips: Vec::new(),
            unsettled: false,
            given: Some(PodResources::default())
        }]
    );
    assert_eq!(found.containers, [stored("c1").record]);
    assert!(found.leftovers.is_empty() && found.layers.is_empty() && found.problems.is_empty());
    fs::write(roots.pod_ready(&PodUid("u1".into())), "").unwrap();
    assert!(inventory(&roots).unwrap().sandboxes[0].ready);
}

#[test]
fn what_has_no_readable_record_is_a_leftover() {
    let dir = tempfile::tempdir().unwrap();
    let roots = roots(dir.path());
    for (id, content) in [("half", Some(&b"{\"record\":"[..])), ("none", None), ("binary", Some(b"\xff\0"))] {
        let bundle = roots.bundle(&ContainerId(id.into()));
        fs::create_dir_all(&bundle).unwrap();
        if let Some(content) = content {
            fs::write(bundle.join("record.json"), content).unwrap();
        }
    }
    // A record under another's name, a layer of an earlier boot, a state directory of the runtime.
    fs::create_dir_all(roots.bundle(&ContainerId("wrong".into()))).unwrap();
    fs::write(
        roots.container_record(&ContainerId("wrong".into())),
        serde_json::to_vec(&stored("c1")).unwrap(),
    )
    .unwrap();
    fs::create_dir_all(roots.containers_state().join("upper")).unwrap();
    fs::create_dir_all(roots.runtime_state().join("runtime")).unwrap();
    fs::create_dir_all(roots.pods_run().join("bare")).unwrap();
    let found = inventory(&roots).unwrap();
    assert!(found.containers.is_empty() && found.sandboxes.is_empty());
    let container = |id: &str| Leftover::Container(ContainerId(id.into()));
    assert_eq!(
        found.leftovers,
        [
            container("binary"),
            container("half"),
            container("none"),
            container("runtime"),
            container("wrong"),
            Leftover::Sandbox(PodUid("bare".into())),
        ]
    );
    assert_eq!(found.layers, [ContainerId("upper".into())]);
    assert_eq!(found.problems.len(), 3, "{:?}", found.problems);
}

#[test]
fn orphans_are_pods_of_an_earlier_boot_that_nobody_wants() {
    let dir = tempfile::tempdir().unwrap();
    let roots = roots(dir.path());
    for uid in ["kept", "gone"] {
        fs::create_dir_all(roots.pod_state(&PodUid(uid.into()))).unwrap();
    }
    fs::create_dir_all(roots.pod_log(&desired("logs"))).unwrap();
    fs::create_dir_all(roots.pod_log(&desired("running"))).unwrap();
    fs::create_dir_all(roots.pod_run(&PodUid("running".into()))).unwrap();
    for odd in ["a_b_", "a_b_..", "a_b", "x"] {
        fs::create_dir_all(roots.pods_log().join(odd)).unwrap();
    }
    let keep = [PodUid("kept".into())].into();
    assert_eq!(orphans(&roots, &keep).unwrap(), [PodUid("gone".into()), PodUid("logs".into())]);
}
