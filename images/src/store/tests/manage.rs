//! The vendor's store, imports from a stick, pins, sizes, export, and layers that nobody has.

use super::*;
use crate::{build, error::ErrorKind};

#[test]
fn a_baked_store_is_used_where_it_lies() {
    let place = Place::new();
    let baked = place.dir.path().join("baked");
    sample("web", "1").write_oci_archive(&place.source("web.tar")).unwrap();
    let made = Store::bake(&baked, &[place.source("web.tar")], &arm64()).unwrap();
    let imported = made.imported;
    assert_eq!(
        made.images.iter().flat_map(|image| &image.names).collect::<Vec<_>>(),
        imported.names.iter().collect::<Vec<_>>()
    );
    assert_eq!(imported.names, ["docker.io/library/web:latest"]);
    assert_eq!(names(&baked), ["blobs", "images", "signatures", "snapshots"]);
    let text = fs::read_to_string(baked.join("images").join(&names(&baked.join("images"))[0])).unwrap();
    assert!(!text.contains("/source"), "no path of the machine that baked it: {text}");
    fs::remove_file(place.source("web.tar")).unwrap();
    let before = listing(&baked);
    let open = || {
        let vendor_dirs = vec![baked.clone(), place.dir.path().join("none")];
        Store::open(StoreConfig { vendor_dirs, ..StoreConfig::new(place.store(""), vec![place.source("")]) })
            .unwrap()
    };
    let (store, report) = open();
    assert_eq!((report.images, report.is_clean()), (1, true), "{report:?}");
    let image = store.ensure("web", &arm64()).unwrap();
    assert!(image.layers.iter().all(|layer| layer.starts_with(&baked)));
    assert_eq!(names(&place.store("snapshots")), [""; 0], "nothing is copied");
    assert_eq!(store.verify(false).damage, []);
    assert_eq!(store.remove("web", &arm64()).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(store.forget(&image.id).unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(store.list()[0].vendor);
    // An image of the owner shares the vendor's layers; under the same name it comes first, until it goes.
    sample("web", "2").write_layout(&place.source("new")).unwrap();
    let new = store.ensure_newest("web", &arm64()).unwrap();
    assert_eq!((file(&new, "app").as_str(), names(&place.store("snapshots")).len()), ("2", 1));
    drop(store);
    let (store, report) = open();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(store.ensure("web", &arm64()).unwrap(), new);
    store.remove("web", &arm64()).unwrap();
    assert_eq!(store.ensure("web", &arm64()).unwrap(), image);
    assert_eq!(listing(&baked), before, "nothing is written");
}

#[test]
fn a_name_added_to_the_vendors_image_copies_nothing() {
    let place = Place::new();
    let baked = place.dir.path().join("baked");
    sample("web", "1").write_layout(&place.source("web")).unwrap();
    Store::bake(&baked, &[place.source("web")], &arm64()).unwrap();
    fs::remove_dir_all(place.source("web")).unwrap();
    sample("other", "1").write_layout(&place.source("other")).unwrap();
    let config =
        StoreConfig { vendor_dirs: vec![baked], ..StoreConfig::new(place.store(""), vec![place.source("")]) };
    let (store, _) = Store::open(config).unwrap();
    let (web, other) = (store.ensure("web", &arm64()).unwrap(), store.ensure("other", &arm64()).unwrap());
    assert_eq!((&web.layers, &web.id), (&other.layers, &other.id));
    assert_eq!(names(&place.store("snapshots")), [""; 0]);
    store.remove("other", &arm64()).unwrap();
    store.remove("web", &arm64()).unwrap();
    assert_eq!(store.ensure("web", &arm64()).unwrap().id, web.id, "the vendor's is seen again");
}

/// Paths, sizes and times of all that is below a directory.
fn listing(dir: &Path) -> Vec<(PathBuf, u64, std::time::SystemTime)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            all.extend(listing(&path));
        }
        all.push((path, metadata.len(), metadata.modified().unwrap()));
    }
    all.sort();
    all
}

