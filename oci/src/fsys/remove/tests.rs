//! Trees that are hard to remove.

use super::*;
use std::{fs, os::unix::fs::symlink};

#[test]
fn links_are_removed_and_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, precious) = (dir.path().join("tree"), dir.path().join("precious"));
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::create_dir_all(&precious).unwrap();
    fs::write(precious.join("data"), "x").unwrap();
    symlink(&precious, tree.join("link")).unwrap();
    symlink("../../../precious", tree.join("a/b/up")).unwrap();
    remove_tree(&tree).unwrap();
    assert!(!tree.exists());
    assert_eq!(fs::read(precious.join("data")).unwrap(), b"x");
    remove_tree(&tree).unwrap();
    remove_tree(&dir.path().join("no/such")).unwrap();
}

#[test]
fn a_link_in_place_of_the_tree_is_removed_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("precious")).unwrap();
    symlink("precious", dir.path().join("tree")).unwrap();
    remove_tree(&dir.path().join("tree")).unwrap();
    assert!(dir.path().join("precious").is_dir());
    assert!(dir.path().join("tree").symlink_metadata().is_err());
}

#[test]
fn a_tree_deeper_than_any_limit_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    // Deeper than a path can be long and than descriptors may be open: built as a container would.
    let mut at = Dir::open(&tree, OFlag::O_RDONLY, Mode::empty()).unwrap();
    for depth in 0..3000 {
        let here = Some(at.as_raw_fd());
        nix::sys::stat::mkdirat(here, "deep", Mode::S_IRWXU).unwrap();
        if depth % 500 == 0 {
            nix::sys::stat::mkdirat(here, ".berth-removed-1", Mode::S_IRWXU).unwrap();
            nix::sys::stat::mkdirat(here, ".berth-removed-1/x", Mode::S_IRWXU).unwrap();
        }
        at = open_child(&at, c"deep").unwrap();
    }
    remove_tree(&tree).unwrap();
    assert!(!tree.exists());
}
