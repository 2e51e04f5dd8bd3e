//! Streams made by our builder, by GNU tar when there is one, and damaged ones.

use super::*;
use crate::build::{Entry, entry_tar};
use proptest::prelude::*;
use std::{fs, process::Command};

impl Input for &[u8] {}

fn members(bytes: &[u8]) -> Result<Vec<(Member, Vec<u8>)>, Error> {
    let mut reader = TarReader::new(bytes, "test", 1000);
    let mut all = Vec::new();
    while let Some(member) = reader.next_member()? {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).map_err(|e| reading("test", e))?;
        all.push((member, content));
    }
    Ok(all)
}

#[test]
fn what_the_builder_wrote() {
    let long = "d/".repeat(90) + "file";
    let tar = entry_tar(&[
        Entry::dir("d", 0o1777).owner(5, 6).mtime(7),
        Entry::file(&long, 0o4755, "content").xattr("user.x", "a\nb"),
        Entry::symlink("link", &long),
        Entry::hardlink("hard", "d/x"),
        Entry::char_device("null", 0o666, 1, 3),
        Entry::fifo("pipe", 0o600),
    ]);
    let all = members(&tar).unwrap();
    let kinds: Vec<Kind> = all.iter().map(|(m, _)| m.kind).collect();
    assert_eq!(kinds, [Kind::Dir, Kind::File, Kind::Symlink, Kind::Hardlink, Kind::Char, Kind::Fifo]);
    let (dir, file, link) = (&all[0].0, &all[1], &all[2].0);
    assert_eq!((dir.mode, dir.uid, dir.gid, dir.mtime.seconds), (0o1777, 5, 6, 7));
    assert_eq!((file.0.path.as_slice(), file.1.as_slice()), (long.as_bytes(), &b"content"[..]));
    assert_eq!(file.0.xattrs, [(b"user.x".to_vec(), b"a\nb".to_vec())]);
    assert_eq!(link.link, long.as_bytes());
    assert_eq!(all[4].0.device, (1, 3));
}

#[test]
fn damage_is_told() {
    let tar = entry_tar(&[Entry::file("a", 0o644, vec![7; 1000])]);
    assert!(matches!(members(&tar[..700]), Err(Error::Corrupt { .. })), "cut in the content");
    assert!(matches!(members(&tar[..300]), Err(Error::Corrupt { .. })), "cut in the header");
    assert_eq!(members(&tar[..1536]).unwrap().len(), 1, "without an end mark, as some tools write it");
    let mut flipped = tar.clone();
    flipped[1] ^= 1;
    assert!(matches!(members(&flipped), Err(Error::Corrupt { .. })), "checksum");
    assert!(matches!(members(&[b'x'; 2048]), Err(Error::Corrupt { .. })), "no tar at all");
}

#[test]
fn limits() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(TAR_EXTENSION_MAX_BYTES + 1);
    header.set_cksum();
    match members(header.as_bytes()) {
        Err(Error::Limit { limit, .. }) => assert_eq!(limit, "TAR_EXTENSION_MAX_BYTES"),
        other => panic!("{other:?}"),
    }
    let many: Vec<Entry> = (0..1001).map(|n| Entry::file(&format!("f{n}"), 0o644, "")).collect();
    match members(&entry_tar(&many)) {
        Err(Error::Limit { limit, .. }) => assert_eq!(limit, "layer_max_entries"),
        other => panic!("{other:?}"),
    }
    let path = "x/".repeat(2100);
    match members(&entry_tar(&[Entry::file(&path, 0o644, "")])) {
        Err(Error::Limit { limit, .. }) => assert_eq!(limit, "PATH_MAX_BYTES"),
        other => panic!("{other:?}"),
    }
}

/// The content of a sparse member with its holes filled.
fn expand(member: &Member, stored: &[u8]) -> Vec<u8> {
    let Some(map) = &member.sparse else { return stored.to_vec() };
    let mut whole = vec![0; member.size as usize];
    let mut rest = stored;
    for segment in map {
        let (now, later) = rest.split_at(segment.length as usize);
        whole[segment.offset as usize..][..now.len()].copy_from_slice(now);
        rest = later;
    }
    whole
}

#[test]
fn sparse_files_of_gnu_tar() {
    let dir = tempfile::tempdir().unwrap();
    let mut content = vec![0_u8; 3 << 20];
    for at in (0..content.len()).step_by(128 * 1024) {
        content[at] = 1 + (at >> 17) as u8;
    }
    let file = fs::File::create(dir.path().join("s")).unwrap();
    file.set_len(content.len() as u64).unwrap();
    for at in (0..content.len()).step_by(128 * 1024) {
        std::os::unix::fs::FileExt::write_at(&file, &content[at..=at], at as u64).unwrap();
    }
    for format in [
        &["--format=gnu"][..],
        &["--format=pax", "--sparse-version=0.0"],
        &["--format=pax", "--sparse-version=0.1"],
        &["--format=pax", "--sparse-version=1.0"],
    ] {
        let run =
            Command::new("tar").args(format).args(["-S", "-cf", "-", "s"]).current_dir(dir.path()).output();
        let Ok(run) = run else {
            eprintln!("SKIPPED sparse_files_of_gnu_tar: no tar command here");
            return;
        };
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let all = members(&run.stdout).unwrap();
        let (member, stored) = &all[0];
        assert_eq!(member.path, b"s", "{format:?}");
        assert!(member.sparse.is_some() && stored.len() < content.len(), "{format:?}");
        assert!(expand(member, stored) == content, "{format:?}");
    }
}

proptest! {
    #[test]
    fn any_damage_is_an_error_or_harmless(at in 0_usize..4096, value: u8, cut in 0_usize..4096) {
        let mut tar = entry_tar(&[
            Entry::file(&"p/".repeat(80), 0o644, "x").xattr("user.a", "b"),
            Entry::file("b", 0o644, vec![1; 600]),
        ]);
        let at = at % tar.len();
        tar[at] = value;
        tar.truncate(cut.max(512));
        // Whatever comes of it: no panic, and nothing above the limits.
        if let Ok(all) = members(&tar) {
            prop_assert!(all.iter().all(|(m, content)| content.len() <= tar.len() && m.path.len() <= PATH_MAX_BYTES));
        }
    }
}
