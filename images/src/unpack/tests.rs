//! Trees from layers: what comes out, and what must not. The hostile ones also look at what lies outside.

use super::*;
use crate::build::{Entry, entry_tar};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
};

/// Unpacks layers on top of each other, each into `dir/<n>`, and returns the last one's tree.
fn unpack_in(
    dir: &Path,
    layers: &[Vec<u8>],
    limits: &Limits,
) -> Result<(Stats, BTreeMap<String, String>), Error> {
    let mut lowers: Vec<Rc<OwnedFd>> = Vec::new();
    let mut last = (Stats::default(), BTreeMap::new());
    for (number, layer) in layers.iter().enumerate() {
        let path = dir.join(number.to_string());
        fs::create_dir(&path).unwrap();
        let root = OwnedFd::from(File::open(&path).unwrap());
        let mut tar = TarReader::new(layer.as_slice(), "layer", limits.layer_max_entries);
        let (stats, _) = Unpacker::new(root.try_clone().unwrap(), &lowers, limits).run(&mut tar)?;
        lowers.insert(0, Rc::new(root));
        last = (stats, tree(&path));
    }
    Ok(last)
}

fn unpack(layers: &[Vec<Entry>]) -> Result<BTreeMap<String, String>, Error> {
    let dir = tempfile::tempdir().unwrap();
    let layers: Vec<Vec<u8>> = layers.iter().map(|entries| entry_tar(entries)).collect();
    unpack_in(dir.path(), &layers, &Limits::default()).map(|(_, tree)| tree)
}

/// Path → what is there.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    add(root, root, &mut all);
    all
}

fn add(root: &Path, dir: &Path, all: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        let kind = metadata.file_type();
        let text = if kind.is_dir() {
            add(root, &path, all);
            let opaque = File::open(&path).ok().and_then(|d| sys::get_xattr(d, b".", OPAQUE_XATTR).unwrap());
            format!("dir {:o}{}", metadata.mode() & 0o7777, if opaque.is_some() { " opaque" } else { "" })
        } else if kind.is_symlink() {
            format!("-> {}", fs::read_link(&path).unwrap().display())
        } else if kind.is_char_device() && metadata.rdev() == 0 {
            "whiteout".into()
        } else if kind.is_file() {
            format!("file {:o} {}", metadata.mode() & 0o7777, fs::read_to_string(&path).unwrap())
        } else {
            format!("special {:o} {:x}", metadata.mode(), metadata.rdev())
        };
        all.insert(path.strip_prefix(root).unwrap().display().to_string(), text);
    }
}

fn expect(layers: &[Vec<Entry>], expected: &[(&str, &str)]) {
    let tree = unpack(layers).unwrap();
    let tree: Vec<(&str, &str)> = tree.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(tree, expected);
}

/// Whether a test that needs root's rights can run; says so when not.
fn root_or_skip(test: &str) -> bool {
    if !sys::is_root() {
        eprintln!("SKIPPED {test}: needs root");
    }
    sys::is_root()
}

#[test]
fn files_directories_and_links() {
    expect(
        &[vec![
            Entry::dir("./", 0o755),
            Entry::dir("d/", 0o1777),
            Entry::file("/d/f", 0o4755, "x"),
            Entry::file("implied/deep/f", 0o600, "y"),
            Entry::symlink("abs", "/etc/passwd"),
            Entry::symlink("up", "../../../etc"),
            Entry::hardlink("h", "/d/f"),
            Entry::hardlink("l", "abs"),
        ]],
        &[
            ("abs", "-> /etc/passwd"),
            ("d", "dir 1777"),
            ("d/f", "file 4755 x"),
            ("h", "file 4755 x"),
            ("implied", "dir 755"),
            ("implied/deep", "dir 755"),
            ("implied/deep/f", "file 600 y"),
            ("l", "-> /etc/passwd"),
            ("up", "-> ../../../etc"),
        ],
    );
}

#[test]
fn the_last_of_duplicates_wins() {
    expect(
        &[vec![
            Entry::file("a", 0o644, "1"),
            Entry::file("a", 0o600, "2"),
            Entry::file("b/c/d", 0o644, "gone"),
            Entry::file("b", 0o644, "file"),
            Entry::symlink("s", "/etc"),
            Entry::dir("s", 0o700),
            Entry::file("s/x", 0o644, "in the directory"),
            Entry::dir("e", 0o700),
            Entry::file("e/x", 0o644, "stays"),
            Entry::dir("e", 0o711),
        ]],
        &[
            ("a", "file 600 2"),
            ("b", "file 644 file"),
            ("e", "dir 711"),
            ("e/x", "file 644 stays"),
            ("s", "dir 700"),
            ("s/x", "file 644 in the directory"),
        ],
    );
}

