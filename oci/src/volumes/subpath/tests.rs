//! Ways out of a volume, and that none is one.

use super::*;
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    sync::atomic::{AtomicBool, Ordering},
};

/// A volume with mode 0770, and a directory beside it that must not be touched.
fn world() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let volume = dir.path().join("volume");
    fs::create_dir(&volume).unwrap();
    fs::set_permissions(&volume, fs::Permissions::from_mode(0o770)).unwrap();
    fs::create_dir(dir.path().join("outside")).unwrap();
    fs::write(dir.path().join("outside/secret"), "").unwrap();
    (dir, volume)
}

fn inode(fd: &OwnedFd) -> u64 {
    fstat(fd.as_raw_fd()).unwrap().st_ino
}

fn inode_at(path: impl AsRef<Path>) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[test]
fn what_is_there_is_opened_and_what_is_missing_is_made_with_the_volumes_mode() {
    let (_dir, volume) = world();
    fs::write(volume.join("file"), "").unwrap();
    assert_eq!(inode(&open(&volume, "file").unwrap()), inode_at(volume.join("file")));
    let made = open(&volume, "a/./b").unwrap();
    assert_eq!(inode(&made), inode_at(volume.join("a/b")));
    for made in ["a", "a/b"] {
        assert_eq!(fs::metadata(volume.join(made)).unwrap().mode() & 0o7777, 0o770);
    }
    // Links that stay inside are as good as what they mean, and more can be made behind them.
    symlink("a", volume.join("current")).unwrap();
    symlink("../a/b", volume.join("a/up")).unwrap();
    assert_eq!(inode(&open(&volume, "current/b").unwrap()), inode(&made));
    assert_eq!(inode(&open(&volume, "a/up").unwrap()), inode(&made));
    open(&volume, "current/new").unwrap();
    assert!(volume.join("a/new").is_dir());
    assert!(open(&volume, "file/below").is_err());
}

#[test]
fn nothing_leads_out_of_the_volume() {
    let (dir, volume) = world();
    let outside = dir.path().join("outside");
    symlink("/etc", volume.join("absolute")).unwrap();
    symlink("../outside", volume.join("relative")).unwrap();
    symlink("../../../../../../../../etc", volume.join("far")).unwrap();
    symlink("/proc/self/root", volume.join("magic")).unwrap();
    symlink("../outside/new", volume.join("dangling")).unwrap();
    symlink("loop", volume.join("loop")).unwrap();
    for sub in [
        "absolute",
        "absolute/passwd",
        "relative",
        "relative/secret",
        "relative/new",
        "far/passwd",
        "magic/etc",
        "dangling",
        "dangling/x",
        "loop",
        "loop/x",
    ] {
        let error = open(&volume, sub).map(drop).unwrap_err().to_string();
        assert!(error.contains("is not within the volume"), "{sub}: {error}");
    }
    for sub in ["..", "../outside", "a/../../outside", "/etc"] {
        let error = open(&volume, sub).map(drop).unwrap_err().to_string();
        assert!(error.contains("must be relative"), "{sub}: {error}");
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

/// Tries against an attacker: so many in any case, and so many until one works.
const ROUNDS_LEAST: u32 = 2000;
const ROUNDS_MAX: u32 = 2_000_000;

#[test]
fn swapping_a_directory_for_a_link_meanwhile_does_not_lead_out() {
    let (dir, volume) = world();
    let outside = dir.path().join("outside");
    fs::create_dir_all(volume.join("door/room")).unwrap();
    symlink(&outside, volume.join("trap")).unwrap();
    fs::create_dir(outside.join("room")).unwrap();
    let (forbidden, stop) = (inode_at(outside.join("room")), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let exchange = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
            while !stop.load(Ordering::Relaxed) {
                let (door, trap) = (volume.join("door"), volume.join("trap"));
                nix::fcntl::renameat2(None, &door, None, &trap, exchange).unwrap();
            }
        });
        // On a busy machine the attacker may have its way for long; in the end both get their turns.
        let (mut opened, mut round) = (0, 0);
        while round < ROUNDS_LEAST || opened == 0 && round < ROUNDS_MAX {
            round += 1;
            // Both the plain walk and the one that makes what is missing.
            let sub = if round % 2 == 0 { "door/room".to_owned() } else { format!("door/new{round}") };
            if let Ok(fd) = open(&volume, &sub) {
                assert_ne!(inode(&fd), forbidden);
                opened += 1;
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(opened > 0, "the race was never won, so nothing was tested");
    });
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 2, "something was made outside");
}
