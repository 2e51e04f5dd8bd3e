//! A layer's tar stream, unpacked on top of another one that has links in it: nothing may be written outside the
//! store, and what is imported must be whole. Checksums of headers are made right first.
#![no_main]

use berth_images::{
    Platform, Store, StoreConfig,
    build::{Compression, Entry, ImageBuilder},
};
use libfuzzer_sys::fuzz_target;
use std::{fs, path::Path};

const BLOCK_BYTES: usize = 512;

fuzz_target!(|bytes: &[u8]| {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return };
    let (outside, layout) = (dir.path().join("outside"), dir.path().join("layout"));
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("victim"), "whole").unwrap();
    let out = outside.to_str().unwrap();
    let below = vec![
        Entry::dir("d", 0o755),
        Entry::symlink("up", "../../../../../outside"),
        Entry::symlink("abs", out),
        Entry::file("d/f", 0o644, b"f".as_slice()),
    ];
    let image = ImageBuilder::new("amd64").compression(Compression::None).name("docker.io/library/a:1");
    image.layer(below).raw_layer(checked(bytes)).write_layout(&layout).unwrap();
    let (store, _) = Store::open(StoreConfig::new(dir.path().join("store"), Vec::new())).unwrap();
    if store.import_path(&layout, &Platform::new("amd64")).is_ok() {
        let report = store.verify(false);
        assert!(report.damage.is_empty(), "{report:?}");
    }
    assert_eq!(names(&outside), ["victim"]);
    assert_eq!(names(dir.path()), ["layout", "outside", "store"]);
    assert_eq!(fs::read(outside.join("victim")).unwrap(), b"whole");
});

/// The stream with each block's checksum right, if the block may be a header.
fn checked(bytes: &[u8]) -> Vec<u8> {
    let mut tar = bytes.to_vec();
    for block in tar.chunks_exact_mut(BLOCK_BYTES).filter(|block| block[257..262] == *b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    tar
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
