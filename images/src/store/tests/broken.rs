//! Sources that lie, and a store that was damaged.

use super::*;
use crate::error::ErrorKind;

/// Applies a change to the blob of a layout that holds a text, and gives the change's blob its old name.
fn damage(layout: &Path, change: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let blobs = layout.join("blobs/sha256");
    for name in names(&blobs) {
        if let Some(new) = change(&fs::read(blobs.join(&name)).unwrap()) {
            fs::write(blobs.join(&name), new).unwrap();
        }
    }
}

/// Blobs that are JSON are manifest and config; the others are layers.
fn is_layer(bytes: &[u8]) -> bool {
    bytes.first() != Some(&b'{')
}

#[test]
fn lying_sources_are_refused_and_leave_nothing() {
    type Change = fn(&[u8]) -> Option<Vec<u8>>;
    let table: [(&str, Change); 7] = [
        ("a layer cut short", |b| is_layer(b).then(|| b[..b.len() - 1].to_vec())),
        ("a layer with more behind it", |b| is_layer(b).then(|| [b, b"x"].concat())),
        ("a layer with a changed byte", |b| {
            is_layer(b).then(|| {
                let mut changed = b.to_vec();
                let middle = changed.len() / 2;
                changed[middle] ^= 0x40;
                changed
            })
        }),
        ("an empty layer", |b| is_layer(b).then(Vec::new)),
        ("a changed manifest", |b| {
            let text = String::from_utf8_lossy(b);
            text.contains("schemaVersion").then(|| text.replace("\"size\":", "\"size\": ").into_bytes())
        }),
        ("a changed config", |b| {
            let text = String::from_utf8_lossy(b);
            text.contains("diff_ids").then(|| text.replace("/app", "/bad").into_bytes())
        }),
        ("an empty manifest", |b| (!is_layer(b)).then(Vec::new)),
    ];
    for (what, change) in table {
        for packing in [crate::build::Compression::None, crate::build::Compression::Gzip] {
            let place = Place::new();
            sample("x", "hello").compression(packing).write_layout(&place.source("x")).unwrap();
            damage(&place.source("x"), change);
            let (store, _) = place.open();
            let error = store.ensure("x", &arm64()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
            assert!(error.to_string().contains("/x"), "{what}: which source? {error}");
            assert_eq!(store.list(), [], "{what}");
            assert_eq!(names(&place.store("staging")), [""; 0], "{what}");
            // Put right, it is imported at once.
            fs::remove_dir_all(place.source("x")).unwrap();
            sample("x", "hello").write_layout(&place.source("x")).unwrap();
            assert_eq!(file(&store.ensure("x", &arm64()).unwrap(), "app"), "hello", "{what}");
        }
    }
}

/// A layout whose manifest was changed and given its right digest.
fn forged(place: &Place, change: impl Fn(&str) -> String) {
    let layout = place.source("x");
    sample("x", "hello").write_layout(&layout).unwrap();
    let blobs = layout.join("blobs/sha256");
    for name in names(&blobs) {
        let bytes = fs::read(blobs.join(&name)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        if text.contains("schemaVersion") {
            let new = change(&text);
            let digest = Digest::of(new.as_bytes()).hex();
            fs::write(blobs.join(&digest), &new).unwrap();
            let index = fs::read_to_string(layout.join("index.json")).unwrap().replace(&name, &digest);
            let index =
                index.replace(&format!("\"size\":{}", bytes.len()), &format!("\"size\":{}", new.len()));
            fs::write(layout.join("index.json"), index).unwrap();
        }
    }
}

#[test]
fn what_cannot_be_run_is_refused_by_name() {
    type Change = fn(&str) -> String;
    let table: [(&str, ErrorKind, Change); 6] = [
        ("nondistributable", ErrorKind::Unsupported, |m| {
            m.replace("image.layer.v1", "image.layer.nondistributable.v1")
        }),
        ("vnd.example.thing", ErrorKind::Unsupported, |m| {
            m.replace("oci.image.layer.v1.tar+gzip", "example.thing")
        }),
        ("no container image", ErrorKind::Unsupported, |m| {
            m.replace("oci.image.config.v1+json", "example.config")
        }),
        ("sha512", ErrorKind::Unsupported, |m| m.replace("sha256:", "sha512:")),
        ("2 layers", ErrorKind::Corrupt, |m| {
            let mut manifest: serde_json::Value = serde_json::from_str(m).unwrap();
            manifest["layers"].as_array_mut().unwrap().pop();
            manifest.to_string()
        }),
        ("an image manifest in JSON", ErrorKind::Corrupt, |m| m.replace("layers", "lairs")),
    ];
    for (text, kind, change) in table {
        let place = Place::new();
        forged(&place, change);
        let error = place.open().0.ensure("x", &arm64()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn limits_hold_for_a_whole_image() {
    for limits in [
        Limits { layer_max_bytes: 4000, ..Limits::default() },
        Limits { image_max_bytes: 5000, ..Limits::default() },
        Limits { layer_max_entries: 2, ..Limits::default() },
    ] {
        let place = Place::new();
        sample("x", &"y".repeat(5000)).write_layout(&place.source("x")).unwrap();
        let config = StoreConfig { limits, ..StoreConfig::new(place.store(""), vec![place.source("")]) };
        let (store, _) = Store::open(config).unwrap();
        assert_eq!(store.ensure("x", &arm64()).unwrap_err().kind(), ErrorKind::Limit);
        assert_eq!(names(&place.store("staging")), [""; 0]);
    }
}

/// Opens the damaged store, expects to be told, and the image to be had again.
fn mends(what: &str, damage: impl Fn(&Place, &Image)) {
    let place = Place::new();
    sample("x", "hello").write_layout(&place.source("x")).unwrap();
    let (store, _) = place.open();
    let image = store.ensure("x", &arm64()).unwrap();
    drop(store);
    damage(&place, &image);
    let (store, report) = place.open();
    assert!(!report.is_clean(), "{what}: {report:?}");
    let again = store.ensure("x", &arm64()).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(
        (again.id, file(&store.ensure("x", &arm64()).unwrap(), "app")),
        (image.id, "hello".to_owned()),
        "{what}"
    );
    drop(store);
    let (_, report) = place.open();
    assert!(report.is_clean(), "{what}: {report:?}");
    assert_eq!((report.images, report.snapshots), (1, 2), "{what}");
}

#[test]
fn a_damaged_store_mends_itself() {
    fn each(place: &Place, part: &str, change: impl Fn(&Path)) {
        names(&place.store(part)).iter().for_each(|name| change(&place.store(part).join(name)));
    }
    let empty = |path: &Path| fs::write(path, "").unwrap();
    let flip = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, text.replace("\"bytes\":", "\"bytes\":1")).unwrap();
    };
    mends("image records of no length", |place, _| each(place, "images", empty));
    mends("image records with a changed digit", |place, _| each(place, "images", flip));
    mends("blobs of no length", |place, _| each(place, "blobs/sha256", empty));
    mends("blobs gone", |place, _| each(place, "blobs/sha256", |path| fs::remove_file(path).unwrap()));
    mends("snapshots without record", |place, _| {
        each(place, "snapshots", |path| fs::remove_file(path.join("complete.json")).unwrap());
    });
    mends("snapshot records of no length", |place, _| {
        each(place, "snapshots", |path| empty(&path.join("complete.json")))
    });
    mends("snapshot records with a changed digit", |place, _| {
        each(place, "snapshots", |path| flip(&path.join("complete.json")));
    });
    mends("a snapshot without files", |_, image| fs::remove_dir_all(&image.layers[0]).unwrap());
    mends("a snapshot gone", |_, image| fs::remove_dir_all(image.layers[1].parent().unwrap()).unwrap());
    mends("strangers", |place, _| {
        fs::write(place.store("images/notes.txt"), "x").unwrap();
        fs::create_dir(place.store("images/dir")).unwrap();
        fs::write(place.store("snapshots/file"), "x").unwrap();
        fs::create_dir_all(place.store("staging/99999-0/fs/deep")).unwrap();
        fs::write(place.store("staging/file"), "x").unwrap();
    });
}

#[test]
fn a_snapshot_that_vanishes_while_running_is_made_again() {
    let place = Place::new();
    sample("x", "hello").write_layout(&place.source("x")).unwrap();
    let (store, _) = place.open();
    let image = store.ensure("x", &arm64()).unwrap();
    fs::remove_dir_all(image.layers[0].parent().unwrap()).unwrap();
    assert_eq!(file(&store.ensure("x", &arm64()).unwrap(), "app"), "hello");
}

#[test]
fn the_quarantine_does_not_grow() {
    let place = Place::new();
    drop(place.open());
    for round in 0..3 {
        for number in 0..30 {
            fs::write(place.store("images").join(format!("{round}-{number}.json")), "x").unwrap();
        }
        let (_, report) = place.open();
        assert_eq!(report.quarantined.len(), 30);
    }
    assert_eq!(names(&place.store("quarantine")).len(), crate::limits::QUARANTINE_MAX_ENTRIES);
}
