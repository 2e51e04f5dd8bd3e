//! The store as its users see it, then broken in every way that a power cut can.

mod broken;
mod cuts;
mod formats;
mod full;
mod hub;
mod life;
mod manage;
mod pull;
mod registry;
mod umoci;
mod verify;

use super::*;
use crate::build::{Entry as Item, ImageBuilder};
use std::{fs, path::Path};

/// A store and one source directory in a temporary place.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(place.source("")).unwrap();
        place
    }

    /// A path in the source directory.
    fn source(&self, name: &str) -> PathBuf {
        self.dir.path().join("source").join(name)
    }

    /// A path in the store.
    fn store(&self, name: &str) -> PathBuf {
        self.dir.path().join("store").join(name)
    }

    fn open(&self) -> (Store, RecoveryReport) {
        Store::open(StoreConfig::new(self.store(""), vec![self.source("")])).unwrap()
    }
}

fn arm64() -> Platform {
    Platform::new("arm64")
}

/// A small image of two layers.
fn sample(name: &str, content: &str) -> ImageBuilder {
    ImageBuilder::new("arm64")
        .layer(vec![
            Item::dir("bin", 0o755),
            Item::file("bin/sh", 0o755, "shell"),
            Item::file("old", 0o644, ""),
        ])
        .layer(vec![Item::file("app", 0o755, content)])
        .entrypoint(["/app"])
        .name(name)
}

/// The content of a file of an image.
fn file(image: &Image, path: &str) -> String {
    let found = image.layers.iter().find_map(|layer| fs::read_to_string(layer.join(path)).ok());
    found.unwrap_or_else(|| panic!("{path} is in no layer"))
}

/// Names in a directory.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
