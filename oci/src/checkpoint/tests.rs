//! A checkpoint survives cuts and rot, or is told to be lost.

use super::*;
use berth_core::{event::ContainerMemory, time::Now};

fn world() -> (tempfile::TempDir, Roots, PodUid) {
    let dir = tempfile::tempdir().unwrap();
    let roots = Roots { state: dir.path().join("state"), ..Roots::default() };
    (dir, roots, PodUid("u1".into()))
}

fn checkpoint(uid: &PodUid, attempt: u32) -> Checkpoint {
    let memory = ContainerMemory { next_attempt: attempt, ..ContainerMemory::default() };
    Checkpoint {
        uid: uid.clone(),
        boot_id: "b".into(),
        started: Now::default(),
        active: None,
        terminating: None,
        ending: None,
        expired: false,
        evicted: None,
        lineage: None,
        containers: [("app".to_owned(), memory)].into(),
    }
}

#[test]
fn what_is_saved_is_loaded_until_it_is_dropped() {
    let (_dir, roots, uid) = world();
    assert_eq!(load_all(&roots).unwrap().0, []);
    for attempt in 0..3 {
        save(&roots, &checkpoint(&uid, attempt)).unwrap();
        assert_eq!(load_all(&roots).unwrap().0, [checkpoint(&uid, attempt)]);
    }
    drop(&roots, &uid).unwrap();
    drop(&roots, &uid).unwrap();
    let (none, problems) = load(&roots, &uid);
    assert!(none.is_none() && problems.is_empty());
    assert!(!roots.pod_state(&uid).exists());
}

#[test]
fn a_rotten_file_is_told_and_the_one_before_counts() {
    let (_dir, roots, uid) = world();
    save(&roots, &checkpoint(&uid, 1)).unwrap();
    save(&roots, &checkpoint(&uid, 2)).unwrap();
    let path = roots.checkpoint(&uid);
    let good = fs::read(&path).unwrap();
    // Cut at every length and with every byte turned: never taken for good.
    for at in 0..good.len() {
        fs::write(&path, &good[..at]).unwrap();
        assert_eq!(load(&roots, &uid).0, Some(checkpoint(&uid, 1)), "cut at {at}");
        let mut turned = good.clone();
        turned[at] ^= 0x20;
        fs::write(&path, turned).unwrap();
        let (found, problems) = load(&roots, &uid);
        assert_eq!((found, problems.len()), (Some(checkpoint(&uid, 1)), 1), "turned at {at}");
    }
    fs::remove_file(roots.pod_state(&uid).join("checkpoint.old")).unwrap();
    let (found, problems) = load_all(&roots).unwrap();
    assert!(found.is_empty());
    assert!(problems[0].to_string().contains("fails its checksum, ignored"), "{}", problems[0]);
}

#[test]
fn a_checkpoint_in_another_pods_directory_is_not_taken() {
    let (_dir, roots, uid) = world();
    save(&roots, &checkpoint(&uid, 1)).unwrap();
    let other = PodUid("u2".into());
    fs::create_dir_all(roots.pod_state(&other)).unwrap();
    fs::copy(roots.checkpoint(&uid), roots.checkpoint(&other)).unwrap();
    let (found, problems) = load(&roots, &other);
    assert!(found.is_none() && problems[0].to_string().contains("of another pod (u1)"));
}

#[test]
fn a_uid_that_is_no_file_name_writes_and_removes_nothing() {
    let (_dir, roots, _) = world();
    fs::create_dir_all(&roots.state).unwrap();
    fs::write(roots.state.join("checkpoint"), "precious").unwrap();
    let uid = PodUid("..".into());
    assert!(save(&roots, &checkpoint(&uid, 1)).is_err());
    drop(&roots, &uid).unwrap();
    assert!(roots.state.join("checkpoint").exists());
}