#[test]
fn owners_times_and_devices() {
    if !root_or_skip("owners_times_and_devices") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    let layer = entry_tar(&[
        Entry::dir("d", 0o2755).owner(1000, 1001).mtime(1_000_000),
        Entry::file("d/f", 0o6755, "x")
            .owner(5, 6)
            .mtime(2_000_000)
            .xattr("security.capability", capability.clone()),
        Entry::symlink("d/l", "f").owner(7, 8).mtime(3_000_000),
        Entry::char_device("null", 0o666, 1, 3),
        Entry::block_device("disk", 0o640, 259, 70_000),
        Entry::fifo("pipe", 0o622),
        Entry::file("x", 0o644, "").xattr("trusted.overlay.redirect", "/etc").xattr("user.note", "a\nb"),
    ]);
    unpack_in(dir.path(), &[layer], &Limits::default()).unwrap();
    let at = |name: &str| dir.path().join("0").join(name).symlink_metadata().unwrap();
    let facts = |name: &str| (at(name).uid(), at(name).gid(), at(name).mode() & 0o7777, at(name).mtime());
    assert_eq!(facts("d"), (1000, 1001, 0o2755, 1_000_000));
    assert_eq!(facts("d/f"), (5, 6, 0o6755, 2_000_000));
    assert_eq!(facts("d/l"), (7, 8, 0o777, 3_000_000));
    assert_eq!((at("null").rdev(), at("null").mode()), (libc::makedev(1, 3), 0o020_666));
    assert_eq!((at("disk").rdev(), at("disk").mode()), (libc::makedev(259, 70_000), 0o060_640));
    assert_eq!(at("pipe").mode(), 0o010_622);
    let root = File::open(dir.path().join("0")).unwrap();
    assert_eq!(
        sys::get_xattr(&root, b"d/f", b"security.capability").unwrap().as_deref(),
        Some(&capability[..])
    );
    assert_eq!(
        sys::list_xattrs(&root, b"x").unwrap(),
        [b"user.note".to_vec()],
        "nothing that steers overlayfs"
    );
}

#[test]
fn removals_become_what_overlayfs_knows() {
    if !root_or_skip("removals_become_what_overlayfs_knows") {
        return;
    }
    let below = vec![
        Entry::file("a", 0o644, "a"),
        Entry::file("d/x", 0o644, "x"),
        Entry::file("e/x", 0o644, "x"),
        Entry::file("f/x", 0o644, "x"),
        Entry::dir("g", 0o711),
    ];
    let layer = vec![
        Entry::whiteout("a"),
        Entry::opaque("d"),
        Entry::file("d/new", 0o644, "n"),
        // A directory removed and made again, in either order.
        Entry::whiteout("e"),
        Entry::dir("e", 0o700),
        Entry::dir("f", 0o700),
        Entry::whiteout("f"),
        Entry::file("g/.wh..wh.plnk", 0o644, ""),
        // A file that the layer itself brings is not what its whiteout means.
        Entry::file("k", 0o644, "own"),
        Entry::whiteout("k"),
        Entry::whiteout("m"),
        Entry::file("m", 0o644, "own"),
    ];
    expect(
        &[below, layer],
        &[
            ("a", "whiteout"),
            ("d", "dir 755 opaque"),
            ("d/new", "file 644 n"),
            ("e", "dir 700 opaque"),
            ("f", "dir 700 opaque"),
            ("g", "dir 711"),
            ("k", "file 644 own"),
            ("m", "file 644 own"),
        ],
    );
    // With nothing below there is nothing to hide.
    expect(&[vec![Entry::whiteout("a"), Entry::opaque("d")]], &[("d", "dir 755")]);
}

#[test]
fn directories_that_a_layer_only_goes_through_look_as_below() {
    let below = vec![Entry::dir("d", 0o1777), Entry::dir("d/e", 0o711), Entry::symlink("s", "d/e")];
    expect(
        &[below.clone(), vec![Entry::file("d/e/f", 0o644, "x")]],
        &[("d", "dir 1777"), ("d/e", "dir 711"), ("d/e/f", "file 644 x")],
    );
    // A link of a layer below is followed in the image: it is not hidden by a directory.
    expect(
        &[below, vec![Entry::file("s/f", 0o644, "x")]],
        &[("d", "dir 1777"), ("d/e", "dir 711"), ("d/e/f", "file 644 x")],
    );
}

#[test]
fn links_in_the_way_stay_inside_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let layer = entry_tar(&[
        Entry::symlink("up", "../../outside"),
        Entry::file("up/f", 0o644, "1"),
        Entry::symlink("abs", outside.to_str().unwrap()),
        Entry::file("abs/g", 0o644, "2"),
        Entry::symlink("dots", "a/../b"),
        Entry::file("dots/h", 0o644, "3"),
    ]);
    let (_, tree) = unpack_in(dir.path(), &[layer], &Limits::default()).unwrap();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(tree["outside/f"], "file 644 1");
    assert_eq!(tree["b/h"], "file 644 3");
    assert_eq!(tree[&format!("{}/g", outside.display()).trim_start_matches('/').to_owned()], "file 644 2");
}

