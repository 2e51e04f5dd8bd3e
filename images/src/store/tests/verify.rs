//! Damage inside of unpacked layers, found and mended.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

fn damaged(change: impl Fn(&Path)) -> (Place, Store, Image) {
    let place = Place::new();
    sample("x", "hello").write_oci_archive(&place.source("x.tar")).unwrap();
    let (store, _) = place.open();
    let image = store.ensure("x", &arm64()).unwrap();
    let whole = store.verify(false);
    assert_eq!((whole.images, whole.layers, whole.unknown, whole.damage), (1, 2, 0, Vec::new()));
    change(&image.layers[0]);
    (place, store, image)
}

#[test]
fn every_change_of_a_file_is_found_and_mended() {
    type Change = fn(&Path);
    let table: [(&str, Change); 7] = [
        ("a file of no length", |layer| fs::write(layer.join("app"), "").unwrap()),
        ("a changed byte, time as before", |layer| {
            let modified = layer.join("app").metadata().unwrap().modified().unwrap();
            fs::write(layer.join("app"), "hellp").unwrap();
            fs::File::options().write(true).open(layer.join("app")).unwrap().set_modified(modified).unwrap();
        }),
        ("a file gone", |layer| fs::remove_file(layer.join("app")).unwrap()),
        ("one more file", |layer| fs::write(layer.join("bin"), "").unwrap()),
        ("another mode", |layer| {
            fs::set_permissions(layer.join("app"), fs::Permissions::from_mode(0o4755)).unwrap();
        }),
        ("another kind", |layer| {
            fs::remove_file(layer.join("app")).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", layer.join("app")).unwrap();
        }),
        ("a damaged digest", |layer| fs::write(layer.parent().unwrap().join("check.json"), "").unwrap()),
    ];
    for (what, change) in table {
        let (_place, store, image) = damaged(change);
        let found = store.verify(false);
        assert_eq!(found.damage.len(), 1, "{what}: {found:?}");
        assert_eq!(found.damage[0].images, ["docker.io/library/x:latest"], "{what}");
        let mended = store.verify(true);
        assert!(mended.damage[0].repaired, "{what}: {mended:?}");
        assert_eq!(store.verify(false).damage, [], "{what}");
        assert_eq!(file(&store.ensure("x", &arm64()).unwrap(), "app"), "hello", "{what}");
        assert_eq!(store.ensure("x", &arm64()).unwrap().id, image.id);
    }
}

#[test]
fn what_no_source_has_stays_and_is_told() {
    let (place, store, image) = damaged(|layer| fs::write(layer.join("app"), "").unwrap());
    fs::remove_file(place.source("x.tar")).unwrap();
    let report = store.verify(true);
    assert!(!report.damage[0].repaired);
    assert!(report.damage[0].why_not.as_ref().unwrap().contains("not in the store nor in"), "{report:?}");
    assert_eq!(store.ensure("x", &arm64()).unwrap(), image, "it still runs as it is");
}

#[test]
fn blobs_are_verified_too() {
    let (place, store, _) = damaged(|_| ());
    for name in names(&place.store("blobs/sha256")) {
        fs::write(place.store("blobs/sha256").join(name), "{}").unwrap();
    }
    assert_eq!(store.verify(false).damage.len(), 1);
    assert!(store.verify(true).damage[0].repaired);
    assert_eq!(store.verify(false).damage, []);
}

#[test]
fn a_store_of_an_earlier_version_opens() {
    let (place, store, image) =
        damaged(|layer| fs::remove_file(layer.parent().unwrap().join("check.json")).unwrap());
    drop(store);
    for part in ["pins", "signatures"] {
        fs::remove_dir(place.store(part)).unwrap();
    }
    let (store, report) = place.open();
    assert!(report.is_clean(), "{report:?}");
    let verified = store.verify(true);
    assert_eq!((verified.unknown, verified.damage), (1, Vec::new()));
    assert_eq!(store.ensure("x", &arm64()).unwrap(), image);
}

