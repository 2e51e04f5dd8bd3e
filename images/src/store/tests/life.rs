//! Import once, find again, share layers, replace, remove.

use super::*;
use crate::error::ErrorKind;
use std::thread;

#[test]
fn found_again_without_the_source() {
    let place = Place::new();
    sample("demo/web:1", "hello").write_oci_archive(&place.source("x.tar")).unwrap();
    let (store, report) = place.open();
    assert_eq!(report, RecoveryReport::default());
    let first = store.ensure("demo/web:1", &arm64()).unwrap();
    fs::remove_file(place.source("x.tar")).unwrap();
    assert_eq!(store.ensure("demo/web:1", &arm64()).unwrap(), first);
    drop(store);
    let (store, report) = place.open();
    assert!(report.is_clean());
    assert_eq!((report.images, report.snapshots), (1, 2));
    assert_eq!(store.ensure("docker.io/demo/web:1", &arm64()).unwrap(), first);
    assert_eq!(store.get("demo/web:2", &arm64()).unwrap(), None);
    let list = store.list();
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].names.as_slice(), list[0].layers), (&["docker.io/demo/web:1".to_owned()][..], 2));
    assert_eq!(list[0].platform, "linux/arm64");
}

#[test]
fn layers_are_shared_and_unpacked_once() {
    let place = Place::new();
    sample("a", "1").write_layout(&place.source("a")).unwrap();
    sample("b", "2").write_docker_archive(&place.source("b.tar")).unwrap();
    let (store, _) = place.open();
    let (a, b) = (store.ensure("a", &arm64()).unwrap(), store.ensure("b", &arm64()).unwrap());
    assert_eq!(a.layers[1], b.layers[1]);
    assert_ne!(a.layers[0], b.layers[0]);
    assert_eq!(names(&place.store("snapshots")).len(), 3);
    // Removing one leaves what the other shares.
    store.remove("a", &arm64()).unwrap();
    assert_eq!(names(&place.store("snapshots")).len(), 2);
    assert_eq!(file(&b, "bin/sh"), "shell");
    store.remove("b", &arm64()).unwrap();
    for part in ["snapshots", "images", "blobs/sha256", "staging"] {
        assert_eq!(names(&place.store(part)), [""; 0], "{part}");
    }
    assert_eq!(store.remove("b", &arm64()).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn many_threads_do_the_work_once() {
    let place = Place::new();
    let big = (0..200).map(|n| Item::file(&format!("f{n}"), 0o644, vec![b'x'; 10_000])).collect();
    ImageBuilder::new("arm64").layer(big).name("big").write_layout(&place.source("big")).unwrap();
    let (store, _) = place.open();
    let inodes: Vec<u64> = thread::scope(|scope| {
        let run = || {
            std::os::unix::fs::MetadataExt::ino(
                &store.ensure("big", &arm64()).unwrap().layers[0].metadata().unwrap(),
            )
        };
        let all: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(inodes.iter().all(|inode| *inode == inodes[0]), "one snapshot, made once: {inodes:?}");
    assert_eq!(store.list().len(), 1);
}

#[test]
fn a_replaced_archive_is_taken_when_the_newest_is_asked_for() {
    let place = Place::new();
    sample("web", "old").write_oci_archive(&place.source("web.tar")).unwrap();
    let (store, _) = place.open();
    let old = store.ensure("web", &arm64()).unwrap();
    // Replaced as copying tools do it.
    sample("web", "new!").write_oci_archive(&place.source("web.tar.tmp")).unwrap();
    fs::rename(place.source("web.tar.tmp"), place.source("web.tar")).unwrap();
    assert_eq!(store.ensure("web", &arm64()).unwrap(), old);
    let new = store.ensure_newest("web", &arm64()).unwrap();
    assert_eq!(file(&new, "app"), "new!");
    assert_eq!(store.ensure("web", &arm64()).unwrap(), new);
    // The old one has lost its name and is still whole: containers may run on it.
    let names: Vec<Vec<String>> = store.list().into_iter().map(|image| image.names).collect();
    assert_eq!(names.iter().flatten().collect::<Vec<_>>(), ["docker.io/library/web:latest"]);
    assert_eq!((names.len(), file(&old, "app").as_str()), (2, "old"));
    // Asked again, nothing is written; and without any source the store's is good.
    let record = |store: &Store| {
        fs::read(
            place.store("images").join(format!("{}.json", &store.ensure("web", &arm64()).unwrap().id[7..])),
        )
        .unwrap()
    };
    let before = record(&store);
    store.ensure_newest("web", &arm64()).unwrap();
    assert_eq!(record(&store), before);
    // The source is not even opened.
    let at = store.sources.list().find(&Reference::parse("web").unwrap());
    assert!(store.is_fresh(&(Reference::parse("web").unwrap(), arm64()), &at[0].0).is_some());
    fs::remove_file(place.source("web.tar")).unwrap();
    assert_eq!(store.ensure_newest("web", &arm64()).unwrap(), new);
    drop(store);
    assert_eq!(
        place.open().0.ensure("web", &arm64()).unwrap(),
        new,
        "the later one has the name after a restart too"
    );
}

#[test]
fn the_owner_s_directory_wins_over_the_vendor_s() {
    let place = Place::new();
    let vendor = place.dir.path().join("vendor");
    fs::create_dir(&vendor).unwrap();
    sample("web", "vendor").write_layout(&vendor.join("web")).unwrap();
    sample("web", "owner").write_layout(&place.source("web")).unwrap();
    let dirs = vec![vendor, place.source(""), place.dir.path().join("missing")];
    let (store, _) = Store::open(StoreConfig::new(place.store(""), dirs)).unwrap();
    assert_eq!(file(&store.ensure("web", &arm64()).unwrap(), "app"), "owner");
    // A broken one there falls back to the vendor's.
    store.remove("web", &arm64()).unwrap();
    fs::remove_dir_all(place.source("web/blobs")).unwrap();
    assert_eq!(file(&store.ensure("web", &arm64()).unwrap(), "app"), "vendor");
}

#[test]
fn a_second_process_is_kept_out() {
    let place = Place::new();
    let _store = place.open();
    let lock = fs::File::open(place.store("lock")).unwrap();
    assert!(!crate::sys::try_lock(&lock).unwrap());
}

#[test]
fn a_name_is_removed_before_its_image() {
    let place = Place::new();
    sample("a", "1").name("b").write_layout(&place.source("x")).unwrap();
    let (store, _) = place.open();
    store.ensure("a", &arm64()).unwrap();
    store.remove("a", &arm64()).unwrap();
    assert_eq!(store.get("a", &arm64()).unwrap(), None);
    assert!(store.get("b", &arm64()).unwrap().is_some());
}

/// What the agent waits for at each start of a container, in debug builds too: counted, not timed.
#[test]
fn an_image_of_the_store_is_found_without_opening_anything() {
    let place = Place::new();
    sample("web", "1").write_layout(&place.source("web")).unwrap();
    let (store, _) = place.open();
    let image = store.ensure("web", &arm64()).unwrap();
    // Nothing that an import, or a look at a record, would need is there any more.
    for part in ["images", "blobs", "staging"] {
        fs::remove_dir_all(place.store(part)).unwrap();
    }
    fs::remove_dir_all(place.source("")).unwrap();
    assert_eq!(store.ensure("web", &arm64()).unwrap(), image);
}

#[test]
fn imports_tell_how_far_they_are() {
    let place = Place::new();
    sample("x", "1").write_oci_archive(&place.source("x.tar")).unwrap();
    let (store, _) = place.open();
    {
        let metered = store.metered("x".into(), 100);
        let mut counted = unpackings::Counted::new(&[0; 60][..], &metered.meter);
        std::io::copy(&mut counted, &mut std::io::sink()).unwrap();
        assert_eq!(store.unpacking(), [Unpacking { name: "x".into(), bytes: 60, of_bytes: 100 }]);
        // A layer that was there.
        metered.meter.reach(100);
        assert_eq!(store.unpacking()[0].bytes, 100);
    }
    store.ensure("x", &arm64()).unwrap();
    assert_eq!(store.unpacking(), []);
}
