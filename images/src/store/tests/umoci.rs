//! The same image unpacked by us, put together by the kernel's overlayfs, and unpacked by umoci: the trees
//! must be equal in names, types, modes, owners, sizes, times, link targets, attributes and content.

use super::*;
use std::process::{Command, Stdio};

/// Lists a tree in every respect that counts. The times of directories that a layer does not name are the
/// unpacking tool's own affair; the image here names all of its directories.
const LIST: &str = r#"
cd "$1" || exit 1
find . -mindepth 1 -type d -printf '%P d %m %U %G %T@\n'
find . -mindepth 1 ! -type d -printf '%P %y %m %U %G %s %n %l %T@\n'
find . \( -type b -o -type c \) -exec stat -c '%n %t %T' {} +
find . -type f -exec sha256sum {} +
if command -v getfattr >/dev/null; then getfattr -R -h -d -e hex -m '^(user|security.capability)' . ; fi
true
"#;

fn list(script: &str, args: &[&Path]) -> Result<Vec<String>, String> {
    let run = Command::new("unshare").args(["-m", "sh", "-c", script, "sh"]).args(args).output();
    let run = run.map_err(|error| error.to_string())?;
    if !run.status.success() {
        return Err(String::from_utf8_lossy(&run.stderr).into_owned());
    }
    let mut lines: Vec<String> = String::from_utf8_lossy(&run.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

fn image() -> ImageBuilder {
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    let long = format!("d/{}", "long".repeat(40));
    let dir = |path: &str, mode| Item::dir(path, mode).mtime(1_100_000_000);
    let file = |path: &str, mode, content: &str| Item::file(path, mode, content).mtime(1_200_000_000);
    let bottom = vec![
        dir("./", 0o755),
        dir("bin", 0o755),
        dir("d", 0o1777),
        dir("gone", 0o755),
        dir("opaque", 0o711),
        dir("again", 0o700),
        file("bin/su", 0o4755, "setuid").owner(0, 5),
        file("bin/ping", 0o755, "ping").xattr("security.capability", capability),
        file("gone/x", 0o644, "x"),
        file("opaque/x", 0o644, "x"),
        file("again/x", 0o644, "x"),
        file("plain", 0o640, "p").owner(1000, 1000),
        file(&long, 0o644, "long name"),
        file("removed", 0o644, "r"),
        file("replaced", 0o644, "by a directory"),
        Item::symlink("link", "/bin/su").mtime(1_300_000_000),
        Item::hardlink("bin/hard", "bin/ping"),
        Item::char_device("d/null", 0o666, 1, 3).mtime(5),
        Item::block_device("d/disk", 0o660, 8, 1).owner(0, 6).mtime(5),
        Item::fifo("d/pipe", 0o600).mtime(5),
    ];
    let middle = vec![
        dir("opaque", 0o750),
        Item::opaque("opaque"),
        file("opaque/new", 0o644, "n"),
        Item::whiteout("gone"),
        Item::whiteout("removed"),
        Item::whiteout("replaced"),
        Item::whiteout("again"),
        dir("again", 0o711),
        file("again/y", 0o644, "y"),
        file("plain", 0o600, "changed").owner(7, 8).xattr("user.note", "a\nb"),
    ];
    let top = vec![
        dir("d", 0o1755),
        Item::whiteout("d/pipe"),
        dir("replaced", 0o755),
        file("replaced/z", 0o2755, "z").owner(3, 4),
        file("link", 0o644, "no link any more"),
        dir("bin", 0o755),
        file("bin/new", 0o755, ""),
    ];
    ImageBuilder::new("amd64").layer(bottom).layer(middle).layer(top).annotation("t").entrypoint(["/bin/su"])
}

#[test]
fn trees_equal_those_of_umoci() {
    let skip = |why: &str| eprintln!("SKIPPED trees_equal_those_of_umoci: {why}");
    if !crate::sys::is_root() {
        return skip("needs root");
    }
    let place = Place::new();
    let layout = place.source("t");
    image().write_layout(&layout).unwrap();
    let bundle = place.dir.path().join("bundle");
    let umoci = Command::new("umoci")
        .args(["unpack", "--image"])
        .arg(format!("{}:t", layout.display()))
        .arg(&bundle)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output();
    let Ok(umoci) = umoci else { return skip("no umoci command here") };
    assert!(umoci.status.success(), "{}", String::from_utf8_lossy(&umoci.stderr));
    let theirs = list(LIST, &[&bundle.join("rootfs")]).unwrap();
    let ours = place.open().0.ensure("t:t", &Platform::new("amd64")).unwrap();
    let lowers: Vec<String> = ours.layers.iter().map(|layer| layer.display().to_string()).collect();
    let mount = place.dir.path().join("mount");
    fs::create_dir(&mount).unwrap();
    let script =
        format!("mount -t overlay overlay -o ro,lowerdir={} \"$1\" || exit 9\n{LIST}", lowers.join(":"));
    match list(&script, &[&mount]) {
        Ok(ours) => assert_eq!(ours, theirs),
        Err(error) if error.contains("mount") => skip(&error),
        Err(error) => panic!("{error}"),
    }
}