#[test]
fn a_record_with_fields_of_a_later_version_is_read() {
    let (place, store, image) = damaged(|_| ());
    drop(store);
    let path = place.store("images").join(&names(&place.store("images"))[0]);
    let text = fs::read_to_string(&path).unwrap();
    let body = text[86..].trim_end().strip_suffix('}').unwrap().replacen('{', "{\"later\":1,", 1);
    let digest = Digest::of(body.as_bytes()).hex();
    fs::write(&path, format!("{{\"sha256\":\"{digest}\",\"record\":{body}}}\n")).unwrap();
    let (store, report) = place.open();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(store.get("x", &arm64()).unwrap(), Some(image));
}

/// The digest is made of what was written, and held against what is read: they must be one, whatever a layer does to
/// its files after they were written.
#[test]
fn a_layer_that_changes_its_mind_is_whole() {
    let sparse = sparse_layer();
    if sparse.is_none() {
        eprintln!("SKIPPED in part a_layer_that_changes_its_mind_is_whole: no tar command here");
    }
    let place = Place::new();
    let image = sample("x", "hello").layer(vec![
        Item::file("twice", 0o644, "first"),
        Item::file("twice", 0o600, "the second").owner(5, 6),
        Item::symlink("link", "twice"),
        Item::file("link", 0o4755, "no link any more").owner(7, 7),
        Item::dir("dir", 0o700),
        Item::file("dir/gone", 0o644, "gone"),
        Item::file("dir", 0o2711, "no directory any more"),
        Item::hardlink("copied", "bin/sh"),
        Item::file("linked", 0o640, "one"),
        Item::hardlink("linked-too", "linked"),
        Item::file("linked", 0o604, "two"),
        Item::file("empty", 0o000, ""),
    ]);
    sparse
        .into_iter()
        .fold(image, ImageBuilder::raw_layer)
        .write_oci_archive(&place.source("x.tar"))
        .unwrap();
    let (store, _) = place.open();
    let image = store.ensure("x", &arm64()).unwrap();
    assert_eq!(store.verify(false).damage, []);
    for (path, content, mode) in [
        ("twice", "the second", 0o600),
        ("link", "no link any more", 0o4755),
        ("dir", "no directory any more", 0o2711),
        ("linked", "two", 0o604),
        ("linked-too", "one", 0o640),
        ("copied", "shell", 0o755),
        ("empty", "", 0o000),
    ] {
        assert_eq!(file(&image, path), content);
        let found = image.layers.iter().find_map(|layer| layer.join(path).metadata().ok()).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{path}");
    }
}

/// A file with a hole, as GNU tar writes it.
fn sparse_layer() -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let file = fs::File::create(dir.path().join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, b"after the hole", 1 << 20).unwrap();
    let mut tar = std::process::Command::new("tar");
    tar.args(["-c", "--sparse", "-C"]).arg(dir.path()).arg("sparse");
    tar.output().ok().filter(|out| out.status.success()).map(|out| out.stdout)
}

#[test]
fn files_are_sealed_where_the_file_system_can_and_an_image_runs_in_any_case() {
    let place = Place::new();
    sample("x", "hello").write_oci_archive(&place.source("x.tar")).unwrap();
    let config = StoreConfig { fs_verity: true, ..StoreConfig::new(place.store(""), vec![place.source("")]) };
    let (store, report) = Store::open(config).unwrap();
    let image = store.ensure("x", &arm64()).unwrap();
    assert_eq!(file(&image, "app"), "hello");
    let layers = store.inspect("x", &arm64()).unwrap().layers;
    assert!(layers.iter().all(|layer| layer.fs_verity != report.verity_missing), "{layers:?}");
    let written = fs::File::options().append(true).open(image.layers[0].join("app"));
    assert_eq!(written.is_ok(), report.verity_missing);
    assert_eq!(store.verify(false).damage, []);
    drop(store);
    let (_, report) = place.open();
    assert!(!report.verity_missing, "nobody asks for it any more");
}