#[test]
fn hard_links_to_layers_below_are_copied_up() {
    let bottom =
        vec![Entry::file("d/f", 0o4711, "content"), Entry::symlink("d/l", "f"), Entry::symlink("s", "d")];
    let middle = vec![Entry::whiteout("d/l"), Entry::dir("d", 0o700)];
    let top = vec![Entry::hardlink("h", "s/f"), Entry::hardlink("i", "d/f")];
    let dir = tempfile::tempdir().unwrap();
    let layers = [bottom.clone(), middle, top].map(|entries| entry_tar(&entries));
    let (_, tree) = unpack_in(dir.path(), &layers, &Limits::default()).unwrap();
    let expected = [
        ("d", "dir 700"),
        ("d/f", "file 4711 content"),
        ("h", "file 4711 content"),
        ("i", "file 4711 content"),
    ];
    assert_eq!(tree, expected.map(|(path, text)| (path.to_owned(), text.to_owned())).into());
    assert_eq!(dir.path().join("2/h").metadata().unwrap().nlink(), 3);
    assert_eq!(dir.path().join("0/d/f").metadata().unwrap().nlink(), 1, "the layer below is untouched");
    for gone in ["d/l", "d", "nothing", "s/.."] {
        let layers = [bottom.clone(), vec![Entry::whiteout("d/l")], vec![Entry::hardlink("h", gone)]];
        assert!(matches!(unpack(&layers), Err(Error::Corrupt { .. })), "{gone}");
    }
}

#[test]
fn hostile_entries_are_refused() {
    let long = "x".repeat(256);
    let deep = "d/".repeat(300);
    let table: Vec<(&str, Vec<Entry>)> = vec![
        ("dot dot", vec![Entry::file("../x", 0o644, "")]),
        ("dot dot inside", vec![Entry::file("a/../../x", 0o644, "")]),
        ("link to dot dot", vec![Entry::hardlink("x", "../../etc/passwd")]),
        ("link to nothing", vec![Entry::hardlink("x", "etc/passwd")]),
        ("link through a link", vec![Entry::symlink("s", "/etc"), Entry::hardlink("x", "s/passwd")]),
        ("link to a directory", vec![Entry::dir("d", 0o755), Entry::hardlink("x", "d")]),
        ("link to the root", vec![Entry::hardlink("x", "/")]),
        ("file as directory", vec![Entry::file("f", 0o644, ""), Entry::file("f/x", 0o644, "")]),
        ("device as directory", vec![Entry::fifo("f", 0o644), Entry::file("f/x", 0o644, "")]),
        ("loop", vec![Entry::symlink("a", "b"), Entry::symlink("b", "a"), Entry::file("a/x", 0o644, "")]),
        ("root as a file", vec![Entry::file("./", 0o644, "x"), Entry::symlink("/", "/etc")]),
        ("empty link", vec![Entry::symlink("x", "")]),
        ("long name", vec![Entry::file(&long, 0o644, "")]),
        ("deep", vec![Entry::file(&deep, 0o644, ""), Entry::dir(&deep, 0o755)]),
        ("whiteout of nothing", vec![Entry::file("d/.wh.", 0o644, "")]),
        ("whiteout of dot dot", vec![Entry::whiteout("d/..")]),
        ("huge owner", vec![Entry::file("x", 0o644, "").owner(1 << 32, 0)]),
        ("owner -1", vec![Entry::file("x", 0o644, "").owner(0xffff_ffff, 0)]),
        ("device number", vec![Entry::char_device("x", 0o644, 5000, 0)]),
    ];
    for (what, entries) in table {
        match unpack(&[entries]) {
            Err(Error::Corrupt { .. } | Error::Limit { .. }) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn bombs_are_limited() {
    let limits = Limits { layer_max_bytes: 1000, layer_max_entries: 10, ..Limits::default() };
    let dir = tempfile::tempdir().unwrap();
    let big = entry_tar(&[Entry::file("a", 0o644, vec![0; 600]), Entry::file("b", 0o644, vec![0; 600])]);
    match unpack_in(dir.path(), &[big], &limits) {
        Err(Error::Limit { limit: "layer_max_bytes", value: 1000, .. }) => {}
        other => panic!("{other:?}"),
    }
    let links: Vec<Entry> = (0..11).map(|n| Entry::symlink(&format!("l{n}"), "x")).collect();
    fs::remove_dir_all(dir.path().join("0")).unwrap();
    match unpack_in(dir.path(), &[entry_tar(&links)], &limits) {
        Err(Error::Limit { limit: "layer_max_entries", value: 10, .. }) => {}
        other => panic!("{other:?}"),
    }
}