#[test]
fn a_stick_brings_all_of_its_images_or_none() {
    let place = Place::new();
    let stick = place.dir.path().join("stick");
    fs::create_dir(&stick).unwrap();
    build::write_docker_archive(
        &stick.join("two.tar.gz"),
        &[&sample("a:1", "a"), &sample("b:2", "b").name("c:3")],
        build::Compression::Gzip,
    )
    .unwrap();
    sample("d:4", "d").write_layout(&stick.join("layout")).unwrap();
    ImageBuilder::new("s390x")
        .layer(vec![Item::file("x", 0o644, "x")])
        .name("e:5")
        .write_layout(&stick.join("other"))
        .unwrap();
    fs::write(stick.join("notes.txt"), "hello").unwrap();
    let (store, _) = place.open();
    let imported = store.import_path(&stick, &arm64()).unwrap();
    let short: Vec<&str> = imported.names.iter().map(|name| name.rsplit('/').next().unwrap()).collect();
    assert_eq!(short, ["a:1", "b:2", "c:3", "d:4"]);
    assert_eq!(imported.skipped.len(), 1, "{imported:?}");
    assert!(imported.skipped[0].contains("s390x"), "{imported:?}");
    assert_eq!(file(&store.ensure("c:3", &arm64()).unwrap(), "app"), "b");
    // With one bad layer on it nothing changes hands.
    sample("a:1", "new").write_layout(&stick.join("1-good")).unwrap();
    sample("b:2", "newer").write_layout(&stick.join("2-bad")).unwrap();
    let blobs = stick.join("2-bad/blobs/sha256");
    for name in names(&blobs) {
        let bytes = fs::read(blobs.join(&name)).unwrap();
        if bytes.first() != Some(&b'{') {
            fs::write(blobs.join(&name), &bytes[..bytes.len() - 1]).unwrap();
        }
    }
    assert_eq!(store.import_path(&stick, &arm64()).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(file(&store.ensure("a:1", &arm64()).unwrap(), "app"), "a");
    for nothing in ["none", "stick/notes.txt", "stick/other"] {
        let error = store.import_path(&place.dir.path().join(nothing), &arm64()).unwrap_err();
        assert!(error.to_string().contains(nothing), "{error}");
    }
}

#[test]
fn pins_last_and_go_with_their_image() {
    let place = Place::new();
    sample("web", "1").write_layout(&place.source("web")).unwrap();
    let (store, _) = place.open();
    assert_eq!(store.pin("web", &arm64()).unwrap_err().kind(), ErrorKind::NotFound);
    store.ensure("web", &arm64()).unwrap();
    store.pin("web", &arm64()).unwrap();
    drop(store);
    let (store, _) = place.open();
    assert!(store.list()[0].pinned);
    store.unpin("web", &arm64()).unwrap();
    assert!(!store.list()[0].pinned);
    store.pin("web", &arm64()).unwrap();
    store.remove("web", &arm64()).unwrap();
    assert_eq!(names(&place.store("pins")), [""; 0]);
}

#[test]
fn sizes_are_shared_and_unique() {
    let place = Place::new();
    sample("a", "1").write_layout(&place.source("a")).unwrap();
    sample("b", "22").write_layout(&place.source("b")).unwrap();
    let (store, _) = place.open();
    store.ensure("a", &arm64()).unwrap();
    let one = store.list();
    assert_eq!((one[0].size_bytes, one[0].unique_bytes), (6, 6));
    store.ensure("b", &arm64()).unwrap();
    let check = |store: &Store| {
        let mut sizes: Vec<_> = store.list().iter().map(|i| (i.size_bytes, i.unique_bytes)).collect();
        sizes.sort();
        assert_eq!(sizes, [(6, 1), (7, 2)]);
    };
    check(&store);
    drop(store);
    let store = place.open().0;
    check(&store);
    let details = store.inspect("b", &arm64()).unwrap();
    assert_eq!(details.layers.iter().map(|layer| layer.bytes).collect::<Vec<_>>(), [5, 2]);
    assert_eq!(details.config["config"]["Entrypoint"][0], "/app");
    assert_eq!(store.ids_of(["a", "nothing", "a@b"]).len(), 1);
}

#[test]
fn an_export_is_what_came_in() {
    for kind in ["oci", "docker", "layout"] {
        let place = Place::new();
        match kind {
            "oci" => sample("web:1", "1").write_oci_archive(&place.source("x.tar")).unwrap(),
            "docker" => sample("web:1", "1").write_docker_archive(&place.source("x.tar")).unwrap(),
            _ => sample("web:1", "1").write_layout(&place.source("x.tar")).unwrap(),
        }
        let (store, _) = place.open();
        let image = store.ensure("web:1", &arm64()).unwrap();
        let out = place.dir.path().join("out.tar");
        let exported = store.export("web:1", &arm64(), fs::File::create(&out).unwrap()).unwrap();
        assert_eq!(exported.digest, image.digest);
        let other = Place::new();
        fs::copy(&out, other.source("y.tar")).unwrap();
        let again = other.open().0.ensure("web:1", &arm64()).unwrap();
        assert_eq!((again.id, again.digest), (image.id, image.digest), "{kind}");
        if kind == "layout" {
            fs::remove_dir_all(place.source("x.tar")).unwrap();
        } else {
            fs::remove_file(place.source("x.tar")).unwrap();
        }
        let error = store.export("web:1", &arm64(), fs::File::create(&out).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
}

#[test]
fn layers_of_no_image_are_pruned() {
    let place = Place::new();
    sample("a", "1").write_layout(&place.source("a")).unwrap();
    let (store, _) = place.open();
    store.ensure("a", &arm64()).unwrap();
    fs::remove_file(place.store("images").join(&names(&place.store("images"))[0])).unwrap();
    drop(store);
    let (store, _) = place.open();
    assert_eq!(names(&place.store("snapshots")).len(), 2);
    assert_eq!(store.prune_layers().unwrap(), 2);
    store.ensure("a", &arm64()).unwrap();
    assert_eq!(store.prune_layers().unwrap(), 0);
}
