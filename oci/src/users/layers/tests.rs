//! Layers with whiteouts, links and traps.

use super::*;
use std::{fs, os::unix::fs::symlink};

struct Image {
    _dir: tempfile::TempDir,
    layers: Vec<String>,
}

impl Image {
    /// Layers top first.
    fn new(layers: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<_> =
            (0..layers).map(|n| dir.path().join(n.to_string()).to_str().unwrap().to_owned()).collect();
        paths.iter().for_each(|path| fs::create_dir(path).unwrap());
        Self { _dir: dir, layers: paths }
    }

    fn path(&self, layer: usize, path: &str) -> std::path::PathBuf {
        let path = Path::new(&self.layers[layer]).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn file(&self, layer: usize, path: &str, content: &str) -> &Self {
        fs::write(self.path(layer, path), content).unwrap();
        self
    }

    fn link(&self, layer: usize, path: &str, target: &str) -> &Self {
        symlink(target, self.path(layer, path)).unwrap();
        self
    }

    fn read(&self, path: &str) -> Option<String> {
        let bytes = Layers::open(&self.layers).unwrap().read(path, 100).unwrap();
        bytes.map(|bytes| String::from_utf8(bytes).unwrap())
    }
}

#[test]
fn an_upper_layer_hides_a_lower_one_name_by_name() {
    let image = Image::new(3);
    image.file(2, "etc/passwd", "low").file(1, "etc/passwd", "mid").file(0, "etc/other", "top");
    image.file(2, "etc/group", "low group");
    assert_eq!(image.read("etc/passwd").as_deref(), Some("mid"));
    assert_eq!(image.read("etc/group").as_deref(), Some("low group"));
    assert_eq!(image.read("etc/none"), None);
    assert_eq!(image.read("etc"), None);
    // A file over a directory hides all of it.
    image.file(1, "usr", "").file(2, "usr/x", "hidden");
    assert_eq!(image.read("usr/x"), None);
}

#[test]
fn links_stay_inside_the_image_and_cross_layers() {
    let image = Image::new(2);
    image.link(0, "etc/passwd", "/usr/share/passwd").file(1, "usr/share/passwd", "moved");
    image.link(0, "etc/group", "../../../../usr/share/passwd");
    image.link(1, "lib", "usr/share").link(0, "loop", "loop");
    // The real file exists on this machine and must not be found.
    image.link(0, "trap", "/proc/self/status").link(0, "dir", "/proc/self");
    assert_eq!(image.read("etc/passwd").as_deref(), Some("moved"));
    assert_eq!(image.read("etc/group").as_deref(), Some("moved"));
    assert_eq!(image.read("lib/passwd").as_deref(), Some("moved"));
    for trap in ["loop", "trap", "dir/status", "../../../../../../../proc/self/status"] {
        assert_eq!(image.read(trap), None, "{trap}");
    }
}

#[test]
fn pipes_are_not_opened_and_long_files_refused() {
    let image = Image::new(1);
    nix::unistd::mkfifo(&image.path(0, "etc/passwd"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(image.read("etc/passwd"), None);
    image.file(0, "long", &"x".repeat(101));
    assert!(Layers::open(&image.layers).unwrap().read("long", 100).is_err());
    assert!(Layers::open(&["/no/such/layer".to_owned()]).is_err());
}

#[test]
fn whiteouts_and_opaque_directories_hide() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: needs root to make whiteouts");
        return;
    }
    let image = Image::new(2);
    image.file(1, "etc/passwd", "low").file(1, "etc/group", "low").file(1, "opt/x", "low");
    let device = nix::sys::stat::makedev(0, 0);
    let mode = nix::sys::stat::Mode::S_IRUSR;
    nix::sys::stat::mknod(&image.path(0, "etc/passwd"), SFlag::S_IFCHR, mode, device).unwrap();
    assert_eq!(image.read("etc/passwd"), None);
    assert_eq!(image.read("etc/group").as_deref(), Some("low"));
    fs::create_dir(image.path(0, "opt")).unwrap();
    let opt = fs::File::open(image.path(0, "opt")).unwrap();
    if crate::fsys::sys::set_opaque(&opt) {
        assert_eq!(image.read("opt/x"), None);
    } else {
        eprintln!("skipped in part: no trusted attributes on this file system");
    }
}
