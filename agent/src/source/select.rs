//! Which files in a directory are manifests, and which of several files with one name counts. Pure.

use berth_core::{
    manifest::Format,
    time::{NS_PER_MS, NS_PER_S, Wall},
};
use std::{collections::BTreeMap, os::unix::fs::MetadataExt, path::PathBuf};

/// Bytes in a file name that is looked at; no file system here has longer ones.
const NAME_LEN_MAX_BYTES: usize = 255;

/// What a directory entry is, links followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file: to be read.
    File,
    /// A link to /dev/null: there is no such manifest, whatever earlier paths say.
    Mask,
    /// Something that cannot be read as a manifest; the words say what and why.
    Unfit(String),
}

/// What of a file changes when its content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// When content or attributes changed last: seconds and nanoseconds since 1970, of the file system's
    /// own, coarser clock.
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(meta: &std::fs::Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether the last change is so long ago that a further one could not have the same time.
    pub(super) fn is_settled(&self, now: Wall) -> bool {
        let at = |part: i64| u64::try_from(part).unwrap_or(u64::MAX);
        let changed_ns = at(self.changed.0).saturating_mul(NS_PER_S).saturating_add(at(self.changed.1));
        now.0 > changed_ns.saturating_add(SETTLED_MS * NS_PER_MS)
    }
}

/// Milliseconds after which a file system's clock has surely gone on.
const SETTLED_MS: u64 = 2_100;

/// One entry that has a manifest's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// File name: what later paths override by.
    pub(super) name: String,
    /// Where it is, as the user knows it.
    pub(super) path: PathBuf,
    /// What it is.
    pub(super) kind: Kind,
    /// It is a link: what it leads to can change without this directory.
    pub(super) link: bool,
    /// Of what it leads to, when it was looked at.
    pub(super) stamp: Option<Stamp>,
}

/// How the file of this name is to be read; None if it is no manifest: hidden, left over from an editor,
/// or with another ending.
pub(super) fn format(name: &str) -> Option<Format> {
    let hidden = name.starts_with('.') || name.starts_with('#') || name.starts_with('~');
    if hidden || name.len() > NAME_LEN_MAX_BYTES {
        return None;
    }
    let (stem, ending) = name.rsplit_once('.')?;
    match ending {
        _ if stem.is_empty() => None,
        "yaml" | "yml" => Some(Format::Yaml),
        "json" => Some(Format::Json),
        _ => None,
    }
}

/// Of each name the entry of the last path that has it, in the order of the names. Masks are in it: they
/// count as long as nothing later has the name.
pub(super) fn effective(layers: &[Vec<Entry>]) -> BTreeMap<String, Entry> {
    layers.iter().flatten().map(|entry| (entry.name.clone(), entry.clone())).collect()
}

/// Whether the bytes say nothing at all, as a file does that was cut by a power failure.
pub(super) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_known_by_their_names() {
        for name in ["web.yaml", "web.yml", "web.json", "a.b.yaml", "UPPER.yaml", "web..yaml", "x y.yaml"] {
            assert!(format(name).is_some(), "{name}");
        }
        for name in [
            "",
            ".yaml",
            ".web.yaml",
            ".web.yaml.swp",
            "web.yaml~",
            "web.yaml.bak",
            "web.yaml.swp",
            "4913",
            "web",
            "web.YAML",
            "web.yaml.tmp",
            "#web.yaml#",
            "~web.yaml",
            "web.txt",
            "..data",
            "web.yaml.dpkg-new",
            "web.",
        ] {
            assert!(format(name).is_none(), "{name}");
        }
        assert_eq!(format("a.json"), Some(Format::Json));
        assert_eq!(format(&format!("{}.yaml", "x".repeat(300))), None);
    }

    fn entry(name: &str, dir: &str, kind: Kind) -> Entry {
        Entry { name: name.into(), path: format!("{dir}/{name}").into(), kind, link: false, stamp: None }
    }

    #[test]
    fn later_paths_override_and_mask() {
        let vendor = vec![entry("a.yaml", "v", Kind::File), entry("b.yaml", "v", Kind::File)];
        let owner = vec![entry("b.yaml", "o", Kind::Mask), entry("c.yaml", "o", Kind::File)];
        let third = vec![entry("c.yaml", "t", Kind::Unfit("a directory".into()))];
        let table = effective(&[vendor, owner, third]);
        let got: Vec<_> = table.values().map(|e| (e.path.to_str().unwrap(), e.kind.clone())).collect();
        assert_eq!(
            got,
            [
                ("v/a.yaml", Kind::File),
                ("o/b.yaml", Kind::Mask),
                ("t/c.yaml", Kind::Unfit("a directory".into()))
            ]
        );
    }

    #[test]
    fn a_fresh_change_is_not_settled() {
        let changed_ms = 10_000;
        let stamp = Stamp { device: 1, inode: 2, size: 3, modified: (0, 0), changed: (10, 0) };
        for (now_ms, settled) in [
            (0, false),
            (changed_ms, false),
            (changed_ms + SETTLED_MS, false),
            (changed_ms + SETTLED_MS + 1, true),
        ] {
            assert_eq!(stamp.is_settled(Wall(now_ms * NS_PER_MS)), settled, "{now_ms}");
        }
    }

    #[test]
    fn blank_is_not_the_same_as_only_comments() {
        for (bytes, blank) in
            [("", true), (" \n\t\r\n", true), ("\0\0\0", true), ("# none\n", false), ("---", false)]
        {
            assert_eq!(is_blank(bytes.as_bytes()), blank, "{bytes:?}");
        }
    }
}
