//! The JSON of an image: index, manifest and configuration, apart by NUL bytes. Digests and sizes that stand there as
//! `@manifest`, `@config`, `@layer` and 1001, 1002, 1003 are made right, so that what is wrong is not only those.
//! Whatever is imported must be whole.
#![no_main]

use berth_images::{Digest, Platform, Store, StoreConfig, build};
use libfuzzer_sys::fuzz_target;
use std::{fs, path::Path, sync::LazyLock};

static LAYER: LazyLock<Vec<u8>> =
    LazyLock::new(|| build::entry_tar(&[build::Entry::file("a", 0o644, b"a".as_slice())]));

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |byte| *byte == 0).map(String::from_utf8_lossy);
    let (Some(index), Some(manifest), Some(config)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return };
    let layout = dir.path().join("layout");
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let config = right(&config, "layer", "1003", &put(&blobs, &LAYER));
    let config_is = put(&blobs, config.as_bytes());
    let manifest = right(&manifest, "layer", "1003", &put(&blobs, &LAYER));
    let manifest = right(&manifest, "config", "1002", &config_is);
    let index = right(&index, "manifest", "1001", &put(&blobs, manifest.as_bytes()));
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    fs::write(layout.join("index.json"), index).unwrap();
    let (store, _) = Store::open(StoreConfig::new(dir.path().join("store"), Vec::new())).unwrap();
    let platform = Platform::new("amd64");
    if store.import_path(&layout, &platform).is_ok() {
        let report = store.verify(false);
        assert!(report.damage.is_empty(), "{report:?}");
    }
});

/// Puts a blob under its digest: that, and its size.
fn put(blobs: &Path, bytes: &[u8]) -> (String, usize) {
    let digest = Digest::of(bytes).to_string();
    fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes).unwrap();
    (digest, bytes.len())
}

fn right(text: &str, name: &str, size: &str, (digest, bytes): &(String, usize)) -> String {
    text.replace(&format!("@{name}"), digest).replace(size, &bytes.to_string())
}
